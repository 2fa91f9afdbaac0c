//! What the office has decided about personal data, from the events of accounts.

use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use kit::{AppError, Ctx, Service};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool};
use vocabulary::Role;

pub(crate) struct PolicyView;

#[derive(Deserialize)]
struct Changed {
    personal_data_by_operator_only: Option<bool>,
}

impl Projection for PolicyView {
    const NAME: &'static str = "policy";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    // The row is there from the beginning: an office begins with operators for personal data.
    const SCHEMA: &'static str = "
        create table if not exists policy (
            single boolean primary key default true check (single),
            personal_data_by_operator_only boolean not null
        );
        insert into policy (personal_data_by_operator_only) values (true) on conflict do nothing;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for event in events {
            if event.event_type != "policy.changed" {
                continue;
            }
            let changed: Changed = event.fields()?;
            if let Some(only) = changed.personal_data_by_operator_only {
                sqlx::query("update policy set personal_data_by_operator_only = $1")
                    .bind(only)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Who logs events edits personal data only where the office allows it, for whomever he stands in.
pub(crate) async fn check_may_change_personal_data(
    service: &Service,
    ctx: &Ctx,
) -> Result<(), AppError> {
    if ctx.role() == Role::Manager && by_operator_only(service.pool()).await? {
        return Err(AppError::forbidden(
            "PERSONAL_DATA_BY_OPERATOR",
            "personal data is edited by the operator",
        ));
    }
    Ok(())
}

async fn by_operator_only(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select personal_data_by_operator_only from policy.policy")
        .fetch_one(pool)
        .await
}
