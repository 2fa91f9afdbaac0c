use std::sync::Arc;

use async_nats::jetstream::{self, stream::Stream};
use bus::Fetched;
use chrono::DateTime;
use es::{Actor, Metadata, Recorded, StreamId};
use es_postgres::{
    Append, Log, MIGRATOR, MasterKey, NewEvent,
    projection::{Batch, SourceError},
};
use testkit::{Database, Nats, Postgres};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A log, a NATS server, and a client of it.
pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) nats: Nats,
    pub(crate) jetstream: jetstream::Context,
    database: Database,
}

impl World {
    pub(crate) async fn new() -> Self {
        let postgres = Postgres::shared().await.expect("PostgreSQL runs");
        let database = postgres.fresh_database(&MIGRATOR).await.expect("migrated");
        let log = Log::open(database.pool.clone(), "accounts", MasterKey::new([7; 32]))
            .await
            .expect("log opens");
        let nats = Nats::start().await.expect("NATS runs");
        let client = bus::connect(&nats.url(), "test").await.expect("an address");
        Self {
            log,
            nats,
            jetstream: bus::jetstream(client),
            database,
        }
    }

    /// Appends `count` events, each the first of its stream.
    pub(crate) async fn append(&self, count: usize) -> i64 {
        let head = self.log.refresh_head().await.expect("log is up");
        let appends = (head..).take(count).map(append).collect();
        for appended in self.log.append(appends).await {
            appended.expect("nobody else appends");
        }
        head + count as i64
    }

    /// Appends one event of so many bytes.
    pub(crate) async fn append_large(&self, bytes: usize) -> i64 {
        let head = self.log.refresh_head().await.expect("log is up");
        let mut large = append(head);
        large.events[0].payload = format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes)).into_bytes();
        let appended = self.log.append(vec![large]).await.remove(0);
        appended.expect("nobody else appends").position
    }

    /// As from a backup that has the log up to a position.
    pub(crate) async fn restore(&self, position: i64) {
        let sql = format!(
            "alter table log.events disable trigger append_only;
             delete from log.events where position > {position};
             update log.head set position = {position},
                 hash = (select hash from log.events where position = {position});
             alter table log.events enable always trigger append_only;
             select log.begin_epoch();"
        );
        let restored = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&self.database.pool);
        restored.await.expect("the owner may");
    }

    pub(crate) async fn events(&self) -> Vec<Recorded> {
        self.log.read(0, 10_000).await.expect("log is up")
    }

    /// Lets the relay run while `work` does.
    pub(crate) async fn relayed<T>(&self, work: impl AsyncFnOnce(Relayed) -> T) -> T {
        let progress = watch::Sender::new(0);
        let relayed = Relayed(progress.subscribe());
        let cancel = CancellationToken::new();
        let relay = bus::run_relay(
            self.log.clone(),
            self.jetstream.clone(),
            progress,
            cancel.clone(),
        );
        let work = async {
            let result = work(relayed).await;
            cancel.cancel();
            result
        };
        tokio::join!(relay, work).1
    }

    pub(crate) async fn stream(&self) -> Stream {
        let stream = self.jetstream.get_stream("accounts").await;
        stream.expect("the relay made the stream")
    }

    /// Every message of the stream, as the events they are.
    pub(crate) async fn published(&self) -> Vec<Recorded> {
        let stream = self.stream().await;
        let state = stream.get_info().await.expect("NATS is up").state;
        let mut events = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let Ok(message) = stream.get_raw_message(sequence).await else {
                continue; // deleted
            };
            let envelope = bus::from_message(&message.headers, &message.payload);
            let envelope = envelope.expect("an event of ours");
            assert_eq!(envelope.service, "accounts");
            assert_eq!(envelope.epoch, self.log.epoch());
            events.push(envelope.event);
        }
        events
    }

    /// What a service would read from the owner over the network.
    pub(crate) fn fetch(&self) -> bus::Fetch {
        let log = self.log.clone();
        Arc::new(move |after, limit| {
            let log = log.clone();
            Box::pin(async move {
                let page = log.page(after, limit.min(1_000)).await?;
                let batch = Batch {
                    epoch: page.epoch,
                    events: page.events,
                    head: page.head,
                };
                let lives = log.lives().await?;
                Ok::<_, SourceError>(Fetched { batch, lives })
            })
        })
    }
}

pub(crate) struct Relayed(watch::Receiver<i64>);

impl Relayed {
    pub(crate) async fn up_to(&mut self, position: i64) {
        let reached = self.0.wait_for(|reached| *reached == position).await;
        reached.expect("the relay runs");
    }
}

fn append(nth: i64) -> Append {
    let id = |what: &str| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{what} {nth}").as_bytes());
    let metadata = Metadata {
        actor: Actor::Gateway("АТС".to_owned()),
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: id("request"),
        causation_id: None,
        traceparent: None,
        request_digest: None,
        subjects: Vec::new(),
    };
    let now = DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("in range");
    Append {
        stream: StreamId::new("account", id("account")),
        expected: 0,
        events: vec![NewEvent {
            event_id: id("event"),
            event_type: "account.details_changed".to_owned(),
            schema_version: 1,
            occurred_at: now,
            payload: format!(r#"{{"city":"Миасс","nth":{nth}}}"#).into_bytes(),
        }],
        request_id: None,
        digest: None,
        metadata: serde_json::to_vec(&metadata).expect("serialises"),
        reservations: Vec::new(),
        now,
    }
}
