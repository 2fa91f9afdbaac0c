use std::time::Duration;

use es::Recorded;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Log, LogError};

/// Back-up of the wake-up call, for appends of other replicas.
const POLL: Duration = Duration::from_secs(2);

/// Where events come from: the own log, or another service's through the bus.
pub trait Source: Send + 'static {
    fn service(&self) -> &'static str;

    /// The events after `after`, without holes, at most `limit`; waits until there is one.
    fn next(
        &mut self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Batch, SourceError>> + Send;

    /// The effect of everything up to `position` is committed.
    fn done(&mut self, position: i64) -> impl Future<Output = ()> + Send;
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
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The service's own log, with personal fields opened.
pub struct OwnLog {
    log: Log,
    head: watch::Receiver<i64>,
}

impl OwnLog {
    pub fn new(log: Log) -> Self {
        let head = log.head();
        Self { log, head }
    }
}

impl Source for OwnLog {
    fn service(&self) -> &'static str {
        self.log.service()
    }

    async fn next(&mut self, after: i64, limit: usize) -> Result<Batch, SourceError> {
        loop {
            // Seen before the read: an append in between wakes us once too often, never too rarely.
            let head = *self.head.borrow_and_update();
            let mut events = self.log.read(after, limit as i64).await?;
            if let Some(last) = events.last() {
                let head = head.max(last.position);
                self.log.open_personal(&mut events).await?;
                return Ok(Batch {
                    epoch: self.log.epoch(),
                    events,
                    head,
                });
            }
            if let Ok(Err(_closed)) = tokio::time::timeout(POLL, self.head.changed()).await {
                // The log's writer has ended; what other replicas append still comes.
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn done(&mut self, _position: i64) {}
}
