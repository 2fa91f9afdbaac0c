//! How far the read models of a service have got, and waiting for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::common::Position;
use es_postgres::projection::{Progress, Reached};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::{AppError, Violations, config::SERVICES, directory::Directory};

/// A reader waits no longer for what it wrote itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// While it waits, it tells the readers of the log again.
const SAID_AGAIN: Duration = Duration::from_millis(500);

/// The read models of one service; clones share them.
#[derive(Clone)]
pub struct Views {
    pool: PgPool,
    progress: Progress,
    directory: Directory,
    /// By view: counts up whenever it has moved.
    changes: Arc<Mutex<BTreeMap<&'static str, watch::Sender<i64>>>>,
    /// By log: the position that a caller has found missing here last.
    awaited: Arc<BTreeMap<&'static str, watch::Sender<i64>>>,
}

impl Views {
    pub(crate) fn new(pool: PgPool, directory: Directory) -> Self {
        Self {
            pool,
            directory,
            progress: Progress::default(),
            changes: Arc::default(),
            awaited: Arc::new(SERVICES.map(|name| (name, watch::Sender::default())).into()),
        }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits until every view here has applied these positions of the logs it reads, so that a
    /// caller finds what it has written, in whichever service.
    pub async fn reached(&self, positions: &[Position], limit: Duration) -> Result<(), AppError> {
        let mut v = Violations::new();
        for (index, wanted) in positions.iter().enumerate() {
            let field = format!("min_positions[{index}]");
            if !SERVICES.contains(&wanted.service.as_str()) {
                v.add(format!("{field}.service"), "is not the name of a service");
            }
            if wanted.position < 0 {
                v.add(format!("{field}.position"), "must not be negative");
            }
        }
        v.finish()?;
        let waited = tokio::time::timeout(limit.min(PATIENCE), async {
            for wanted in positions {
                self.applied(&wanted.service, wanted.position).await;
            }
        });
        waited.await.map_err(|_| AppError::ViewBehind)
    }

    /// Waits until the directory, with its snapshot in memory, has this position of accounts' log.
    pub(crate) async fn directory_reached(&self, position: i64) -> Result<(), AppError> {
        let reached = self.hurrying("accounts", position, || self.directory_at(position));
        let waited = tokio::time::timeout(PATIENCE, reached);
        waited.await.map_err(|_| AppError::ViewBehind)
    }

    /// Waits until the views and the directory have it.
    async fn applied(&self, service: &str, position: i64) {
        let applied = || async {
            self.progress.wait(&self.pool, service, position).await;
            if service == "accounts" {
                self.directory_at(position).await;
            }
        };
        self.hurrying(service, position, applied).await;
    }

    /// Waits for what comes with a position, and lets the readers of its log know if they have not
    /// got there yet: they need not wait for the bus. Says it again and again, because others who
    /// wait for less say so in the same place.
    async fn hurrying<W: Future<Output = ()>>(
        &self,
        service: &str,
        position: i64,
        wait: impl Fn() -> W,
    ) {
        let mut waiting = Duration::ZERO;
        while tokio::time::timeout(waiting, wait()).await.is_err() {
            if let Some(awaited) = self.awaited.get(service) {
                awaited.send_replace(position);
            }
            waiting = SAID_AGAIN;
        }
    }

    /// The position of a log that somebody waits for.
    pub(crate) fn awaited(&self, service: &str) -> watch::Receiver<i64> {
        let awaited = self.awaited.get(service);
        awaited.map_or_else(|| watch::channel(0).1, watch::Sender::subscribe)
    }

    async fn directory_at(&self, position: i64) {
        // The end of the process is no reason to answer differently.
        let _ = self
            .directory
            .changed()
            .wait_for(|reached| *reached >= position)
            .await;
    }

    /// Counts up whenever the view has moved.
    pub(crate) fn changed(&self, view: &'static str) -> watch::Receiver<i64> {
        self.change_sender(view).subscribe()
    }

    fn change_sender(&self, view: &'static str) -> watch::Sender<i64> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.entry(view).or_default().clone()
    }

    /// Counts the moves of a view in one of its sources, for ever.
    pub(crate) async fn count(self, view: &'static str, mut reached: watch::Receiver<Reached>) {
        let changes = self.change_sender(view);
        while reached.changed().await.is_ok() {
            changes.send_modify(|count| *count += 1);
        }
    }
}
