use std::{convert::Infallible, sync::Arc};

use es::Recorded;
use kill_point::kill_point;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    ApplyError, Batch, Reached, Reaction, RunError, Source, cursor,
    parked::{self, Parking},
    runner::{Loses, Moved, Runner, Seat, Stop},
    spans,
};

/// How much may be done a second time after a crash.
const BATCH: usize = 200;

/// Lets a rule react to every event of a log until cancelled. The cursor is saved after each batch
/// and whenever the work is interrupted. Only the leader with the number `fence` does it.
pub async fn run_reaction<R: Reaction, S: Source>(
    pool: PgPool,
    fence: i64,
    reaction: Arc<R>,
    source: S,
    progress: watch::Sender<Reached>,
    cancel: CancellationToken,
) -> Result<(), RunError> {
    let seat = Seat {
        name: R::NAME.to_owned(),
        fence: Some(fence),
        until: i64::MAX,
        loses: Loses::Effects,
    };
    let ended = async {
        let mut runner = Runner::start(pool, seat, source, progress, cancel).await?;
        loop {
            let batch = runner.batch(BATCH).await?;
            react_to_batch(&mut runner, reaction.as_ref(), &batch).await?;
        }
    };
    let Err::<Infallible, Stop>(stop) = ended.await;
    stop.into_result()
}

async fn react_to_batch<R: Reaction, S: Source>(
    runner: &mut Runner<S>,
    reaction: &R,
    batch: &Batch,
) -> Result<(), Stop> {
    let mut parkings = Vec::new();
    let mut done = runner.place.cursor.position;
    for event in &batch.events {
        if runner.parked.contains(&event.stream.to_string()) {
            parkings.push(Parking::behind(event));
            done = event.position;
            continue;
        }
        loop {
            if runner.is_cancelled() {
                save(runner, batch, done, &mut parkings).await?;
                return Err(Stop::Cancelled);
            }
            kill_point!("reaction.before");
            let span = spans::consume(&runner.seat.name, runner.service, event);
            let reacted = reaction.react(runner.service, event).instrument(span);
            match Box::pin(reacted).await {
                Ok(()) => break,
                Err(ApplyError::Poison(reason)) => {
                    runner.report_parked(event, &reason);
                    runner.parked.insert(event.stream.to_string());
                    parkings.push(Parking { event, reason });
                    break;
                }
                Err(ApplyError::Transient(reason)) => {
                    if save(runner, batch, done, &mut parkings).await? == Moved::Overtaken {
                        return runner.reload().await;
                    }
                    runner.pause(&reason).await?;
                }
            }
        }
        kill_point!("reaction.after");
        done = event.position;
    }
    if save(runner, batch, done, &mut parkings).await? == Moved::Overtaken {
        return runner.reload().await;
    }
    Ok(())
}

/// Remembers that everything up to `done` was reacted to.
async fn save<S: Source>(
    runner: &mut Runner<S>,
    batch: &Batch,
    done: i64,
    parkings: &mut Vec<Parking<'_>>,
) -> Result<Moved, Stop> {
    if done == runner.place.cursor.position {
        return Ok(Moved::Here);
    }
    loop {
        match save_once(runner, batch, done, parkings).await {
            Ok(moved) => {
                parkings.clear();
                return Ok(moved);
            }
            Err(error) => runner.pause(&error).await?,
        }
    }
}

async fn save_once<S: Source>(
    runner: &mut Runner<S>,
    batch: &Batch,
    done: i64,
    parkings: &[Parking<'_>],
) -> Result<Moved, sqlx::Error> {
    let to = Runner::<S>::after(batch, done);
    let (view, service) = (&runner.seat.name, runner.service);
    let mut tx = runner.pool.begin().await?;
    if !cursor::advance_in_tx(&mut tx, view, service, &runner.place, &to).await? {
        return Ok(Moved::Overtaken);
    }
    parked::insert_in_tx(&mut tx, view, service, parkings).await?;
    kill_point!("reaction.before_saved");
    tx.commit().await?;
    kill_point!("reaction.after_saved");
    runner.moved(to);
    Ok(Moved::Here)
}

/// One event, for whoever takes parked events up again.
pub(super) async fn react_to<R: Reaction>(
    reaction: &R,
    service: &str,
    event: &Recorded,
) -> Result<(), ApplyError> {
    let span = spans::consume(R::NAME, service, event);
    Box::pin(reaction.react(service, event).instrument(span)).await
}
