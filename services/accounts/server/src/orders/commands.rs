//! One shipment or payment at a time.

use accounts_domain::order::{
    CANCELLED, Command, Event, Order, Ordered, Payment, Rejection, Shipment,
};
use api::{
    accounts::{
        RecordPaymentRequest, RecordPaymentResponse, RecordShipmentRequest, RecordShipmentResponse,
        ReversePaymentRequest, ReverseShipmentRequest,
    },
    common::{self, Recorded},
};
use es_postgres::{ExecuteError, Outcome};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, Money, OrderId, PaymentId, ShipmentId};

use super::words::precision;
use crate::{
    views::orders::{self, OrderRow},
    wire::{MAX_ID, MAX_TEXT, caught_up},
};

/// The order, if the caller sees its company. What is hidden is answered as what is not there.
pub(super) async fn visible(
    service: &Service,
    ctx: &Ctx,
    id: OrderId,
) -> Result<OrderRow, AppError> {
    let order = orders::find(service.pool(), &[id]).await?.remove(&id);
    let order = order.ok_or(AppError::NotFound { what: "order" })?;
    let account_id = AccountId(order.account_id);
    service.visible_account(ctx, account_id).await?;
    Ok(order)
}

/// As [`visible`], as of now, whatever the views have missed so far.
async fn visible_now(service: &Service, ctx: &Ctx, id: OrderId) -> Result<Ordered, AppError> {
    caught_up(service).await?;
    Ok(visible(service, ctx, id).await?.ordered())
}

async fn execute(
    service: &Service,
    ctx: &Ctx,
    id: OrderId,
    command: Command,
) -> Result<Outcome<Order>, AppError> {
    let context = ctx.command();
    let executed = service.log.execute::<Order>(&context, id.0, command).await;
    executed.map_err(|error| cancelled(error).into())
}

/// What went back went back; of a company that is forgotten nothing more is said about it.
async fn reverse(
    service: &Service,
    ctx: &Ctx,
    id: OrderId,
    reason: String,
    command: impl Fn(String) -> Command,
) -> Result<Recorded, AppError> {
    let outcome = match execute(service, ctx, id, command(reason)).await {
        Err(error) if error.reason() == "SUBJECT_ERASED" => {
            execute(service, ctx, id, command(String::new())).await?
        }
        outcome => outcome?,
    };
    Ok(service.recorded(&outcome))
}

/// Somebody cancelled the order in this moment: then its account holds the name that must be free.
pub(crate) fn cancelled(error: ExecuteError<Rejection>) -> ExecuteError<Rejection> {
    match error {
        ExecuteError::Taken { kind, .. } if kind == CANCELLED => {
            ExecuteError::Rejected(Rejection::Cancelled)
        }
        error => error,
    }
}

fn money(v: &mut Violations, amount: Option<common::Money>) -> Option<Money> {
    let amount = amount.unwrap_or_default();
    let money = Money::try_new(amount.minor_units, &amount.currency);
    v.parsed("amount", money)
}

pub(super) async fn record_shipment(
    service: &Service,
    ctx: &Ctx,
    req: RecordShipmentRequest,
) -> Result<RecordShipmentResponse, AppError> {
    let mut v = Violations::new();
    let order_id = v.id("order_id", &req.order_id);
    let external_id = v.line("external_id", &req.external_id, MAX_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let amount = match req.amount {
        None => None,
        amount => money(&mut v, amount),
    };
    let quantity = v.line("quantity", &req.quantity, MAX_ID);
    let waybill = v.line("waybill", &req.waybill, MAX_ID);
    if amount.is_none() && quantity.is_empty() && waybill.is_empty() {
        v.add("amount", "must be known, or quantity, or waybill");
    }
    let note = v.optional("note", &req.note, MAX_TEXT);
    let shipped_at = v.past_instant("shipped_at", req.shipped_at.as_ref(), ctx.now);
    let order_id = v.checked(order_id)?;
    let order = visible_now(service, ctx, order_id).await?;
    let id = match &external_id {
        Some(external_id) => ShipmentId::of_external(external_id),
        None => ShipmentId(ctx.new_id()),
    };
    let shipment = Shipment {
        id,
        external_id,
        amount,
        quantity,
        waybill,
        note,
        shipped_at,
        precision: precision(req.shipped_at.as_ref()),
    };
    let outcome = execute(service, ctx, order_id, Command::Ship { order, shipment }).await?;
    // A repeated request brings the id that was drawn the first time.
    let first = outcome.events.iter().find_map(|event| match event {
        Event::Shipped(shipped) => Some(shipped.shipment_id),
        _ => None,
    });
    Ok(RecordShipmentResponse {
        shipment_id: first.unwrap_or(id).to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn reverse_shipment(
    service: &Service,
    ctx: &Ctx,
    req: ReverseShipmentRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let order_id = v.id("order_id", &req.order_id);
    let id = v.id("shipment_id", &req.shipment_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let at = v.past_instant("reversed_at", req.reversed_at.as_ref(), ctx.now);
    let (order_id, id) = v.checked(order_id.zip(id))?;
    let order = visible_now(service, ctx, order_id).await?;
    let command = |reason| Command::ReverseShipment {
        order: order.clone(),
        id,
        reason,
        at,
    };
    reverse(service, ctx, order_id, reason, command).await
}

pub(super) async fn record_payment(
    service: &Service,
    ctx: &Ctx,
    req: RecordPaymentRequest,
) -> Result<RecordPaymentResponse, AppError> {
    let mut v = Violations::new();
    let order_id = v.id("order_id", &req.order_id);
    let external_id = v.line("external_id", &req.external_id, MAX_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let amount = money(&mut v, req.amount);
    let paid_at = v.past_instant("paid_at", req.paid_at.as_ref(), ctx.now);
    let reference = v.line("reference", &req.reference, MAX_TEXT);
    let note = v.optional("note", &req.note, MAX_TEXT);
    let (order_id, amount) = v.checked(order_id.zip(amount))?;
    let order = visible_now(service, ctx, order_id).await?;
    let id = match &external_id {
        Some(external_id) => PaymentId::of_external(external_id),
        None => PaymentId(ctx.new_id()),
    };
    let payment = Payment {
        id,
        external_id,
        amount,
        reference,
        note,
        paid_at,
        precision: precision(req.paid_at.as_ref()),
    };
    let outcome = execute(service, ctx, order_id, Command::Pay { order, payment }).await?;
    let first = outcome.events.iter().find_map(|event| match event {
        Event::Paid(paid) => Some(paid.payment_id),
        _ => None,
    });
    Ok(RecordPaymentResponse {
        payment_id: first.unwrap_or(id).to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn reverse_payment(
    service: &Service,
    ctx: &Ctx,
    req: ReversePaymentRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let order_id = v.id("order_id", &req.order_id);
    let id = v.id("payment_id", &req.payment_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let at = v.past_instant("reversed_at", req.reversed_at.as_ref(), ctx.now);
    let (order_id, id) = v.checked(order_id.zip(id))?;
    let order = visible_now(service, ctx, order_id).await?;
    let command = |reason| Command::ReversePayment {
        order: order.clone(),
        id,
        reason,
        at,
    };
    reverse(service, ctx, order_id, reason, command).await
}
