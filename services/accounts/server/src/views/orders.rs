//! Orders and what became of them: shipped, paid, outstanding.

mod facts;

use std::collections::HashMap;

use accounts_domain::{
    account::{Account, Event, KnownOrder, OrderRegistered, OrderStanding, Taken},
    deal,
    order::{Order, Ordered},
};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, Money, OrderId, Period};

use facts::Facts;
pub(crate) use facts::{PaymentRow, ShipmentRow, orders_of_payments, orders_of_shipments};
pub(crate) use facts::{payments_of, shipments_of};

use super::seen::{NO_CLAIMS, SEEN};

pub(crate) struct Orders;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OrderRow {
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) minor_units: i64,
    pub(crate) currency: String,
    pub(crate) ordered_at: DateTime<Utc>,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) taken: Option<Taken>,
    pub(crate) cancelled: bool,
    /// Minor units of what was not reversed.
    pub(crate) shipped: i64,
    pub(crate) paid: i64,
}

impl OrderRow {
    fn new(account_id: Uuid, order: OrderRegistered) -> Self {
        Self {
            order_id: order.order_id.0,
            account_id,
            external_id: order.external_id,
            minor_units: order.amount.minor_units,
            currency: order.amount.currency,
            ordered_at: order.ordered_at,
            owner_id: order.owner_id.map(Uuid::from),
            taken: order.taken,
            cancelled: false,
            shipped: 0,
            paid: 0,
        }
    }

    pub(crate) fn ordered(&self) -> Ordered {
        Ordered {
            id: OrderId(self.order_id),
            account_id: AccountId(self.account_id),
            amount: self.amount(),
            cancelled: self.cancelled,
        }
    }

    pub(crate) fn known(&self) -> KnownOrder {
        KnownOrder {
            amount: self.amount(),
            ordered_at: self.ordered_at,
            standing: if self.cancelled {
                OrderStanding::Cancelled
            } else {
                OrderStanding::Stands
            },
        }
    }

    fn amount(&self) -> Money {
        Money {
            minor_units: self.minor_units,
            currency: self.currency.clone(),
        }
    }
}

impl Projection for Orders {
    const NAME: &'static str = "orders";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const SCHEMA: &'static str = "
        create table if not exists orders (
            order_id uuid primary key,
            account_id uuid not null,
            external_id text,
            minor_units bigint not null,
            currency text not null,
            ordered_at timestamptz not null,
            owner_id uuid,
            taken text,
            cancelled boolean not null,
            shipped bigint not null,
            paid bigint not null
        );
        create index if not exists orders_of_company on orders (account_id, ordered_at, order_id);
        create index if not exists orders_by_time on orders (ordered_at, order_id);
        create index if not exists orders_to_be_paid on orders (ordered_at, order_id)
            where not cancelled and paid < minor_units;
        create table if not exists shipments (
            shipment_id uuid primary key,
            order_id uuid not null,
            account_id uuid not null,
            external_id text,
            minor_units bigint,
            currency text,
            quantity text not null,
            waybill text not null,    -- empty once the company is erased, as all notes
            note text not null,
            shipped_at timestamptz not null,
            reversed_at timestamptz,
            reversal_reason text
        );
        create index if not exists shipments_of_order on shipments (order_id);
        create index if not exists shipments_of_company on shipments (account_id);
        create table if not exists payments (
            payment_id uuid primary key,
            order_id uuid not null,
            account_id uuid not null,
            external_id text,
            minor_units bigint not null,
            currency text not null,
            reference text not null,
            note text not null,
            paid_at timestamptz not null,
            reversed_at timestamptz,
            reversal_reason text
        );
        create index if not exists payments_of_order on payments (order_id);
        create index if not exists payments_of_company on payments (account_id);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut orders = Vec::new();
        let mut cancelled = Vec::new();
        let mut facts = Facts::default();
        let mut erased = Vec::new();
        for recorded in events {
            // Most events of accounts are about other things, and reading them takes time.
            match recorded.event_type.as_str() {
                "account.order_registered" | "account.order_cancelled" => {
                    match recorded.decode::<Account>()? {
                        Event::OrderRegistered(order) => {
                            orders.push(OrderRow::new(recorded.stream.id, order));
                        }
                        Event::OrderCancelled(order) => cancelled.push(order.order_id.0),
                        _ => {}
                    }
                }
                _ if recorded.stream.category == Order::CATEGORY => {
                    facts.add(recorded.decode::<Order>()?);
                }
                _ => {
                    let done = CarriedOut::read(recorded)?;
                    let subjects = done.map_or_else(Vec::new, |done| done.subjects);
                    erased.extend(subjects.iter().filter_map(|of| of.id(deal::SUBJECT)));
                }
            }
        }
        save_in_tx(tx, orders, cancelled).await?;
        facts.save_in_tx(tx).await?;
        // Last: what was said after the erasure came without words.
        facts::erase_in_tx(tx, erased).await
    }
}

async fn save_in_tx(
    tx: &mut PgConnection,
    orders: Vec<OrderRow>,
    cancelled: Vec<Uuid>,
) -> Result<(), ApplyError> {
    if !orders.is_empty() {
        sqlx::query("insert into orders select * from jsonb_populate_recordset(null::orders, $1)")
            .bind(Json(orders))
            .execute(&mut *tx)
            .await?;
    }
    if !cancelled.is_empty() {
        sqlx::query("update orders set cancelled = true where order_id = any($1)")
            .bind(cancelled)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Those of these orders that there are.
pub(crate) async fn find(
    pool: &PgPool,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, OrderRow>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<Json<OrderRow>> =
        sqlx::query_scalar("select to_jsonb(o) from orders.orders o where order_id = any($1)")
            .bind(ids)
            .fetch_all(pool)
            .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|Json(order)| (OrderId(order.order_id), order))
        .collect())
}

/// On which account each of these orders is, where it is known.
pub(crate) async fn accounts_of(
    pool: &PgPool,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, AccountId>, sqlx::Error> {
    let rows = find(pool, ids).await?.into_iter();
    Ok(rows
        .map(|(id, order)| (id, AccountId(order.account_id)))
        .collect())
}

/// All orders of a company, under all its ids, newest first.
pub(crate) async fn of_account(
    pool: &PgPool,
    account_ids: &[Uuid],
) -> Result<Vec<OrderRow>, sqlx::Error> {
    let rows: Vec<Json<OrderRow>> = sqlx::query_scalar(
        "select to_jsonb(o) from orders.orders o where account_id = any($1)
         order by ordered_at desc, order_id desc",
    )
    .bind(account_ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(order)| order).collect())
}

/// What is asked for.
pub(crate) struct Wanted {
    /// All ids of one company; `None`: those of all that the caller sees.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    /// Owners of the companies that the caller sees; `None`: all.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) period: Period,
    /// Paid or not, of those that stand; `None`: all.
    pub(crate) paid: Option<bool>,
}

/// What the next page comes after.
pub(crate) type PageKey = (DateTime<Utc>, Uuid);

/// Newest first. Who sees a company sees its orders, also those of records that were merged into it.
pub(crate) async fn page(
    pool: &PgPool,
    wanted: &Wanted,
    after: Option<PageKey>,
    limit: i64,
) -> Result<Vec<OrderRow>, sqlx::Error> {
    let (ordered_at, order_id) = after.unzip();
    let sql = format!(
        "with recursive {SEEN}
         select to_jsonb(o) from orders.orders o
         where ($3::uuid[] is null or account_id = any($3))
           and ($1::uuid[] is null or account_id in (select account_id from seen))
           and ($4::timestamptz is null or ordered_at >= $4)
           and ($5::timestamptz is null or ordered_at < $5)
           and ($6::boolean is null or (not cancelled and (paid >= minor_units) = $6))
           and ($7::timestamptz is null or (ordered_at, order_id) < ($7, $8))
         order by ordered_at desc, order_id desc limit $9"
    );
    let rows: Vec<Json<OrderRow>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(wanted.seen_owners.as_deref())
        .bind(NO_CLAIMS)
        .bind(wanted.account_ids.as_deref())
        .bind(wanted.period.from)
        .bind(wanted.period.to)
        .bind(wanted.paid)
        .bind(ordered_at)
        .bind(order_id)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|Json(order)| order).collect())
}
