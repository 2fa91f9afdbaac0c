use std::{collections::HashSet, convert::Infallible, sync::Arc};

use es::Recorded;
use futures::future::join_all;
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

const BATCH: usize = 1_000;
/// How many events are reacted to at the same time, so that their commands share a commit; and how
/// many may be reacted to a second time after a crash.
const WAVE: usize = 64;

/// Lets a rule react to every event of a log until cancelled. The cursor is saved after each
/// wave of events that have nothing to do with each other. Only the leader with the number `fence` does it.
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
    while let Err(error) = reaction.look().await {
        runner.pause(&error).await?;
    }
    let mut rest = batch.events.as_slice();
    while !rest.is_empty() {
        let (wave, later) = rest.split_at(independent(reaction, rest));
        let Some(last) = wave.last() else { break };
        let mut parkings = Vec::new();
        let held = |event: &&Recorded| runner.parked.contains(&event.stream.to_string());
        let open = wave
            .iter()
            .filter(|event| reaction.concerns(event) || held(event));
        let mut open: Vec<_> = open.collect();
        loop {
            if runner.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let reacted = open
                .iter()
                .map(|event| react_or_hold(runner, reaction, event));
            let mut waits = None;
            let mut again = Vec::new();
            for (event, reacted) in open.iter().zip(join_all(reacted).await) {
                match reacted {
                    Ok(None) => {}
                    Ok(Some(parking)) => parkings.push(parking),
                    Err(ApplyError::Poison(reason)) => {
                        runner.report_parked(event, &reason);
                        runner.parked.insert(event.stream.to_string());
                        parkings.push(Parking { event, reason });
                    }
                    Err(ApplyError::Transient(reason)) => {
                        waits = Some(reason);
                        again.push(*event);
                    }
                }
            }
            let Some(reason) = waits else { break };
            runner.pause(&reason).await?;
            open = again;
        }
        if save(runner, batch, last.position, &parkings).await? == Moved::Overtaken {
            return runner.reload().await;
        }
        rest = later;
    }
    Ok(())
}

/// How many of these events, from the first on, have nothing to do with each other. What is not
/// reacted to waits behind its stream all the same: should that one be parked, a later version
/// of the reaction may want the rest of it.
fn independent<R: Reaction>(reaction: &R, events: &[Recorded]) -> usize {
    let mut touched = HashSet::new();
    let mut streams = HashSet::new();
    let mut reactions = 0;
    let together = events.iter().take_while(|event| {
        if !reaction.concerns(event) {
            return !streams.contains(&event.stream);
        }
        streams.insert(&event.stream);
        let keys: HashSet<_> = reaction.touches(event).into_iter().collect();
        let free = touched.is_disjoint(&keys);
        touched.extend(keys);
        reactions += 1;
        free && reactions <= WAVE
    });
    together.count()
}

/// The parking of an event whose stream is held back.
async fn react_or_hold<'e, R: Reaction, S: Source>(
    runner: &Runner<S>,
    reaction: &R,
    event: &'e Recorded,
) -> Result<Option<Parking<'e>>, ApplyError> {
    if runner.parked.contains(&event.stream.to_string()) {
        return Ok(Some(Parking::behind(event)));
    }
    kill_point!("reaction.before");
    react_to(reaction, runner.service, event).await?;
    kill_point!("reaction.after");
    Ok(None)
}

/// Remembers that everything up to `done` was reacted to.
async fn save<S: Source>(
    runner: &mut Runner<S>,
    batch: &Batch,
    done: i64,
    parkings: &[Parking<'_>],
) -> Result<Moved, Stop> {
    loop {
        match save_once(runner, batch, done, parkings).await {
            Ok(moved) => return Ok(moved),
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

/// One event, for whoever takes parked events up again: also one that waited behind its stream
/// and is not reacted to.
pub(super) async fn react_to<R: Reaction>(
    reaction: &R,
    service: &str,
    event: &Recorded,
) -> Result<(), ApplyError> {
    if !reaction.concerns(event) {
        return Ok(());
    }
    let span = spans::consume(R::NAME, service, event);
    Box::pin(reaction.react(service, event).instrument(span)).await
}
