use std::{convert::Infallible, sync::Arc};

use es::Recorded;
use kill_point::kill_point;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    ApplyError, Batch, Projection, Reached, RunError, Source, cursor,
    parked::{self, Parking},
    prepare::search_path_in_tx,
    runner::{Loses, Moved, Runner, Seat, Stop},
    spans,
};

const BATCH: usize = 1_000;
/// A span per event of a long batch would cost more than the events.
const SPANS: usize = 16;

/// Keeps a view up to date with one log until cancelled. Ends by itself only when the view must be
/// built anew. The view must have been [prepared](super::prepare).
pub async fn run_projection<P: Projection, S: Source>(
    pool: PgPool,
    projection: Arc<P>,
    source: S,
    progress: watch::Sender<Reached>,
    cancel: CancellationToken,
) -> Result<(), RunError> {
    let seat = Seat {
        name: P::NAME.to_owned(),
        fence: None,
        until: i64::MAX,
        loses: Loses::View,
    };
    let run = run_in(P::NAME, seat, pool, projection, source, progress, cancel);
    Box::pin(run).await
}

/// The same in another schema, with another cursor.
pub(super) async fn run_in<P: Projection, S: Source>(
    schema: &str,
    seat: Seat,
    pool: PgPool,
    projection: Arc<P>,
    source: S,
    progress: watch::Sender<Reached>,
    cancel: CancellationToken,
) -> Result<(), RunError> {
    let ended = async {
        let mut runner = Runner::start(pool, seat, source, progress, cancel).await?;
        loop {
            let batch = runner.batch(BATCH).await?;
            apply_batch(&mut runner, projection.as_ref(), schema, &batch).await?;
        }
    };
    let Err::<Infallible, Stop>(stop) = ended.await;
    stop.into_result()
}

/// The whole batch at once; if an event in it is bad, one by one up to the end of the batch.
async fn apply_batch<P: Projection, S: Source>(
    runner: &mut Runner<S>,
    projection: &P,
    schema: &str,
    batch: &Batch,
) -> Result<(), Stop> {
    let mut rest = batch.events.as_slice();
    let mut size = rest.len();
    while !rest.is_empty() {
        let (part, later) = rest.split_at(size.min(rest.len()));
        let moved = match (
            transact(runner, projection, schema, batch, part).await,
            part,
        ) {
            (Ok(moved), _) => moved,
            (Err(ApplyError::Transient(reason)), _) => {
                runner.pause(&reason).await?;
                continue;
            }
            (Err(ApplyError::Poison(reason)), [event]) => {
                park(runner, batch, event, &reason).await?
            }
            (Err(ApplyError::Poison(_)), _) => {
                size = 1;
                continue;
            }
        };
        if moved == Moved::Overtaken {
            return runner.reload().await;
        }
        rest = later;
    }
    Ok(())
}

/// Cursor and effect in one transaction.
async fn transact<P: Projection, S: Source>(
    runner: &mut Runner<S>,
    projection: &P,
    schema: &str,
    batch: &Batch,
    events: &[Recorded],
) -> Result<Moved, ApplyError> {
    let Some(last) = events.last() else {
        return Ok(Moved::Here);
    };
    let to = Runner::<S>::after(batch, last.position);
    let (name, service) = (runner.seat.name.as_str(), runner.service);

    let mut tx = runner.pool.begin().await?;
    if !cursor::advance_in_tx(&mut tx, name, service, &runner.place, &to).await? {
        return Ok(Moved::Overtaken);
    }
    search_path_in_tx(&mut tx, schema).await?;
    if runner.parked.is_empty() {
        apply(projection, &mut tx, name, service, events).await?;
    } else {
        let (held, free): (Vec<_>, Vec<_>) = events
            .iter()
            .cloned()
            .partition(|event| runner.parked.contains(&event.stream.to_string()));
        if !free.is_empty() {
            apply(projection, &mut tx, name, service, &free).await?;
        }
        let held: Vec<_> = held.iter().map(Parking::behind).collect();
        parked::insert_in_tx(&mut tx, name, service, &held).await?;
    }
    kill_point!("projection.before_commit");
    tx.commit().await?;
    kill_point!("projection.after_commit");
    runner.moved(to);
    Ok(Moved::Here)
}

async fn apply<P: Projection>(
    projection: &P,
    tx: &mut sqlx::PgConnection,
    view: &str,
    service: &str,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    let spans: Vec<Span> = events
        .iter()
        .take(SPANS)
        .map(|event| spans::consume(view, service, event))
        .collect();
    let first = spans.first().cloned().unwrap_or_else(Span::none);
    let applied = projection.apply(tx, service, events).instrument(first);
    Box::pin(applied).await
}

/// Puts one event aside and moves on.
async fn park<S: Source>(
    runner: &mut Runner<S>,
    batch: &Batch,
    event: &Recorded,
    reason: &str,
) -> Result<Moved, Stop> {
    runner.report_parked(event, reason);
    loop {
        match park_once(runner, batch, event, reason).await {
            Ok(moved) => return Ok(moved),
            Err(error) => runner.pause(&error).await?,
        }
    }
}

async fn park_once<S: Source>(
    runner: &mut Runner<S>,
    batch: &Batch,
    event: &Recorded,
    reason: &str,
) -> Result<Moved, sqlx::Error> {
    let to = Runner::<S>::after(batch, event.position);
    let (name, service) = (runner.seat.name.as_str(), runner.service);
    let parking = Parking {
        event,
        reason: reason.to_owned(),
    };
    let mut tx = runner.pool.begin().await?;
    if !cursor::advance_in_tx(&mut tx, name, service, &runner.place, &to).await? {
        return Ok(Moved::Overtaken);
    }
    parked::insert_in_tx(&mut tx, name, service, &[parking]).await?;
    kill_point!("projection.before_parked");
    tx.commit().await?;
    kill_point!("projection.after_parked");
    runner.parked.insert(event.stream.to_string());
    runner.moved(to);
    Ok(Moved::Here)
}
