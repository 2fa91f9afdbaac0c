//! The log against a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod append;
mod card;
mod execute;
mod failure;
mod guard;
mod lease;
mod personal;
mod projection;
mod rebuild;
mod restored;
mod versions;

use chrono::{DateTime, Utc};
use es::{Actor, StreamId};
use es_postgres::{Append, CommandContext, Log, MIGRATOR, MasterKey, NewEvent};
use sqlx::PgPool;
use testkit::{Database, Postgres};
use uuid::Uuid;

async fn database() -> Database {
    let postgres = Postgres::shared().await.unwrap();
    postgres.fresh_database(&MIGRATOR).await.unwrap()
}

/// As a service would open it: with the service's rights only.
async fn log() -> (Database, Log) {
    let database = database().await;
    let pool = database.pool_as("kontakty_service").await.unwrap();
    let log = open(&pool).await;
    (database, log)
}

async fn open(pool: &PgPool) -> Log {
    Log::open(pool.clone(), "accounts", MasterKey::new([7; 32]))
        .await
        .unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_000).unwrap()
}

fn id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

fn context(request: &str) -> CommandContext {
    CommandContext {
        request_id: Some(id(request)),
        digest: Some([1; 32]),
        actor: Actor::System,
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: id("correlation"),
        causation_id: None,
        traceparent: None,
        now: now(),
        expected_version: None,
    }
}

/// One event that says nothing.
fn append(stream: &str, expected: i64, request: &str) -> Append {
    Append {
        stream: StreamId::new("card", id(stream)),
        expected,
        events: vec![NewEvent {
            event_id: id(&format!("{stream}/{expected}/{request}")),
            event_type: "card.noted".to_owned(),
            schema_version: 1,
            occurred_at: now(),
            payload: br#"{"text":"x"}"#.to_vec(),
        }],
        request_id: Some(id(request)),
        digest: None,
        metadata: br#"{"actor":{"kind":"system"},"correlation_id":"00000000-0000-0000-0000-000000000000"}"#
            .to_vec(),
        reservations: Vec::new(),
        now: now(),
    }
}

/// The log is whole and has exactly `events` events.
async fn assert_whole(log: &Log, events: i64) {
    let verdict = log.verify(0, |_| {}).await.unwrap();
    assert_eq!(verdict.fault, None);
    assert_eq!((verdict.verified, verdict.head), (events, events));
}
