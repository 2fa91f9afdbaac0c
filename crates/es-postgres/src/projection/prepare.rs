use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{Projection, versions::Version};

/// Makes the view's schema and tables, or brings them up to date. Idempotent, and safe when several
/// replicas start at once.
pub async fn prepare<P: Projection>(pool: &PgPool) -> Result<(), sqlx::Error> {
    prepare_as::<P>(pool, P::NAME).await
}

/// The same in a schema of another name: for a version beside the one that serves.
pub(super) async fn prepare_as<P: Projection>(
    pool: &PgPool,
    name: &str,
) -> Result<(), sqlx::Error> {
    let schema = quoted(name);
    let mut tx = pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('view ' || $1, 0))")
        .bind(name)
        .execute(&mut *tx)
        .await?;
    // DDL takes locks even when it changes nothing; what was run last is noted on the schema, so
    // that a restart does not stop the writers.
    let note = format!("ddl {}", blake3::hash(P::SCHEMA.as_bytes()).to_hex());
    let noted: Option<String> =
        sqlx::query_scalar("select obj_description(to_regnamespace($1)::oid, 'pg_namespace')")
            .bind(&schema)
            .fetch_one(&mut *tx)
            .await?;
    if noted.as_deref() != Some(note.as_str()) {
        begin_anew_in_tx(&mut tx, name).await?;
        run(&mut tx, format!("create schema if not exists {schema}")).await?;
        search_path_in_tx(&mut tx, name).await?;
        sqlx::raw_sql(P::SCHEMA).execute(&mut *tx).await?;
        run(&mut tx, format!("comment on schema {schema} is '{note}'")).await?;
    }
    tx.commit().await
}

/// A cursor without its tables is what a lost schema leaves, of the view or of what was kept beside
/// it: all of the log must be applied again.
async fn begin_anew_in_tx(tx: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let [next, former] = [Version::Next, Version::Former].map(|version| version.of(name));
    for table in ["cursors", "parked"] {
        // With those of workers that share it.
        let delete = format!(
            "delete from views.{table}
             where split_part(name, '#', 1) = any($1)
               and to_regnamespace(quote_ident(split_part(name, '#', 1))) is null"
        );
        sqlx::query(AssertSqlSafe(delete))
            .bind([name, &next, &former])
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Unqualified names mean the view's tables until the transaction ends; `public` has the functions
/// of extensions.
pub(super) async fn search_path_in_tx(
    tx: &mut PgConnection,
    view: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('search_path', $1, true)")
        .bind(format!("{}, public", quoted(view)))
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn run(tx: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    // Made of a view's own name, quoted, and of nothing from outside.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(tx).await?;
    Ok(())
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
