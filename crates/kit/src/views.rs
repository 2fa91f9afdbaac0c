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

/// The read models of one service; clones share them.
#[derive(Clone)]
pub struct Views {
    pool: PgPool,
    progress: Progress,
    directory: Directory,
    /// By view: counts up whenever it has moved.
    changes: Arc<Mutex<BTreeMap<&'static str, watch::Sender<i64>>>>,
}

impl Views {
    pub(crate) fn new(pool: PgPool, directory: Directory) -> Self {
        Self {
            pool,
            directory,
            progress: Progress::default(),
            changes: Arc::default(),
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
                self.progress
                    .wait(&self.pool, &wanted.service, wanted.position)
                    .await;
                if wanted.service == "accounts" {
                    self.directory_at(wanted.position).await;
                }
            }
        });
        waited.await.map_err(|_| AppError::ViewBehind)
    }

    /// Waits until the directory, with its snapshot in memory, has this position of accounts' log.
    pub(crate) async fn directory_reached(&self, position: i64) -> Result<(), AppError> {
        let waited = tokio::time::timeout(PATIENCE, self.directory_at(position));
        waited.await.map_err(|_| AppError::ViewBehind)
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
