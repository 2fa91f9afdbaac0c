//! Events that could not be applied, and those that wait behind them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use es::Recorded;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};

use super::cursor;

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

/// An event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Parked {
    /// The view or reaction.
    pub name: String,
    pub source: String,
    pub position: i64,
    pub stream: String,
    pub event_type: String,
    pub reason: String,
    pub attempts: i32,
    pub parked_at: DateTime<Utc>,
}

/// Why a parked event was not given up.
#[derive(Debug, thiserror::Error)]
pub enum SkipError {
    #[error("the event is not parked")]
    NotParked,
    #[error("an earlier event of its stream is parked: {0}")]
    NotFirst(i64),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

const COLUMNS: &str = "select name, source, position, stream, event_type, reason, attempts, parked_at from views.parked";

impl Parked {
    /// Everything parked in a service, in order.
    pub async fn all(pool: &PgPool) -> Result<Vec<Self>, sqlx::Error> {
        let query = format!("{COLUMNS} order by name, source, position");
        sqlx::query_as(sqlx::AssertSqlSafe(query))
            .fetch_all(pool)
            .await
    }

    /// The first one whose stream is none of these.
    pub(super) async fn first(
        database: impl PgExecutor<'_>,
        name: &str,
        source: &str,
        except: &[String],
    ) -> Result<Option<Self>, sqlx::Error> {
        let query = format!(
            "{COLUMNS} where name = $1 and source = $2 and stream <> all($3)
             order by position limit 1"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(name)
            .bind(source)
            .bind(except)
            .fetch_optional(database)
            .await
    }

    /// Gives up the first parked event of a stream, for good; what waits behind it can then be
    /// retried. `by` and `why` are kept.
    pub async fn skip(
        pool: &PgPool,
        name: &str,
        source: &str,
        position: i64,
        by: &str,
        why: &str,
    ) -> Result<(), SkipError> {
        let mut tx = pool.begin().await?;
        cursor::lock_in_tx(&mut tx, name, source).await?;
        let first: Option<i64> = sqlx::query_scalar(
            "select min(before.position) from views.parked one
             join views.parked before using (name, source, stream)
             where name = $1 and source = $2 and one.position = $3",
        )
        .bind(name)
        .bind(source)
        .bind(position)
        .fetch_one(&mut *tx)
        .await?;
        match first {
            None => return Err(SkipError::NotParked),
            Some(first) if first < position => return Err(SkipError::NotFirst(first)),
            Some(_) => {}
        }
        sqlx::query(
            "insert into views.skipped
                 (name, source, position, stream, event_type, parked_for, skipped_by, why, skipped_at)
             select name, source, position, stream, event_type, reason, $4, $5, now()
             from views.parked where name = $1 and source = $2 and position = $3",
        )
        .bind(name)
        .bind(source)
        .bind(position)
        .bind(by)
        .bind(why)
        .execute(&mut *tx)
        .await?;
        remove_in_tx(&mut tx, name, source, position).await?;
        tx.commit().await?;
        Ok(())
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

/// Takes an event out. When it was the last one of its stream, runners must learn that the stream
/// is free again. The cursor must be locked.
pub(super) async fn remove_in_tx(
    tx: &mut PgConnection,
    view: &str,
    source: &str,
    position: i64,
) -> Result<(), sqlx::Error> {
    let stream: Option<String> = sqlx::query_scalar(
        "delete from views.parked where name = $1 and source = $2 and position = $3
         returning stream",
    )
    .bind(view)
    .bind(source)
    .bind(position)
    .fetch_optional(&mut *tx)
    .await?;
    let held: bool = sqlx::query_scalar(
        "select exists (select from views.parked where name = $1 and source = $2 and stream = $3)",
    )
    .bind(view)
    .bind(source)
    .bind(stream)
    .fetch_one(&mut *tx)
    .await?;
    if !held {
        cursor::disturb_in_tx(tx, view, source).await?;
    }
    Ok(())
}
