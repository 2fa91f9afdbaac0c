use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// How far a view has got in a log, as stored beside the view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Which life of the log; none until the first event.
    pub epoch: Option<Uuid>,
    pub position: i64,
}

/// The stored cursor; the beginning if there is none yet.
pub async fn cursor(
    database: impl PgExecutor<'_>,
    view: &str,
    source: &str,
) -> Result<Cursor, sqlx::Error> {
    let row: Option<(Uuid, i64)> =
        sqlx::query_as("select epoch, position from views.cursors where name = $1 and source = $2")
            .bind(view)
            .bind(source)
            .fetch_optional(database)
            .await?;
    Ok(
        row.map_or_else(Cursor::default, |(epoch, position)| Cursor {
            epoch: Some(epoch),
            position,
        }),
    )
}

/// Moves the cursor if it still stands at `from`. The row stays locked until the transaction ends,
/// so another replica waits here and then finds that it was overtaken.
pub(super) async fn advance_in_tx(
    tx: &mut PgConnection,
    view: &str,
    source: &str,
    from: Cursor,
    to: Cursor,
) -> Result<bool, sqlx::Error> {
    let statement = if from.epoch.is_some() {
        "update views.cursors set epoch = $3, position = $4
         where name = $1 and source = $2 and epoch = $5 and position = $6"
    } else {
        "insert into views.cursors (name, source, epoch, position)
         select $1, $2, $3, $4 where $5::uuid is null and $6::bigint = 0
         on conflict do nothing"
    };
    let moved = sqlx::query(statement)
        .bind(view)
        .bind(source)
        .bind(to.epoch)
        .bind(to.position)
        .bind(from.epoch)
        .bind(from.position)
        .execute(tx)
        .await?;
    Ok(moved.rows_affected() == 1)
}

/// Keeps every runner of the view from moving until the transaction ends.
pub(super) async fn lock_in_tx(
    tx: &mut PgConnection,
    view: &str,
    source: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("select 1 from views.cursors where name = $1 and source = $2 for update")
        .bind(view)
        .bind(source)
        .execute(tx)
        .await?;
    Ok(())
}
