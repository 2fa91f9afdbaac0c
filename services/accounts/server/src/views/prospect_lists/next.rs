use accounts_domain::prospect_list::Criteria;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;
use vocabulary::{AccountId, fold_for_search};

use super::List;
use crate::views::companies::sharing_a_phone;

/// Which prospects of the pool are meant.
pub(crate) struct Wanted<'a> {
    pub(crate) among: Among<'a>,
    pub(crate) now: DateTime<Utc>,
    /// Nobody spoke with them since.
    pub(crate) quiet_since: DateTime<Utc>,
    /// Not these, which were found to be taken.
    pub(crate) except: &'a [Uuid],
}

#[derive(Clone, Copy)]
pub(crate) enum Among<'a> {
    /// Those of a list, but for clients and those with one of these statuses.
    List {
        list: &'a List,
        closed: &'a [String],
    },
    /// These.
    Named(&'a [Uuid]),
}

/// Prospects of the pool that nobody works with, in the order of the list; those that were claimed
/// before and given back come last, the longest ago first.
pub(crate) async fn next(
    pool: &PgPool,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let mut found = Vec::new();
    // Apart, so that the usual case is read in the order of an index and no pool is sorted.
    for before in [Before::Unclaimed, Before::GivenBack] {
        let left = limit - found.len() as i64;
        if left > 0 {
            let ids: Vec<Uuid> = query(wanted, before, left)
                .build_query_scalar()
                .persistent(false)
                .fetch_all(pool)
                .await?;
            found.extend(ids.into_iter().map(AccountId));
        }
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Unclaimed,
    GivenBack,
}

const IN_THE_POOL: &str = "left join claims.claims k using (account_id) where c.owner_id is null";

fn query(wanted: &Wanted<'_>, before: Before, limit: i64) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select c.account_id from companies.companies c ");
    let order = match wanted.among {
        Among::Named(ids) => {
            sql.push(IN_THE_POOL).push(" and c.account_id = any(");
            sql.push_bind(ids.to_vec()).push(")");
            "c.registered_at, c.account_id"
        }
        Among::List { list, closed } => {
            let order = if let Some(criteria) = &list.criteria {
                sql.push(IN_THE_POOL);
                push_criteria(&mut sql, criteria);
                "c.registered_at, c.account_id"
            } else {
                sql.push("join prospect_lists.members m using (account_id) ");
                sql.push(IN_THE_POOL).push(" and m.list_id = ");
                sql.push_bind(list.id);
                "m.position, m.ordinal"
            };
            sql.push(" and not c.client and (c.status is null or c.status <> all(");
            sql.push_bind(closed.to_vec()).push("))");
            order
        }
    };
    let now = wanted.now;
    sql.push(" and c.merged_into is null and not c.erased and ");
    match before {
        Before::Unclaimed => sql.push("k.account_id is null"),
        Before::GivenBack => sql
            .push("(k.ended_at is not null or k.until <= ")
            .push_bind(now)
            .push(")"),
    };
    let family = sharing_a_phone("c.account_id");
    sql.push(format_args!(
        " and not exists (
             {family}
             select from family join contacted.contacted t using (account_id)
             where t.last_at > "
    ))
    .push_bind(wanted.quiet_since)
    .push(format_args!(
        ") and not exists (
             {family}
             select from sharing s join companies.companies o using (account_id)
             left join claims.claims other on other.account_id = o.account_id
                                          and other.ended_at is null and other.until > "
    ))
    .push_bind(now)
    .push(" where o.owner_id is not null or other.account_id is not null)");
    if !wanted.except.is_empty() {
        sql.push(" and not c.account_id = any(")
            .push_bind(wanted.except.to_vec())
            .push(")");
    }
    sql.push(" order by ");
    if before == Before::GivenBack {
        sql.push("coalesce(k.ended_at, k.until), ");
    }
    sql.push(order).push(" limit ").push_bind(limit);
    sql
}

fn push_criteria(sql: &mut QueryBuilder<Postgres>, criteria: &Criteria) {
    for (column, text) in [
        ("c.city_folded", &criteria.city),
        ("c.region_folded", &criteria.region),
        ("c.kind_folded", &criteria.kind),
    ] {
        if !text.is_empty() {
            sql.push(format_args!(" and {column} = "));
            sql.push_bind(fold_for_search(text));
        }
    }
    for (column, text) in [
        ("c.industry", &criteria.industry),
        ("c.project", &criteria.project),
    ] {
        if !text.is_empty() {
            sql.push(format_args!(" and lower({column}) = "));
            sql.push_bind(text.to_lowercase());
        }
    }
    if !criteria.source.is_empty() {
        sql.push(" and c.source = ")
            .push_bind(criteria.source.clone());
    }
}
