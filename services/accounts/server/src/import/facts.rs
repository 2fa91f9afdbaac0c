//! Files of shipments and payments.

use std::collections::HashMap;

use accounts_domain::order::{Command, Order, Ordered, Payment, Rejection, Shipment};
use api::{
    accounts::{
        ImportPaymentsRequest, ImportPaymentsResponse, ImportShipmentsRequest,
        ImportShipmentsResponse, PaymentRow, ShipmentRow,
    },
    common::{Position, RowResult},
};
use es::Aggregate;
use es_postgres::ExecuteError;
use kit::{AppError, Ctx, Service, Violations};
use uuid::Uuid;
use vocabulary::{AccountId, OrderId, PaymentId, ShipmentId, normalise};

use super::{
    Fate, accounts::past, check_size, orders::amount, precision, refusal, rejected, row_of,
};
use crate::{
    orders::cancelled,
    views::orders::{find, orders_of_payments, orders_of_shipments},
    wire::{MAX_ID, MAX_TEXT, caught_up},
};

/// A row that can be read.
struct Row {
    /// Of the shipment or the payment.
    id: Uuid,
    order: OrderId,
    command: Command,
}

pub(crate) async fn shipments(
    service: &Service,
    ctx: &Ctx,
    req: ImportShipmentsRequest,
) -> Result<ImportShipmentsResponse, AppError> {
    check_size(req.rows.len())?;
    let orders = orders(service, ctx, req.rows.iter().map(|row| &row.order)).await?;
    let rows: Vec<_> = req
        .rows
        .iter()
        .map(|row| shipment(ctx, &orders, row))
        .collect();
    let ids: Vec<_> = rows
        .iter()
        .flatten()
        .map(|row| ShipmentId(row.id))
        .collect();
    let known = orders_of_shipments(service.pool(), &ids).await?;
    let numbers = req.rows.iter().map(|row| row.row);
    let (results, position) = record(service, ctx, rows, known, numbers, req.dry_run).await?;
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
    let rows: Vec<_> = req
        .rows
        .iter()
        .map(|row| payment(ctx, &orders, row))
        .collect();
    let ids: Vec<_> = rows.iter().flatten().map(|row| PaymentId(row.id)).collect();
    let known = orders_of_payments(service.pool(), &ids).await?;
    let numbers = req.rows.iter().map(|row| row.row);
    let (results, position) = record(service, ctx, rows, known, numbers, req.dry_run).await?;
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

fn shipment(ctx: &Ctx, orders: &HashMap<OrderId, Ordered>, row: &ShipmentRow) -> Result<Row, Fate> {
    let mut v = Violations::new();
    let external_id = v.required_line("external_id", &row.external_id, MAX_ID);
    let order = order(&mut v, orders, &row.order);
    if row.shipped_at.trim().is_empty() {
        v.add("shipped_at", "must not be empty");
    }
    let shipped_at = past(&mut v, "shipped_at", &row.shipped_at, ctx);
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
    let row = order.cloned().map(|order| Row {
        id: id.0,
        order: order.id,
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

fn payment(ctx: &Ctx, orders: &HashMap<OrderId, Ordered>, row: &PaymentRow) -> Result<Row, Fate> {
    let mut v = Violations::new();
    let external_id = v.required_line("external_id", &row.external_id, MAX_ID);
    let order = order(&mut v, orders, &row.order);
    let amount = amount(&mut v, &row.amount, currency(&row.currency, order));
    if row.paid_at.trim().is_empty() {
        v.add("paid_at", "must not be empty");
    }
    let paid_at = past(&mut v, "paid_at", &row.paid_at, ctx);
    let reference = v.line("reference", &row.reference, MAX_TEXT);
    let note = v.optional("note", &row.note, MAX_TEXT);
    let id = PaymentId::of_external(&external_id);
    let row = order.cloned().zip(amount).map(|(order, amount)| Row {
        id: id.0,
        order: order.id,
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

async fn record(
    service: &Service,
    ctx: &Ctx,
    rows: Vec<Result<Row, Fate>>,
    known: HashMap<Uuid, OrderId>,
    numbers: impl Iterator<Item = i64>,
    dry_run: bool,
) -> Result<(Vec<RowResult>, Position), AppError> {
    let mut fates = Vec::with_capacity(rows.len());
    let mut new = Vec::new();
    for row in rows {
        let fate = match row {
            Ok(row) => match known.get(&row.id) {
                Some(order) if *order != row.order => taken(),
                // Whether one that is known is the same, its order decides.
                Some(_) | None => {
                    new.push(New {
                        index: fates.len(),
                        id: row.id,
                        stream: row.order.0,
                        command: row.command,
                    });
                    Fate::Created(row.id)
                }
            },
            Err(fate) => fate,
        };
        fates.push(fate);
    }
    let reached = if dry_run {
        try_out::<Order>(service, new, &mut fates, taken).await?
    } else {
        write::<Order>(service, ctx, new, &mut fates, refused).await?
    };
    let results = numbers.zip(fates);
    Ok((
        results.map(|(row, fate)| fate.result(row)).collect(),
        service.position(reached),
    ))
}

fn taken() -> Fate {
    Fate::refused("external_id", "is used for another order", "TAKEN")
}

fn refused(error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match cancelled(error) {
        ExecuteError::Taken { .. } => Ok(taken()),
        error => refusal(error, "external_id"),
    }
}

/// A row whose stream decides about it.
pub(super) struct New<A: Aggregate> {
    /// Of its fate.
    pub(super) index: usize,
    /// Of one stream only.
    pub(super) id: Uuid,
    pub(super) stream: Uuid,
    pub(super) command: A::Command,
}

/// The same decisions as the log will make, one after the other: an id counts from the first row
/// that is accepted. Gives where the log ends, as `write` does.
pub(super) async fn try_out<A: Aggregate>(
    service: &Service,
    rows: Vec<New<A>>,
    fates: &mut [Fate],
    taken: fn() -> Fate,
) -> Result<i64, AppError> {
    let mut states: HashMap<Uuid, A::State> = HashMap::new();
    let mut holders: HashMap<Uuid, Uuid> = HashMap::new();
    for row in rows {
        let state = match states.remove(&row.stream) {
            Some(state) => state,
            None => service.log.load::<A>(row.stream).await?.state,
        };
        let held = holders.get(&row.id).is_some_and(|one| *one != row.stream);
        let (state, fate) = match A::decide(&state, row.command) {
            Ok(events) if events.is_empty() => (state, Fate::Repeated(row.id)),
            Ok(_) if held => (state, taken()),
            Ok(events) => {
                holders.insert(row.id, row.stream);
                let state = events.iter().fold(state, A::evolve);
                (state, Fate::Created(row.id))
            }
            Err(rejection) => (state, rejected(&rejection)),
        };
        fates[row.index] = fate;
        states.insert(row.stream, state);
    }
    Ok(*service.log.head().borrow())
}

/// Every row goes to the log, which knows best which of them counts.
pub(super) async fn write<A: Aggregate>(
    service: &Service,
    ctx: &Ctx,
    rows: Vec<New<A>>,
    fates: &mut [Fate],
    refused: fn(ExecuteError<A::Rejection>) -> Result<Fate, AppError>,
) -> Result<i64, AppError> {
    let mut reached = *service.log.head().borrow();
    let known: Vec<_> = rows.iter().map(|row| (row.index, row.id)).collect();
    let commands = rows.into_iter();
    let commands = commands.map(|row| (ctx.command(), row.stream, row.command));
    let outcomes = service.log.execute_many::<A>(commands.collect()).await;
    for ((index, id), outcome) in known.into_iter().zip(outcomes) {
        match outcome {
            // By a row before it, or by somebody else in this moment.
            Ok(outcome) if outcome.events.is_empty() => fates[index] = Fate::Repeated(id),
            Ok(outcome) => reached = reached.max(outcome.position),
            Err(error) => fates[index] = refused(error)?,
        }
    }
    Ok(reached)
}
