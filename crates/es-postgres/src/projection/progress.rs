use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use sqlx::PgPool;
use tokio::sync::watch;

use super::cursor::cursor;

/// How often a waiting reader looks at the stored cursor, in case another replica moves it.
const LOOK: Duration = Duration::from_millis(100);

/// How far a view has got in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    pub position: i64,
    /// The newest position known of the log; `head - position` is the lag.
    pub head: i64,
    /// Streams held back because an event of theirs could not be applied.
    pub parked: usize,
}

impl Reached {
    pub fn lag(self) -> i64 {
        (self.head - self.position).max(0)
    }
}

/// How far every view of a service has got in every log it reads.
///
/// For read-your-writes keep only projections in it, and reactions in another one: nobody who reads
/// wants to wait for a reaction.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    channels: Arc<Mutex<BTreeMap<Key, watch::Sender<Reached>>>>,
}

/// View and source.
type Key = (&'static str, &'static str);

impl Progress {
    /// What the runner of `view` for `source` publishes to; the same channel for the same names.
    pub fn sender(&self, view: &'static str, source: &'static str) -> watch::Sender<Reached> {
        self.locked().entry((view, source)).or_default().clone()
    }

    pub fn reached(&self, view: &'static str, source: &'static str) -> Option<Reached> {
        self.locked()
            .get(&(view, source))
            .map(|channel| *channel.borrow())
    }

    /// View, source and how far: for metrics and health.
    pub fn all(&self) -> Vec<(&'static str, &'static str, Reached)> {
        self.locked()
            .iter()
            .map(|(&(view, source), channel)| (view, source, *channel.borrow()))
            .collect()
    }

    /// Waits until every view that reads `source` has applied `position`; the caller sets the limit.
    pub async fn wait(&self, pool: &PgPool, source: &str, position: i64) {
        let waits: Vec<_> = self
            .locked()
            .iter()
            .filter(|((_, service), channel)| {
                *service == source && channel.borrow().position < position
            })
            .map(|(&(view, service), channel)| {
                wait_for(pool, view, service, channel.subscribe(), position)
            })
            .collect();
        join_all(waits).await;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, watch::Sender<Reached>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait_for(
    pool: &PgPool,
    view: &'static str,
    source: &'static str,
    mut reached: watch::Receiver<Reached>,
    position: i64,
) {
    loop {
        // Only whether it moved: what `wait_for` lends may not be held over an await.
        let moved = async {
            let moved = reached.wait_for(|reached| reached.position >= position);
            moved.await.map(drop)
        };
        match tokio::time::timeout(LOOK, moved).await {
            Ok(Ok(())) => return,
            Ok(Err(_closed)) => tokio::time::sleep(LOOK).await,
            Err(_elapsed) => {}
        }
        let stored = cursor(pool, view, source).await;
        if stored.is_ok_and(|stored| stored.position >= position) {
            return;
        }
    }
}
