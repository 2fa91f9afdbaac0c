//! `kontakty migrate`: keys, databases, roles and tables of all services.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use anyhow::Context;
use kit::{Config, config::SERVICES};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, migrate::Migrator, postgres::PgConnectOptions};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How the owner of the databases connects: <postgres://owner:secret@host/postgres>. Needs
    /// CREATEDB and CREATEROLE. The services themselves never use it.
    #[arg(long, env = "KONTAKTY_OWNER_URL", hide_env_values = true)]
    owner_url: SecretString,
    /// Configuration file; its database URLs say which databases and roles there should be.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    all(&args.owner_url, &config).await?;
    println!(
        "{} databases are at this version",
        config.database.urls.len()
    );
    Ok(())
}

/// Brings every configured database to this version. Safe to repeat, also by two at once.
pub(crate) async fn all(owner: &SecretString, config: &Config) -> anyhow::Result<()> {
    kit::create_keys(&config.keys.folder)?;
    let owner_options = PgConnectOptions::from_str(owner.expose_secret())
        .ok()
        .context("the owner's URL is not a PostgreSQL URL")?;
    for service in SERVICES {
        let Some(url) = config.database.urls.get(service) else {
            continue;
        };
        let target = PgConnectOptions::from_str(url.expose_secret())
            .ok()
            .with_context(|| format!("database.{service} is not a PostgreSQL URL"))?;
        let database = target
            .get_database()
            .with_context(|| format!("database.{service} names no database"))?;
        let password = target
            .to_url_lossy()
            .password()
            .unwrap_or_default()
            .to_owned();
        let in_database = SecretString::from(
            owner_options
                .clone()
                .database(database)
                .to_url_lossy()
                .to_string(),
        );
        let migrated = async {
            kit::migrate::create_database(owner, database).await?;
            kit::migrate::run(&in_database, migrator(service)).await?;
            kit::migrate::create_login(&in_database, target.get_username(), &password.into()).await
        };
        migrated
            .await
            .with_context(|| format!("cannot migrate the database of {service}"))?;
    }
    Ok(())
}

pub(crate) fn migrator(service: &str) -> &'static Migrator {
    match service {
        "accounts" => &accounts::MIGRATOR,
        "contacts" => &contacts::MIGRATOR,
        "planning" => &planning::MIGRATOR,
        "notifications" => &notifications::MIGRATOR,
        _ => &analytics::MIGRATOR,
    }
}

/// The URL under which `up` lets a service connect to the private cluster.
pub(crate) fn service_url(address: SocketAddr, service: &str, password: &str) -> SecretString {
    format!("postgres://kontakty_{service}:{password}@{address}/kontakty_{service}").into()
}
