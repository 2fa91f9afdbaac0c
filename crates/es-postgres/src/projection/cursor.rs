use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

/// How far a view has got in a log, as stored beside the view.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Cursor {
    /// Which life of the log; none until the first event.
    pub epoch: Option<Uuid>,
    pub position: i64,
    /// Of the event there.
    pub hash: Option<Vec<u8>>,
}

/// The cursor with what makes it somebody's.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub(super) struct Place {
    #[sqlx(flatten)]
    pub(super) cursor: Cursor,
    /// Rises when somebody else changes what the runner has in memory.
    generation: i64,
    /// Of the leader that writes here.
    pub(super) fence: i64,
    /// To be built anew: nothing may be applied to it.
    pub(super) stale: bool,
}

/// The stored cursor; the beginning if there is none yet.
pub async fn cursor(
    database: impl PgExecutor<'_>,
    view: &str,
    source: &str,
) -> Result<Cursor, sqlx::Error> {
    let stored = place(database, view, source).await?;
    Ok(stored.map(|place| place.cursor).unwrap_or_default())
}

/// Where a version of a view is in one log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Standing {
    /// Of the version, with `#1` behind it for one of several workers.
    pub name: String,
    pub source: String,
    pub position: i64,
    /// To be built anew.
    pub stale: bool,
    /// Events put aside.
    pub parked: i64,
}

/// All of a service.
pub async fn standings(database: impl PgExecutor<'_>) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as(
        "select name, source, position, stale,
                (select count(*) from views.parked p
                 where p.name = c.name and p.source = c.source) as parked
         from views.cursors c order by name, source",
    )
    .fetch_all(database)
    .await
}

/// Returns when a view no longer waits to be built anew.
pub async fn mended(pool: &PgPool, view: &str, source: &str) {
    const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
    while !place(pool, view, source)
        .await
        .is_ok_and(|place| place.is_none_or(|place| !place.stale))
    {
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn place(
    database: impl PgExecutor<'_>,
    name: &str,
    source: &str,
) -> Result<Option<Place>, sqlx::Error> {
    sqlx::query_as(
        "select epoch, position, hash, generation, fence, stale
         from views.cursors where name = $1 and source = $2",
    )
    .bind(name)
    .bind(source)
    .fetch_optional(database)
    .await
}

/// Makes the cursor if it is not there. A leader puts its number on it, unless a later one has.
pub(super) async fn open(
    pool: &PgPool,
    name: &str,
    source: &str,
    fence: Option<i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into views.cursors as stored (name, source, position, fence)
         values ($1, $2, 0, coalesce($3, 0))
         on conflict (name, source) do update set fence = $3 where stored.fence < $3",
    )
    .bind(name)
    .bind(source)
    .bind(fence)
    .execute(pool)
    .await?;
    Ok(())
}

/// Moves the cursor if it still is as it was. The row stays locked until the transaction ends, so
/// another replica waits here and then finds that it was overtaken.
pub(super) async fn advance_in_tx(
    tx: &mut PgConnection,
    name: &str,
    source: &str,
    from: &Place,
    to: &Cursor,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "update views.cursors set epoch = $3, position = $4, hash = $5
         where name = $1 and source = $2 and epoch is not distinct from $6 and position = $7
           and generation = $8 and fence = $9 and not stale",
    )
    .bind(name)
    .bind(source)
    .bind(to.epoch)
    .bind(to.position)
    .bind(&to.hash)
    .bind(from.cursor.epoch)
    .bind(from.cursor.position)
    .bind(from.generation)
    .bind(from.fence)
    .execute(tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Keeps every runner of the view from moving until the transaction ends.
pub(super) async fn lock_in_tx(
    tx: &mut PgConnection,
    name: &str,
    source: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("select 1 from views.cursors where name = $1 and source = $2 for update")
        .bind(name)
        .bind(source)
        .execute(tx)
        .await?;
    Ok(())
}

/// Lets every runner read again what it keeps in memory.
pub(super) async fn disturb_in_tx(
    tx: &mut PgConnection,
    name: &str,
    source: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update views.cursors set generation = generation + 1 where name = $1 and source = $2",
    )
    .bind(name)
    .bind(source)
    .execute(tx)
    .await?;
    Ok(())
}

/// What the view has applied behind `position` is no longer in the log. Says whether the cursor was
/// as thought.
pub(super) async fn mark_stale(
    pool: &PgPool,
    name: &str,
    source: &str,
    from: &Place,
    position: i64,
) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query(
        "update views.cursors set stale = true, position = $3, hash = null,
                generation = generation + 1
         where name = $1 and source = $2 and epoch = $4 and position = $5
           and generation = $6 and fence = $7",
    )
    .bind(name)
    .bind(source)
    .bind(position)
    .bind(from.cursor.epoch)
    .bind(from.cursor.position)
    .bind(from.generation)
    .bind(from.fence)
    .execute(pool)
    .await?;
    Ok(marked.rows_affected() == 1)
}
