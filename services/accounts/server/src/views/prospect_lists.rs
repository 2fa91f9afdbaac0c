//! Lists of prospects, and which prospect of a list comes next.

mod next;

use accounts_domain::prospect_list::{Callers, Criteria, Event, ProspectList};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::ProspectListId;

pub(crate) use next::{Among, Wanted, next};

pub(crate) struct ProspectLists;

impl Projection for ProspectLists {
    const NAME: &'static str = "prospect_lists";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists lists (
            list_id uuid primary key,
            name text not null,
            criteria jsonb,
            callers jsonb not null,
            closed boolean not null default false
        );
        create table if not exists members (
            list_id uuid not null,
            account_id uuid not null,
            position bigint not null,
            ordinal bigint not null,
            primary key (list_id, account_id)
        );
        create index if not exists members_in_order on members (list_id, position, ordinal);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == ProspectList::CATEGORY {
                apply(tx, recorded, recorded.decode::<ProspectList>()?).await?;
            }
        }
        Ok(())
    }
}

async fn apply(tx: &mut PgConnection, recorded: &Recorded, event: Event) -> Result<(), ApplyError> {
    let id = recorded.stream.id;
    let query = match event {
        Event::Created(list) => sqlx::query(
            "insert into lists (list_id, name, criteria, callers) values ($1, $2, $3, $4)",
        )
        .bind(id)
        .bind(list.name)
        .bind(list.criteria.map(Json))
        .bind(Json(list.callers)),
        Event::Changed(list) => sqlx::query(
            "update lists set name = coalesce($2, name), criteria = coalesce($3, criteria),
             callers = coalesce($4, callers) where list_id = $1",
        )
        .bind(id)
        .bind(list.name)
        .bind(list.criteria.map(Json))
        .bind(list.callers.map(Json)),
        Event::MembersAdded(added) => sqlx::query(
            "insert into members (list_id, account_id, position, ordinal)
             select $1, id, $3, ordinal from unnest($2::uuid[]) with ordinality as m (id, ordinal)
             on conflict do nothing",
        )
        .bind(id)
        .bind(added.account_ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .bind(recorded.position),
        Event::MembersRemoved(removed) => {
            sqlx::query("delete from members where list_id = $1 and account_id = any($2)")
                .bind(id)
                .bind(
                    removed
                        .account_ids
                        .iter()
                        .map(|id| id.0)
                        .collect::<Vec<_>>(),
                )
        }
        Event::Closed(_) => {
            sqlx::query("update lists set closed = true where list_id = $1").bind(id)
        }
    };
    query.execute(tx).await?;
    Ok(())
}

#[derive(Debug, FromRow)]
pub(crate) struct List {
    #[sqlx(rename = "list_id")]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) criteria: Option<Json<Criteria>>,
    pub(crate) callers: Json<Callers>,
    pub(crate) members: i64,
}

/// The open ones, or one of them.
pub(crate) async fn open(
    pool: &PgPool,
    id: Option<ProspectListId>,
) -> Result<Vec<List>, sqlx::Error> {
    sqlx::query_as(
        "select list_id, name, criteria, callers,
                (select count(*) from prospect_lists.members m where m.list_id = l.list_id) as members
         from prospect_lists.lists l
         where not closed and ($1::uuid is null or list_id = $1)",
    )
    .bind(id.map(Uuid::from))
    .fetch_all(pool)
    .await
}
