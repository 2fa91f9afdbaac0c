//! Lists that people keep.

use accounts_domain::saved_view::{Event, Filter, Readers, SavedView};
use es::{Aggregate, Personal, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;

pub(crate) struct SavedViews;

impl Projection for SavedViews {
    const NAME: &'static str = "saved_views";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists views (
            view_id uuid primary key,
            owner_id uuid not null,
            name text not null,    -- empty when it was about somebody who is forgotten
            filter jsonb not null,
            columns text[] not null,
            readers jsonb not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == SavedView::CATEGORY {
                apply(tx, recorded.stream.id, recorded.decode::<SavedView>()?).await?;
            }
        }
        Ok(())
    }
}

async fn apply(tx: &mut PgConnection, id: Uuid, event: Event) -> Result<(), ApplyError> {
    let query = match event {
        Event::Saved(saved) => sqlx::query(
            "insert into views (view_id, owner_id, name, filter, columns, readers)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id)
        .bind(saved.owner_id.0)
        .bind(opened(saved.name))
        .bind(Json(opened(saved.filter)))
        .bind(saved.columns)
        .bind(Json(Readers::Nobody)),
        Event::Changed(changed) => sqlx::query(
            "update views set name = coalesce($2, name), filter = coalesce($3, filter),
             columns = coalesce($4, columns) where view_id = $1",
        )
        .bind(id)
        .bind(changed.name.map(opened))
        .bind(changed.filter.map(|filter| Json(opened(filter))))
        .bind(changed.columns),
        Event::Shared(shared) => sqlx::query("update views set readers = $2 where view_id = $1")
            .bind(id)
            .bind(Json(shared.with)),
        Event::Deleted(_) => sqlx::query("delete from views where view_id = $1").bind(id),
    };
    query.execute(tx).await?;
    Ok(())
}

/// What cannot be read any more was replaced later, or taken out.
fn opened<T: Default>(words: Personal<T>) -> T {
    words.into_inner().unwrap_or_default()
}

#[derive(Debug, FromRow)]
pub(crate) struct View {
    #[sqlx(rename = "view_id")]
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) name: String,
    pub(crate) filter: Json<Filter>,
    pub(crate) columns: Vec<String>,
    pub(crate) readers: Json<Readers>,
}

/// Somebody's own, and those that are for others too.
pub(crate) async fn of(pool: &PgPool, owners: &[Uuid]) -> Result<Vec<View>, sqlx::Error> {
    sqlx::query_as(
        r#"select * from saved_views.views where owner_id = any($1) or readers <> '"nobody"'"#,
    )
    .bind(owners)
    .fetch_all(pool)
    .await
}

/// Whosever they are.
pub(crate) async fn all(pool: &PgPool) -> Result<Vec<View>, sqlx::Error> {
    sqlx::query_as("select * from saved_views.views")
        .fetch_all(pool)
        .await
}

/// One of them.
pub(crate) async fn find(pool: &PgPool, id: Uuid) -> Result<Option<View>, sqlx::Error> {
    sqlx::query_as("select * from saved_views.views where view_id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}
