//! The one place that starts background work: named, in a span, stopped together, and never dying
//! unnoticed.

use std::{fmt::Display, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span, warn};

/// Background work of one process.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    failure: watch::Sender<Option<String>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            failure: watch::Sender::new(None),
        }
    }
}

impl Tasks {
    /// Runs until it ends by itself or the process stops; at the stop it is dropped where it waits.
    /// A panic is logged and ends the health of the process.
    pub fn spawn(&self, name: impl Into<String>, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.spawn_to_end(name, async move {
            stopping.run_until_cancelled(work).await;
        });
    }

    /// As [`spawn`](Self::spawn), for work that ends by itself, with grace, when
    /// [`stopping`](Self::stopping) is cancelled.
    pub fn spawn_to_end(
        &self,
        name: impl Into<String>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let name = name.into();
        let span = info_span!("task", task.name = name);
        let tasks = self.clone();
        let supervised = async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tasks.fail(&name, "panicked");
            }
        };
        self.tracker.spawn(supervised.instrument(span));
    }

    /// A loop that should never end: begins it again, a little later each time, when it does.
    pub fn spawn_restarting<E, F>(
        &self,
        name: impl Into<String>,
        mut work: impl FnMut() -> F + Send + 'static,
    ) where
        E: Display + Send,
        F: Future<Output = Result<(), E>> + Send,
    {
        self.spawn(name, async move {
            let mut pause = Pause::default();
            loop {
                let begun = Instant::now();
                if let Err(error) = work().await {
                    warn!(%error, "background task failed and begins again");
                }
                tokio::time::sleep(pause.after(begun.elapsed())).await;
            }
        });
    }

    /// Says that this process can no longer do its work and should be replaced.
    pub fn fail(&self, name: &str, what: &str) {
        error!(task.name = name, "background task {name} {what}");
        self.failure
            .send_replace(Some(format!("background task {name} {what}")));
    }

    /// Why the process is no longer healthy; `None` while it is.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Is cancelled when the process begins to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Stops everything; false when something had not ended after `grace`.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
    }
}

/// How long to wait before the next try: doubles up to half a minute, forgotten after a good run.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    fn after(&mut self, ran: Duration) -> Duration {
        if ran > Self::LONGEST {
            self.0 = Self::FIRST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_health_of_the_process() {
        let tasks = Tasks::default();
        let mut failure = tasks.failure();
        tasks.spawn("good", async {});
        tasks.spawn("bad", async { panic!("on purpose") });
        let reason = failure.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(reason.as_deref(), Some("background task bad panicked"));
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_loop_begins_again_until_the_stop() {
        let tasks = Tasks::default();
        let (runs, mut seen) = watch::channel(0);
        tasks.spawn_restarting("loop", move || {
            runs.send_modify(|runs| *runs += 1);
            async { Err::<(), _>("no connection") }
        });
        seen.wait_for(|runs| *runs > 2).await.unwrap();
        assert!(tasks.failure().borrow().is_none());
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
    }

    #[test]
    fn pauses_grow_and_are_forgotten() {
        let mut pause = Pause::default();
        let short = Duration::from_millis(1);
        let grown: Vec<_> = (0..12).map(|_| pause.after(short).as_millis()).collect();
        assert_eq!(grown[..4], [100, 200, 400, 800]);
        assert_eq!(grown[11], 30_000);
        assert_eq!(pause.after(Duration::from_mins(1)), Pause::FIRST);
    }
}
