//! Many appenders against one log, and subscribers that read behind them, at the level of the
//! library: positions dense, nothing missing, nothing twice, conflicts true.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use es::StreamId;
use es_postgres::{Append, AppendError, Log, NewEvent};
use sqlx::{Acquire, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    meanwhile,
    seed::{Seed, random_id},
};

const APPENDERS: usize = 64;
const SUBSCRIBERS: usize = 3;
/// Streams that everybody writes to.
const SHARED: usize = 16;
const PAGE: i64 = 50;

/// Where events go.
pub enum Appending {
    /// The log, in so many replicas.
    Log(Vec<Log>),
    /// What the log is measured against: an identity column, a transaction per append.
    PlainSequence(PgPool),
}

impl Appending {
    /// The table of the plain sequence, for whoever is in the role of a service.
    pub async fn plain_sequence(superuser: &PgPool, service: PgPool) -> anyhow::Result<Self> {
        sqlx::raw_sql(
            "create schema plain;
             create table plain.events (
                 position bigint generated always as identity primary key,
                 stream text not null,
                 version bigint not null,
                 event_id uuid not null,
                 unique (stream, version));
             grant usage on schema plain to kontakty_service;
             grant select, insert on plain.events to kontakty_service",
        )
        .execute(superuser)
        .await?;
        Ok(Self::PlainSequence(service))
    }

    async fn append(&self, writer: usize, wanted: &Wanted, pause: Duration) -> Answer {
        match self {
            Self::Log(replicas) => {
                let log = &replicas[writer % replicas.len()];
                meanwhile(pause).await;
                let append = wanted.append(writer.is_multiple_of(2));
                match log.append(vec![append]).await.pop() {
                    Some(Ok(appended)) => Answer::Stored(appended.position),
                    Some(Err(AppendError::Conflict { .. })) => Answer::Conflict,
                    _ => Answer::Unknown,
                }
            }
            Self::PlainSequence(pool) => {
                insert(pool, wanted, pause).await.unwrap_or(Answer::Unknown)
            }
        }
    }

    async fn read(&self, after: i64) -> anyhow::Result<Vec<Event>> {
        match self {
            Self::Log(replicas) => {
                let log = replicas.last().context("a replica")?;
                let events = log.read(after, PAGE).await?;
                Ok(events
                    .into_iter()
                    .map(|event| Event {
                        position: event.position,
                        stream: event.stream.to_string(),
                        version: event.version,
                        id: event.event_id,
                    })
                    .collect())
            }
            Self::PlainSequence(pool) => Ok(sqlx::query_as(
                "select position, stream, version, event_id from plain.events
                 where position > $1 order by position limit $2",
            )
            .bind(after)
            .bind(PAGE)
            .fetch_all(pool)
            .await?),
        }
    }
}

/// A position is given at the insert, and seen at the commit.
async fn insert(pool: &PgPool, wanted: &Wanted, pause: Duration) -> Result<Answer, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let inserted: Result<i64, sqlx::Error> = sqlx::query_scalar(
        "insert into plain.events (stream, version, event_id) values ($1, $2, $3)
         returning position",
    )
    .bind(wanted.stream.to_string())
    .bind(wanted.expected + 1)
    .bind(wanted.event_id)
    .fetch_one(&mut *tx)
    .await;
    match inserted {
        Ok(position) => {
            meanwhile(pause).await;
            tx.commit().await?;
            Ok(Answer::Stored(position))
        }
        Err(sqlx::Error::Database(fault)) if fault.is_unique_violation() => Ok(Answer::Conflict),
        Err(error) => Err(error),
    }
}

#[derive(Debug, Clone)]
struct Wanted {
    stream: StreamId,
    expected: i64,
    event_id: Uuid,
}

impl Wanted {
    fn append(&self, with_request_id: bool) -> Append {
        let now = DateTime::<Utc>::from_timestamp_nanos(1_790_000_000_000_000_000);
        Append {
            stream: self.stream.clone(),
            expected: self.expected,
            events: vec![NewEvent {
                event_id: self.event_id,
                event_type: "race.run".to_owned(),
                schema_version: 1,
                occurred_at: now,
                payload: b"{}".to_vec(),
            }],
            request_id: with_request_id.then_some(self.event_id),
            digest: None,
            metadata: br#"{"actor":{"kind":"system"},"correlation_id":"00000000-0000-0000-0000-000000000000"}"#
                .to_vec(),
            reservations: Vec::new(),
            now,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stored(i64),
    Conflict,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Event {
    position: i64,
    stream: String,
    version: i64,
    #[sqlx(rename = "event_id")]
    id: Uuid,
}

/// Everything that was tried, answered and seen.
pub struct Raced {
    tried: Vec<(Wanted, Answer)>,
    /// By subscriber, in the order in which it saw them.
    seen: Vec<Vec<Event>>,
    stored: Vec<Event>,
    pub sessions_killed: i64,
}

/// Lets everybody run until each appender has tried `each` times. Meanwhile sessions of the role
/// of services are killed, and others hold the head of the log and roll back.
pub async fn race(
    appending: Appending,
    superuser: &PgPool,
    each: usize,
    seed: Seed,
) -> anyhow::Result<Raced> {
    let appending = Arc::new(appending);
    let over = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(AtomicUsize::new(0));

    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS {
        let (appending, over) = (Arc::clone(&appending), Arc::clone(&over));
        subscribers.spawn(async move { subscribe(&appending, &over).await });
    }
    let mut killers = JoinSet::new();
    killers.spawn(kill_sessions(
        superuser.clone(),
        Arc::clone(&progress),
        Arc::clone(&over),
    ));
    if matches!(*appending, Appending::Log(_)) {
        let rng = seed.rng("rolling back");
        let over = Arc::clone(&over);
        killers.spawn(hold_and_roll_back(superuser.clone(), rng, over));
    }

    let mut appenders = JoinSet::new();
    for writer in 0..APPENDERS {
        let (appending, progress) = (Arc::clone(&appending), Arc::clone(&progress));
        let rng = seed.rng(("appender", writer));
        appenders.spawn(async move { try_often(&appending, writer, each, rng, &progress).await });
    }
    let tried = appenders.join_all().await.concat();
    over.store(true, Ordering::Release);
    let mut sessions_killed = 0;
    while let Some(killed) = killers.join_next().await {
        sessions_killed += killed??;
    }
    let mut followed = Vec::new();
    while let Some(subscriber) = subscribers.join_next().await {
        followed.push(subscriber??);
    }
    Ok(Raced {
        tried,
        seen: followed,
        stored: read_all(&appending).await?,
        sessions_killed,
    })
}

async fn try_often(
    appending: &Appending,
    writer: usize,
    each: usize,
    mut rng: fastrand::Rng,
    progress: &AtomicUsize,
) -> Vec<(Wanted, Answer)> {
    let mut versions: HashMap<usize, i64> = HashMap::new();
    let mut tried = Vec::with_capacity(each);
    for _ in 0..each {
        // Every second time a stream of one's own.
        let stream = if rng.bool() {
            rng.usize(..SHARED)
        } else {
            SHARED + writer
        };
        let expected = versions.entry(stream).or_default();
        let wanted = Wanted {
            stream: StreamId::new("race", Uuid::from_u128(stream as u128 + 1)),
            expected: *expected,
            event_id: random_id(&mut rng),
        };
        let pause = Duration::from_micros(rng.u64(..3_000));
        let answer = appending.append(writer, &wanted, pause).await;
        // After a conflict somebody else's event is the last one known.
        *expected += i64::from(answer != Answer::Unknown);
        tried.push((wanted, answer));
        progress.fetch_add(1, Ordering::Relaxed);
    }
    tried
}

/// Reads behind the appenders until they are done and nothing more comes.
async fn subscribe(appending: &Appending, over: &AtomicBool) -> anyhow::Result<Vec<Event>> {
    let mut seen: Vec<Event> = Vec::new();
    loop {
        let last = over.load(Ordering::Acquire);
        let after = seen.last().map_or(0, |event| event.position);
        // A killed session is no answer.
        let events = appending.read(after).await.unwrap_or_default();
        if events.is_empty() {
            if last
                && appending
                    .read(after)
                    .await
                    .is_ok_and(|rest| rest.is_empty())
            {
                return Ok(seen);
            }
            meanwhile(Duration::from_millis(1)).await;
        }
        seen.extend(events);
    }
}

async fn read_all(appending: &Appending) -> anyhow::Result<Vec<Event>> {
    let mut stored: Vec<Event> = Vec::new();
    loop {
        let after = stored.last().map_or(0, |event| event.position);
        let events = appending.read(after).await?;
        if events.is_empty() {
            return Ok(stored);
        }
        stored.extend(events);
    }
}

/// One session after the other, each after some progress.
async fn kill_sessions(
    superuser: PgPool,
    progress: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<i64> {
    let (mut killed, mut seen) = (0, 0);
    while !over.load(Ordering::Acquire) {
        meanwhile(Duration::from_millis(2)).await;
        let now = progress.load(Ordering::Relaxed);
        if now < seen + 100 {
            continue;
        }
        seen = now;
        killed += sqlx::query_scalar::<_, i64>(
            "select count(pg_terminate_backend(pid)) from (
                 select pid from pg_stat_activity
                 where datname = current_database() and usename like 'member%'
                 order by random() limit 2) as victims",
        )
        .fetch_one(&superuser)
        .await?;
    }
    Ok(killed)
}

/// Another replica that takes the head and never writes.
async fn hold_and_roll_back(
    superuser: PgPool,
    mut rng: fastrand::Rng,
    over: Arc<AtomicBool>,
) -> anyhow::Result<i64> {
    while !over.load(Ordering::Acquire) {
        let mut tx = superuser.begin().await?;
        sqlx::query("select * from log.lock_head()")
            .execute(&mut *tx)
            .await?;
        meanwhile(Duration::from_micros(rng.u64(..5_000))).await;
        tx.rollback().await?;
        meanwhile(Duration::from_millis(rng.u64(..20))).await;
    }
    Ok(0)
}

impl Raced {
    pub fn count(&self, answer: &str) -> usize {
        let kinds = self.tried.iter().map(|(_, answer)| match answer {
            Answer::Stored(_) => "stored",
            Answer::Conflict => "conflict",
            Answer::Unknown => "unknown",
        });
        kinds.filter(|kind| *kind == answer).count()
    }

    /// Names the first thing that is not as it must be.
    pub fn judge(&self) -> anyhow::Result<()> {
        for (subscriber, seen) in self.seen.iter().enumerate() {
            let missing = self.stored.iter().find(|event| !seen.contains(event));
            if let Some(event) = missing {
                bail!("subscriber {subscriber} never saw {}", event.position);
            }
            if seen.len() != self.stored.len() {
                bail!("subscriber {subscriber} saw {} events", seen.len());
            }
        }
        for (expected, event) in (1..).zip(&self.stored) {
            if event.position != expected {
                bail!("{} stands where {expected} should", event.position);
            }
        }
        let mut places: BTreeMap<Uuid, Vec<&Event>> = BTreeMap::new();
        let mut streams: HashMap<(&str, i64), Uuid> = HashMap::new();
        for event in &self.stored {
            places.entry(event.id).or_default().push(event);
            streams.insert((&event.stream, event.version), event.id);
        }
        for (wanted, answer) in &self.tried {
            let stored = places.get(&wanted.event_id).map_or(&[][..], Vec::as_slice);
            match (answer, stored) {
                (Answer::Stored(position), [event])
                    if event.position == *position && event.version == wanted.expected + 1 => {}
                (Answer::Conflict, []) => {
                    let place = (&*wanted.stream.to_string(), wanted.expected + 1);
                    if !streams.contains_key(&place) {
                        bail!("{wanted:?} was refused, and nobody else was there");
                    }
                }
                (Answer::Unknown, [] | [_]) => {}
                _ => bail!("{wanted:?} was answered {answer:?} and is stored as {stored:?}"),
            }
        }
        Ok(())
    }
}
