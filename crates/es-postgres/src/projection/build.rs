//! Builds a view anew beside the one that serves and, once it has caught up, puts it in its place.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Cursor, Projection, Reached, RunError, Share, Source, Version, compare,
    prepare::prepare_as,
    rebuild::{self, Targets},
    run::run_in,
    runner::{Loses, Seat},
    shares,
    versions::{discard_in_tx, rename_in_tx},
};
use crate::lease::leads_in_tx;

/// So near to the live view that the rest can be done while that one stands still.
const NEAR: i64 = 1_000;
const HELD_AT_MOST: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(200);
/// Less than this is no work for several.
const WORTH_SHARING: i64 = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the version holds events that a log has lost")]
    Stale,
    #[error("another leader has taken over")]
    Deposed,
    #[error("a worker ended: {0}")]
    Worker(String),
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// How to build one view: by the leader with this number.
pub struct Builder<P, F, H> {
    pub pool: PgPool,
    pub projection: Arc<P>,
    pub fence: i64,
    /// Reads a log, or for one of several workers what it needs of it.
    pub source: F,
    /// Where a log ends.
    pub head: H,
}

impl<P, S, F, H, A> Builder<P, F, H>
where
    P: Projection,
    S: Source,
    F: Fn(&'static str, Option<Share>) -> S,
    H: Fn(&'static str) -> A,
    A: Future<Output = Result<i64, BuildError>>,
{
    /// Brings a version up to date and puts it in the place of the live one, which becomes the
    /// former one. True when it has; false when cancelled before.
    pub async fn replace(
        &self,
        version: Version,
        workers: u32,
        cancel: &CancellationToken,
    ) -> Result<bool, BuildError> {
        let Some(name) = self.prepare(version, workers, cancel).await? else {
            return Ok(false);
        };
        while let Some(live) = self.meet(&name, cancel).await? {
            if live.take_place(P::NAME, version, self.fence).await? {
                return Ok(true);
            }
            // More is parked than in the live one: somebody has to look at it.
            pause(cancel).await;
        }
        Ok(false)
    }

    /// Builds a new version and says in which tables it differs from the live one. `None` when
    /// cancelled before.
    pub async fn check(
        &self,
        workers: u32,
        cancel: &CancellationToken,
    ) -> Result<Option<Vec<String>>, BuildError> {
        let Some(name) = self.prepare(Version::Next, workers, cancel).await? else {
            return Ok(None);
        };
        while let Some(live) = self.meet(&name, cancel).await? {
            if let Some(snapshot) = live.snapshot(&self.pool, P::NAME, &name).await? {
                let differences = compare::differences(snapshot, P::NAME, &name).await?;
                return Ok(Some(differences));
            }
            pause(cancel).await;
        }
        Ok(None)
    }

    /// Keeps a version up to date until cancelled.
    pub async fn follow(
        &self,
        version: Version,
        cancel: &CancellationToken,
    ) -> Result<(), BuildError> {
        let name = version.of(P::NAME);
        prepare_as::<P>(&self.pool, &name).await?;
        self.run(
            &name,
            &Targets::new(),
            cancel.clone(),
            std::future::pending(),
        )
        .await
    }

    /// Its tables, and what several workers do of it. `None` when cancelled before.
    async fn prepare(
        &self,
        version: Version,
        workers: u32,
        cancel: &CancellationToken,
    ) -> Result<Option<String>, BuildError> {
        let name = version.of(P::NAME);
        prepare_as::<P>(&self.pool, &name).await?;
        if workers > 1 && P::BY_STREAM && version == Version::Next {
            let targets = rebuild::targets(&self.pool, P::NAME, self.heads().await?).await?;
            if targets.values().sum::<i64>() >= WORTH_SHARING {
                shares::run(self, &name, workers, &targets, cancel).await?;
            }
        }
        Ok((!cancel.is_cancelled()).then_some(name))
    }

    async fn heads(&self) -> Result<Targets, BuildError> {
        let mut heads = Targets::new();
        for source in P::SOURCES {
            heads.insert((*source).to_owned(), (self.head)(source).await?);
        }
        Ok(heads)
    }

    /// Lets the version catch up until the live view can be held while it does the rest. `None`
    /// when cancelled before.
    async fn meet(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<Held>, BuildError> {
        loop {
            self.run(name, &Targets::new(), cancel.clone(), self.near(name))
                .await?;
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let held = Held::take(&self.pool, P::NAME).await?;
            let targets = self.targets(&held.live).await?;
            let arrived = self.arrived(name, &targets);
            let rest = self.run(name, &targets, cancel.clone(), arrived);
            if matches!(timeout(HELD_AT_MOST, rest).await, Ok(Ok(())))
                && !cancel.is_cancelled()
                && self.missing(name, &targets).await? == 0
            {
                return Ok(Some(held));
            }
            held.release().await?;
        }
    }

    /// Runs the version, in every log up to its target, until `enough` returns.
    async fn run(
        &self,
        name: &str,
        targets: &Targets,
        cancel: CancellationToken,
        enough: impl Future<Output = Result<(), BuildError>>,
    ) -> Result<(), BuildError> {
        let stop = cancel.child_token();
        let running = join_all(P::SOURCES.iter().map(|source| {
            let seat = Seat {
                name: name.to_owned(),
                fence: Some(self.fence),
                until: targets.get(*source).copied().unwrap_or(i64::MAX),
                loses: Loses::View,
            };
            let events = (self.source)(source, None);
            let (progress, stop) = (watch::Sender::new(Reached::default()), stop.clone());
            let (pool, projection) = (self.pool.clone(), Arc::clone(&self.projection));
            async move {
                let run = run_in(name, seat, pool, projection, events, progress, stop.clone());
                let ended = Box::pin(run).await;
                // One that ends, for whatever reason, ends the others.
                stop.cancel();
                ended
            }
        }));
        let enough = async {
            let enough = stop.run_until_cancelled(enough).await;
            stop.cancel();
            enough
        };
        let (ended, enough) = tokio::join!(running, enough);
        for ended in ended {
            if let Err(RunError::Stale { .. }) = ended {
                return Err(BuildError::Stale);
            }
        }
        match enough {
            Some(enough) => enough,
            None if cancel.is_cancelled() => Ok(()),
            // They had to let go without being told by us.
            None => Err(BuildError::Deposed),
        }
    }

    /// Returns when little is missing.
    async fn near(&self, name: &str) -> Result<(), BuildError> {
        loop {
            let live = cursors(&self.pool, P::NAME).await?;
            if self.missing(name, &self.targets(&live).await?).await? <= NEAR {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn arrived(&self, name: &str, targets: &Targets) -> Result<(), BuildError> {
        while self.missing(name, targets).await? > 0 {
            tokio::time::sleep(LOOK / 20).await;
        }
        Ok(())
    }

    /// Where the live view is; where its log ends, if it waits to be built anew.
    async fn targets(&self, live: &[Standing]) -> Result<Targets, BuildError> {
        let mut targets = Targets::new();
        for source in P::SOURCES {
            let standing = live.iter().find(|standing| standing.source == *source);
            let position = match standing {
                Some(standing) if standing.stale => (self.head)(source).await?,
                Some(standing) => standing.cursor.position,
                None => 0,
            };
            targets.insert((*source).to_owned(), position);
        }
        Ok(targets)
    }

    /// How many events a version has still before it.
    async fn missing(&self, name: &str, targets: &Targets) -> Result<i64, BuildError> {
        let reached: BTreeMap<_, _> = cursors(&self.pool, name)
            .await?
            .into_iter()
            .map(|standing| (standing.source, standing.cursor.position))
            .collect();
        let missing = targets.iter().map(|(source, target)| {
            (target - reached.get(source).copied().unwrap_or_default()).max(0)
        });
        Ok(missing.sum())
    }
}

async fn pause(cancel: &CancellationToken) {
    let pause = tokio::time::sleep(LOOK * 5);
    cancel.run_until_cancelled(pause).await;
}

#[derive(sqlx::FromRow)]
struct Standing {
    source: String,
    #[sqlx(flatten)]
    cursor: Cursor,
    stale: bool,
}

const CURSORS: &str =
    "select source, epoch, position, hash, stale from views.cursors where name = $1";

async fn cursors(pool: &PgPool, name: &str) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as(CURSORS).bind(name).fetch_all(pool).await
}

/// The live view, held still: none of its runners moves until this ends.
struct Held {
    connection: PgConnection,
    live: Vec<Standing>,
}

impl Held {
    /// Beside the pool, which the runners need meanwhile.
    async fn take(pool: &PgPool, view: &str) -> Result<Self, sqlx::Error> {
        let mut connection = pool.acquire().await?.detach();
        sqlx::query("begin").execute(&mut connection).await?;
        let live = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{CURSORS} order by source for update"
        )))
        .bind(view)
        .fetch_all(&mut connection)
        .await?;
        Ok(Self { connection, live })
    }

    async fn release(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("rollback")
            .execute(&mut self.connection)
            .await?;
        self.connection.close().await
    }

    /// False: more streams are held back in the version than in the live view.
    async fn take_place(
        mut self,
        view: &str,
        version: Version,
        fence: i64,
    ) -> Result<bool, BuildError> {
        let tx = &mut self.connection;
        if !leads_in_tx(tx, fence).await? {
            return Err(BuildError::Deposed);
        }
        let name = version.of(view);
        let (here, there) = (
            parked_streams(tx, view).await?,
            parked_streams(tx, &name).await?,
        );
        if there > here {
            tracing::error!(view, here, there, "the new version holds back more streams");
            self.release().await?;
            return Ok(false);
        }
        let (former, aside) = (Version::Former.of(view), format!("{view}~aside"));
        rename_in_tx(tx, view, &aside).await?;
        rename_in_tx(tx, &name, view).await?;
        if version == Version::Next {
            discard_in_tx(tx, &former).await?;
        }
        rename_in_tx(tx, &aside, &former).await?;
        // Whoever keeps the live view reads again what it has in memory.
        sqlx::query(
            "update views.cursors live set generation = former.generation + 1
             from views.cursors former
             where live.name = $1 and former.name = $2 and former.source = live.source",
        )
        .bind(view)
        .bind(&former)
        .execute(&mut *tx)
        .await?;
        sqlx::query("update views.rebuilds set state = 'kept', changed_at = now() where name = $1")
            .bind(view)
            .execute(&mut *tx)
            .await?;
        sqlx::query("commit").execute(&mut *tx).await?;
        self.connection.close().await?;
        Ok(true)
    }

    /// A connection that sees the live view and the version at the same places of their logs.
    /// `None`: the version is ahead.
    async fn snapshot(
        self,
        pool: &PgPool,
        view: &str,
        name: &str,
    ) -> Result<Option<PgConnection>, sqlx::Error> {
        let mut connection = pool.acquire().await?.detach();
        for statement in [
            "begin isolation level repeatable read read only",
            "set local statement_timeout = 0",
        ] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        let equal: bool = sqlx::query_scalar(
            "select not exists (
                 select from views.cursors live
                 left join views.cursors next on next.source = live.source and next.name = $2
                 where live.name = $1 and next.position is distinct from live.position)",
        )
        .bind(view)
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
        self.release().await?;
        Ok(equal.then_some(connection))
    }
}

async fn parked_streams(tx: &mut PgConnection, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(distinct (source, stream)) from views.parked where name = $1")
        .bind(name)
        .fetch_one(tx)
        .await
}
