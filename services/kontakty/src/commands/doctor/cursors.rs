//! For `kontakty doctor`: does every view and reaction stand where its log has been?

use std::{collections::BTreeMap, str::FromStr};

use kit::{Config, config::SERVICES};
use secrecy::ExposeSecret;
use sqlx::{Connection, FromRow, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use super::words::{Finding, Words};

#[derive(FromRow)]
struct Cursor {
    name: String,
    source: String,
    epoch: Option<Uuid>,
    position: i64,
    hash: Option<Vec<u8>>,
    stale: bool,
}

#[derive(FromRow)]
struct Lost {
    name: String,
    source: String,
    first_position: i64,
    last_position: i64,
}

/// Of those databases that can be reached; that the others cannot is told elsewhere.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut databases = BTreeMap::new();
    for service in SERVICES {
        let url = config.database.urls.get(service);
        let options = url.and_then(|url| PgConnectOptions::from_str(url.expose_secret()).ok());
        if let Some(options) = options
            && let Ok(connection) = PgConnection::connect_with(&options).await
        {
            databases.insert(service, connection);
        }
    }
    let mut findings = Vec::new();
    for service in SERVICES {
        match of_service(service, &mut databases).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::bad(
                views_of(service),
                Words::new(
                    format!("cannot be examined: {error}; run `kontakty migrate`"),
                    format!("проверить не удалось: {error}; выполните `kontakty migrate`"),
                ),
            )),
        }
    }
    for (_, connection) in databases {
        let _ = connection.close().await;
    }
    findings
}

async fn of_service(
    service: &str,
    databases: &mut BTreeMap<&'static str, PgConnection>,
) -> Result<Vec<Finding>, sqlx::Error> {
    let Some(own) = databases.get_mut(service) else {
        return Ok(Vec::new());
    };
    let cursors: Vec<Cursor> =
        sqlx::query_as("select name, source, epoch, position, hash, stale from views.cursors")
            .fetch_all(&mut *own)
            .await?;
    let parked: i64 = sqlx::query_scalar("select count(*) from views.parked")
        .fetch_one(&mut *own)
        .await?;
    let lost: Vec<Lost> = sqlx::query_as(
        "select name, source, first_position, last_position from views.lost order by noticed_at",
    )
    .fetch_all(&mut *own)
    .await?;

    let stand = views_of(service).about(
        (
            "stand where their logs have been",
            "стоят там, где были их журналы",
        )
            .into(),
    );
    let mut findings = Vec::new();
    for cursor in cursors {
        let Some(owner) = databases.get_mut(cursor.source.as_str()) else {
            continue;
        };
        if let Some(fault) = astray(&cursor, owner).await? {
            let whose = Words::same(format!("{} <- {}", cursor.name, cursor.source));
            findings.push(Finding::bad(stand.clone(), whose.about(fault)));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(stand));
    }
    let none_parked =
        views_of(service).about(("nothing is parked", "отложенных событий нет").into());
    findings.push(match parked {
        0 => Finding::good(none_parked),
        _ => Finding::bad(
            none_parked,
            Words::new(
                format!("{parked} events; see `kontakty parked list`"),
                format!("отложено событий: {parked}; смотрите `kontakty parked list`"),
            ),
        ),
    });
    findings.extend(lost.into_iter().map(|lost| {
        let Lost {
            name,
            source,
            first_position,
            last_position,
        } = lost;
        Finding::good(Words::new(
            format!(
                "{service}/{name}: what it did for {source} {first_position} to {last_position} \
                 stays, though a restored backup has lost them"
            ),
            format!(
                "{service}/{name}: сделанное по событиям {source} с {first_position} по \
                 {last_position} остаётся, хотя восстановленная копия их потеряла"
            ),
        ))
    }));
    Ok(findings)
}

fn views_of(service: &str) -> Words {
    Words::new(
        format!("views of {service}"),
        format!("представления {service}"),
    )
}

/// What is wrong with a cursor, as its log sees it.
async fn astray(cursor: &Cursor, owner: &mut PgConnection) -> Result<Option<Words>, sqlx::Error> {
    if cursor.stale {
        return Ok(Some(("is being built anew", "строится заново").into()));
    }
    let (head, epoch): (i64, Uuid) =
        sqlx::query_as("select position, epoch from log.head order by position desc limit 1")
            .fetch_one(&mut *owner)
            .await?;
    if cursor.epoch.is_some_and(|mine| mine != epoch) {
        return Ok(Some(
            (
                "has not noticed yet that the log was restored",
                "ещё не знает, что журнал восстановлен из копии",
            )
                .into(),
        ));
    }
    let (position, source) = (cursor.position, &cursor.source);
    if position > head {
        return Ok(Some(Words::new(
            format!(
                "stands at {position}, the log ends at {head}: was it restored without `kontakty \
                 migrate --restored {source}`?"
            ),
            format!(
                "стоит на {position}, журнал кончается на {head}: его восстановили без `kontakty \
                 migrate --restored {source}`?"
            ),
        )));
    }
    let Some(mine) = &cursor.hash else {
        return Ok(None);
    };
    let stored: Option<Vec<u8>> =
        sqlx::query_scalar("select hash from log.events where position = $1")
            .bind(position)
            .fetch_optional(owner)
            .await?;
    let same = stored.as_ref() == Some(mine);
    Ok((!same).then(|| {
        Words::new(
            format!("has read another event at {position} than the log has"),
            format!("на позиции {position} читал другое событие, чем есть в журнале"),
        )
    }))
}
