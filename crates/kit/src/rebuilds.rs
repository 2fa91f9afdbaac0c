//! Carries out what an operator wants of the versions of a view, in whichever replica leads, and
//! has views built anew whose log was restored from a backup.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use es_postgres::projection::{
    BuildError, Builder, OwnLog, Projection, Rebuild, Share, State, Version, standings,
};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Service, events::Events, leader::Term};

const LOOK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(2);

/// What is wanted of each view, as last looked up.
#[derive(Clone)]
pub(crate) struct Wanted(watch::Sender<BTreeMap<String, Rebuild>>);

impl Default for Wanted {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

impl Wanted {
    /// Looks for what is wanted until the term is over.
    pub(crate) async fn watch(self, service: Service, term: Term) {
        let look = async {
            loop {
                if let Err(error) = self.look(&service).await {
                    tracing::debug!(service = service.name(), "rebuilds not looked up: {error}");
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        term.over.run_until_cancelled(look).await;
    }

    async fn look(&self, service: &Service) -> Result<(), sqlx::Error> {
        let pool = service.pool();
        for standing in standings(pool).await? {
            let live = service
                .followers
                .all()
                .iter()
                .any(|follower| follower.name() == standing.name);
            if standing.stale && live {
                let reason = format!("the log of {} was restored", standing.source);
                Rebuild::ask(pool, &standing.name, State::Building, 1, &reason).await?;
            }
        }
        let wanted: BTreeMap<_, _> = Rebuild::all(pool)
            .await?
            .into_iter()
            .map(|rebuild| (rebuild.name.clone(), rebuild))
            .collect();
        self.0.send_if_modified(|known| {
            let changed = *known != wanted;
            if changed {
                *known = wanted;
            }
            changed
        });
        Ok(())
    }

    /// Tends the versions of one view until the term is over.
    pub(crate) async fn tend<P: Projection>(self, service: Service, view: Arc<P>, term: Term) {
        let mut news = self.0.subscribe();
        while !term.over.is_cancelled() {
            news.mark_unchanged();
            let Ok(wanted) = Rebuild::of(service.pool(), P::NAME).await else {
                wait(&term.over, AGAIN).await;
                continue;
            };
            let state = wanted.as_ref().map(|wanted| wanted.state);
            let stop = term.over.child_token();
            let changed = async {
                let other = news.wait_for(|news| news.get(P::NAME).map(|now| now.state) != state);
                stop.run_until_cancelled(other).await;
                stop.cancel();
            };
            let done = async {
                if let Some(wanted) = wanted {
                    let done = carry_out(&service, &view, &wanted, term.fence, &stop).await;
                    if let Err(error) = done {
                        tracing::warn!(
                            service = service.name(),
                            view = P::NAME,
                            state = wanted.state.as_str(),
                            "interrupted: {error}"
                        );
                        wait(&stop, AGAIN).await;
                    }
                    if wanted.state != State::Checked {
                        stop.cancel(); // look at once what is next
                    }
                }
                stop.cancelled().await;
            };
            tokio::join!(changed, done);
        }
    }
}

async fn wait(stop: &CancellationToken, pause: Duration) {
    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
}

async fn carry_out<P: Projection>(
    service: &Service,
    view: &Arc<P>,
    wanted: &Rebuild,
    fence: i64,
    stop: &CancellationToken,
) -> Result<(), BuildError> {
    let pool = service.pool();
    let (source, head) = (sources::<P>(service), heads(service));
    let builder = Builder {
        pool: pool.clone(),
        projection: Arc::clone(view),
        fence,
        source,
        head,
    };
    let workers = wanted.workers.unsigned_abs();
    let version = match wanted.state {
        State::Returning | State::Kept | State::Checked => Version::Former,
        _ => Version::Next,
    };
    let done = match wanted.state {
        State::Building | State::Returning => Box::pin(builder.replace(version, workers, stop))
            .await
            .map(|replaced| {
                if replaced {
                    tracing::info!(
                        service = service.name(),
                        view = P::NAME,
                        reason = wanted.reason,
                        "another version serves now"
                    );
                }
            }),
        State::Checking => match Box::pin(builder.check(workers, stop)).await {
            Ok(Some(differences)) => {
                version.discard(pool, P::NAME).await?;
                Rebuild::conclude(pool, P::NAME, &differences.join("\n")).await?;
                Ok(())
            }
            other => other.map(drop),
        },
        State::Kept => Box::pin(builder.follow(version, stop)).await,
        State::Checked => {
            if version.exists(pool, P::NAME).await? {
                Box::pin(builder.follow(version, stop)).await
            } else {
                Ok(())
            }
        }
        State::Discarding => {
            let version = if Version::Next.exists(pool, P::NAME).await? {
                Version::Next
            } else {
                Version::Former
            };
            version.discard(pool, P::NAME).await?;
            Rebuild::settle(pool, P::NAME).await?;
            Ok(())
        }
    };
    let Err(BuildError::Stale) = done else {
        return done;
    };
    // From the beginning, then; a former version is of no more use.
    version.discard(pool, P::NAME).await?;
    if version == Version::Former {
        Rebuild::settle(pool, P::NAME).await?;
    }
    Ok(())
}

/// Versions do without the bus: they have much to read and nobody waits for them.
fn sources<P: Projection>(
    service: &Service,
) -> impl Fn(&'static str, Option<Share>) -> Events + Send + Sync {
    let service = service.clone();
    move |source, share| {
        if source == service.name() {
            Events::Own(OwnLog::of::<P>(service.log.clone(), share))
        } else {
            Events::Owner(bus::Pages::new(source, service.node.peers.fetch(source)))
        }
    }
}

fn heads(
    service: &Service,
) -> impl Fn(&'static str) -> BoxFuture<'static, Result<i64, BuildError>> + Send + Sync {
    let service = service.clone();
    move |source| {
        let service = service.clone();
        async move {
            service
                .head(source)
                .await
                .map_err(|error| BuildError::Unavailable(error.to_string()))
        }
        .boxed()
    }
}
