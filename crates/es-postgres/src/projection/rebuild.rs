//! Building a view anew beside the one that serves, then taking its place.
//!
//! [`prepare_as`](super::prepare_as) and [`run_projection_as`](super::run_projection_as) under
//! another name, [`switch`] until it says true, then end those runners.

use sqlx::{PgConnection, PgPool};

use super::{
    Projection,
    prepare::{quoted, run},
};

/// Puts the view built under `name` in the place of the live one, if it has got as far in every
/// log; says whether it did. The live view's runners go on where the new one stood.
pub async fn switch<P: Projection>(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    // From here on neither moves.
    sqlx::query(
        "select 1 from views.cursors where name in ($1, $2) order by name, source for update",
    )
    .bind(P::NAME)
    .bind(name)
    .execute(&mut *tx)
    .await?;
    let behind: bool = sqlx::query_scalar(
        "select exists (
             select from views.cursors live
             left join views.cursors next on next.source = live.source and next.name = $2
             where live.name = $1 and live.position > coalesce(next.position, 0)
               and live.epoch is not distinct from coalesce(next.epoch, live.epoch))",
    )
    .bind(P::NAME)
    .bind(name)
    .fetch_one(&mut *tx)
    .await?;
    if behind {
        return Ok(false);
    }
    discard_in_tx(&mut tx, P::NAME).await?;
    let (next, live) = (quoted(name), quoted(P::NAME));
    run(&mut tx, format!("alter schema {next} rename to {live}")).await?;
    for table in ["cursors", "parked"] {
        let rename = format!("update views.{table} set name = $1 where name = $2");
        sqlx::query(sqlx::AssertSqlSafe(rename))
            .bind(P::NAME)
            .bind(name)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Removes what was built under `name`, as if it had never been.
pub async fn discard(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    discard_in_tx(&mut tx, name).await?;
    tx.commit().await
}

async fn discard_in_tx(tx: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    for table in ["cursors", "parked"] {
        let delete = format!("delete from views.{table} where name = $1");
        sqlx::query(sqlx::AssertSqlSafe(delete))
            .bind(name)
            .execute(&mut *tx)
            .await?;
    }
    let schema = quoted(name);
    run(tx, format!("drop schema if exists {schema} cascade")).await
}
