//! Who has claimed which prospect, and when the last claim on it ended.

use accounts_domain::account::{Account, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::AccountId;

pub(crate) struct Claims;

impl Projection for Claims {
    const NAME: &'static str = "claims";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists claims (
            account_id uuid primary key,
            holder_id uuid not null,
            until timestamptz not null,
            ended_at timestamptz
        );
        create index if not exists claims_open on claims (until, account_id)
            where ended_at is null;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category != Account::CATEGORY {
                continue;
            }
            let id = recorded.stream.id;
            let ended = |at: DateTime<Utc>| {
                sqlx::query("update claims set ended_at = $2 where account_id = $1")
                    .bind(id)
                    .bind(at)
            };
            let query = match recorded.decode::<Account>()? {
                Event::ClaimGranted(claim) => sqlx::query(
                    "insert into claims (account_id, holder_id, until) values ($1, $2, $3)
                     on conflict (account_id) do update set holder_id = excluded.holder_id,
                     until = excluded.until, ended_at = null",
                )
                .bind(id)
                .bind(claim.holder_id.0)
                .bind(claim.until),
                Event::ClaimRenewed(claim) => {
                    sqlx::query("update claims set until = $2 where account_id = $1")
                        .bind(id)
                        .bind(claim.until)
                }
                Event::ClaimReleased(claim) => ended(claim.released_at),
                Event::ClaimExpired(claim) => ended(claim.until),
                Event::ProspectRegistered(_)
                | Event::DetailsChanged(_)
                | Event::CardSealedAnew(_)
                | Event::Erased(_)
                | Event::StatusChanged(_)
                | Event::OwnerAssigned(_)
                | Event::OwnershipTransferred(_)
                | Event::ReturnedToPool(_)
                | Event::OrderRegistered(_)
                | Event::ConvertedToClient(_)
                | Event::OrderCancelled(_)
                | Event::ClaimNumbersChanged(_)
                | Event::Merged(_)
                | Event::Unmerged(_) => continue,
            };
            query.execute(&mut *tx).await?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct Row {
    pub(crate) account_id: Uuid,
    pub(crate) holder_id: Uuid,
    pub(crate) until: DateTime<Utc>,
}

/// Claims that hold at this time, of these holders or of all.
pub(crate) async fn held(
    pool: &PgPool,
    holders: Option<Vec<Uuid>>,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select account_id, holder_id, until from claims.claims
         where ended_at is null and until > $2 and ($1::uuid[] is null or holder_id = any($1))
         order by until, account_id limit 1000",
    )
    .bind(holders)
    .bind(now)
    .fetch_all(pool)
    .await
}

/// Claims that are over without anybody having said so.
pub(crate) async fn overdue(
    pool: &PgPool,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select account_id from claims.claims where ended_at is null and until <= $1
         order by until, account_id limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(AccountId).collect())
}

/// When the next claim is over.
pub(crate) async fn next_end(pool: &PgPool) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("select min(until) from claims.claims where ended_at is null")
        .fetch_one(pool)
        .await
}
