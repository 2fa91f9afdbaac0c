//! The read model `data_entry`: what managers have asked the operator to enter.

use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use planning_domain::{
    DataEntry,
    data_entry::{Event, Requested, Standing},
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::views::tasks::add_seen_accounts;

pub(crate) struct DataEntryView;

impl Projection for DataEntryView {
    const NAME: &'static str = "data_entry";
    const SOURCES: &'static [&'static str] = &["planning"];
    // Not by stream: an erasure has one of its own and takes texts out of the others.
    const SCHEMA: &'static str = "
        create table if not exists requests (
            id uuid primary key,
            account_id uuid not null,
            person_id uuid,
            what text,                -- null once its subject is erased
            about text[] not null,    -- whom it is about
            requested_by uuid not null,
            requested_at timestamptz not null,
            state text not null,
            closed_by uuid,
            closed_at timestamptz,
            reason text               -- null once its subject is erased, too
        );
        create index if not exists requests_of_state on requests (state, requested_at, id);
        create index if not exists requests_of_account on requests (account_id);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == DataEntry::CATEGORY {
                match recorded.decode::<DataEntry>()? {
                    Event::Requested(requested) => insert_in_tx(tx, recorded, requested).await?,
                    Event::Done(done) => {
                        let by = done.done_by.0;
                        close_in_tx(tx, recorded, Standing::Done, by, None).await?;
                    }
                    Event::Declined(declined) => {
                        let (by, why) = (declined.declined_by.0, declined.reason.into_inner());
                        close_in_tx(tx, recorded, Standing::Declined, by, why).await?;
                    }
                }
            } else if let Some(done) = CarriedOut::read(recorded)? {
                sqlx::query("update requests set what = null, reason = null where about && $1")
                    .bind(done.subjects())
                    .execute(&mut *tx)
                    .await?;
            }
        }
        Ok(())
    }
}

async fn insert_in_tx(
    tx: &mut PgConnection,
    recorded: &Recorded,
    requested: Requested,
) -> Result<(), ApplyError> {
    let about = requested.what.subject().about();
    let about: Vec<_> = about.map(|subject| subject.to_string()).collect();
    sqlx::query(
        "insert into requests (id, account_id, person_id, what, about, requested_by, requested_at,
                               state)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(recorded.stream.id)
    .bind(requested.account_id.0)
    .bind(requested.person_id.map(Uuid::from))
    .bind(requested.what.into_inner())
    .bind(about)
    .bind(requested.requested_by.0)
    .bind(recorded.occurred_at)
    .bind(state_name(Standing::Open))
    .execute(tx)
    .await?;
    Ok(())
}

async fn close_in_tx(
    tx: &mut PgConnection,
    recorded: &Recorded,
    standing: Standing,
    by: Uuid,
    reason: Option<String>,
) -> Result<(), ApplyError> {
    sqlx::query(
        "update requests set state = $2, closed_by = $3, closed_at = $4, reason = $5 where id = $1",
    )
    .bind(recorded.stream.id)
    .bind(state_name(standing))
    .bind(by)
    .bind(recorded.occurred_at)
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}

/// How the table names it.
pub(crate) fn state_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Done => "done",
        Standing::Declined => "declined",
    }
}

#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) what: Option<String>,
    pub(crate) requested_by: Uuid,
    pub(crate) requested_at: DateTime<Utc>,
    pub(crate) state: String,
    pub(crate) closed_by: Option<Uuid>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) reason: Option<String>,
}

impl Row {
    pub(crate) fn key(&self) -> Key {
        Key {
            requested_at: self.requested_at,
            id: self.id,
        }
    }
}

/// The place of a request in the queue.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Key {
    requested_at: DateTime<Utc>,
    id: Uuid,
}

/// Which requests are meant; what is absent lets everything pass.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) standing: Standing,
    /// About an account of one of these.
    pub(crate) visible_to: Option<Vec<Uuid>>,
    /// When it is asked: a claim shows an account only as long as it lasts.
    pub(crate) now: DateTime<Utc>,
    /// All ids of one account.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    pub(crate) requested_by: Option<Uuid>,
}

impl Filter {
    fn add_to(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push(" from data_entry.requests where state = ")
            .push_bind(state_name(self.standing));
        if let Some(ids) = &self.account_ids {
            sql.push(" and account_id = any(")
                .push_bind(ids.clone())
                .push(")");
        }
        if let Some(id) = self.requested_by {
            sql.push(" and requested_by = ").push_bind(id);
        }
        if let Some(staff) = &self.visible_to {
            sql.push(" and account_id = any(array(");
            add_seen_accounts(sql, staff, self.now);
            sql.push("))");
        }
    }
}

/// What waits longest comes first.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Key>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut sql = QueryBuilder::new(
        "select id, account_id, person_id, what, requested_by, requested_at, state, closed_by,
                closed_at, reason",
    );
    filter.add_to(&mut sql);
    if let Some(Key { requested_at, id }) = after {
        sql.push(" and (requested_at, id) > (")
            .push_bind(requested_at)
            .push(", ")
            .push_bind(id)
            .push(")");
    }
    sql.push(" order by requested_at, id limit ")
        .push_bind(limit);
    sql.build_query_as().fetch_all(pool).await
}

/// How many pass.
pub(crate) async fn count(pool: &PgPool, filter: &Filter) -> Result<i64, sqlx::Error> {
    let mut sql = QueryBuilder::new("select count(*)");
    filter.add_to(&mut sql);
    sql.build_query_scalar().fetch_one(pool).await
}
