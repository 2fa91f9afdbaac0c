//! Which status an account has had, since when and by whom; why is read in its stream, where it is
//! sealed. Nothing in it ever changes: a stay ends where the next one begins.

use accounts_domain::account::{Account, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::AccountId;

pub(crate) struct Statuses;

/// One stay in a status.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Stay {
    /// Of the event that it began with.
    pub(crate) version: i64,
    pub(crate) status: String,
    pub(crate) from_at: DateTime<Utc>,
    /// `None`: still.
    pub(crate) to_at: Option<DateTime<Utc>>,
    pub(crate) changed_by: Option<Uuid>,
}

#[derive(Default)]
struct Columns {
    account_id: Vec<Uuid>,
    version: Vec<i64>,
    status: Vec<String>,
    from_at: Vec<DateTime<Utc>>,
    changed_by: Vec<Option<Uuid>>,
}

impl Columns {
    fn push(&mut self, recorded: &Recorded, status: String) {
        self.account_id.push(recorded.stream.id);
        self.version.push(recorded.version);
        self.status.push(status);
        self.from_at.push(recorded.occurred_at);
        self.changed_by.push(recorded.metadata.actor.staff());
    }
}

impl Projection for Statuses {
    const NAME: &'static str = "statuses";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists stays (
            account_id uuid not null,
            version bigint not null,
            status text not null,
            from_at timestamptz not null,
            changed_by uuid,
            primary key (account_id, version)
        );
        alter table stays drop column if exists reason;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut columns = Columns::default();
        for recorded in events {
            if recorded.stream.category != Account::CATEGORY {
                continue;
            }
            match recorded.decode::<Account>()? {
                Event::ProspectRegistered(registered) => {
                    if let Some(status) = registered.status {
                        columns.push(recorded, status);
                    }
                }
                Event::StatusChanged(changed) => columns.push(recorded, changed.to),
                Event::DetailsChanged(_)
                | Event::CardSealedAnew(_)
                | Event::Erased(_)
                | Event::OwnerAssigned(_)
                | Event::OwnershipTransferred(_)
                | Event::ReturnedToPool(_)
                | Event::OrderRegistered(_)
                | Event::ConvertedToClient(_)
                | Event::OrderCancelled(_)
                | Event::ClaimGranted(_)
                | Event::ClaimRenewed(_)
                | Event::ClaimNumbersChanged(_)
                | Event::ClaimReleased(_)
                | Event::ClaimExpired(_)
                | Event::Merged(_)
                | Event::Unmerged(_) => {}
            }
        }
        if columns.account_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into stays (account_id, version, status, from_at, changed_by)
             select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[],
                                  $5::uuid[])",
        )
        .bind(columns.account_id)
        .bind(columns.version)
        .bind(columns.status)
        .bind(columns.from_at)
        .bind(columns.changed_by)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// All stays of an account, oldest first.
pub(crate) async fn history(pool: &PgPool, id: AccountId) -> Result<Vec<Stay>, sqlx::Error> {
    sqlx::query_as(
        "select version, status, from_at, lead(from_at) over (order by version) as to_at, changed_by
         from statuses.stays where account_id = $1 order by version",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await
}

/// Since when an account has the status that it has.
pub(crate) async fn since(
    pool: &PgPool,
    id: AccountId,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select from_at from statuses.stays where account_id = $1 order by version desc limit 1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await
}
