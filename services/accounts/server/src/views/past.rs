//! Which companies there were at any moment, whose, and whether they had ordered.
//!
//! One row for each event that says so, with both of its times. Nothing in it ever changes: a moment
//! of the past is what the rows say that had happened and were recorded by then.

use accounts_domain::account::{Account, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::seen::SEEN;

pub(crate) struct Past;

#[derive(Default)]
struct Columns {
    account_id: Vec<Uuid>,
    version: Vec<i64>,
    what: Vec<&'static str>,
    owner_id: Vec<Option<Uuid>>,
    occurred_at: Vec<DateTime<Utc>>,
    recorded_at: Vec<DateTime<Utc>>,
}

impl Columns {
    fn push(&mut self, recorded: &Recorded, what: &'static str, owner_id: Option<Uuid>) {
        self.account_id.push(recorded.stream.id);
        self.version.push(recorded.version);
        self.what.push(what);
        self.owner_id.push(owner_id);
        self.occurred_at.push(recorded.occurred_at);
        self.recorded_at.push(recorded.recorded_at);
    }
}

impl Projection for Past {
    const NAME: &'static str = "past";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists changes (
            account_id uuid not null,
            version bigint not null,
            what text not null,
            owner_id uuid,
            occurred_at timestamptz not null,
            recorded_at timestamptz not null,
            primary key (account_id, version)
        );
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
            let (what, owner) = match recorded.decode::<Account>()? {
                Event::ProspectRegistered(registered) => ("registered", registered.owner_id),
                Event::OwnerAssigned(assigned) => ("owner", Some(assigned.owner_id)),
                Event::OwnershipTransferred(moved) => ("owner", Some(moved.to_owner_id)),
                Event::ReturnedToPool(_) => ("owner", None),
                Event::ConvertedToClient(_) => ("converted", None),
                Event::Merged(_) => ("merged", None),
                Event::Unmerged(_) => ("unmerged", None),
                _ => continue,
            };
            columns.push(recorded, what, owner.map(|owner| owner.0));
        }
        if columns.account_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into changes (account_id, version, what, owner_id, occurred_at, recorded_at)
             select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[],
                                  $5::timestamptz[], $6::timestamptz[])",
        )
        .bind(columns.account_id)
        .bind(columns.version)
        .bind(columns.what)
        .bind(columns.owner_id)
        .bind(columns.occurred_at)
        .bind(columns.recorded_at)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Which moment, and of which companies.
pub(crate) struct Moment {
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) as_recorded_at: DateTime<Utc>,
    /// Those that this one owned then.
    pub(crate) owner_id: Option<Uuid>,
    /// Those that one of these owns or has claimed now; `None`: all.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) now: DateTime<Utc>,
}

/// Prospects and clients.
pub(crate) async fn count(pool: &PgPool, moment: Moment) -> Result<(i64, i64), sqlx::Error> {
    let sql = format!(
        "select count(*) filter (where not client), count(*) filter (where client)
         from (
             select bool_or(what = 'registered') as there,
                    bool_or(what = 'converted') as client,
                    (array_agg(owner_id order by version desc)
                        filter (where what in ('registered', 'owner')))[1] as owner_id,
                    (array_agg(what order by version desc)
                        filter (where what in ('merged', 'unmerged')))[1] as link
             from past.changes
             where occurred_at <= $3 and recorded_at <= $4
               and ($1::uuid[] is null or account_id = any(array(
                   with recursive {SEEN} select account_id from seen)))
             group by account_id
         ) as account
         where there and link is distinct from 'merged'
           and ($5::uuid is null or owner_id = $5)"
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(moment.seen_owners)
        .bind(moment.now)
        .bind(moment.as_of)
        .bind(moment.as_recorded_at)
        .bind(moment.owner_id)
        .fetch_one(pool)
        .await
}
