//! The append of the log crate against plain single-row INSERTs, in rounds that take turns.

use std::{
    io::Write,
    process::Stdio,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use es::StreamId;
use es_postgres::{Append, AppendError, Log, MasterKey, NewEvent};
use serde::Serialize;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::output::{Format, Rows, number, text};

const STREAMS: usize = 20_000;
const PAYLOAD_BYTES: usize = 256;
const METADATA: &[u8] =
    br#"{"actor":{"kind":"system"},"correlation_id":"00000000-0000-0000-0000-000000000000"}"#;
/// Every so many appends a writer sends a stale version, which must be refused.
const STALE_EVERY: u64 = 997;

/// How rows are inserted.
enum Way {
    Pgbench,
    /// As an application does it: each through the pool.
    Pool,
    /// Through a connection that is kept.
    Connection,
}

type Kind = (&'static str, Way, &'static str);

/// What appends are compared with; the ratio to the first one is that of the report.
const SQLX: &[Kind] = &[
    (
        "sqlx, pool, columns and indexes of the log",
        Way::Pool,
        "plain",
    ),
    ("sqlx, pool, primary key only", Way::Pool, "bare"),
    (
        "sqlx, one connection, columns and indexes of the log",
        Way::Connection,
        "plain",
    ),
    (
        "sqlx, one connection, primary key only",
        Way::Connection,
        "bare",
    ),
];
const PGBENCH: &[Kind] = &[
    (
        "pgbench, columns and indexes of the log",
        Way::Pgbench,
        "plain",
    ),
    ("pgbench, primary key only", Way::Pgbench, "bare"),
];

pub(super) struct Workload {
    pub writers: usize,
    pub seconds: u64,
    pub rounds: usize,
}

#[derive(Serialize)]
pub(super) struct Report {
    writers: usize,
    seconds: u64,
    rounds: usize,
    appends_per_s: Vec<f64>,
    appends_per_s_median: f64,
    /// Appends to inserts of the first peer.
    ratio: f64,
    peers: Vec<Peer>,
    acknowledged: u64,
    stored: u64,
    stale_sent: u64,
    stale_refused: u64,
    correct: bool,
    postgresql: String,
}

#[derive(Serialize)]
struct Peer {
    name: &'static str,
    inserts_per_s: Vec<f64>,
    inserts_per_s_median: f64,
    ratio: f64,
}

impl Report {
    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        if format == Format::Json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return self.verdict();
        }
        let mut rows = Rows::new(vec![
            number("Writers", "writers"),
            number("Appends/s", "appends_per_s"),
            text("INSERTs", "peer"),
            number("INSERTs/s", "inserts_per_s"),
            number("Ratio", "ratio"),
        ]);
        for peer in &self.peers {
            rows.push(vec![
                self.writers.to_string(),
                format!("{:.0}", self.appends_per_s_median),
                peer.name.to_owned(),
                format!("{:.0}", peer.inserts_per_s_median),
                format!("{:.2}", peer.ratio),
            ]);
        }
        rows.print(format)?;
        eprintln!(
            "{} acknowledged, {} stored, {} of {} stale refused; {}",
            self.acknowledged, self.stored, self.stale_refused, self.stale_sent, self.postgresql
        );
        self.verdict()
    }

    /// A rate with one lost event is a fail.
    fn verdict(&self) -> anyhow::Result<()> {
        if !self.correct {
            bail!(
                "incorrect: {} acknowledged, {} stored, {} of {} stale refused",
                self.acknowledged,
                self.stored,
                self.stale_refused,
                self.stale_sent
            );
        }
        Ok(())
    }
}

pub(super) async fn measure(
    owner: &PgConnectOptions,
    workload: &Workload,
) -> anyhow::Result<Report> {
    let database = format!("kontakty_bench_{}", std::process::id());
    let mut server = owner
        .connect()
        .await
        .context("PostgreSQL cannot be reached")?;
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut server)
            .await?;
        if value == "off" {
            bail!("{setting} is off: such figures would be of no use");
        }
    }
    let postgresql = sqlx::query_scalar("select version()")
        .fetch_one(&mut server)
        .await?;
    statement(&mut server, format!("create database {database}")).await?;
    let measured = rounds(
        &owner
            .clone()
            .database(&database)
            .disable_statement_logging(),
        workload,
        postgresql,
    )
    .await;
    statement(
        &mut server,
        format!("drop database {database} with (force)"),
    )
    .await?;
    server.close().await?;
    measured
}

async fn rounds(
    options: &PgConnectOptions,
    workload: &Workload,
    postgresql: String,
) -> anyhow::Result<Report> {
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    accounts::MIGRATOR.run(&pool).await?;
    // Rows and indexes as the log has them, so that the same work is compared; and the rows alone,
    // for what the log's promises cost.
    sqlx::raw_sql(
        "create table plain (like log.events including constraints including indexes);
         alter table plain alter position add generated always as identity;
         create table bare (like log.events);
         alter table bare alter position add generated always as identity, add primary key (position)",
    )
    .execute(&pool)
    .await?;
    let log = Log::open(pool.clone(), "bench", MasterKey::new([7; 32])).await?;
    let writers = Arc::new(Writers::new(workload.writers));
    let kinds = if workload.writers == 1 { SQLX } else { PGBENCH };
    let (mut appends, mut inserts) = (Vec::new(), vec![Vec::new(); kinds.len()]);
    for _ in 0..workload.rounds {
        appends.push(writers.round(&log, workload.seconds).await?);
        for ((_, way, table), rates) in kinds.iter().zip(&mut inserts) {
            rates.push(match way {
                Way::Pgbench => insert_through_pgbench(options, table, workload).await?,
                Way::Pool => insert_through_sqlx(&pool, None, table, workload.seconds).await?,
                Way::Connection => {
                    let kept = Some(pool.acquire().await?);
                    insert_through_sqlx(&pool, kept, table, workload.seconds).await?
                }
            });
        }
    }
    let stored: i64 = sqlx::query_scalar("select count(*) from log.events")
        .fetch_one(&pool)
        .await?;
    let [acknowledged, stale_sent, stale_refused] = [
        &writers.acknowledged,
        &writers.stale_sent,
        &writers.stale_refused,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    let append = median(&appends);
    let peers: Vec<_> = kinds
        .iter()
        .zip(inserts)
        .map(|((name, ..), rates)| {
            let insert = median(&rates);
            Peer {
                name,
                inserts_per_s: rates,
                inserts_per_s_median: insert,
                ratio: (append / insert * 1000.0).round() / 1000.0,
            }
        })
        .collect();
    Ok(Report {
        writers: workload.writers,
        seconds: workload.seconds,
        rounds: workload.rounds,
        appends_per_s: appends,
        appends_per_s_median: append,
        ratio: peers.first().map_or(0.0, |peer| peer.ratio),
        peers,
        acknowledged,
        stored: stored as u64,
        stale_sent,
        stale_refused,
        correct: acknowledged == stored as u64 && stale_refused == stale_sent && acknowledged > 0,
        postgresql,
    })
}

/// Callers with their streams and what they know of them.
struct Writers {
    versions: Vec<tokio::sync::Mutex<Vec<i64>>>,
    requests: AtomicU64,
    acknowledged: AtomicU64,
    stale_sent: AtomicU64,
    stale_refused: AtomicU64,
}

impl Writers {
    fn new(count: usize) -> Self {
        let streams = (STREAMS / count).max(1);
        Self {
            versions: (0..count)
                .map(|_| tokio::sync::Mutex::new(vec![0; streams]))
                .collect(),
            requests: AtomicU64::new(1),
            acknowledged: AtomicU64::new(0),
            stale_sent: AtomicU64::new(0),
            stale_refused: AtomicU64::new(0),
        }
    }

    /// Appends per second of one round.
    async fn round(self: &Arc<Self>, log: &Log, seconds: u64) -> anyhow::Result<f64> {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..self.versions.len() {
            let (shared, log) = (Arc::clone(self), log.clone());
            writers.spawn(async move { shared.write(writer, &log, until).await });
        }
        while let Some(ended) = writers.join_next().await {
            ended??;
        }
        Ok((self.acknowledged.load(Ordering::Relaxed) - before) as f64
            / began.elapsed().as_secs_f64())
    }

    async fn write(&self, writer: usize, log: &Log, until: Instant) -> anyhow::Result<()> {
        let mut versions = self.versions[writer].lock().await;
        let mut turn = 0;
        while Instant::now() < until {
            let request = self.requests.fetch_add(1, Ordering::Relaxed);
            let index = turn % versions.len();
            turn += 1;
            let stream = StreamId::new("bench", Uuid::from_u64_pair(writer as u64, index as u64));
            let stale = request.is_multiple_of(STALE_EVERY) && versions[index] > 0;
            let expected = versions[index] - i64::from(stale);
            let answer = log
                .append(vec![append(stream, expected, request)])
                .await
                .pop();
            match (answer, stale) {
                (Some(Ok(appended)), false) => {
                    versions[index] = appended.version;
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (Some(answer), true) => {
                    self.stale_sent.fetch_add(1, Ordering::Relaxed);
                    if matches!(answer, Err(AppendError::Conflict { .. })) {
                        self.stale_refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
                (Some(Err(error)), false) => return Err(error.into()),
                (None, _) => bail!("an append was not answered"),
            }
        }
        Ok(())
    }
}

fn append(stream: StreamId, expected: i64, request: u64) -> Append {
    let now = chrono::DateTime::UNIX_EPOCH + Duration::from_micros(request);
    // Spread like the random ids that callers choose.
    let spread = request.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Append {
        stream,
        expected,
        events: vec![NewEvent {
            event_id: Uuid::from_u64_pair(!request, spread),
            event_type: "bench.appended".to_owned(),
            schema_version: 1,
            occurred_at: now,
            payload: PAYLOAD.clone(),
        }],
        request_id: Some(Uuid::from_u64_pair(spread, request)),
        digest: None,
        metadata: METADATA.to_vec(),
        reservations: Vec::new(),
        now,
    }
}

/// The same for all, as for `pgbench`: to make it is no part of an append.
static PAYLOAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut payload = br#"{"text":""#.to_vec();
    payload.resize(PAYLOAD_BYTES - 2, b'x');
    payload.extend_from_slice(b"\"}");
    payload
});

async fn insert_through_sqlx(
    pool: &PgPool,
    mut kept: Option<PoolConnection<Postgres>>,
    table: &str,
    seconds: u64,
) -> anyhow::Result<f64> {
    let insert: Arc<str> = format!(
        "insert into {table} (event_id, stream, version, type, schema_version, occurred_at,
                              recorded_at, request_id, metadata, payload, hash)
         values ($1, $2, $3, 'bench.appended', 1, $4, $4, $5, $6, $7, $8)"
    )
    .into();
    let began = Instant::now();
    let mut inserted = 0_u64;
    while began.elapsed() < Duration::from_secs(seconds) {
        let number = fastrand::u64(1..i64::MAX as u64);
        let id = Uuid::from_u64_pair(number, number);
        let now = chrono::DateTime::UNIX_EPOCH + Duration::from_micros(number >> 12);
        let insert = sqlx::query(AssertSqlSafe(Arc::clone(&insert)))
            .bind(id)
            .bind(format!(
                "bench-{}",
                Uuid::from_u64_pair(0, number % STREAMS as u64)
            ))
            .bind(number as i64)
            .bind(now)
            .bind(id)
            .bind(METADATA)
            .bind(&*PAYLOAD)
            .bind([7_u8; 32]);
        match &mut kept {
            Some(connection) => insert.execute(&mut **connection).await?,
            None => insert.execute(pool).await?,
        };
        inserted += 1;
    }
    Ok(inserted as f64 / began.elapsed().as_secs_f64())
}

async fn insert_through_pgbench(
    options: &PgConnectOptions,
    table: &str,
    workload: &Workload,
) -> anyhow::Result<f64> {
    let mut script = tempfile::NamedTempFile::new()?;
    write!(
        script,
        "\\set stream random(1, {STREAMS})
\\set number random(1, 9223372036854775806)
insert into {table} (event_id, stream, version, type, schema_version, occurred_at,
                   recorded_at, request_id, metadata, payload, hash)
values (lpad(to_hex(:number::bigint), 32, '0')::uuid,
        'bench-00000000-0000-0000-0000-' || lpad(:stream::text, 12, '0'),
        :number::bigint, 'bench.appended', 1, now(), now(),
        lpad(to_hex(:number::bigint), 32, '0')::uuid, '{}', '{}', '{}');
",
        std::str::from_utf8(METADATA)?,
        std::str::from_utf8(&PAYLOAD)?,
        "h".repeat(32),
    )?;
    let output = tokio::process::Command::new(crate::office::postgres_binary("pgbench")?)
        .args([
            "-n",
            "-M",
            "prepared",
            "-j",
            "2",
            "-c",
            &workload.writers.to_string(),
            "-T",
            &workload.seconds.to_string(),
            "-f",
        ])
        .arg(script.path())
        .args([
            "-h",
            options.get_host(),
            "-p",
            &options.get_port().to_string(),
            "-U",
            options.get_username(),
        ])
        .arg(options.get_database().unwrap_or("postgres"))
        .envs(password(options).map(|password| ("PGPASSWORD", password)))
        .stdin(Stdio::null())
        .output()
        .await
        .context("pgbench cannot be started; it is in the package postgresql-contrib")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| {
            line.strip_prefix("tps = ")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .with_context(|| {
            format!(
                "pgbench gave no figure: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
}

fn password(options: &PgConnectOptions) -> Option<String> {
    options.to_url_lossy().password().map(ToOwned::to_owned)
}

async fn statement(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
