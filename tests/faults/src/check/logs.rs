//! What can be told from the databases alone. I3: positions and versions are dense; I4: chains are
//! whole; I8: cursors stand within their logs; I10: parked events hold up their streams.

use super::Finding;
use crate::replay::Stores;

/// Positions of a log and versions of a stream are 1, 2, 3 … without hole or double.
pub async fn versions(stores: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I3", "positions and versions dense");
    for (service, pool) in stores.each() {
        let (count, highest, head): (i64, i64, i64) = sqlx::query_as(
            "select count(*), coalesce(max(position), 0), (select max(position) from log.head)
             from log.events",
        )
        .fetch_one(pool)
        .await?;
        finding.looked_at += count as usize;
        if count != highest || highest != head {
            finding.found(|| {
                format!("{service} has {count} events, the last is {highest}, its head {head}")
            });
        }
        let broken: Option<(String, i64, i64, i64)> = sqlx::query_as(
            "select stream, count(*), min(version), max(version) from log.events
             group by stream having count(*) <> max(version) or min(version) <> 1
             order by min(position) limit 1",
        )
        .fetch_optional(pool)
        .await?;
        if let Some((stream, count, lowest, highest)) = broken {
            finding.found(|| {
                format!("{stream} has {count} events with versions from {lowest} to {highest}")
            });
        }
    }
    Ok(finding)
}

/// Every hash follows from the bytes and the hash before it.
pub async fn chains(stores: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I4", "hash chains whole");
    for (service, _) in stores.each() {
        let verdict = stores.log(service).await?.verify(0, |_| {}).await?;
        finding.looked_at += verdict.verified as usize;
        if let Some(fault) = verdict.fault {
            finding.found(|| format!("{service} at {}: {}", fault.position, fault.what));
        }
    }
    Ok(finding)
}

/// Every cursor stands at an event of its log, in the present life of it.
pub async fn cursors(stores: &Stores) -> anyhow::Result<Finding> {
    type Row = (String, String, i64, Option<String>, Option<Vec<u8>>);
    let mut finding = Finding::new("I8", "cursors within their logs");
    for (service, pool) in stores.each() {
        let cursors: Vec<Row> =
            sqlx::query_as("select name, source, position, epoch::text, hash from views.cursors")
                .fetch_all(pool)
                .await?;
        for (name, source, position, epoch, hash) in cursors {
            finding.looked_at += 1;
            let stands: bool = sqlx::query_scalar(
                "select $1 = 0 or exists (
                     select from log.events e, log.head h
                     where e.position = $1 and h.epoch::text = $2
                       and ($3::bytea is null or e.hash = $3))",
            )
            .bind(position)
            .bind(epoch)
            .bind(hash)
            .fetch_one(stores.of(&source))
            .await?;
            if !stands {
                finding.found(|| format!("{name} of {service} stands at {position} of {source}"));
            }
        }
    }
    Ok(finding)
}

/// What is parked is in its log, has a reason, and nothing of its stream was applied after it.
pub async fn parked(stores: &Stores) -> anyhow::Result<Finding> {
    type Row = (String, String, String, Vec<i64>, i64, bool);
    let mut finding = Finding::new("I10", "parked events hold up their streams");
    for (service, pool) in stores.each() {
        let streams: Vec<Row> = sqlx::query_as(
            "select p.name, p.source, p.stream, array_agg(p.position order by p.position),
                    max(c.position), bool_and(p.reason <> '')
             from views.parked p join views.cursors c using (name, source)
             group by p.name, p.source, p.stream",
        )
        .fetch_all(pool)
        .await?;
        for (name, source, stream, positions, cursor, with_reasons) in streams {
            finding.looked_at += positions.len();
            let expected: Vec<i64> = sqlx::query_scalar(
                "select position from log.events
                 where stream = $1 and position between $2 and $3 order by position",
            )
            .bind(&stream)
            .bind(positions.first())
            .bind(cursor)
            .fetch_all(stores.of(&source))
            .await?;
            if positions != expected || !with_reasons {
                finding.found(|| {
                    format!(
                        "{name} of {service} has parked {positions:?} of {stream} and read on to \
                         {cursor}; the log has {expected:?}"
                    )
                });
            }
        }
    }
    Ok(finding)
}
