//! What is kept of a view beside the one that serves: schemas and cursors of other names.

use sqlx::{PgConnection, PgPool};

use super::prepare::{quoted, run};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Being built, to take the place of the live one.
    Next,
    /// The one that served before.
    Former,
}

impl Version {
    /// Of its schema and of its cursors.
    pub fn of(self, view: &str) -> String {
        match self {
            Self::Next => format!("{view}~next"),
            Self::Former => format!("{view}~former"),
        }
    }

    pub async fn exists(self, pool: &PgPool, view: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("select to_regnamespace($1) is not null")
            .bind(quoted(&self.of(view)))
            .fetch_one(pool)
            .await
    }

    /// Removes it, as if it had never been.
    pub async fn discard(self, pool: &PgPool, view: &str) -> Result<(), sqlx::Error> {
        let mut tx = pool.begin().await?;
        discard_in_tx(&mut tx, &self.of(view)).await?;
        tx.commit().await
    }
}

pub(super) async fn discard_in_tx(tx: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    // With the cursors of workers that share it.
    for table in ["cursors", "parked"] {
        let delete =
            format!("delete from views.{table} where name = $1 or starts_with(name, $1 || '#')");
        sqlx::query(sqlx::AssertSqlSafe(delete))
            .bind(name)
            .execute(&mut *tx)
            .await?;
    }
    let schema = quoted(name);
    run(tx, format!("drop schema if exists {schema} cascade")).await
}

pub(super) async fn rename_in_tx(
    tx: &mut PgConnection,
    from: &str,
    to: &str,
) -> Result<(), sqlx::Error> {
    let (old, new) = (quoted(from), quoted(to));
    run(tx, format!("alter schema {old} rename to {new}")).await?;
    for table in ["cursors", "parked"] {
        let rename = format!("update views.{table} set name = $2 where name = $1");
        sqlx::query(sqlx::AssertSqlSafe(rename))
            .bind(from)
            .bind(to)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
