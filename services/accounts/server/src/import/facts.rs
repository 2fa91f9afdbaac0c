//! Files of shipments and payments.

use std::collections::HashMap;

use accounts_domain::order::{Command, Order, Ordered, Payment, Rejection, Shipment};
use api::accounts::{
    ImportPaymentsRequest, ImportPaymentsResponse, ImportShipmentsRequest, ImportShipmentsResponse,
    PaymentRow, ShipmentRow,
};
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Violations,
    import::{Fate, New, check_size, external_id, refusal, required_past, row_of, settle},
};
use uuid::Uuid;
use vocabulary::{AccountId, OrderId, PaymentId, ShipmentId, normalise};

use super::{orders::amount, precision};
use crate::{
    orders::cancelled,
    views::orders::{find, orders_of_payments, orders_of_shipments},
    wire::{MAX_ID, MAX_TEXT, caught_up},
};

/// A row under its number.
type Row = (i64, Result<New<Order>, Fate>);

pub(crate) async fn shipments(
    service: &Service,
    ctx: &Ctx,
    req: ImportShipmentsRequest,
) -> Result<ImportShipmentsResponse, AppError> {
    check_size(req.rows.len())?;
    let orders = orders(service, ctx, req.rows.iter().map(|row| &row.order)).await?;
    let rows = req.rows.iter();
    let rows: Vec<_> = rows
        .map(|row| (row.row, shipment(ctx, &orders, row)))
        .collect();
    let ids = ids(&rows).map(ShipmentId).collect::<Vec<_>>();
    let known = orders_of_shipments(service.pool(), &ids).await?;
    let rows = unless_taken(rows, &known);
    let (results, position) = settle::<Order>(service, ctx, rows, req.dry_run, refused).await?;
    Ok(ImportShipmentsResponse {
        results,
        position: Some(position),
    })
}

pub(crate) async fn payments(
    service: &Service,
    ctx: &Ctx,
    req: ImportPaymentsRequest,
) -> Result<ImportPaymentsResponse, AppError> {
    check_size(req.rows.len())?;
    let orders = orders(service, ctx, req.rows.iter().map(|row| &row.order)).await?;
    let rows = req.rows.iter();
    let rows: Vec<_> = rows
        .map(|row| (row.row, payment(ctx, &orders, row)))
        .collect();
    let ids = ids(&rows).map(PaymentId).collect::<Vec<_>>();
    let known = orders_of_payments(service.pool(), &ids).await?;
    let rows = unless_taken(rows, &known);
    let (results, position) = settle::<Order>(service, ctx, rows, req.dry_run, refused).await?;
    Ok(ImportPaymentsResponse {
        results,
        position: Some(position),
    })
}

fn order_of(text: &str) -> OrderId {
    OrderId::of_external(&normalise(text))
}

/// Those of the orders that the caller sees.
async fn orders(
    service: &Service,
    ctx: &Ctx,
    named: impl Iterator<Item = &String>,
) -> Result<HashMap<OrderId, Ordered>, AppError> {
    caught_up(service).await?;
    let ids: Vec<_> = named.map(|order| order_of(order)).collect();
    let found = find(service.pool(), &ids).await?;
    let accounts: Vec<_> = found
        .values()
        .map(|order| AccountId(order.account_id))
        .collect();
    let accounts = service.directory.accounts(&accounts).await?;
    let seen = |account| {
        let account = accounts.get(&AccountId(account));
        account.is_some_and(|account| account.is_visible(ctx.sees(), ctx.now))
    };
    Ok(found
        .into_iter()
        .filter(|(_, order)| seen(order.account_id))
        .map(|(id, order)| (id, order.ordered()))
        .collect())
}

fn order<'a>(
    v: &mut Violations,
    orders: &'a HashMap<OrderId, Ordered>,
    text: &str,
) -> Option<&'a Ordered> {
    let order = orders.get(&order_of(text));
    if order.is_none() {
        v.add("order", "is not known");
    }
    order
}

/// The currency of the order where the row names none.
fn currency<'a>(text: &'a str, order: Option<&'a Ordered>) -> &'a str {
    match (text.trim(), order) {
        ("", Some(order)) => &order.amount.currency,
        (named, _) => named,
    }
}

fn shipment(
    ctx: &Ctx,
    orders: &HashMap<OrderId, Ordered>,
    row: &ShipmentRow,
) -> Result<New<Order>, Fate> {
    let mut v = Violations::new();
    let external_id = external_id(&mut v, &row.external_id);
    let order = order(&mut v, orders, &row.order);
    let shipped_at = required_past(&mut v, ctx, "shipped_at", &row.shipped_at);
    let amount = match row.amount.trim() {
        "" => None,
        text => amount(&mut v, text, currency(&row.currency, order)),
    };
    let quantity = v.line("quantity", &row.quantity, MAX_ID);
    let waybill = v.line("waybill", &row.waybill, MAX_ID);
    if row.amount.trim().is_empty() && quantity.is_empty() && waybill.is_empty() {
        v.add("amount", "must be known, or quantity, or waybill");
    }
    let note = v.optional("note", &row.note, MAX_TEXT);
    let id = ShipmentId::of_external(&external_id);
    let row = order.cloned().map(|order| New {
        id: id.0,
        stream: order.id.0,
        owner: None,
        command: Command::Ship {
            order,
            shipment: Shipment {
                id,
                external_id: Some(external_id),
                amount,
                quantity,
                waybill,
                note,
                shipped_at,
                precision: precision(shipped_at, ctx),
            },
        },
    });
    row_of(v, row)
}

fn payment(
    ctx: &Ctx,
    orders: &HashMap<OrderId, Ordered>,
    row: &PaymentRow,
) -> Result<New<Order>, Fate> {
    let mut v = Violations::new();
    let external_id = external_id(&mut v, &row.external_id);
    let order = order(&mut v, orders, &row.order);
    let amount = amount(&mut v, &row.amount, currency(&row.currency, order));
    let paid_at = required_past(&mut v, ctx, "paid_at", &row.paid_at);
    let reference = v.line("reference", &row.reference, MAX_TEXT);
    let note = v.optional("note", &row.note, MAX_TEXT);
    let id = PaymentId::of_external(&external_id);
    let row = order.cloned().zip(amount).map(|(order, amount)| New {
        id: id.0,
        stream: order.id.0,
        owner: None,
        command: Command::Pay {
            order,
            payment: Payment {
                id,
                external_id: Some(external_id),
                amount,
                reference,
                note,
                paid_at,
                precision: precision(paid_at, ctx),
            },
        },
    });
    row_of(v, row)
}

/// Of the shipments or payments that can be read.
fn ids(rows: &[Row]) -> impl Iterator<Item = Uuid> {
    let new = rows.iter().flat_map(|(_, row)| row);
    new.map(|new| new.id)
}

/// Whether one that is known is the same, its order decides.
fn unless_taken(rows: Vec<Row>, known: &HashMap<Uuid, OrderId>) -> Vec<Row> {
    let taken_elsewhere = |new: &New<Order>| {
        let order = known.get(&new.id);
        order.is_some_and(|order| order.0 != new.stream)
    };
    let rows = rows.into_iter().map(|(number, row)| match row {
        Ok(new) if taken_elsewhere(&new) => (number, Err(taken())),
        row => (number, row),
    });
    rows.collect()
}

fn taken() -> Fate {
    Fate::refused("external_id", "is used for another order", "TAKEN")
}

fn refused(_: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match cancelled(error) {
        ExecuteError::Taken { .. } => Ok(taken()),
        error => refusal(error, "external_id"),
    }
}
