//! Connections to the database of a service, with limits, so that nothing waits for ever.

use std::{collections::HashSet, str::FromStr, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{StartError, config};

/// Shorter than any deadline of a call, so that the caller hears of it.
const ACQUIRE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_mins(10);
const LIFE: Duration = Duration::from_hours(1);

/// Connects at the first use.
pub(crate) fn pool(config: &config::Database, service: &'static str) -> Result<PgPool, StartError> {
    let url = config
        .urls
        .get(service)
        .ok_or(StartError::NoDatabase { service })?;
    let options = PgConnectOptions::from_str(url.expose_secret())
        .map_err(|source| StartError::Database { service, source })?
        .application_name(&format!("kontakty {service}"))
        .options([
            ("statement_timeout", "20s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
    Ok(PgPoolOptions::new()
        .max_connections(config.pool_size)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .max_lifetime(LIFE)
        // A round trip before each statement; a broken connection shows itself and is retried.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// A service never migrates: that is the right of the database's owner.
pub(crate) async fn check_migrated(
    pool: &PgPool,
    service: &'static str,
    migrator: &Migrator,
) -> Result<(), StartError> {
    let applied: Result<Vec<i64>, _> =
        sqlx::query_scalar("select version from _sqlx_migrations where success")
            .fetch_all(pool)
            .await;
    let applied: HashSet<_> = match applied {
        Ok(versions) => versions.into_iter().collect(),
        Err(error) if undefined_table(&error) => HashSet::new(),
        Err(source) => return Err(StartError::Database { service, source }),
    };
    // A database that is further on is well: migrations only add.
    match migrator
        .iter()
        .find(|migration| !applied.contains(&migration.version))
    {
        Some(missing) => Err(StartError::NotMigrated {
            service,
            version: missing.version,
        }),
        None => Ok(()),
    }
}

fn undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "42P01")
}
