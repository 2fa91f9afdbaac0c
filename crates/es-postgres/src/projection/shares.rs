//! Several workers build a view, each with a part of its streams, up to a place that was set when
//! they began. From there one goes on.

use std::{future::Future, sync::Arc};

use es::Recorded;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    ApplyError, Projection, Reached, RunError, Share, Source,
    build::{BuildError, Builder},
    rebuild::Targets,
    run::run_in,
    runner::{Loses, Seat},
};

/// Applies a share of the events and leaves the others to others.
struct Part<P> {
    whole: Arc<P>,
    share: Share,
}

impl<P: Projection> Projection for Part<P> {
    const NAME: &'static str = P::NAME;
    const SOURCES: &'static [&'static str] = P::SOURCES;
    const SCHEMA: &'static str = P::SCHEMA;

    async fn apply(
        &self,
        tx: &mut PgConnection,
        source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mine: Vec<_> = events
            .iter()
            .filter(|event| self.share.has(&event.stream))
            .cloned()
            .collect();
        if mine.is_empty() {
            return Ok(());
        }
        Box::pin(self.whole.apply(tx, source, &mine)).await
    }
}

/// Returns when every worker has its part of the logs up to `targets`, or none of them works any
/// more.
pub(super) async fn run<P, S, F, H, A>(
    builder: &Builder<P, F, H>,
    name: &str,
    workers: u32,
    targets: &Targets,
    cancel: &CancellationToken,
) -> Result<(), BuildError>
where
    P: Projection,
    S: Source,
    F: Fn(&'static str, Option<Share>) -> S,
    H: Fn(&'static str) -> A,
    A: Future<Output = Result<i64, BuildError>>,
{
    if is_merged(&builder.pool, name).await? {
        return Ok(());
    }
    let stop = cancel.child_token();
    let mut running: JoinSet<Result<(), RunError>> = JoinSet::new();
    let mut reached = Vec::new();
    for source in P::SOURCES {
        let target = targets.get(*source).copied().unwrap_or_default();
        for nth in 0..workers {
            let share = Share { nth, of: workers };
            let progress = tokio::sync::watch::Sender::new(Reached::default());
            reached.push((progress.subscribe(), target));
            let seat = Seat {
                name: format!("{name}#{nth}"),
                fence: Some(builder.fence),
                until: target,
                loses: Loses::View,
            };
            let part = Arc::new(Part {
                whole: Arc::clone(&builder.projection),
                share,
            });
            let events = (builder.source)(source, Some(share));
            let (pool, stop, schema) = (builder.pool.clone(), stop.clone(), name.to_owned());
            running.spawn(async move {
                let run = run_in(&schema, seat, pool, part, events, progress, stop);
                Box::pin(run).await
            });
        }
    }
    let arrived = async {
        for (mut reached, target) in reached {
            // The end of a worker shows below.
            let _ = reached.wait_for(|reached| reached.position >= target).await;
        }
        stop.cancel();
    };
    let ended = async {
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(RunError::Stale { .. })) => {
                    stop.cancel();
                    return Err(BuildError::Stale);
                }
                Err(error) => {
                    stop.cancel();
                    return Err(BuildError::Worker(error.to_string()));
                }
            }
        }
        Ok(())
    };
    let ((), ended) = tokio::join!(arrived, ended);
    ended?;
    if cancel.is_cancelled() {
        return Ok(());
    }
    merge(&builder.pool, name, builder.fence).await?;
    Ok(())
}

async fn is_merged(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from views.cursors where name = $1)
            and not exists (select from views.cursors where starts_with(name, $1 || '#'))",
    )
    .bind(name)
    .fetch_one(pool)
    .await
}

/// All stand at the same places: from here on there is one cursor a log.
async fn merge(pool: &PgPool, name: &str, fence: i64) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "insert into views.cursors (name, source, epoch, position, hash, fence)
         select distinct on (source) $1, source, epoch, position, hash, $2
         from views.cursors where starts_with(name, $1 || '#') order by source, position
         on conflict (name, source) do update
         set epoch = excluded.epoch, position = excluded.position, hash = excluded.hash",
    )
    .bind(name)
    .bind(fence)
    .execute(&mut *tx)
    .await?;
    for statement in [
        "update views.parked set name = $1 where starts_with(name, $1 || '#')",
        "delete from views.cursors where starts_with(name, $1 || '#')",
    ] {
        sqlx::query(statement).bind(name).execute(&mut *tx).await?;
    }
    tx.commit().await
}
