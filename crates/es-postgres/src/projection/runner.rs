//! What projections and reactions have in common: the cursor, the parked streams, patience.

use std::{collections::HashSet, fmt::Display};

use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Backoff, Batch, Cursor, Reached, RunError, Source, SourceError,
    cursor::{self, Place},
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

/// What a log that lost events means for who has seen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loses {
    /// A view holds them: it must be built anew.
    View,
    /// A reaction has had its effect, which stays.
    Effects,
}

/// Whose cursor a runner moves.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) name: String,
    /// The number of the leader, where only a leader may.
    pub(super) fence: Option<i64>,
    /// Where to stop and wait.
    pub(super) until: i64,
    pub(super) loses: Loses,
}

impl Seat {
    /// Whether it is of a version beside the live view.
    fn is_beside(&self) -> bool {
        self.fence.is_some() && self.loses == Loses::View
    }
}

pub(super) struct Runner<S> {
    pub(super) pool: PgPool,
    pub(super) seat: Seat,
    pub(super) service: &'static str,
    pub(super) source: S,
    pub(super) place: Place,
    /// Streams held back; exact as long as the cursor moves.
    pub(super) parked: HashSet<String>,
    pub(super) head: i64,
    progress: watch::Sender<Reached>,
    cancel: CancellationToken,
    backoff: Backoff,
}

impl<S: Source> Runner<S> {
    pub(super) async fn start(
        pool: PgPool,
        seat: Seat,
        source: S,
        progress: watch::Sender<Reached>,
        cancel: CancellationToken,
    ) -> Result<Self, Stop> {
        let mut runner = Self {
            pool,
            seat,
            service: source.service(),
            source,
            place: Place::default(),
            parked: HashSet::new(),
            head: 0,
            progress,
            cancel,
            backoff: Backoff::default(),
        };
        runner.open().await?;
        runner.reload().await?;
        Ok(runner)
    }

    async fn open(&mut self) -> Result<(), Stop> {
        loop {
            let Seat { name, fence, .. } = &self.seat;
            match cursor::open(&self.pool, name, self.service, *fence).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// Takes cursor and parked streams from the database, as another replica may have left them.
    pub(super) async fn reload(&mut self) -> Result<(), Stop> {
        loop {
            match self.stored().await {
                Ok((Some(place), parked)) => {
                    self.place = place;
                    self.parked = parked;
                    break;
                }
                // What was built beside the live view is no longer wanted.
                Ok((None, _)) if self.seat.is_beside() => return Err(Stop::Cancelled),
                // Somebody wants the log to be gone through again.
                Ok((None, _)) => self.open().await?,
                Err(error) => self.pause(&error).await?,
            }
        }
        self.publish();
        if self.seat.fence.is_some_and(|mine| mine != self.place.fence) {
            tracing::warn!(
                view = self.seat.name,
                source = self.service,
                fence = self.place.fence,
                "another leader has taken over"
            );
            return Err(Stop::Cancelled);
        }
        if self.place.stale {
            return Err(self.stale());
        }
        Ok(())
    }

    async fn stored(&mut self) -> Result<(Option<Place>, HashSet<String>), sqlx::Error> {
        let name = &self.seat.name;
        let place = cursor::place(&self.pool, name, self.service).await?;
        let parked = parked::streams(&self.pool, name, self.service).await?;
        Ok((place, parked))
    }

    pub(super) fn stale(&self) -> Stop {
        Stop::Failed(RunError::Stale {
            view: self.seat.name.clone(),
            service: self.service,
        })
    }

    /// The next events behind the cursor, of the cursor's life of the log.
    pub(super) async fn batch(&mut self, limit: usize) -> Result<Batch, Stop> {
        loop {
            let after = &self.place.cursor;
            let room = usize::try_from(self.seat.until - after.position).unwrap_or_default();
            if room == 0 {
                self.cancel.cancelled().await;
                return Err(Stop::Cancelled);
            }
            let next = self.source.next(after, limit.min(room));
            let next = self.cancel.run_until_cancelled(next).await;
            match next.ok_or(Stop::Cancelled)? {
                Ok(batch) if !follows(&batch, after) => {
                    self.pause(&"the source left a hole").await?;
                }
                Ok(batch) => {
                    self.head = batch.head;
                    return Ok(batch);
                }
                Err(SourceError::OtherLife(lives)) => self.change_life(&lives).await?,
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// Where the cursor stands once `position` of `batch` is done.
    pub(super) fn after(batch: &Batch, position: i64) -> Cursor {
        let first = batch.events.first().map_or(0, |event| event.position);
        let last = usize::try_from(position - first).unwrap_or_default();
        Cursor {
            epoch: Some(batch.epoch),
            position,
            hash: batch.events.get(last).map(|event| event.hash.to_vec()),
        }
    }

    pub(super) fn moved(&mut self, to: Cursor) {
        self.place.cursor = to;
        self.backoff.reset();
        self.publish();
    }

    pub(super) fn publish(&self) {
        let position = self.place.cursor.position;
        self.progress.send_replace(Reached {
            position,
            head: self.head.max(position),
            parked: self.parked.len(),
        });
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits out something that will pass.
    pub(super) async fn pause(&mut self, reason: &impl Display) -> Result<(), Stop> {
        tracing::warn!(
            view = self.seat.name,
            source = self.service,
            position = self.place.cursor.position,
            "waiting: {reason}"
        );
        let waited = self.cancel.run_until_cancelled(self.backoff.wait()).await;
        waited.ok_or(Stop::Cancelled)
    }

    /// Tells of an event that is put aside: the alarm. Never its content.
    pub(super) fn report_parked(&self, event: &es::Recorded, reason: &str) {
        tracing::error!(
            view = self.seat.name,
            source = self.service,
            position = event.position,
            stream = %event.stream,
            event_type = event.event_type,
            "event parked: {reason}"
        );
    }
}

fn follows(batch: &Batch, after: &Cursor) -> bool {
    !batch.events.is_empty()
        && after.epoch.is_none_or(|epoch| epoch == batch.epoch)
        && (after.position + 1..)
            .zip(&batch.events)
            .all(|(position, event)| event.position == position)
}
