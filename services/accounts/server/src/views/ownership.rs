//! Who had which account, from when to when.

use std::collections::HashMap;

use accounts_domain::account::{Account, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

pub(crate) struct Ownership;

/// One owner's time.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Span {
    pub(crate) owner_id: Uuid,
    pub(crate) from_at: DateTime<Utc>,
    /// `None`: still.
    pub(crate) to_at: Option<DateTime<Utc>>,
}

/// A time that begins in the batch that is being applied.
struct Begun<'a> {
    event: &'a Recorded,
    owner_id: StaffId,
    ended_at: Option<DateTime<Utc>>,
}

impl Projection for Ownership {
    const NAME: &'static str = "ownership";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists spans (
            account_id uuid not null,
            from_version bigint not null,
            owner_id uuid not null,
            from_at timestamptz not null,
            to_at timestamptz,
            primary key (account_id, from_version)
        );
        alter table spans drop column if exists handed_over_by;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut begun: Vec<Begun<'_>> = Vec::new();
        // An account has one owner at a time, so at most one of its times is open.
        let mut open: HashMap<Uuid, usize> = HashMap::new();
        let mut ended_before = Vec::new();
        for recorded in events {
            if recorded.stream.category != Account::CATEGORY {
                continue;
            }
            let id = recorded.stream.id;
            let (ends, owner) = change(&recorded.decode::<Account>()?);
            if ends {
                match open.remove(&id).and_then(|index| begun.get_mut(index)) {
                    Some(span) => span.ended_at = Some(recorded.occurred_at),
                    None => ended_before.push((id, recorded.occurred_at)),
                }
            }
            if let Some(owner_id) = owner {
                open.insert(id, begun.len());
                begun.push(Begun {
                    event: recorded,
                    owner_id,
                    ended_at: None,
                });
            }
        }
        end_in_tx(tx, ended_before).await?;
        begin_in_tx(tx, &begun).await
    }
}

/// Whether a time ends with this event, and whose begins.
fn change(event: &Event) -> (bool, Option<StaffId>) {
    match event {
        Event::ProspectRegistered(registered) => (false, registered.owner_id),
        Event::OwnerAssigned(assigned) => (false, Some(assigned.owner_id)),
        Event::OwnershipTransferred(transferred) => (true, Some(transferred.to_owner_id)),
        Event::ReturnedToPool(_) => (true, None),
        Event::DetailsChanged(_)
        | Event::CardSealedAnew(_)
        | Event::Erased(_)
        | Event::StatusChanged(_)
        | Event::OrderRegistered(_)
        | Event::ConvertedToClient(_)
        | Event::OrderCancelled(_)
        | Event::ClaimGranted(_)
        | Event::ClaimRenewed(_)
        | Event::ClaimNumbersChanged(_)
        | Event::ClaimReleased(_)
        | Event::ClaimExpired(_)
        | Event::Merged(_)
        | Event::Unmerged(_) => (false, None),
    }
}

async fn end_in_tx(
    tx: &mut PgConnection,
    ended: Vec<(Uuid, DateTime<Utc>)>,
) -> Result<(), ApplyError> {
    if ended.is_empty() {
        return Ok(());
    }
    let (ids, times): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    sqlx::query(
        "update spans set to_at = ended.at
         from unnest($1::uuid[], $2::timestamptz[]) as ended (account_id, at)
         where spans.account_id = ended.account_id and spans.to_at is null",
    )
    .bind(ids)
    .bind(times)
    .execute(tx)
    .await?;
    Ok(())
}

fn column<T>(begun: &[Begun<'_>], value: impl Fn(&Begun<'_>) -> T) -> Vec<T> {
    begun.iter().map(value).collect()
}

async fn begin_in_tx(tx: &mut PgConnection, begun: &[Begun<'_>]) -> Result<(), ApplyError> {
    if begun.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into spans (account_id, from_version, owner_id, from_at, to_at)
         select * from unnest(
             $1::uuid[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::timestamptz[]
         )",
    )
    .bind(column(begun, |span| span.event.stream.id))
    .bind(column(begun, |span| span.event.version))
    .bind(column(begun, |span| span.owner_id.0))
    .bind(column(begun, |span| span.event.occurred_at))
    .bind(column(begun, |span| span.ended_at))
    .execute(tx)
    .await?;
    Ok(())
}

/// All owners of an account, oldest first.
pub(crate) async fn history(pool: &PgPool, id: AccountId) -> Result<Vec<Span>, sqlx::Error> {
    sqlx::query_as(
        "select owner_id, from_at, to_at from ownership.spans
         where account_id = $1 order by from_version",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await
}
