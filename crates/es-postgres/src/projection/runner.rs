//! What projections and reactions have in common: the cursor, the parked streams, patience.

use std::{collections::HashSet, fmt::Display};

use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Backoff, Batch, Reached, RunError, Source,
    cursor::{Cursor, cursor},
    parked,
};

/// Why a loop ends.
pub(super) enum Stop {
    Cancelled,
    Failed(RunError),
}

impl Stop {
    pub(super) fn into_result(self) -> Result<(), RunError> {
        match self {
            Self::Cancelled => Ok(()),
            Self::Failed(error) => Err(error),
        }
    }
}

/// What became of an attempt to move the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Here,
    /// Another replica was faster; what we did in the transaction must not stay.
    Overtaken,
}

pub(super) struct Runner<S> {
    pub(super) pool: PgPool,
    /// Name of cursor and schema.
    pub(super) view: String,
    pub(super) service: &'static str,
    pub(super) source: S,
    pub(super) cursor: Cursor,
    /// Streams held back. Others may un-park, so it is read again while there are any.
    pub(super) parked: HashSet<String>,
    head: i64,
    progress: watch::Sender<Reached>,
    cancel: CancellationToken,
    backoff: Backoff,
}

impl<S: Source> Runner<S> {
    pub(super) async fn start(
        pool: PgPool,
        view: &str,
        source: S,
        progress: watch::Sender<Reached>,
        cancel: CancellationToken,
    ) -> Result<Self, Stop> {
        let mut runner = Self {
            pool,
            view: view.to_owned(),
            service: source.service(),
            source,
            cursor: Cursor::default(),
            parked: HashSet::new(),
            head: 0,
            progress,
            cancel,
            backoff: Backoff::default(),
        };
        runner.reload().await?;
        Ok(runner)
    }

    /// Takes cursor and parked streams from the database, as another replica may have left them.
    pub(super) async fn reload(&mut self) -> Result<(), Stop> {
        loop {
            match self.stored().await {
                Ok((cursor, parked)) => {
                    self.cursor = cursor;
                    self.parked = parked;
                    self.publish();
                    return Ok(());
                }
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    async fn stored(&self) -> Result<(Cursor, HashSet<String>), sqlx::Error> {
        let cursor = cursor(&self.pool, &self.view, self.service).await?;
        let parked = parked::streams(&self.pool, &self.view, self.service).await?;
        Ok((cursor, parked))
    }

    /// The next events behind the cursor, of the cursor's life of the log.
    pub(super) async fn batch(&mut self, limit: usize) -> Result<Batch, Stop> {
        loop {
            let after = self.cursor.position;
            let next = self.source.next(after, limit);
            let next = self.cancel.run_until_cancelled(next).await;
            match next.ok_or(Stop::Cancelled)? {
                Ok(batch) if !follows(&batch, after) => {
                    self.pause(&"the source left a hole").await?;
                }
                Ok(batch) => {
                    self.check_epoch(&batch)?;
                    self.head = batch.head;
                    return Ok(batch);
                }
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    fn check_epoch(&self, batch: &Batch) -> Result<(), Stop> {
        match self.cursor.epoch {
            Some(expected) if expected != batch.epoch => {
                let error = RunError::Epoch {
                    view: self.view.clone(),
                    service: self.service,
                    expected,
                    found: batch.epoch,
                };
                tracing::error!(view = self.view, source = self.service, "{error}");
                Err(Stop::Failed(error))
            }
            _ => Ok(()),
        }
    }

    /// Where the cursor stands once `position` of `batch` is done.
    pub(super) fn after(batch: &Batch, position: i64) -> Cursor {
        Cursor {
            epoch: Some(batch.epoch),
            position,
        }
    }

    pub(super) fn moved(&mut self, to: Cursor) {
        self.cursor = to;
        self.backoff.reset();
        self.publish();
    }

    fn publish(&self) {
        self.progress.send_replace(Reached {
            position: self.cursor.position,
            head: self.head.max(self.cursor.position),
            parked: self.parked.len(),
        });
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits out something that will pass.
    pub(super) async fn pause(&mut self, reason: &impl Display) -> Result<(), Stop> {
        tracing::warn!(
            view = self.view,
            source = self.service,
            position = self.cursor.position,
            "waiting: {reason}"
        );
        let waited = self.cancel.run_until_cancelled(self.backoff.wait()).await;
        waited.ok_or(Stop::Cancelled)
    }

    /// Tells of an event that is put aside: the alarm. Never its content.
    pub(super) fn report_parked(&self, event: &es::Recorded, reason: &str) {
        tracing::error!(
            view = self.view,
            source = self.service,
            position = event.position,
            stream = %event.stream,
            event_type = event.event_type,
            "event parked: {reason}"
        );
    }
}

fn follows(batch: &Batch, after: i64) -> bool {
    !batch.events.is_empty()
        && (after + 1..)
            .zip(&batch.events)
            .all(|(position, event)| event.position == position)
}
