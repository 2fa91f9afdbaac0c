//! Row for row: is a view built anew the same as the live one?

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::prepare::quoted;

/// What differs between two schemas, a line a table. Never names a row: it may be about people.
pub(super) async fn differences(
    mut snapshot: PgConnection,
    live: &str,
    next: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let mut found = Vec::new();
    for (table, (here, there)) in tables(&mut snapshot, live, next).await? {
        if !(here && there) {
            let whose = if here { "live" } else { "new" };
            found.push(format!("table {table} is only in the {whose} version"));
            continue;
        }
        let (gone, added) = rows(&mut snapshot, live, next, &table).await?;
        if (gone, added) != (0, 0) {
            found.push(format!(
                "table {table}: {gone} rows only in the live version, {added} only in the new one"
            ));
        }
    }
    snapshot.close().await?;
    Ok(found)
}

/// Whether the live one has it and whether the new one has.
async fn tables(
    snapshot: &mut PgConnection,
    live: &str,
    next: &str,
) -> Result<BTreeMap<String, (bool, bool)>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select schemaname::text, tablename::text from pg_tables where schemaname in ($1, $2)",
    )
    .bind(live)
    .bind(next)
    .fetch_all(snapshot)
    .await?;
    let mut tables = BTreeMap::<_, (bool, bool)>::new();
    for (schema, table) in rows {
        let (here, there) = tables.entry(table).or_default();
        *here |= schema == live;
        *there |= schema == next;
    }
    Ok(tables)
}

/// As JSON, so that the order of columns, which an added one changes, does not count.
async fn rows(
    snapshot: &mut PgConnection,
    live: &str,
    next: &str,
    table: &str,
) -> Result<(i64, i64), sqlx::Error> {
    let all = |schema: &str| {
        let (schema, table) = (quoted(schema), quoted(table));
        format!("select to_jsonb(t) from {schema}.{table} t")
    };
    let (here, there) = (all(live), all(next));
    let query = format!(
        "select (select count(*) from ({here} except all {there}) gone),
                (select count(*) from ({there} except all {here}) added)"
    );
    sqlx::query_as(AssertSqlSafe(query))
        .fetch_one(snapshot)
        .await
}
