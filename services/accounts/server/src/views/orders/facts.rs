//! Shipments and payments.

use std::collections::HashMap;

use accounts_domain::order::Event;
use chrono::{DateTime, Utc};
use es::Personal;
use es_postgres::projection::ApplyError;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{OrderId, PaymentId, ShipmentId};

#[derive(Debug, FromRow, Serialize)]
pub(crate) struct ShipmentRow {
    pub(crate) shipment_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) minor_units: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) quantity: String,
    pub(crate) waybill: String,
    pub(crate) note: String,
    pub(crate) shipped_at: DateTime<Utc>,
    pub(crate) reversed_at: Option<DateTime<Utc>>,
    pub(crate) reversal_reason: Option<String>,
}

#[derive(Debug, FromRow, Serialize)]
pub(crate) struct PaymentRow {
    pub(crate) payment_id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) minor_units: i64,
    pub(crate) currency: String,
    pub(crate) reference: String,
    pub(crate) note: String,
    pub(crate) paid_at: DateTime<Utc>,
    pub(crate) reversed_at: Option<DateTime<Utc>>,
    pub(crate) reversal_reason: Option<String>,
}

/// What a batch says of orders; each fact comes before its reversal.
#[derive(Default)]
pub(super) struct Facts {
    shipments: Vec<ShipmentRow>,
    payments: Vec<PaymentRow>,
    sent_back: Vec<Reversal>,
    paid_back: Vec<Reversal>,
    /// Whose sums are others now.
    orders: Vec<Uuid>,
}

type Reversal = (Uuid, DateTime<Utc>, String);

fn text(text: Option<Personal<String>>) -> String {
    text.and_then(Personal::into_inner).unwrap_or_default()
}

impl Facts {
    pub(super) fn add(&mut self, event: Event) {
        match event {
            Event::Shipped(shipped) => {
                self.orders.push(shipped.order_id.0);
                let (minor_units, currency) = shipped
                    .amount
                    .map(|amount| (amount.minor_units, amount.currency))
                    .unzip();
                self.shipments.push(ShipmentRow {
                    shipment_id: shipped.shipment_id.0,
                    order_id: shipped.order_id.0,
                    account_id: shipped.account_id.0,
                    external_id: shipped.external_id,
                    minor_units,
                    currency,
                    quantity: shipped.quantity.unwrap_or_default(),
                    waybill: text(shipped.waybill),
                    note: text(shipped.note),
                    shipped_at: shipped.shipped_at,
                    reversed_at: None,
                    reversal_reason: None,
                });
            }
            Event::Paid(paid) => {
                self.orders.push(paid.order_id.0);
                self.payments.push(PaymentRow {
                    payment_id: paid.payment_id.0,
                    order_id: paid.order_id.0,
                    account_id: paid.account_id.0,
                    external_id: paid.external_id,
                    minor_units: paid.amount.minor_units,
                    currency: paid.amount.currency,
                    reference: text(paid.reference),
                    note: text(paid.note),
                    paid_at: paid.paid_at,
                    reversed_at: None,
                    reversal_reason: None,
                });
            }
            Event::ShipmentReversed(back) => {
                self.orders.push(back.order_id.0);
                let reversal = (back.shipment_id.0, back.reversed_at, text(back.reason));
                self.sent_back.push(reversal);
            }
            Event::PaymentReversed(back) => {
                self.orders.push(back.order_id.0);
                let reversal = (back.payment_id.0, back.reversed_at, text(back.reason));
                self.paid_back.push(reversal);
            }
        }
    }

    pub(super) async fn save_in_tx(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        if self.orders.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into shipments select * from jsonb_populate_recordset(null::shipments, $1)",
        )
        .bind(Json(self.shipments))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into payments select * from jsonb_populate_recordset(null::payments, $1)",
        )
        .bind(Json(self.payments))
        .execute(&mut *tx)
        .await?;
        reverse_in_tx(
            tx,
            "update shipments set reversed_at = back.at, reversal_reason = back.reason
             from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as back (id, at, reason)
             where shipment_id = back.id",
            self.sent_back,
        )
        .await?;
        reverse_in_tx(
            tx,
            "update payments set reversed_at = back.at, reversal_reason = back.reason
             from unnest($1::uuid[], $2::timestamptz[], $3::text[]) as back (id, at, reason)
             where payment_id = back.id",
            self.paid_back,
        )
        .await?;
        sqlx::query(
            "update orders o set
                 shipped = (select coalesce(sum(minor_units), 0) from shipments s
                            where s.order_id = o.order_id and reversed_at is null),
                 paid = (select coalesce(sum(minor_units), 0) from payments p
                         where p.order_id = o.order_id and reversed_at is null)
             where order_id = any($1)",
        )
        .bind(self.orders)
        .execute(tx)
        .await?;
        Ok(())
    }
}

async fn reverse_in_tx(
    tx: &mut PgConnection,
    statement: &'static str,
    reversals: Vec<Reversal>,
) -> Result<(), ApplyError> {
    if reversals.is_empty() {
        return Ok(());
    }
    let column = reversals.iter();
    sqlx::query(statement)
        .bind(column.clone().map(|(id, ..)| *id).collect::<Vec<_>>())
        .bind(column.clone().map(|(_, at, _)| *at).collect::<Vec<_>>())
        .bind(column.map(|(.., why)| why.clone()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Dates and amounts stay.
pub(super) async fn erase_in_tx(
    tx: &mut PgConnection,
    accounts: Vec<Uuid>,
) -> Result<(), ApplyError> {
    if accounts.is_empty() {
        return Ok(());
    }
    for statement in [
        "update shipments set waybill = '', note = '',
             reversal_reason = case when reversed_at is not null then '' end
         where account_id = any($1)",
        "update payments set reference = '', note = '',
             reversal_reason = case when reversed_at is not null then '' end
         where account_id = any($1)",
    ] {
        sqlx::query(statement)
            .bind(&accounts)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Oldest first.
pub(crate) async fn shipments_of(
    pool: &PgPool,
    id: OrderId,
) -> Result<Vec<ShipmentRow>, sqlx::Error> {
    sqlx::query_as(
        "select * from orders.shipments where order_id = $1 order by shipped_at, shipment_id",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await
}

/// Oldest first.
pub(crate) async fn payments_of(
    pool: &PgPool,
    id: OrderId,
) -> Result<Vec<PaymentRow>, sqlx::Error> {
    sqlx::query_as("select * from orders.payments where order_id = $1 order by paid_at, payment_id")
        .bind(id.0)
        .fetch_all(pool)
        .await
}

/// Of which order each of these shipments is, where it is known.
pub(crate) async fn orders_of_shipments(
    pool: &PgPool,
    ids: &[ShipmentId],
) -> Result<HashMap<Uuid, OrderId>, sqlx::Error> {
    let ids = ids.iter().map(|id| id.0).collect();
    orders_by(
        pool,
        "select shipment_id, order_id from orders.shipments where shipment_id = any($1)",
        ids,
    )
    .await
}

/// Of which order each of these payments is, where it is known.
pub(crate) async fn orders_of_payments(
    pool: &PgPool,
    ids: &[PaymentId],
) -> Result<HashMap<Uuid, OrderId>, sqlx::Error> {
    let ids = ids.iter().map(|id| id.0).collect();
    orders_by(
        pool,
        "select payment_id, order_id from orders.payments where payment_id = any($1)",
        ids,
    )
    .await
}

async fn orders_by(
    pool: &PgPool,
    statement: &'static str,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, OrderId>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(statement).bind(ids).fetch_all(pool).await?;
    let pairs = rows.into_iter();
    Ok(pairs.map(|(id, order)| (id, OrderId(order))).collect())
}
