//! A file of orders.

use std::collections::HashMap;

use accounts_domain::account::{Account, Command, Order, Rejection, Taken};
use api::accounts::{ImportOrdersRequest, ImportOrdersResponse, OrderRow};
use es_postgres::ExecuteError;
use kit::{AccountEntry, AppError, Ctx, Service, Snapshot, Violations};
use vocabulary::{AccountId, Money, OrderId, StaffId, normalise};

use super::{
    Fate,
    accounts::past,
    check_size,
    facts::{New, try_out, write},
    precision, refusal, rejected, row_of,
};
use crate::{
    owners,
    views::orders,
    wire::{MAX_ID, caught_up},
};

struct Row {
    account_id: AccountId,
    order: Order,
}

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: ImportOrdersRequest,
) -> Result<ImportOrdersResponse, AppError> {
    check_size(req.rows.len())?;
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let visible = visible_accounts(service, ctx, &req.rows).await?;
    let rows: Vec<_> = req
        .rows
        .iter()
        .map(|row| read(ctx, &directory, &visible, row))
        .collect();
    let orders: Vec<_> = rows
        .iter()
        .filter_map(|row| Some(row.as_ref().ok()?.order.id))
        .collect();
    let known = orders::find(service.pool(), &orders).await?;
    let accounts = known.iter();
    let accounts = accounts.map(|(id, order)| (*id, AccountId(order.account_id)));
    let accounts = service.directory.answering(accounts.collect()).await?;

    let mut fates = Vec::with_capacity(rows.len());
    let mut new = Vec::new();
    for row in rows {
        let fate = match row {
            Ok(Row { account_id, order }) => match known.get(&order.id) {
                Some(_) if accounts.get(&order.id) != Some(&account_id) => taken(),
                Some(known) if order.repeats(&known.known()) => Fate::Repeated(order.id.0),
                Some(_) => rejected(&Rejection::OrderExists),
                None => {
                    let id = order.id.0;
                    new.push(New {
                        index: fates.len(),
                        id,
                        stream: account_id.0,
                        command: Command::RegisterOrder(order),
                    });
                    Fate::Created(id)
                }
            },
            Err(fate) => fate,
        };
        fates.push(fate);
    }
    let reached = if req.dry_run {
        try_out::<Account>(service, new, &mut fates, taken).await?
    } else {
        write::<Account>(service, ctx, new, &mut fates, refused).await?
    };
    let results = req.rows.iter().zip(fates);
    Ok(ImportOrdersResponse {
        results: results.map(|(row, fate)| fate.result(row.row)).collect(),
        position: Some(service.position(reached)),
    })
}

fn taken() -> Fate {
    Fate::refused("external_id", "is used for another account", "ORDER_TAKEN")
}

fn refused(error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Taken { .. } => Ok(taken()),
        error => refusal(error, "external_id"),
    }
}

async fn visible_accounts(
    service: &Service,
    ctx: &Ctx,
    rows: &[OrderRow],
) -> Result<HashMap<AccountId, AccountEntry>, AppError> {
    let ids: Vec<_> = rows.iter().map(account_of).collect();
    let mut accounts = service.directory.accounts(&ids).await?;
    accounts.retain(|_, account| account.is_visible(ctx.sees(), ctx.now));
    Ok(accounts)
}

fn account_of(row: &OrderRow) -> AccountId {
    AccountId::of_external(&normalise(&row.account))
}

fn read(
    ctx: &Ctx,
    directory: &Snapshot,
    visible: &HashMap<AccountId, AccountEntry>,
    row: &OrderRow,
) -> Result<Row, Fate> {
    let mut v = Violations::new();
    let external_id = v.required_line("external_id", &row.external_id, MAX_ID);
    let account = visible.get(&account_of(row));
    if account.is_none() {
        v.add("account", "is not known");
    }
    let amount = amount(&mut v, &row.amount, row.currency.trim());
    if row.ordered_at.trim().is_empty() {
        v.add("ordered_at", "must not be empty");
    }
    let ordered_at = past(&mut v, "ordered_at", &row.ordered_at, ctx);
    let owner = match normalise(&row.owner).as_str() {
        "" => account.and_then(|account| account.owner_id),
        external_id => Some(owner_then(&mut v, ctx, directory, external_id)),
    };
    let row = account.zip(amount).map(|(account, amount)| Row {
        account_id: account.id,
        order: Order {
            id: OrderId::of_external(&external_id),
            external_id: Some(external_id),
            amount,
            ordered_at,
            precision: precision(ordered_at, ctx),
            taken: Taken::Import,
            owner: owner.map(|id| owners::owner_in(directory, id, ordered_at)),
            now: None,
        },
    });
    row_of(v, row)
}

/// Both columns are looked at, whatever is wrong with the other.
pub(super) fn amount(v: &mut Violations, amount: &str, currency: &str) -> Option<Money> {
    let nothing = v.parsed("currency", Money::try_new(0, currency));
    let currency = nothing.map_or_else(|| "XXX".to_owned(), |nothing| nothing.currency);
    v.parsed("amount", Money::parse(amount, &currency))
}

/// Who owned the account then may have left since; but nobody imports sales for others than those
/// whose figures they see.
pub(super) fn owner_then(
    v: &mut Violations,
    ctx: &Ctx,
    directory: &Snapshot,
    external_id: &str,
) -> StaffId {
    let id = StaffId::of_external(external_id);
    if directory.staff(id).is_none() {
        v.add("owner", "is not a member of staff");
    } else if !ctx.sees_by(directory).includes(id) {
        v.add("owner", "must be somebody whose accounts the importer sees");
    }
    id
}
