//! Events that could not be applied, and those that wait behind them.

use std::collections::HashSet;

use es::Recorded;
use sqlx::{PgConnection, PgExecutor};

/// An event to be put aside, and why.
pub(super) struct Parking<'a> {
    pub(super) event: &'a Recorded,
    pub(super) reason: String,
}

impl<'a> Parking<'a> {
    /// The event is sound, but one before it in its stream is parked.
    pub(super) fn behind(event: &'a Recorded) -> Self {
        Self {
            event,
            reason: "waits behind a parked event of its stream".to_owned(),
        }
    }
}

/// The streams that have a parked event.
pub(super) async fn streams(
    database: impl PgExecutor<'_>,
    view: &str,
    source: &str,
) -> Result<HashSet<String>, sqlx::Error> {
    let streams: Vec<String> = sqlx::query_scalar(
        "select distinct stream from views.parked where name = $1 and source = $2",
    )
    .bind(view)
    .bind(source)
    .fetch_all(database)
    .await?;
    Ok(streams.into_iter().collect())
}

/// Neither payload nor metadata is kept: the log has them.
pub(super) async fn insert_in_tx(
    tx: &mut PgConnection,
    view: &str,
    source: &str,
    parkings: &[Parking<'_>],
) -> Result<(), sqlx::Error> {
    for Parking { event, reason } in parkings {
        sqlx::query(
            "insert into views.parked
                (name, source, position, stream, event_type, reason, parked_at)
             values ($1, $2, $3, $4, $5, $6, now())
             on conflict (name, source, position) do update
             set reason = excluded.reason, attempts = parked.attempts + 1",
        )
        .bind(view)
        .bind(source)
        .bind(event.position)
        .bind(event.stream.to_string())
        .bind(&event.event_type)
        .bind(reason)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Position and stream of every parked event, in order.
pub(super) async fn list(
    database: impl PgExecutor<'_>,
    view: &str,
    source: &str,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(
        "select position, stream from views.parked
         where name = $1 and source = $2 order by position",
    )
    .bind(view)
    .bind(source)
    .fetch_all(database)
    .await
}

pub(super) async fn remove(
    database: impl PgExecutor<'_>,
    view: &str,
    source: &str,
    position: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from views.parked where name = $1 and source = $2 and position = $3")
        .bind(view)
        .bind(source)
        .bind(position)
        .execute(database)
        .await?;
    Ok(())
}
