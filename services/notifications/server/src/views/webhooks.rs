//! The read model `webhooks`: who is told of what.

use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use notifications_domain::{
    Webhook,
    webhook::{Event, Pattern},
};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

pub(crate) struct WebhooksView;

/// Of the causes of a pause, those that no person gives.
pub(crate) const GONE: &str = "gone";
pub(crate) const FAILING: &str = "failing";

impl Projection for WebhooksView {
    const NAME: &'static str = "webhooks";
    const SOURCES: &'static [&'static str] = &["notifications"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists webhooks (
            id uuid primary key,
            url text not null,
            events text[] not null,
            description text not null,
            paused_for text,
            registered_at timestamptz not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == Webhook::CATEGORY {
                apply_one(tx, recorded).await?;
            }
        }
        Ok(())
    }
}

async fn apply_one(tx: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let id = recorded.stream.id;
    let paused_for = match recorded.decode::<Webhook>()? {
        Event::Registered {
            url,
            events,
            description,
        } => {
            let events: Vec<_> = events.iter().map(Pattern::to_string).collect();
            sqlx::query(
                "insert into webhooks (id, url, events, description, registered_at)
                 values ($1, $2, $3, $4, $5)",
            )
            .bind(id)
            .bind(url)
            .bind(events)
            .bind(description)
            .bind(recorded.recorded_at)
            .execute(tx)
            .await?;
            return Ok(());
        }
        Event::Removed {} => {
            sqlx::query("delete from webhooks where id = $1")
                .bind(id)
                .execute(tx)
                .await?;
            return Ok(());
        }
        Event::Paused { cause } => Some(cause.as_str()),
        Event::Resumed {} => None,
    };
    sqlx::query("update webhooks set paused_for = $2 where id = $1")
        .bind(id)
        .bind(paused_for)
        .execute(tx)
        .await?;
    Ok(())
}

#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) description: String,
    pub(crate) paused_for: Option<String>,
    pub(crate) registered_at: DateTime<Utc>,
    pub(crate) pending: i64,
    pub(crate) last_success_at: Option<DateTime<Utc>>,
    pub(crate) last_failure_at: Option<DateTime<Utc>>,
    pub(crate) last_failure: Option<String>,
    pub(crate) next_try_at: Option<DateTime<Utc>>,
}

/// All of them, with how they get on.
pub(crate) async fn list(pool: &PgPool) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select w.*, s.last_success_at, s.last_failure_at, s.last_failure, s.next_try_at,
                (select count(*) from outbox.webhook_intents i
                 where i.webhook_id = w.id and i.sent_at is null) as pending
         from webhooks.webhooks w left join outbox.webhook_standing s on s.webhook_id = w.id
         order by w.registered_at, w.id",
    )
    .fetch_all(pool)
    .await
}

/// Who is to be told of what, also while it is paused.
pub(crate) async fn wishes(
    pool: &PgPool,
) -> Result<Vec<(Uuid, Vec<String>, DateTime<Utc>)>, sqlx::Error> {
    sqlx::query_as("select id, events, registered_at from webhooks.webhooks")
        .fetch_all(pool)
        .await
}
