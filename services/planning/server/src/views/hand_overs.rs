//! Which tasks have followed which hand-over of accounts.

use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::TransferId;

pub(crate) struct HandOversView;

#[derive(Deserialize)]
struct Reassigned {
    transfer_id: Option<Uuid>,
}

impl Projection for HandOversView {
    const NAME: &'static str = "hand_overs";
    const SOURCES: &'static [&'static str] = &["planning"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists followed (
            transfer_id uuid not null,
            task_id     uuid not null,
            primary key (transfer_id, task_id)
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let (mut transfers, mut tasks) = (Vec::new(), Vec::new());
        for event in events {
            if event.event_type == "task.reassigned"
                && let Some(transfer) = event.fields::<Reassigned>()?.transfer_id
            {
                transfers.push(transfer);
                tasks.push(event.stream.id);
            }
        }
        if transfers.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into followed (transfer_id, task_id)
             select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing",
        )
        .bind(transfers)
        .bind(tasks)
        .execute(tx)
        .await?;
        Ok(())
    }
}

pub(crate) async fn count(pool: &PgPool, id: TransferId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from hand_overs.followed where transfer_id = $1")
        .bind(id.0)
        .fetch_one(pool)
        .await
}
