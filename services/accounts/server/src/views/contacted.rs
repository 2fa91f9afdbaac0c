//! When somebody spoke with a company last, and how it ended.

use std::collections::{HashMap, hash_map::Entry};

use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) struct Contacted;

#[derive(Deserialize)]
struct Logged {
    account_id: Uuid,
    occurred_at: DateTime<Utc>,
    outcome: String,
}

impl Projection for Contacted {
    const NAME: &'static str = "contacted";
    const SOURCES: &'static [&'static str] = &["contacts"];
    const SCHEMA: &'static str = "
        create table if not exists contacted (
            account_id uuid primary key,
            last_at timestamptz not null
        );
        alter table contacted add column if not exists last_outcome text;
        create index if not exists contacted_by_outcome on contacted (last_outcome, account_id);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut last: HashMap<Uuid, (DateTime<Utc>, String)> = HashMap::new();
        for event in events {
            if event.event_type == "interaction.logged" {
                let logged: Logged = event.fields()?;
                let newest = (logged.occurred_at, logged.outcome);
                match last.entry(logged.account_id) {
                    Entry::Vacant(vacant) => _ = vacant.insert(newest),
                    Entry::Occupied(mut known) if known.get().0 <= newest.0 => {
                        known.insert(newest);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        if last.is_empty() {
            return Ok(());
        }
        let (ids, newest): (Vec<_>, Vec<_>) = last.into_iter().unzip();
        let (times, outcomes): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
        sqlx::query(
            "insert into contacted (account_id, last_at, last_outcome)
             select * from unnest($1::uuid[], $2::timestamptz[], $3::text[])
             on conflict (account_id) do update
             set last_at = excluded.last_at, last_outcome = excluded.last_outcome
             where contacted.last_at <= excluded.last_at",
        )
        .bind(ids)
        .bind(times)
        .bind(outcomes)
        .execute(tx)
        .await?;
        Ok(())
    }
}
