use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::plan::{Head, Plan};
use crate::chain::Hash;

/// Writes a plan behind `head`. False: the head is elsewhere.
pub(super) async fn append(
    connection: &mut PgConnection,
    head: &Head,
    plan: &Plan<'_>,
) -> Result<bool, sqlx::Error> {
    let rows = &plan.rows;
    if plan.is_one_event() {
        // Arrays of one would take twice as long.
        return sqlx::query_scalar(
            "select log.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(head.position)
        .bind(head.hash.as_slice())
        .bind(plan.head.recorded_at)
        .bind(rows.event_ids.first())
        .bind(rows.streams.first())
        .bind(rows.versions.first())
        .bind(rows.types.first())
        .bind(rows.schema_versions.first())
        .bind(rows.occurred_ats.first())
        .bind(rows.request_ids.first())
        .bind(rows.metadatas.first())
        .bind(rows.payloads.first())
        .bind(plan.head.hash.as_slice())
        .fetch_one(connection)
        .await;
    }
    sqlx::query_scalar(
        "select log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20)",
    )
    .bind(head.position)
    .bind(head.hash.as_slice())
    .bind(plan.head.recorded_at)
    .bind(&rows.event_ids)
    .bind(&rows.streams)
    .bind(&rows.versions)
    .bind(&rows.types)
    .bind(&rows.schema_versions)
    .bind(&rows.occurred_ats)
    .bind(&rows.request_ids)
    .bind(&rows.metadatas)
    .bind(&rows.payloads)
    .bind(&rows.hashes)
    .bind(some(&plan.known.0))
    .bind(some(&plan.known.1))
    .bind(some(&plan.released.0))
    .bind(some(&plan.released.1))
    .bind(some(&plan.taken.0))
    .bind(some(&plan.taken.1))
    .bind(some(&plan.taken.2))
    .fetch_one(connection)
    .await
}

/// Null where there is nothing: PostgreSQL then has nothing to take apart.
fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// Locks the head until the end of the transaction: from here on nobody else appends.
pub(super) async fn lock_head(connection: &mut PgConnection) -> Result<Head, sqlx::Error> {
    let (epoch, position, hash, recorded_at): (Uuid, i64, Hash, DateTime<Utc>) =
        sqlx::query_as("select epoch, position, hash, recorded_at from log.lock_head()")
            .fetch_one(connection)
            .await?;
    Ok(Head {
        epoch,
        position,
        hash,
        recorded_at,
    })
}
