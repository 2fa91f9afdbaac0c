//! When somebody spoke with a company last.

use std::collections::HashMap;

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
}

impl Projection for Contacted {
    const NAME: &'static str = "contacted";
    const SOURCES: &'static [&'static str] = &["contacts"];
    const SCHEMA: &'static str = "
        create table if not exists contacted (
            account_id uuid primary key,
            last_at timestamptz not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut last: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
        for event in events {
            if event.event_type == "interaction.logged" {
                let logged: Logged = event.fields()?;
                let at = last.entry(logged.account_id).or_insert(logged.occurred_at);
                *at = logged.occurred_at.max(*at);
            }
        }
        if last.is_empty() {
            return Ok(());
        }
        let (ids, times): (Vec<_>, Vec<_>) = last.into_iter().unzip();
        sqlx::query(
            "insert into contacted (account_id, last_at)
             select * from unnest($1::uuid[], $2::timestamptz[])
             on conflict (account_id) do update
             set last_at = greatest(contacted.last_at, excluded.last_at)",
        )
        .bind(ids)
        .bind(times)
        .execute(tx)
        .await?;
        Ok(())
    }
}
