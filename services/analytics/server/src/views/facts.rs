//! The read model `facts`: one row per fact that a metric counts, with whom and when it counts
//! for. Rows are only ever added, so a report as known at an earlier time needs no history of its
//! own. No personal data.

use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::metrics::Metric;

pub(crate) struct FactsView;

impl Projection for FactsView {
    const NAME: &'static str = "facts";
    const SOURCES: &'static [&'static str] = &["accounts", "contacts"];
    const BY_STREAM: bool = true;
    // No unique key: the cursor moves in the same transaction, so a fact cannot come twice, and an
    // index over random ids would cost more than the rest of the rebuild.
    const SCHEMA: &'static str = "
        create table if not exists facts (
            occurred_at timestamptz not null,
            recorded_at timestamptz not null,
            id uuid not null,
            account_id uuid not null,
            staff_id uuid,
            group_id uuid,
            metric smallint not null
        );
        create index if not exists facts_by_time on facts (occurred_at);
        create table if not exists cancellations (
            order_id uuid not null,
            occurred_at timestamptz not null,
            recorded_at timestamptz not null
        );
        create index if not exists cancellations_by_order on cancellations (order_id);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut facts = Facts::default();
        let mut cancellations = Cancellations::default();
        for event in events {
            match event.event_type.as_str() {
                "interaction.logged" => facts.interaction(event)?,
                "account.order_registered" => facts.order(event)?,
                "account.order_cancelled" => cancellations.add(event)?,
                _ => {}
            }
        }
        facts.insert_in_tx(tx).await?;
        cancellations.insert_in_tx(tx).await
    }
}

/// Counts for its author and the author's group of that time, whoever owns the account today.
#[derive(Deserialize)]
struct Interaction {
    account_id: Uuid,
    kind: String,
    direction: String,
    outcome: String,
    occurred_at: DateTime<Utc>,
    author_id: Uuid,
    author_group_id: Option<Uuid>,
}

/// Counts for the owner at the order and the owner's group of that time.
#[derive(Deserialize)]
struct Order {
    #[serde(rename = "order_id")]
    id: Uuid,
    ordered_at: DateTime<Utc>,
    owner_id: Option<Uuid>,
    owner_group_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Cancellation {
    order_id: Uuid,
}

/// Columns, because one statement writes a whole batch.
#[derive(Default)]
struct Facts {
    occurred_at: Vec<DateTime<Utc>>,
    recorded_at: Vec<DateTime<Utc>>,
    id: Vec<Uuid>,
    account_id: Vec<Uuid>,
    staff_id: Vec<Option<Uuid>>,
    group_id: Vec<Option<Uuid>>,
    metric: Vec<i16>,
}

impl Facts {
    fn interaction(&mut self, event: &Recorded) -> Result<(), ApplyError> {
        let fields: Interaction = event.fields()?;
        let metric = Metric::of_interaction(&fields.kind, &fields.direction, &fields.outcome);
        if let Some(metric) = metric {
            self.occurred_at.push(fields.occurred_at);
            self.recorded_at.push(event.recorded_at);
            self.id.push(event.stream.id);
            self.account_id.push(fields.account_id);
            self.staff_id.push(Some(fields.author_id));
            self.group_id.push(fields.author_group_id);
            self.metric.push(metric.code());
        }
        Ok(())
    }

    fn order(&mut self, event: &Recorded) -> Result<(), ApplyError> {
        let fields: Order = event.fields()?;
        self.occurred_at.push(fields.ordered_at);
        self.recorded_at.push(event.recorded_at);
        self.id.push(fields.id);
        self.account_id.push(event.stream.id);
        self.staff_id.push(fields.owner_id);
        self.group_id.push(fields.owner_group_id);
        self.metric.push(Metric::Sale.code());
        Ok(())
    }

    async fn insert_in_tx(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        if self.id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into facts
                 (occurred_at, recorded_at, id, account_id, staff_id, group_id, metric)
             select * from unnest($1::timestamptz[], $2::timestamptz[], $3::uuid[], $4::uuid[],
                                  $5::uuid[], $6::uuid[], $7::smallint[])",
        )
        .bind(self.occurred_at)
        .bind(self.recorded_at)
        .bind(self.id)
        .bind(self.account_id)
        .bind(self.staff_id)
        .bind(self.group_id)
        .bind(self.metric)
        .execute(tx)
        .await?;
        Ok(())
    }
}

#[derive(Default)]
struct Cancellations {
    order_id: Vec<Uuid>,
    occurred_at: Vec<DateTime<Utc>>,
    recorded_at: Vec<DateTime<Utc>>,
}

impl Cancellations {
    fn add(&mut self, event: &Recorded) -> Result<(), ApplyError> {
        let fields: Cancellation = event.fields()?;
        self.order_id.push(fields.order_id);
        self.occurred_at.push(event.occurred_at);
        self.recorded_at.push(event.recorded_at);
        Ok(())
    }

    async fn insert_in_tx(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        if self.order_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into cancellations (order_id, occurred_at, recorded_at)
             select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])",
        )
        .bind(self.order_id)
        .bind(self.occurred_at)
        .bind(self.recorded_at)
        .execute(tx)
        .await?;
        Ok(())
    }
}
