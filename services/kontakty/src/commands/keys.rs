//! `kontakty keys`: the master keys of personal data, on a machine that has them and reaches the
//! databases. Services go on meanwhile; they look at the key file every second.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context, bail};
use clap::Subcommand;
use es_postgres::{Census, KeyId, census, note, rewrap, settle};
use kit::{Config, config::SERVICES};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::migrate::service_url;
use crate::{
    office::{self, Folder, default_folder},
    output::{Format, Rows, number, progress, text},
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say how many keys of each service each master key wraps.
    Status {
        #[command(flatten)]
        place: Place,
        /// How the table is printed.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Put a new master key in use and wrap every key of every service with it, while everything
    /// runs. Interrupted, it goes on when it is called again.
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Remove the former master keys, once nothing needs them any more.
    Retire {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args)]
struct Place {
    /// Configuration file of the installation.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder of a local office that runs.
    #[arg(long, env = "KONTAKTY_DATA", conflicts_with = "config")]
    data: Option<PathBuf>,
}

/// Longer than a service needs to notice a new master key.
const NOTICED: Duration = Duration::from_secs(3);

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Status { place, format } => status(&place.installation()?, format).await,
        Command::Rotate { place } => rotate(&place.installation()?).await,
        Command::Retire { place } => retire(&place.installation()?).await,
    }
}

async fn status(installation: &Installation, format: Format) -> anyhow::Result<()> {
    let current = installation.current()?;
    let mut rows = Rows::new(vec![
        text("Service", "service"),
        text("Wrapped by", "wrapped_by"),
        number("Keys", "keys"),
    ]);
    for (service, census) in installation.censuses().await? {
        for (id, count) in &census.wrapped {
            let id = match id {
                Some(id) if *id == current => format!("{id} (in use)"),
                Some(id) => id.to_string(),
                None => "not named".to_owned(),
            };
            rows.push(vec![service.to_owned(), id, count.to_string()]);
        }
        for (what, count) in [
            ("keys of persons", census.texts),
            ("destroyed", census.destroyed),
        ] {
            rows.push(vec![service.to_owned(), what.to_owned(), count.to_string()]);
        }
    }
    rows.print(format)
}

async fn rotate(installation: &Installation) -> anyhow::Result<()> {
    let folder = &installation.folder;
    // Former keys are there as long as a rotation is not over.
    let current = if kit::read_master_keys(folder)?.len() > 1 {
        installation.current()?
    } else {
        kit::add_master_key(folder)?
    };
    println!("master key {current} is in use");
    installation.note().await?;
    installation.rewrap().await?;
    // A service that had not noticed yet may have wrapped one more with the key before.
    tokio::time::sleep(NOTICED).await;
    installation.rewrap().await?;
    let left = installation.left_of(current).await?;
    if left > 0 {
        bail!("{left} keys are still wrapped by another master key: call it again");
    }
    installation.settle().await?;
    println!("every key is wrapped by it; `kontakty keys retire` removes the former master keys");
    Ok(())
}

async fn retire(installation: &Installation) -> anyhow::Result<()> {
    let left = installation.left_of(installation.current()?).await?;
    if left > 0 {
        bail!("{left} keys need a former master key: run `kontakty keys rotate` first");
    }
    // Where nothing was ever wrapped, nothing but this tells that it may go.
    installation.settle().await?;
    match kit::retire_master_keys(&installation.folder)? {
        0 => println!("there is no former master key"),
        count => println!(
            "{count} former master keys removed; backups of keys made before the rotation need them"
        ),
    }
    Ok(())
}

/// Where the master keys are, and what they wrap.
struct Installation {
    folder: PathBuf,
    databases: BTreeMap<&'static str, PgPool>,
}

impl Place {
    fn installation(&self) -> anyhow::Result<Installation> {
        match &self.config {
            Some(path) => {
                let config = Config::load(Some(path))?;
                Installation::new(config.keys.folder, config.database.urls)
            }
            None => self.local(),
        }
    }

    /// As `up` has set it up.
    fn local(&self) -> anyhow::Result<Installation> {
        let root = self.data.clone().unwrap_or_else(default_folder);
        let running = Folder::running(&root).with_context(|| {
            format!(
                "no office runs on {}: name its folder with --data, or an installation with --config",
                root.display()
            )
        })?;
        let folder = office::keys(&root);
        let mut urls = BTreeMap::new();
        for service in SERVICES {
            let path = folder.join(format!("postgres-{service}"));
            let password = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let url = service_url(running.postgres.parse()?, service, password.trim());
            urls.insert(service, url);
        }
        Installation::new(folder, urls)
    }
}

impl Installation {
    fn new(folder: PathBuf, urls: BTreeMap<&'static str, SecretString>) -> anyhow::Result<Self> {
        let pool = |(service, url): (&'static str, SecretString)| {
            let options = PgConnectOptions::from_str(url.expose_secret())
                .ok()
                .with_context(|| format!("database.{service} is not a PostgreSQL URL"))?
                .application_name("kontakty keys");
            let pool = PgPoolOptions::new().max_connections(1);
            anyhow::Ok((service, pool.connect_lazy_with(options)))
        };
        let databases: BTreeMap<_, _> = urls.into_iter().map(pool).collect::<Result<_, _>>()?;
        if databases.len() < SERVICES.len() {
            bail!(
                "the databases of all services must be configured: {}",
                SERVICES.join(", ")
            );
        }
        Ok(Self { folder, databases })
    }

    fn current(&self) -> anyhow::Result<KeyId> {
        let keys = kit::read_master_keys(&self.folder)?;
        Ok(keys.first().context("no master key")?.id())
    }

    async fn censuses(&self) -> anyhow::Result<Vec<(&'static str, Census)>> {
        let mut censuses = Vec::new();
        for service in SERVICES {
            if let Some(pool) = self.databases.get(service) {
                let census = census(pool)
                    .await
                    .with_context(|| format!("the keys of {service} cannot be counted"))?;
                censuses.push((service, census));
            }
        }
        Ok(censuses)
    }

    async fn left_of(&self, current: KeyId) -> anyhow::Result<i64> {
        let censuses = self.censuses().await?;
        Ok(censuses
            .iter()
            .map(|(_, census)| census.left_of(current))
            .sum())
    }

    /// Services may start with the key in use.
    async fn note(&self) -> anyhow::Result<()> {
        let masters = kit::master_keys(&self.folder)?;
        for (service, pool) in &self.databases {
            note(pool, &masters)
                .await
                .with_context(|| format!("the database of {service} cannot be told"))?;
        }
        Ok(())
    }

    /// Services may start with no other key any more.
    async fn settle(&self) -> anyhow::Result<()> {
        let masters = kit::master_keys(&self.folder)?;
        for (service, pool) in &self.databases {
            settle(pool, &masters)
                .await
                .with_context(|| format!("{service} still needs a former master key"))?;
        }
        Ok(())
    }

    async fn rewrap(&self) -> anyhow::Result<()> {
        let masters = kit::master_keys(&self.folder)?;
        let current = self.current()?;
        for (service, census) in self.censuses().await? {
            let Some(pool) = self.databases.get(service) else {
                continue;
            };
            let bar = progress(&format!("keys of {service}"))?;
            bar.set_length(census.left_of(current) as u64);
            rewrap(pool, &masters, |done| bar.set_position(done))
                .await
                .with_context(|| format!("the keys of {service} cannot be wrapped"))?;
            bar.finish_and_clear();
        }
        Ok(())
    }
}
