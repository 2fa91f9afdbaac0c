//! What the owner of a database does before a service can run on it.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};

/// The role that has the rights of a running service; made by the migrations.
const SERVICE_ROLE: &str = "kontakty_service";

#[derive(Debug, thiserror::Error)]
pub enum MigrationFault {
    #[error("database cannot be used")]
    Database(#[from] sqlx::Error),
    #[error("migration failed")]
    Migration(#[from] MigrateError),
}

/// Brings a database to the version of this binary. Again and from several processes at once is
/// harmless. `url` names the owner of the database.
pub async fn run(url: &SecretString, migrator: &Migrator) -> Result<(), MigrationFault> {
    let mut connection = connect(url).await?;
    // An expand step of a newer version may be there already.
    let known = Migrator {
        ignore_missing: true,
        ..Migrator::with_migrations(migrator.iter().cloned().collect())
    };
    known.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Makes a database if it is not there. `url` names somebody who may, in any database.
pub async fn create_database(url: &SecretString, name: &str) -> Result<(), MigrationFault> {
    let mut connection = connect(url).await?;
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
    if !there {
        let statement: String = sqlx::query_scalar("select format('create database %I', $1::text)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Makes the login that services use, or gives it this password. Needs a migrated database.
pub async fn create_login(
    url: &SecretString,
    login: &str,
    password: &SecretString,
) -> Result<(), MigrationFault> {
    let mut connection = connect(url).await?;
    let there: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(login)
        .fetch_one(&mut connection)
        .await?;
    let statement: String = sqlx::query_scalar(
        "select format('%s role %I login password %L; grant %I to %I', $1::text, $2::text,
                       $3::text, $4::text, $2::text)",
    )
    .bind(if there { "alter" } else { "create" })
    .bind(login)
    .bind(password.expose_secret())
    .bind(SERVICE_ROLE)
    .fetch_one(&mut connection)
    .await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await?;
    Ok(())
}

async fn connect(url: &SecretString) -> Result<PgConnection, sqlx::Error> {
    let options =
        PgConnectOptions::from_str(url.expose_secret())?.application_name("kontakty migrate");
    PgConnection::connect_with(&options).await
}
