//! `kontakty doctor`: what is wrong with an installation, in words, all at once.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::bail;
use kit::{Config, Tokens, config::SERVICES};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; the environment (`KONTAKTY__SECTION__KEY`) goes before it.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
}

const WITHIN: Duration = Duration::from_secs(5);

/// A line of the examination.
struct Finding {
    what: String,
    fault: Option<String>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref())?;
    let mut findings = vec![Finding {
        what: "configuration".to_owned(),
        fault: None,
    }];
    findings.push(keys(&config));
    for service in SERVICES {
        findings.extend(database(&config, service).await);
    }
    findings.extend(bus(&config).await);
    findings.push(port(&config));

    for finding in &findings {
        match &finding.fault {
            None => println!("ok     {}", finding.what),
            Some(fault) => println!("WRONG  {}: {fault}", finding.what),
        }
    }
    match findings
        .iter()
        .filter(|finding| finding.fault.is_some())
        .count()
    {
        0 => Ok(()),
        faults => bail!("{faults} of {} checks found a fault", findings.len()),
    }
}

fn keys(config: &Config) -> Finding {
    let folder = &config.keys.folder;
    let fault = match Tokens::load(folder) {
        Err(error) => Some(format!("{error}")),
        Ok(_) if !folder.join("master.key").exists() => Some(format!(
            "{} has no master.key: personal data could not be read",
            folder.display()
        )),
        Ok(_) => None,
    };
    Finding {
        what: format!("keys in {}", folder.display()),
        fault,
    }
}

async fn database(config: &Config, service: &str) -> Vec<Finding> {
    let finding = |what: &str, fault| Finding {
        what: format!("database of {service}: {what}"),
        fault,
    };
    let Some(url) = config.database.urls.get(service) else {
        return vec![finding(
            "configured",
            Some(format!(
                "set database.{service}, or leave the service to another process"
            )),
        )];
    };
    let Ok(options) = PgConnectOptions::from_str(url.expose_secret()) else {
        return vec![finding(
            "configured",
            Some("is not a PostgreSQL URL".to_owned()),
        )];
    };
    let mut connection = match timeout(WITHIN, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return vec![finding("reachable", Some(reason(&error)))],
        Err(_) => {
            return vec![finding(
                "reachable",
                Some(format!("no answer within {} s", WITHIN.as_secs())),
            )];
        }
    };
    let mut findings = vec![finding("reachable", None)];
    let checks: [(&str, &str, &str); 6] = [
        (
            "fsync is on",
            "select current_setting('fsync') = 'on'",
            "set fsync = on: without it a power cut loses acknowledged commands",
        ),
        (
            "synchronous_commit is on",
            "select current_setting('synchronous_commit') <> 'off'",
            "set synchronous_commit = on: without it a crash loses acknowledged commands",
        ),
        (
            "PostgreSQL is 15 or newer",
            "select current_setting('server_version_num')::int >= 150000",
            "upgrade PostgreSQL",
        ),
        (
            "encoding is UTF8",
            "select current_setting('server_encoding') = 'UTF8'",
            "create the database with encoding UTF8",
        ),
        (
            "migrated",
            "select to_regclass('log.events') is not null",
            "run `kontakty migrate`",
        ),
        (
            "the service cannot change history",
            "select not (rolsuper or has_table_privilege('log.events', 'INSERT, UPDATE, DELETE, TRUNCATE')) from pg_roles where rolname = current_user",
            "connect as a role that is only a member of kontakty_service",
        ),
    ];
    for (what, query, advice) in checks {
        let fault = match sqlx::query_scalar::<_, bool>(query)
            .fetch_one(&mut connection)
            .await
        {
            Ok(true) => None,
            Ok(false) => Some(advice.to_owned()),
            Err(error) => Some(format!("{}; {advice}", reason(&error))),
        };
        findings.push(finding(what, fault));
    }
    let _ = connection.close().await;
    findings
}

/// Without addresses or statements: the output is pasted into tickets.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(fault) => fault.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

async fn bus(config: &Config) -> Vec<Finding> {
    let finding = |what: &str, fault| Finding {
        what: format!("NATS: {what}"),
        fault,
    };
    let client = match bus::connect(config.nats.url.expose_secret(), "kontakty-doctor").await {
        Ok(client) => client,
        Err(error) => return vec![finding("configured", Some(error.to_string()))],
    };
    if !matches!(timeout(WITHIN, client.flush()).await, Ok(Ok(()))) {
        return vec![finding(
            "reachable",
            Some(format!("no answer within {} s", WITHIN.as_secs())),
        )];
    }
    let jetstream = match timeout(WITHIN, bus::jetstream(client).query_account()).await {
        Ok(Ok(_)) => None,
        _ => Some("start nats-server with JetStream enabled".to_owned()),
    };
    vec![finding("reachable", None), finding("JetStream", jetstream)]
}

fn port(config: &Config) -> Finding {
    let listen = config.server.listen;
    let fault = std::net::TcpListener::bind(listen)
        .err()
        .map(|error| format!("{error}; choose another server.listen, or is the office running?"));
    Finding {
        what: format!("port {listen} is free"),
        fault,
    }
}
