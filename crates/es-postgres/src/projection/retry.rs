//! Taking parked events up again, once what was wrong with them is mended.

use es::Recorded;
use sqlx::{Connection, PgPool};

use super::{
    ApplyError, Projection, Reaction, cursor,
    parked::{self, Parked, Parking},
    prepare::search_path_in_tx,
    react::react_to,
};

/// Applies the parked events of a view in order, each stream up to its first that still fails.
/// Gives how many are no longer parked. `name` is the view or a version of it; `read` gives the
/// event at a position, as the view's source would. The view's runner may be at work: it is held
/// until this ends.
pub async fn retry_parked<P, F, R>(
    pool: &PgPool,
    name: &str,
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
    cursor::lock_in_tx(&mut tx, name, source).await?;
    search_path_in_tx(&mut tx, name).await?;
    let mut failing = Vec::new();
    let mut applied = 0;
    while let Some(parked) = Parked::first(&mut *tx, name, source, &failing).await? {
        let event = read(parked.position).await?;
        let mut step = tx.begin().await?;
        let outcome = Box::pin(projection.apply(&mut step, source, std::slice::from_ref(&event)));
        match outcome.await {
            Ok(()) => {
                parked::remove_in_tx(&mut step, name, source, parked.position).await?;
                step.commit().await?;
                applied += 1;
            }
            Err(ApplyError::Poison(reason)) => {
                step.rollback().await?;
                let parking = Parking {
                    event: &event,
                    reason,
                };
                parked::insert_in_tx(&mut tx, name, source, &[parking]).await?;
                failing.push(parked.stream);
            }
            Err(transient) => return Err(transient),
        }
    }
    tx.commit().await?;
    Ok(applied)
}

/// The same for a reaction. It reacts at least once, so it works one event after another, without
/// holding the runner; what that one parks meanwhile is taken up too.
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
    let mut failing = Vec::new();
    let mut done = 0;
    while let Some(parked) = Parked::first(pool, T::NAME, source, &failing).await? {
        let event = read(parked.position).await?;
        reaction.look().await?;
        let outcome = react_to(reaction, source, &event).await;
        let mut tx = pool.begin().await?;
        cursor::lock_in_tx(&mut tx, T::NAME, source).await?;
        match outcome {
            Ok(()) => {
                parked::remove_in_tx(&mut tx, T::NAME, source, parked.position).await?;
                done += 1;
            }
            Err(ApplyError::Poison(reason)) => {
                let parking = Parking {
                    event: &event,
                    reason,
                };
                parked::insert_in_tx(&mut tx, T::NAME, source, &[parking]).await?;
                failing.push(parked.stream);
            }
            Err(transient) => return Err(transient),
        }
        tx.commit().await?;
    }
    Ok(done)
}
