//! `kontakty migrate`: keys, databases, roles and tables of all services.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use anyhow::{Context, bail};
use kit::{Config, config::SERVICES};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, migrate::Migrator, postgres::PgConnectOptions};

use crate::{office, services::Services};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How the owner of the databases connects: <postgres://owner:secret@host/postgres>. Needs
    /// CREATEDB and CREATEROLE. The services themselves never use it [default: that of the office
    /// that runs on the data folder, when no databases are configured].
    #[arg(long, env = "KONTAKTY_OWNER_URL", hide_env_values = true)]
    owner_url: Option<SecretString>,
    /// Configuration file; its database URLs say which databases and roles there should be.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder of a local office, instead of an owner and a configuration.
    #[arg(long, env = "KONTAKTY_DATA", conflicts_with = "owner_url")]
    data: Option<PathBuf>,
    /// The databases of these services, or of all, were restored from a backup: their logs begin a
    /// new life, so that whoever has read what the backup lacks notices.
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    restored: Vec<Services>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref())?;
    let owner = if let Some(owner) = args.owner_url {
        owner
    } else {
        // The office on the data folder is another one than the configured.
        if args.config.is_some() || !config.database.urls.is_empty() {
            bail!(
                "an installation is configured, and nothing says how the owner of its databases \
                 connects: give --owner-url (postgres://owner:secret@host/postgres); for the office \
                 that runs on a data folder leave out --config and KONTAKTY__DATABASE__…"
            );
        }
        let folder = args.data.unwrap_or_else(office::default_folder);
        office::local_office(&folder, &mut config)?
    };
    all(&owner, &config).await?;
    println!(
        "{} databases are at this version",
        config.database.urls.len()
    );
    for service in Services::together(&args.restored) {
        let database = Database::of(&owner, &config, service)?
            .with_context(|| format!("database.{service} is not configured"))?;
        let first = kit::migrate::begin_epoch(&database.owner)
            .await
            .with_context(|| format!("cannot mark the log of {service} as restored"))?;
        println!("the log of {service} begins a new life at position {first}");
    }
    Ok(())
}

/// The database of one service.
struct Database {
    name: String,
    login: String,
    password: SecretString,
    /// How the owner connects to it.
    owner: SecretString,
}

impl Database {
    /// `None` when it is not configured.
    fn of(
        owner: &SecretString,
        config: &Config,
        service: &'static str,
    ) -> anyhow::Result<Option<Self>> {
        let owner = PgConnectOptions::from_str(owner.expose_secret())
            .ok()
            .context("the owner's URL is not a PostgreSQL URL")?;
        let Some(url) = config.database.urls.get(service) else {
            return Ok(None);
        };
        let target = PgConnectOptions::from_str(url.expose_secret())
            .ok()
            .with_context(|| format!("database.{service} is not a PostgreSQL URL"))?;
        let name = target
            .get_database()
            .with_context(|| format!("database.{service} names no database"))?;
        let url = target.to_url_lossy();
        Ok(Some(Self {
            name: name.to_owned(),
            login: target.get_username().to_owned(),
            password: url.password().unwrap_or_default().into(),
            owner: owner.database(name).to_url_lossy().to_string().into(),
        }))
    }
}

/// Brings every configured database to this version. Safe to repeat, also by two at once.
pub(crate) async fn all(owner: &SecretString, config: &Config) -> anyhow::Result<()> {
    kit::create_keys(&config.keys.folder)?;
    for service in SERVICES {
        let Some(database) = Database::of(owner, config, service)? else {
            continue;
        };
        let (name, login) = (&database.name, &database.login);
        let migrated = async {
            kit::migrate::create_database(owner, name).await?;
            kit::migrate::run(&database.owner, migrator(service)).await?;
            kit::migrate::create_login(&database.owner, login, &database.password).await
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
        "analytics" => &analytics::MIGRATOR,
        _ => unreachable!("{service} is no service"),
    }
}

/// The URL under which `up` lets a service connect to the private cluster.
pub(crate) fn service_url(address: SocketAddr, service: &str, password: &str) -> SecretString {
    format!("postgres://kontakty_{service}:{password}@{address}/kontakty_{service}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_migrations_of_a_service_have_the_same_version() {
        for service in SERVICES {
            let migrations = migrator(service).iter();
            let versions: Vec<_> = migrations.map(|migration| migration.version).collect();
            assert!(
                versions.is_sorted_by(|one, next| one < next),
                "{service}: {versions:?}"
            );
        }
    }
}
