//! The version in force of every pipeline.

use accounts_domain::pipeline::{Event, Pipeline, Published};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use crate::collation::sort_key;

pub(crate) struct Pipelines;

#[derive(sqlx::FromRow)]
pub(crate) struct PipelineRow {
    pub(crate) pipeline_id: Uuid,
    pub(crate) published: Json<Published>,
    pub(crate) published_at: DateTime<Utc>,
}

impl Projection for Pipelines {
    const NAME: &'static str = "pipelines";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists pipelines (
            pipeline_id uuid primary key,
            name_sort bytea not null,
            published jsonb not null,
            published_at timestamptz not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category != Pipeline::CATEGORY {
                continue;
            }
            let Event::Published(published) = recorded.decode::<Pipeline>()?;
            sqlx::query(
                "insert into pipelines values ($1, $2, $3, $4)
                 on conflict (pipeline_id) do update set name_sort = excluded.name_sort,
                     published = excluded.published, published_at = excluded.published_at",
            )
            .bind(recorded.stream.id)
            .bind(sort_key(&published.name))
            .bind(Json(&published))
            .bind(recorded.occurred_at)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}

/// In Russian alphabetical order.
pub(crate) async fn all(pool: &PgPool) -> Result<Vec<PipelineRow>, sqlx::Error> {
    sqlx::query_as(
        "select pipeline_id, published, published_at from pipelines.pipelines
         order by name_sort, pipeline_id",
    )
    .fetch_all(pool)
    .await
}
