//! What the views would be if they were built from the logs today: the databases are copied, the
//! views in the copy dropped, and the same binary fills them again, over a bus of its own.
//!
//! Reactions keep their cursors in the copy: what they did is in the logs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use es_postgres::{Log, MasterKey};
use sqlx::PgPool;
use testkit::Nats;
use tests::client::SERVICES;
use tokio::time::Instant;

use crate::{
    installation::{Installation, Server, Settings, free_address},
    meanwhile,
};

const SETTLED_WITHIN: Duration = Duration::from_mins(2);

/// The databases of an installation, as the superuser sees them.
pub struct Stores {
    pools: BTreeMap<&'static str, PgPool>,
    master_key: MasterKey,
}

impl Stores {
    pub async fn open(installation: &Installation, settings: &Settings) -> anyhow::Result<Self> {
        let mut pools = BTreeMap::new();
        for service in SERVICES {
            let database = settings.database(service);
            pools.insert(service, installation.engines.pool(&database).await?);
        }
        Ok(Self {
            pools,
            master_key: settings.master_key()?,
        })
    }

    /// A log as a service would open it.
    pub async fn log(&self, service: &'static str) -> anyhow::Result<Log> {
        let pool = self.of(service).clone();
        Ok(Log::open(pool, service, self.master_key.clone()).await?)
    }

    /// The same with another database for one service.
    #[must_use]
    pub fn with(&self, service: &'static str, pool: PgPool) -> Self {
        let mut pools = self.pools.clone();
        pools.insert(service, pool);
        Self {
            pools,
            master_key: self.master_key.clone(),
        }
    }

    /// # Panics
    /// When there is no such service.
    pub fn of(&self, service: &str) -> &PgPool {
        &self.pools[service]
    }

    pub fn each(&self) -> impl Iterator<Item = (&'static str, &PgPool)> {
        self.pools.iter().map(|(service, pool)| (*service, pool))
    }

    /// Position and hash of every log's end.
    pub async fn heads(&self) -> anyhow::Result<BTreeMap<&'static str, (i64, Vec<u8>)>> {
        let mut heads = BTreeMap::new();
        for (service, pool) in self.each() {
            let head = sqlx::query_as("select position, hash from log.head")
                .fetch_one(pool)
                .await?;
            heads.insert(service, head);
        }
        Ok(heads)
    }

    /// Who stands where: view or reaction, whose log, position, in the database of the service.
    pub async fn cursors(&self) -> anyhow::Result<Vec<Cursor>> {
        let mut cursors = Vec::new();
        for (service, pool) in self.each() {
            let rows: Vec<(String, String, i64)> = sqlx::query_as(
                "select name, source, position from views.cursors order by name, source",
            )
            .fetch_all(pool)
            .await?;
            cursors.extend(rows.into_iter().map(|(name, source, position)| Cursor {
                service,
                name,
                source,
                position,
            }));
        }
        Ok(cursors)
    }

    /// Waits until everybody has got to where the logs end now, though a load may go on. Returns
    /// how long it took, and who was last.
    pub async fn caught_up(&self) -> anyhow::Result<(Duration, Option<Cursor>)> {
        let began = Instant::now();
        let mut last = None;
        let heads = self.heads().await?;
        loop {
            let cursors = self.cursors().await?;
            let behind = cursors.iter().find(|cursor| {
                let head = heads.get(cursor.source.as_str());
                head.is_none_or(|head| cursor.position < head.0)
            });
            let Some(behind) = behind else {
                return Ok((began.elapsed(), last));
            };
            ensure!(
                began.elapsed() < SETTLED_WITHIN,
                "behind after {SETTLED_WITHIN:?}: {behind:?}"
            );
            last = Some(behind.clone());
            meanwhile(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everybody who follows a log stands at its end, and no end moves any more;
    /// `everybody` of whom it is known. Fails when nothing moves any more before. Returns how long it
    /// took.
    pub async fn settled(&self, everybody: &[Cursor]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut moved = began;
        let (mut former, mut stood) = (None, Vec::new());
        loop {
            let heads = self.heads().await?;
            let cursors = self.cursors().await?;
            let behind: Vec<&Cursor> = everybody
                .iter()
                .chain(&cursors)
                .filter(|cursor| {
                    let now = cursors.iter().find(|now| now.is_of(cursor));
                    let head = heads.get(cursor.source.as_str()).map(|head| head.0);
                    now.map(|now| now.position) != head
                })
                .collect();
            if behind.is_empty() && former.as_ref() == Some(&heads) {
                return Ok(began.elapsed());
            }
            if former.as_ref() != Some(&heads) || stood != cursors {
                moved = Instant::now();
            }
            ensure!(
                moved.elapsed() < SETTLED_WITHIN,
                "not at the end, and for {SETTLED_WITHIN:?} nothing moves: {behind:?}, ends {:?}",
                heads
                    .iter()
                    .map(|(service, head)| (service, head.0))
                    .collect::<Vec<_>>()
            );
            (former, stood) = (Some(heads), cursors);
            meanwhile(Duration::from_millis(50)).await;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub service: &'static str,
    pub name: String,
    pub source: String,
    pub position: i64,
}

impl Cursor {
    fn is_of(&self, other: &Self) -> bool {
        (self.service, &self.name, &self.source) == (other.service, &other.name, &other.source)
    }
}

/// Where a replay has its databases. One process does it, whoever serves the live ones.
pub fn settings(installation: &Installation, nats: &str) -> Settings {
    Settings {
        suffix: "_replay",
        postgres: installation.engines.address(),
        nats: nats.to_owned(),
        more: Vec::new(),
        keys: installation.settings.keys.clone(),
    }
}

/// Builds everything anew. The services must have ended.
pub async fn build(installation: &Installation, live: &Stores) -> anyhow::Result<Stores> {
    let nats = Nats::start().await?;
    let settings = settings(installation, &nats.url());
    let everybody = live.cursors().await?;
    for service in SERVICES {
        let (from, to) = (
            installation.settings.database(service),
            settings.database(service),
        );
        installation.engines.disconnect(&from).await?;
        installation.engines.copy_database(&from, &to).await?;
        forget_views(&installation.engines.pool(&to).await?).await?;
    }
    let log = installation.engines.folder().join("replay.log");
    let mut server = Server::start(&settings, &["all"], &free_address()?, None, &log)?;
    server.ready().await.context("the replay cannot start")?;
    let fresh = Stores::open(installation, &settings).await?;
    if let Err(error) = fresh.settled(&everybody).await {
        let troubles = |line: &str| line.contains("WARN") || line.contains("ERROR");
        bail!(
            "{error:#}; the replay said last:\n{}",
            server.said_last(troubles)
        );
    }
    server.stop().await?;
    ensure!(
        fresh.heads().await? == live.heads().await?,
        "a replay has recorded something"
    );
    Ok(fresh)
}

/// As if no view had ever been built: a view is a schema with the name of its cursor.
async fn forget_views(pool: &PgPool) -> anyhow::Result<()> {
    let views: Vec<String> = sqlx::query_scalar(
        "select distinct name from views.cursors join pg_namespace on nspname = name",
    )
    .fetch_all(pool)
    .await?;
    ensure!(!views.is_empty(), "there are no views");
    for view in views {
        let drop = format!("drop schema \"{view}\" cascade");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
            .execute(pool)
            .await?;
        for table in ["cursors", "parked"] {
            let forget = format!("delete from views.{table} where name = $1");
            sqlx::query(sqlx::AssertSqlSafe(forget))
                .bind(&view)
                .execute(pool)
                .await?;
        }
    }
    Ok(())
}
