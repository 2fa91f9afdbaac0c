//! Taking parked events up again, once what was wrong with them is mended.

use std::collections::HashSet;

use es::Recorded;
use sqlx::{Connection, PgPool};

use super::{
    ApplyError, Projection, Reaction, cursor,
    parked::{self, Parking},
    prepare::search_path_in_tx,
    react::react_to,
};

/// Applies the parked events of a view in order, each stream up to its first that still fails.
/// Gives how many are no longer parked. `read` gives the event at a position, as the view's source
/// would. The view's runner may be at work: it is held until this ends.
pub async fn retry_parked<P, F, R>(
    pool: &PgPool,
    projection: &P,
    source: &str,
    read: R,
) -> Result<usize, ApplyError>
where
    P: Projection,
    R: Fn(i64) -> F + Send + Sync,
    F: Future<Output = Result<Recorded, ApplyError>> + Send,
{
    let mut tx = pool.begin().await?;
    cursor::lock_in_tx(&mut tx, P::NAME, source).await?;
    search_path_in_tx(&mut tx, P::NAME).await?;
    let mut failing = HashSet::new();
    let mut applied = 0;
    for (position, stream) in parked::list(&mut *tx, P::NAME, source).await? {
        if failing.contains(&stream) {
            continue;
        }
        let event = read(position).await?;
        let mut step = tx.begin().await?;
        let outcome = Box::pin(projection.apply(&mut step, source, std::slice::from_ref(&event)));
        match outcome.await {
            Ok(()) => {
                parked::remove(&mut *step, P::NAME, source, position).await?;
                step.commit().await?;
                applied += 1;
            }
            Err(ApplyError::Poison(reason)) => {
                step.rollback().await?;
                let parking = Parking {
                    event: &event,
                    reason,
                };
                parked::insert_in_tx(&mut tx, P::NAME, source, &[parking]).await?;
                failing.insert(stream);
            }
            Err(transient) => return Err(transient),
        }
    }
    tx.commit().await?;
    Ok(applied)
}

/// The same for a reaction. It reacts at least once, so it works one event after another, without
/// holding the runner; an event parked meanwhile waits for the next call.
pub async fn retry_parked_reaction<T, F, R>(
    pool: &PgPool,
    reaction: &T,
    source: &str,
    read: R,
) -> Result<usize, ApplyError>
where
    T: Reaction,
    R: Fn(i64) -> F + Send + Sync,
    F: Future<Output = Result<Recorded, ApplyError>> + Send,
{
    let mut failing = HashSet::new();
    let mut done = 0;
    for (position, stream) in parked::list(pool, T::NAME, source).await? {
        if failing.contains(&stream) {
            continue;
        }
        let event = read(position).await?;
        match react_to(reaction, source, &event).await {
            Ok(()) => {
                parked::remove(pool, T::NAME, source, position).await?;
                done += 1;
            }
            Err(ApplyError::Poison(_)) => {
                failing.insert(stream);
            }
            Err(transient) => return Err(transient),
        }
    }
    Ok(done)
}
