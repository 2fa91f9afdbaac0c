//! How far hand-overs are: what is left to move, and how many tasks have followed.

use std::collections::BTreeSet;

use accounts_domain::transfer::{Event, Started, Transfer};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::TransferId;

pub(crate) struct Transfers;

#[derive(Deserialize)]
struct Reassigned {
    transfer_id: Option<Uuid>,
}

#[derive(Debug, Clone, FromRow)]
pub(crate) struct Row {
    pub(crate) transfer_id: Uuid,
    /// Where its plan is in the log.
    pub(crate) started_position: i64,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) from_owner_id: Option<Uuid>,
    pub(crate) planned: i64,
    /// Accounts that are not dealt with yet.
    pub(crate) unmoved: i64,
    /// Where it was in the log when it had moved so many.
    pub(crate) reached: i64,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

impl Projection for Transfers {
    const NAME: &'static str = "transfers";
    const SOURCES: &'static [&'static str] = &["accounts", "planning"];
    const SCHEMA: &'static str = "
        create table if not exists transfers (
            transfer_id      uuid primary key,
            started_position bigint not null,
            started_at       timestamptz not null,
            from_owner_id    uuid,
            -- Whoever gives or gets: those who see all of them see the hand-over.
            people           uuid[] not null,
            planned          bigint not null,
            unmoved          bigint not null,
            reached          bigint not null,
            completed_at     timestamptz
        );
        create index if not exists transfers_started on transfers (started_position);
        create index if not exists transfers_unmoved on transfers (started_position)
            where unmoved > 0;
        -- From the other log: may be heard of before the hand-over itself.
        create table if not exists followed (
            transfer_id uuid primary key,
            tasks       bigint not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for event in events {
            if event.stream.category == Transfer::CATEGORY {
                transfer_in_tx(tx, event).await?;
            } else if event.event_type == "task.reassigned"
                && let Some(transfer) = event.fields::<Reassigned>()?.transfer_id
            {
                sqlx::query(
                    "insert into followed (transfer_id, tasks) values ($1, 1)
                     on conflict (transfer_id) do update set tasks = followed.tasks + 1",
                )
                .bind(transfer)
                .execute(&mut *tx)
                .await?;
            }
        }
        Ok(())
    }
}

async fn transfer_in_tx(tx: &mut PgConnection, event: &Recorded) -> Result<(), ApplyError> {
    let id = event.stream.id;
    let query = match event.decode::<Transfer>()? {
        Event::Started(plan) => sqlx::query(
            "insert into transfers (transfer_id, started_position, started_at, from_owner_id, people,
                                    planned, unmoved, reached)
             values ($1, $2, $3, $4, $5, $6, $6, $2)",
        )
        .bind(id)
        .bind(event.position)
        .bind(event.occurred_at)
        .bind(plan.from_owner_id.map(Uuid::from))
        .bind(people(&plan))
        .bind(i64::try_from(plan.planned()).unwrap_or(i64::MAX)),
        Event::Advanced(advanced) => {
            sqlx::query("update transfers set unmoved = $2, reached = $3 where transfer_id = $1")
                .bind(id)
                .bind(i64::try_from(advanced.left).unwrap_or(i64::MAX))
                .bind(event.position)
        }
        Event::Completed(_) => {
            sqlx::query("update transfers set completed_at = $2 where transfer_id = $1")
                .bind(id)
                .bind(event.occurred_at)
        }
    };
    query.execute(tx).await?;
    Ok(())
}

pub(crate) async fn find(pool: &PgPool, id: TransferId) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as("select * from transfers.transfers where transfer_id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await
}

fn people(plan: &Started) -> Vec<Uuid> {
    let people = plan
        .parts
        .iter()
        .flat_map(|part| [part.from_owner_id.0, part.to_owner_id.0]);
    people.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Where it stands, as far as the view knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Moving,
    Confirming,
    Completed,
}

impl Row {
    pub(crate) fn standing(&self) -> Standing {
        match (self.completed_at, self.unmoved) {
            (Some(_), _) => Standing::Completed,
            (None, 0) => Standing::Confirming,
            (None, _) => Standing::Moving,
        }
    }
}

/// Newest first; `staff`: only these take part. `before`: where the last one of the former page began.
pub(crate) async fn page(
    pool: &PgPool,
    staff: Option<Vec<Uuid>>,
    standing: Option<Standing>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let (completed, moved) = standing
        .map(|standing| match standing {
            Standing::Moving => (false, false),
            Standing::Confirming => (false, true),
            Standing::Completed => (true, true),
        })
        .unzip();
    sqlx::query_as(
        "select * from transfers.transfers
         where ($1::uuid[] is null or people <@ $1)
           and ($2::boolean is null or (completed_at is not null) = $2 and (unmoved = 0) = $3)
           and ($4::bigint is null or started_position < $4)
         order by started_position desc limit $5",
    )
    .bind(staff)
    .bind(completed)
    .bind(moved)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Those with accounts to move, oldest first.
pub(crate) async fn unmoved(pool: &PgPool) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select * from transfers.transfers where unmoved > 0 order by started_position limit 100",
    )
    .fetch_all(pool)
    .await
}

/// All with accounts to move.
pub(crate) async fn moving(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select transfer_id from transfers.transfers where unmoved > 0")
        .fetch_all(pool)
        .await
}

/// How many tasks have followed so far.
pub(crate) async fn followed(pool: &PgPool, id: TransferId) -> Result<i64, sqlx::Error> {
    let tasks = sqlx::query_scalar("select tasks from transfers.followed where transfer_id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    Ok(tasks.unwrap_or_default())
}
