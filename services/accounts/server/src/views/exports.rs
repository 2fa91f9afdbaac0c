//! Who took which lists of cards out of the office: companies from here, persons from contacts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use kit::CardsExported;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::Period;

pub(crate) struct Exports;

#[derive(Debug, FromRow)]
pub(crate) struct CardExport {
    pub(crate) service: String,
    pub(crate) position: i64,
    pub(crate) staff_id: Uuid,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) what: String,
    pub(crate) format: String,
    pub(crate) rows: i64,
    pub(crate) filter: Json<BTreeMap<String, String>>,
    pub(crate) at: DateTime<Utc>,
}

/// The place of an export in the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    at: DateTime<Utc>,
    service: String,
    position: i64,
}

impl CardExport {
    pub(crate) fn key(&self) -> Key {
        Key {
            at: self.at,
            service: self.service.clone(),
            position: self.position,
        }
    }
}

impl Projection for Exports {
    const NAME: &'static str = "exports";
    const SOURCES: &'static [&'static str] = &["accounts", "contacts"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists exports (
            service text not null,
            position bigint not null,
            staff_id uuid not null,
            group_id uuid,
            what text not null,
            format text not null,
            rows bigint not null,
            filter jsonb not null,
            at timestamptz not null,
            primary key (service, position)
        );
        create index if not exists exports_by_time on exports (at, service, position);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.event_type != "cards.exported" {
                continue;
            }
            let Some(staff_id) = recorded.metadata.actor.staff() else {
                continue;
            };
            let exported: CardsExported = recorded.fields()?;
            sqlx::query(
                "insert into exports
                     (service, position, staff_id, group_id, what, format, rows, filter, at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(source)
            .bind(recorded.position)
            .bind(staff_id)
            .bind(recorded.metadata.actor_group_id)
            .bind(exported.what)
            .bind(exported.format)
            .bind(i64::try_from(exported.rows).unwrap_or(i64::MAX))
            .bind(Json(exported.filter))
            .bind(recorded.occurred_at)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}

/// Newest first; `staff`: by one of these.
pub(crate) async fn page(
    pool: &PgPool,
    staff: Option<Vec<Uuid>>,
    period: Period,
    before: Option<Key>,
    limit: i64,
) -> Result<Vec<CardExport>, sqlx::Error> {
    let (at, place) = before
        .map(|key| (key.at, (key.service, key.position)))
        .unzip();
    let (service, position) = place.unzip();
    sqlx::query_as(
        "select * from exports.exports
         where ($1::uuid[] is null or staff_id = any($1))
           and ($2::timestamptz is null or at >= $2) and ($3::timestamptz is null or at < $3)
           and ($4::timestamptz is null or (at, service, position) < ($4, $5, $6))
         order by at desc, service desc, position desc limit $7",
    )
    .bind(staff)
    .bind(period.from)
    .bind(period.to)
    .bind(at)
    .bind(service)
    .bind(position)
    .bind(limit)
    .fetch_all(pool)
    .await
}
