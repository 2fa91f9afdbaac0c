//! What only one replica of a service does at a time.

use std::time::Duration;

use es_postgres::Lease;
use sqlx::PgPool;
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::tasks::Tasks;

/// How long duties may take to end before another replica may begin with them.
const GRACE: Duration = Duration::from_secs(5);

/// One time of leading.
#[derive(Debug, Clone)]
pub struct Term {
    /// Higher than in any term before, in any replica. What a leader writes carries it.
    pub fence: i64,
    /// Is cancelled when the term is over.
    pub over: CancellationToken,
    duties: TaskTracker,
}

/// Whether this replica leads its service.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    tasks: Tasks,
    terms: watch::Sender<Option<Term>>,
}

impl Leadership {
    /// Stands for election from now on.
    pub(crate) fn start(tasks: &Tasks, pool: PgPool, service: &'static str) -> Self {
        let terms = watch::Sender::new(None);
        let leadership = Self {
            tasks: tasks.clone(),
            terms: terms.clone(),
        };
        let stopping = tasks.stopping();
        tasks.spawn_to_end(format!("{service} leadership"), async move {
            loop {
                let elected = stopping.run_until_cancelled(Lease::acquire(&pool)).await;
                let Some(lease) = elected else { return };
                let term = Term {
                    fence: lease.fence(),
                    over: stopping.child_token(),
                    duties: TaskTracker::new(),
                };
                tracing::info!(service, fence = term.fence, "leading");
                terms.send_replace(Some(term.clone()));
                // Held until the duties have ended, unless it is lost.
                let mut kept = std::pin::pin!(lease.keep());
                tokio::select! {
                    () = &mut kept => {}
                    () = stopping.cancelled() => {}
                }
                terms.send_replace(None);
                term.over.cancel();
                term.duties.close();
                if timeout(GRACE, term.duties.wait()).await.is_err() {
                    tracing::warn!(service, "duties of a leader have not ended in time");
                }
            }
        });
        leadership
    }

    /// Does something in every term of this replica. It must end when the term is over.
    pub(crate) fn duty<F>(&self, name: String, work: impl Fn(Term) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut terms = self.terms.subscribe();
        let stopping = self.tasks.stopping();
        self.tasks.spawn_to_end(name, async move {
            let mut last = 0;
            loop {
                let next = terms.wait_for(|term| term.as_ref().is_some_and(|t| t.fence > last));
                let term = match stopping.run_until_cancelled(next).await {
                    Some(Ok(term)) => term.clone(),
                    _ => return,
                };
                if let Some(term) = term {
                    last = term.fence;
                    let _running = term.duties.token();
                    work(term.clone()).await;
                }
            }
        });
    }
}
