//! Connections to the database of a service, with limits, so that nothing waits for ever.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{StartError, config, migrate};

/// Shorter than any deadline of a call, so that the caller hears of it.
const ACQUIRE: Duration = Duration::from_secs(3);
/// How long a service that starts waits for a database that is starting, too, or has much to do.
const START: Duration = Duration::from_secs(20);
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
            // Compiling a statement takes longer than any of ours runs.
            ("jit", "off"),
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
    let missing = async || migrate::missing(&mut *pool.acquire().await?, migrator).await;
    let until = Instant::now() + START;
    let missing = loop {
        match missing().await {
            Err(sqlx::Error::PoolTimedOut) if Instant::now() < until => {
                tracing::warn!(service, "waiting for the database");
            }
            answer => break answer,
        }
    };
    match missing {
        Err(source) => Err(StartError::Database { service, source }),
        Ok(missing) => missing.into_iter().next().map_or(Ok(()), |version| {
            Err(StartError::NotMigrated { service, version })
        }),
    }
}
