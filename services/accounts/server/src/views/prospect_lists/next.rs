use accounts_domain::prospect_list::Criteria;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;
use vocabulary::{AccountId, fold_for_search};

use super::List;

/// Which prospects of a list are meant.
pub(crate) struct Wanted<'a> {
    pub(crate) list: &'a List,
    pub(crate) now: DateTime<Utc>,
    /// Nobody spoke with them since.
    pub(crate) quiet_since: DateTime<Utc>,
    /// Not these, which were found to be taken.
    pub(crate) except: &'a [Uuid],
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

fn query(wanted: &Wanted<'_>, before: Before, limit: i64) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select c.account_id from companies.companies c ");
    let order = if let Some(criteria) = &wanted.list.criteria {
        sql.push(
            "left join claims.claims k using (account_id) where c.owner_id is null and not c.client",
        );
        push_criteria(&mut sql, criteria);
        "c.registered_at, c.account_id"
    } else {
        sql.push(
            "join prospect_lists.members m using (account_id)
             left join claims.claims k using (account_id)
             where c.owner_id is null and not c.client and m.list_id = ",
        );
        sql.push_bind(wanted.list.id);
        "m.position, m.ordinal"
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
    sql.push(
        " and not exists (select from contacted.contacted t where t.account_id = c.account_id",
    )
    .push(" and t.last_at > ")
    .push_bind(wanted.quiet_since)
    .push(
        ") and not exists (
                 with recursive merged as (
                     select account_id from companies.companies where merged_into = c.account_id
                     union all
                     select o.account_id from merged m
                     join companies.companies o on o.merged_into = m.account_id
                 )
                 select from merged join contacted.contacted t using (account_id)
                 where t.last_at > ",
    )
    .push_bind(wanted.quiet_since)
    .push(
        ") and not exists (
                 select from companies.phones mine
                 join companies.phones theirs on theirs.number = mine.number
                                             and theirs.account_id <> mine.account_id
                 join companies.companies o on o.account_id = theirs.account_id
                 left join claims.claims other on other.account_id = theirs.account_id
                                              and other.ended_at is null and other.until > ",
    )
    .push_bind(now)
    .push(
        " where mine.account_id = c.account_id
                and (o.owner_id is not null or other.account_id is not null))",
    );
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
