//! The database of a service, seen with the service's own eyes.

use std::{collections::BTreeSet, str::FromStr};

use kit::Config;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::{
    WITHIN, clocks, rights, wall,
    words::{Finding, Words},
};
use crate::commands::migrate::migrator;

/// A question to the database that must be answered with yes, and what is wrong if it is not.
pub(super) struct Check {
    pub(super) what: (&'static str, &'static str),
    pub(super) query: &'static str,
    pub(super) fault: (&'static str, &'static str),
}

const SETTINGS: [Check; 5] = [
    Check {
        what: ("fsync is on", "fsync включён"),
        query: "select current_setting('fsync') = 'on'",
        fault: (
            "set fsync = on: without it a power cut loses acknowledged commands, or the whole database",
            "включите fsync: без него отключение питания уничтожит подтверждённые команды, а то и всю базу",
        ),
    },
    Check {
        what: ("synchronous_commit is on", "synchronous_commit включён"),
        query: "select current_setting('synchronous_commit') <> 'off'",
        fault: (
            "set synchronous_commit = on, for this role and database too: without it a crash loses acknowledged commands",
            "включите synchronous_commit, в том числе для этой роли и базы: без него сбой уничтожит подтверждённые команды",
        ),
    },
    Check {
        what: ("full_page_writes is on", "full_page_writes включён"),
        query: "select current_setting('full_page_writes') = 'on'",
        fault: (
            "set full_page_writes = on: without it a crash in the middle of a write destroys pages that were safe before",
            "включите full_page_writes: без него сбой посреди записи портит страницы, которые уже были сохранены",
        ),
    },
    Check {
        what: ("PostgreSQL is 15 or newer", "PostgreSQL не старше 15"),
        query: "select current_setting('server_version_num')::int >= 150000",
        fault: ("upgrade PostgreSQL", "обновите PostgreSQL"),
    },
    Check {
        what: ("encoding is UTF8", "кодировка UTF8"),
        query: "select current_setting('server_encoding') = 'UTF8'",
        fault: (
            "create the database with encoding UTF8",
            "создайте базу в кодировке UTF8",
        ),
    },
];

pub(super) async fn examine(config: &Config, service: &str) -> Vec<Finding> {
    let of = |what: Words| {
        Words::new(
            format!("database of {service}"),
            format!("база сервиса {service}"),
        )
        .about(what)
    };
    let configured = || of(("configured", "указана").into());
    let Some(url) = config.database.urls.get(service) else {
        return vec![Finding::bad(
            configured(),
            Words::new(
                format!("set database.{service}, or leave the service to another process"),
                format!("укажите database.{service} или оставьте сервис другому процессу"),
            ),
        )];
    };
    let Ok(options) = PgConnectOptions::from_str(url.expose_secret()) else {
        return vec![Finding::bad(
            configured(),
            ("is not a PostgreSQL URL", "это не адрес PostgreSQL").into(),
        )];
    };
    let reachable = of(("reachable", "отвечает").into());
    let mut connection = match timeout(WITHIN, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return vec![Finding::bad(reachable, reason(&error))],
        Err(_) => return vec![Finding::bad(reachable, silence())],
    };
    let mut findings = vec![Finding::good(reachable)];
    for check in SETTINGS {
        findings.push(answer(&mut connection, &of, check).await);
    }
    findings.push(clock(&mut connection, &of).await);
    let migrated = migrated(&mut connection, service, &of).await;
    let there = migrated.fault.is_none();
    findings.push(migrated);
    // The rest asks for what migrations make.
    if there {
        findings.push(master_key(&mut connection, config, &of).await);
        for check in rights::CHECKS {
            findings.push(answer(&mut connection, &of, check).await);
        }
        let others = others(config, service, &options);
        findings.push(rights::others(&mut connection, &others, &of).await);
    }
    let _ = connection.close().await;
    findings
}

async fn answer(
    connection: &mut PgConnection,
    of: &impl Fn(Words) -> Words,
    check: Check,
) -> Finding {
    let (what, fault) = (of(check.what.into()), Words::from(check.fault));
    match sqlx::query_scalar::<_, bool>(check.query)
        .fetch_one(connection)
        .await
    {
        Ok(true) => Finding::good(what),
        Ok(false) => Finding::bad(what, fault),
        Err(error) => Finding::bad(what, reason(&error).about(fault)),
    }
}

async fn clock(connection: &mut PgConnection, of: &impl Fn(Words) -> Words) -> Finding {
    let before = wall();
    let theirs = sqlx::query_scalar("select pg_catalog.clock_timestamp()")
        .fetch_one(connection)
        .await;
    match theirs {
        Ok(theirs) => clocks(
            of(("its machine", "её машина").into()),
            (before, theirs, wall()),
        ),
        Err(error) => Finding::bad(of(("its clock", "её часы").into()), reason(&error)),
    }
}

async fn migrated(
    connection: &mut PgConnection,
    service: &str,
    of: &impl Fn(Words) -> Words,
) -> Finding {
    let what = of(("migrated", "структура обновлена").into());
    match kit::migrate::missing(connection, migrator(service)).await {
        Ok(missing) if missing.is_empty() => Finding::good(what),
        Ok(missing) => {
            let missing = missing.join(", ");
            Finding::bad(
                what,
                Words::new(
                    format!("run `kontakty migrate`: it lacks {missing}"),
                    format!("выполните `kontakty migrate`: нет {missing}"),
                ),
            )
        }
        Err(error) => Finding::bad(what, reason(&error)),
    }
}

async fn master_key(
    connection: &mut PgConnection,
    config: &Config,
    of: &impl Fn(Words) -> Words,
) -> Finding {
    let what = of(("its master key is ours", "её главный ключ — наш").into());
    match kit::master_key_belongs(&config.keys.folder, connection).await {
        Ok(true) => Finding::good(what),
        Ok(false) => Finding::bad(
            what,
            (
                "master.key is another one than the personal data was sealed with: put the right one back",
                "личные данные запечатаны другим master.key: верните тот, что был",
            )
                .into(),
        ),
        Err(error) => Finding::bad(what, Words::same(error.to_string())),
    }
}

/// The databases of the other services on the same server.
fn others(config: &Config, service: &str, options: &PgConnectOptions) -> Vec<String> {
    let others = config
        .database
        .urls
        .iter()
        .filter(|(other, _)| **other != service)
        .filter_map(|(_, url)| PgConnectOptions::from_str(url.expose_secret()).ok())
        .filter(|other| {
            (other.get_host(), other.get_port()) == (options.get_host(), options.get_port())
        })
        .filter_map(|other| Some(other.get_database()?.to_owned()));
    let others: BTreeSet<String> = others.collect();
    others.into_iter().collect()
}

/// Without addresses or statements: the output is pasted into tickets.
pub(super) fn reason(error: &sqlx::Error) -> Words {
    Words::same(match error {
        sqlx::Error::Database(fault) => fault.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    })
}

pub(super) fn silence() -> Words {
    let seconds = WITHIN.as_secs();
    Words::new(
        format!("no answer within {seconds} s"),
        format!("нет ответа за {seconds} с"),
    )
}
