//! Rows of a file as rows of the API.

use api::{
    accounts::{
        AccountRow, Card, CustomValue, DealRow, ImportAccountsRequest, ImportDealsRequest,
        ImportFile, ImportOrdersRequest, ImportPaymentsRequest, ImportShipmentsRequest,
        ImportStaffRequest, OrderRow, PaymentRow, ShipmentRow, StaffRow, custom_value,
    },
    common::{Position, RowResult},
    contacts::{ImportInteractionsRequest, ImportPersonsRequest, InteractionRow, PersonRow},
    planning::{ImportTasksRequest, TaskRow},
};

use super::{Kind, table::TableRow};
use crate::client::{Client, Refused};

pub(super) async fn send(
    client: &Client,
    kind: Kind,
    batch: &[TableRow],
    file: &ImportFile,
    dry_run: bool,
) -> Result<(Vec<RowResult>, Option<Position>), Refused> {
    // An address that is missing is a fault of the call, not of the rows.
    #[expect(
        clippy::disallowed_methods,
        reason = "of the command line itself, not of a service"
    )]
    let missing =
        |error: anyhow::Error| Refused(tonic::Status::invalid_argument(error.to_string()));
    macro_rules! import {
        ($client:ident, $method:ident, $request:ident, $row:path $(, $file:ident)?) => {{
            let request = $request {
                rows: batch.iter().map($row).collect(),
                dry_run,
                $($file: Some($file.clone()),)?
            };
            let mut client = client.$client().map_err(missing)?;
            let answer = client.$method(request).await?.into_inner();
            (answer.results, answer.position)
        }};
    }
    Ok(match kind {
        Kind::Staff => import!(staff, import_staff, ImportStaffRequest, staff),
        Kind::Accounts => import!(
            accounts,
            import_accounts,
            ImportAccountsRequest,
            account,
            file
        ),
        Kind::Persons => import!(contacts, import_persons, ImportPersonsRequest, person),
        Kind::Interactions => import!(
            contacts,
            import_interactions,
            ImportInteractionsRequest,
            interaction
        ),
        Kind::Orders => import!(accounts, import_orders, ImportOrdersRequest, order),
        Kind::Shipments => import!(orders, import_shipments, ImportShipmentsRequest, shipment),
        Kind::Payments => import!(orders, import_payments, ImportPaymentsRequest, payment),
        Kind::Deals => import!(deals, import_deals, ImportDealsRequest, deal),
        Kind::Tasks => import!(planning, import_tasks, ImportTasksRequest, task),
    })
}

fn staff(row: &TableRow) -> StaffRow {
    StaffRow {
        row: row.number,
        external_id: row.cell("external_id"),
        name: row.cell("name"),
        role: row.cell("role"),
        group: row.cell("group"),
        head: row.cell("head"),
        login: row.cell("login"),
        extension: row.cell("extension"),
        hired_on: row.cell("hired_on"),
    }
}

fn account(row: &TableRow) -> AccountRow {
    AccountRow {
        row: row.number,
        external_id: row.cell("external_id"),
        card: Some(Card {
            name: row.cell("name"),
            r#type: row.cell("type"),
            phones: several(&row.cell("phone"), &POINTS_APART),
            emails: several(&row.cell("email"), &POINTS_APART),
            city: row.cell("city"),
            region: row.cell("region"),
            address: row.cell("address"),
            industry: row.cell("industry"),
            project: row.cell("project"),
            source: row.cell("source"),
            rubrics: several(&row.cell("rubrics"), &NAMES_APART),
            // The office knows what each field holds.
            custom: row
                .custom()
                .map(|(key, cell)| CustomValue {
                    key: key.to_owned(),
                    value: Some(custom_value::Value::Text(cell.to_owned())),
                })
                .collect(),
            ..Card::default()
        }),
        owner: row.cell("owner"),
        registered_at: row.cell("registered_at"),
    }
}

/// Offices write several phones into one cell.
const POINTS_APART: [char; 4] = [';', ',', '\n', '/'];
/// A name may have a comma.
const NAMES_APART: [char; 3] = [';', '|', '\n'];

fn several(cell: &str, apart: &[char]) -> Vec<String> {
    cell.split(apart)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

fn person(row: &TableRow) -> PersonRow {
    PersonRow {
        row: row.number,
        external_id: row.cell("external_id"),
        account: row.cell("account"),
        name: row.cell("name"),
        job_title: row.cell("position"),
        phone: row.cell("phone"),
        email: row.cell("email"),
    }
}

fn interaction(row: &TableRow) -> InteractionRow {
    InteractionRow {
        row: row.number,
        external_id: row.cell("external_id"),
        account: row.cell("account"),
        person: row.cell("person"),
        kind: row.cell("kind"),
        direction: row.cell("direction"),
        outcome: row.cell("outcome"),
        occurred_at: row.cell("occurred_at"),
        duration_s: row.cell("duration_s"),
        author: row.cell("author"),
        summary: row.cell("summary"),
        impression: row.cell("impression"),
        note: row.cell("note"),
    }
}

fn order(row: &TableRow) -> OrderRow {
    OrderRow {
        row: row.number,
        external_id: row.cell("external_id"),
        account: row.cell("account"),
        amount: row.cell("amount"),
        currency: row.cell("currency"),
        ordered_at: row.cell("ordered_at"),
        owner: row.cell("owner"),
    }
}

fn shipment(row: &TableRow) -> ShipmentRow {
    ShipmentRow {
        row: row.number,
        external_id: row.cell("external_id"),
        order: row.cell("order"),
        shipped_at: row.cell("shipped_at"),
        amount: row.cell("amount"),
        currency: row.cell("currency"),
        quantity: row.cell("quantity"),
        waybill: row.cell("waybill"),
        note: row.cell("note"),
    }
}

fn payment(row: &TableRow) -> PaymentRow {
    PaymentRow {
        row: row.number,
        external_id: row.cell("external_id"),
        order: row.cell("order"),
        amount: row.cell("amount"),
        currency: row.cell("currency"),
        paid_at: row.cell("paid_at"),
        reference: row.cell("reference"),
        note: row.cell("note"),
    }
}

fn deal(row: &TableRow) -> DealRow {
    DealRow {
        row: row.number,
        external_id: row.cell("external_id"),
        account: row.cell("account"),
        owner: row.cell("owner"),
        pipeline: row.cell("pipeline"),
        stage: row.cell("stage"),
        amount: row.cell("amount"),
        currency: row.cell("currency"),
        product: row.cell("product"),
        opened_at: row.cell("opened_at"),
        closed_at: row.cell("closed_at"),
        lost_reason: row.cell("lost_reason"),
    }
}

fn task(row: &TableRow) -> TaskRow {
    TaskRow {
        row: row.number,
        external_id: row.cell("external_id"),
        account: row.cell("account"),
        assignee: row.cell("assignee"),
        kind: row.cell("kind"),
        due_at: row.cell("due_at"),
        comment: row.cell("comment"),
        created_at: row.cell("created_at"),
        completed_at: row.cell("completed_at"),
    }
}
