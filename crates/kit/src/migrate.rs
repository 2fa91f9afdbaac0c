//! What the owner of a database does before a service can run on it.

use std::{collections::HashSet, str::FromStr};

use kill_point::kill_point;
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

/// The log's migrations and what a service has of its own, in the order of their versions.
pub fn with_log(own: &Migrator) -> Migrator {
    let all = es_postgres::MIGRATOR.iter().chain(own.iter());
    Migrator::with_migrations(all.cloned().collect())
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
    kill_point!("migrate.tables_made");
    connection.close().await?;
    Ok(())
}

/// What of this binary's migrations a database lacks: `0010 expand master keys`. One that is further
/// on is well: migrations only add.
pub async fn missing(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<Vec<String>, sqlx::Error> {
    let applied: Result<Vec<i64>, _> =
        sqlx::query_scalar("select version from _sqlx_migrations where success")
            .fetch_all(connection)
            .await;
    let applied: HashSet<_> = match applied {
        Ok(versions) => versions.into_iter().collect(),
        Err(error) if undefined_table(&error) => HashSet::new(),
        Err(error) => return Err(error),
    };
    Ok(migrator
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .map(|migration| format!("{:04} {}", migration.version, migration.description))
        .collect())
}

fn undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "42P01")
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
        kill_point!("migrate.database_made");
    }
    connection.close().await?;
    Ok(())
}

/// Makes the login that a service uses, or gives it this password, and lets nobody else into the
/// database: the logins of all services have the same rights inside. Needs a migrated database.
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
        "select format('%1$s role %2$I login password %3$L; grant %4$I to %2$I;
                        revoke connect on database %5$I from public;
                        grant connect on database %5$I to %2$I',
                       $1::text, $2::text, $3::text, $4::text, current_database())",
    )
    .bind(if there { "alter" } else { "create" })
    .bind(login)
    .bind(password.expose_secret())
    .bind(SERVICE_ROLE)
    .fetch_one(&mut connection)
    .await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    kill_point!("migrate.login_made");
    connection.close().await?;
    Ok(())
}

/// A database was restored from a backup: its log begins another life, at the position that is
/// returned. Done twice it does no harm. `url` names the owner of the database.
pub async fn begin_epoch(url: &SecretString) -> Result<i64, MigrationFault> {
    let mut connection = connect(url).await?;
    let first = sqlx::query_scalar("select new_first_position from log.begin_epoch()")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(first)
}

async fn connect(url: &SecretString) -> Result<PgConnection, sqlx::Error> {
    let options =
        PgConnectOptions::from_str(url.expose_secret())?.application_name("kontakty migrate");
    PgConnection::connect_with(&options).await
}
