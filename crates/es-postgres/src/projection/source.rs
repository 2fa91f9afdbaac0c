use std::time::Duration;

use es::{Recorded, StreamId};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Cursor, Projection};
use crate::{Life, Log, LogError};

/// Back-up of the wake-up call, for appends of other replicas.
const POLL: Duration = Duration::from_secs(2);

/// Where events come from: the own log, or another service's through the bus.
pub trait Source: Send + 'static {
    fn service(&self) -> &'static str;

    /// The events after the cursor, without holes, at most `limit`; waits until there is one.
    fn next(
        &mut self,
        after: &Cursor,
        limit: usize,
    ) -> impl Future<Output = Result<Batch, SourceError>> + Send;
}

/// Events of one life of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Changes when the log is restored from a backup and positions are given out a second time.
    pub epoch: Uuid,
    pub events: Vec<Recorded>,
    /// The newest position the source knows of, for lag.
    pub head: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The log is in another life than the cursor: these, the oldest first.
    #[error("the log was restored from a backup")]
    OtherLife(Vec<Life>),
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// One of several equal parts of the streams of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub nth: u32,
    pub of: u32,
}

impl Share {
    /// Ids are random or made by a hash: their last bits are as good as any.
    pub fn has(self, stream: &StreamId) -> bool {
        stream.id.as_u128() % u128::from(self.of) == u128::from(self.nth)
    }
}

/// The service's own log.
pub struct OwnLog {
    log: Log,
    head: watch::Receiver<i64>,
    opened: Opened,
}

/// Whose personal fields are opened; those of others arrive as if they were erased.
#[derive(Clone, Copy)]
enum Opened {
    Nobodys,
    Everybodys,
    /// The others are somebody else's work.
    Of(Share),
}

impl OwnLog {
    /// As `P` needs it, or a worker that writes a share of it.
    pub fn of<P: Projection>(log: Log, share: Option<Share>) -> Self {
        let opened = match share {
            _ if !P::PERSONAL => Opened::Nobodys,
            Some(share) => Opened::Of(share),
            None => Opened::Everybodys,
        };
        Self::new(log, opened)
    }

    /// With personal fields sealed.
    pub fn sealed(log: Log) -> Self {
        Self::new(log, Opened::Nobodys)
    }

    fn new(log: Log, opened: Opened) -> Self {
        let head = log.head();
        Self { log, head, opened }
    }

    async fn open(&self, events: &mut [Recorded]) -> Result<(), LogError> {
        let share = match self.opened {
            Opened::Nobodys => return Ok(()),
            Opened::Everybodys => return self.log.open_personal(events).await,
            Opened::Of(share) => share,
        };
        // Together: the keys of all of them are one query.
        let (places, mut mine): (Vec<usize>, Vec<Recorded>) = events
            .iter()
            .enumerate()
            .filter(|(_, event)| share.has(&event.stream))
            .map(|(place, event)| (place, event.clone()))
            .unzip();
        self.log.open_personal(&mut mine).await?;
        for (place, event) in places.into_iter().zip(mine) {
            events[place] = event;
        }
        Ok(())
    }
}

impl Source for OwnLog {
    fn service(&self) -> &'static str {
        self.log.service()
    }

    async fn next(&mut self, after: &Cursor, limit: usize) -> Result<Batch, SourceError> {
        loop {
            // Seen before the read: an append in between wakes us once too often, never too rarely.
            self.head.borrow_and_update();
            let page = self.log.page(after.position, limit as i64).await?;
            if after.epoch.is_some_and(|epoch| epoch != page.epoch) {
                return Err(SourceError::OtherLife(self.log.lives().await?));
            }
            let mut events = page.events;
            if !events.is_empty() {
                self.open(&mut events).await?;
                return Ok(Batch {
                    epoch: page.epoch,
                    events,
                    head: page.head,
                });
            }
            if let Ok(Err(_closed)) = tokio::time::timeout(POLL, self.head.changed()).await {
                // The log's writer has ended; what other replicas append still comes.
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
