//! I7: every view is what a fresh build of it would be, row for row.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::Finding;
use crate::replay::Stores;

pub async fn views(live: &Stores, fresh: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I7", "views equal to a fresh replay");
    let mut empty = 0;
    for (service, pool) in live.each() {
        let there = tables(pool).await?;
        let mut rows_of: BTreeMap<&str, usize> = BTreeMap::new();
        if there != tables(fresh.of(service)).await? {
            finding.found(|| format!("{service} has other tables after a replay"));
            continue;
        }
        for table in &there {
            let (live, fresh) = (
                rows(pool, table).await?,
                rows(fresh.of(service), table).await?,
            );
            finding.looked_at += live.len();
            let view = table.split_once('.').map_or("", |(view, _)| view);
            *rows_of.entry(view).or_default() += live.len();
            if live != fresh {
                finding.found(|| format!("{service} {table}: {}", first_difference(&live, &fresh)));
            }
        }
        empty += rows_of.values().filter(|rows| **rows == 0).count();
    }
    // The load is of few kinds of commands; `tests/black_box/rebuild.rs` compares an office in which
    // no view is empty.
    if empty > 0 {
        finding.note = format!(", {empty} views without a row");
    }
    Ok(finding)
}

/// The tables of all views, quoted: a view's schema carries a note of its DDL.
async fn tables(pool: &PgPool) -> anyhow::Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "select distinct format('%I.%I', schemaname, tablename)
         from pg_tables
         where obj_description(to_regnamespace(quote_ident(schemaname))::oid, 'pg_namespace')
               like 'ddl %'
         order by 1",
    )
    .fetch_all(pool)
    .await?)
}

async fn rows(pool: &PgPool, table: &str) -> anyhow::Result<Vec<String>> {
    let text = format!("select t::text from {table} t order by t::text collate \"C\"");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(text))
        .fetch_all(pool)
        .await?)
}

/// Both lists are sorted, so the lesser of two unequal rows is missing in the other one.
fn first_difference(live: &[String], fresh: &[String]) -> String {
    let pairs = live.iter().zip(fresh);
    let same = pairs.take_while(|(live, fresh)| live == fresh).count();
    match (live.get(same), fresh.get(same)) {
        (Some(live), Some(fresh)) if fresh < live => format!("lacks {fresh}"),
        (Some(live), _) => format!("has {live}, which a replay has not, or not as often"),
        (None, Some(fresh)) => format!("lacks {fresh}"),
        (None, None) => "no difference".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_row_that_only_one_has_is_named() {
        let rows = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let difference =
            |live: &[&str], fresh: &[&str]| first_difference(&rows(live), &rows(fresh));
        assert_eq!(difference(&["a", "c"], &["a", "b", "c"]), "lacks b");
        assert_eq!(difference(&["a"], &["a", "b"]), "lacks b");
        assert!(difference(&["a", "a"], &["a"]).starts_with("has a,"));
        assert!(difference(&["a", "a", "b"], &["a", "b"]).starts_with("has a,"));
    }
}
