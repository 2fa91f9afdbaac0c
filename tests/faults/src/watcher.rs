//! A frontend that is shown reminders, and remembers all that it was shown.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::notifications::{ReminderState, WatchRemindersRequest};
use tests::client::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{ledger::Ledger, meanwhile};

const PAUSE: Duration = Duration::from_millis(50);

/// A reminder as a frontend got it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub user: String,
    /// Counts the connections of this user.
    pub connection: u32,
    pub connected_ms: u64,
    pub reminder: Uuid,
    pub delivered: bool,
}

/// Everything that all frontends were shown, in order.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    shown: Vec<Shown>,
    acknowledging: HashSet<Uuid>,
}

impl Seen {
    pub fn all(&self) -> Vec<Shown> {
        self.locked().shown.clone()
    }

    /// The oldest that this user has seen and never acknowledged.
    pub fn one_to_acknowledge(&self, user: &str) -> Option<String> {
        let mut log = self.locked();
        let id = log
            .shown
            .iter()
            .filter(|shown| shown.user == user)
            .map(|shown| shown.reminder)
            .find(|id| !log.acknowledging.contains(id))?;
        log.acknowledging.insert(id);
        Some(id.to_string())
    }

    fn push(&self, shown: Shown) {
        self.locked().shown.push(shown);
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches until stopped, and connects again whenever the stream ends.
pub async fn watch(
    client: Client,
    user: String,
    seen: Seen,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let watching = async {
        for connection in 0.. {
            let connected_ms = ledger.now_ms();
            let request = WatchRemindersRequest {};
            if let Ok(stream) = client.reminders().watch_reminders(request).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(part)) = stream.message().await {
                    let Some(reminder) = part.reminder else {
                        continue;
                    };
                    seen.push(Shown {
                        user: user.clone(),
                        connection,
                        connected_ms,
                        delivered: reminder.state() == ReminderState::Delivered,
                        reminder: reminder.id.parse().unwrap_or_default(),
                    });
                }
            }
            meanwhile(PAUSE).await;
        }
    };
    stop.run_until_cancelled(watching).await;
}
