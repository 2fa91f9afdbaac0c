//! The sure way to settle a batch: lock the head, read everything the batch touches, decide, write.

use std::collections::HashMap;

use es::{Metadata, StreamId};
use kill_point::kill_point;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    Answer, Appender, CONNECTING, Job, PATIENCE,
    facts::{Facts, Holding},
    is_of_another_life,
    memory::Memory,
    plan::{Head, plan},
    statement, within,
};
use crate::{
    Appended, LogError, chain::Hash, context::unhex, error::is_transient, keys::Claim, retry,
};

impl Appender {
    /// Tries for some seconds. `unknown`: an earlier try may have written the batch.
    pub(super) async fn slow(&mut self, batch: &[Job], mut unknown: bool) -> Vec<Answer> {
        let mut pauses = retry::pauses();
        loop {
            match self.locked(batch, unknown).await {
                Ok(answers) => {
                    self.down = false;
                    return answers;
                }
                Err(error) if is_transient(&error) => {
                    tracing::warn!(%error, "event log append interrupted");
                    self.connection = None;
                    unknown = true;
                    match pauses.next().filter(|_| !self.down) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return all_fail(batch, &error.into()),
                    }
                }
                // One of them is at fault: each by itself, so that the others do not suffer.
                Err(error) if batch.len() > 1 => {
                    tracing::warn!(%error, "event log batch refused, trying one by one");
                    return self.one_by_one(batch, unknown).await;
                }
                Err(error) => return all_fail(batch, &error.into()),
            }
        }
    }

    async fn one_by_one(&mut self, batch: &[Job], unknown: bool) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(batch.len());
        for job in batch {
            let one = std::slice::from_ref(job);
            answers.extend(match self.locked(one, unknown).await {
                Ok(answers) => answers,
                Err(error) => {
                    if is_transient(&error) {
                        self.connection = None;
                    }
                    all_fail(one, &error.into())
                }
            });
        }
        answers
    }

    async fn locked(&mut self, batch: &[Job], unknown: bool) -> Result<Vec<Answer>, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            lost => lost.insert(within(CONNECTING, Self::connect(&self.pool)).await?),
        };
        let done = within(PATIENCE, transaction(connection, batch, unknown)).await?;
        let (answers, head) = match done {
            Locked::Settled(answers, head) => (answers, head),
            Locked::OtherLife(head) => {
                // Sealed with keys that the backup may not have.
                self.memory = Memory::default();
                let restored = LogError::Unavailable("log was restored from a backup".to_owned());
                (all_fail(batch, &restored), head)
            }
        };
        // Of another life, too: what is decided from now on is of that one.
        self.known.see(head.epoch, head.position);
        self.head = Some(head);
        Ok(answers)
    }
}

/// What became of a try behind the lock.
enum Locked {
    Settled(Vec<Answer>, Head),
    OtherLife(Head),
}

fn all_fail(batch: &[Job], error: &LogError) -> Vec<Answer> {
    batch.iter().map(|_| Err(error.clone().into())).collect()
}

async fn transaction(
    connection: &mut PgConnection,
    batch: &[Job],
    unknown: bool,
) -> Result<Locked, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let head = statement::lock_head(&mut transaction).await?;
    if is_of_another_life(batch, &head) {
        transaction.rollback().await?;
        return Ok(Locked::OtherLife(head));
    }
    kill_point!("append.head_locked");
    let facts = Facts {
        versions: versions(&mut transaction, batch).await?,
        requests: requests(&mut transaction, batch).await?,
        holders: holders(&mut transaction, batch).await?,
        landed: if unknown {
            landed(&mut transaction, batch).await?
        } else {
            HashMap::new()
        },
        ..Facts::read()
    };
    // Complete facts leave no doubt, and a locked head does not move.
    let plan = plan(batch, &head, facts).ok_or(sqlx::Error::RowNotFound)?;
    if !plan.is_empty() && !statement::append(&mut transaction, &head, &plan).await? {
        return Err(sqlx::Error::RowNotFound);
    }
    kill_point!("append.before_slow_commit");
    transaction.commit().await?;
    kill_point!("append.after_slow_commit");
    Ok(Locked::Settled(plan.answers, plan.head))
}

async fn versions<'a>(
    connection: &mut PgConnection,
    batch: &'a [Job],
) -> Result<HashMap<&'a str, i64>, sqlx::Error> {
    let streams = streams(batch);
    let versions: Vec<Option<i64>> = sqlx::query_scalar(
        "select (select max(e.version) from log.events e where e.stream = s.stream collate \"C\") \
         from unnest($1::text[]) with ordinality as s (stream, ordinal) order by s.ordinal",
    )
    .bind(&streams)
    .fetch_all(connection)
    .await?;
    Ok(streams
        .into_iter()
        .zip(versions)
        .map(|(stream, version)| (stream, version.unwrap_or_default()))
        .collect())
}

fn streams(batch: &[Job]) -> Vec<&str> {
    batch.iter().map(|job| &*job.stream).collect()
}

async fn requests(
    connection: &mut PgConnection,
    batch: &[Job],
) -> Result<HashMap<Uuid, Appended>, sqlx::Error> {
    let ids: Vec<Uuid> = batch
        .iter()
        .filter_map(|job| job.append.request_id)
        .collect();
    let rows: Vec<(Uuid, String, i64, i64, Vec<u8>)> = sqlx::query_as(
        "select request_id, stream, version, position, metadata from log.events \
         where request_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, stream, version, position, metadata)| {
            let metadata: Metadata = serde_json::from_slice(&metadata).map_err(undecodable)?;
            let first = Appended {
                stream: stream_id(&stream)?,
                version,
                position,
                repeated: false,
                digest: metadata.request_digest.as_deref().and_then(unhex),
            };
            Ok((id, first))
        })
        .collect()
}

/// Of every name that the batch speaks of, and of all names of the streams that give back all.
async fn holders(
    connection: &mut PgConnection,
    batch: &[Job],
) -> Result<HashMap<Hash, Option<Holding>>, sqlx::Error> {
    let mut holders = HashMap::new();
    let mut streams = Vec::new();
    for job in batch {
        for claim in &job.claims {
            match claim {
                Claim::Take { key, .. } | Claim::Release { key } | Claim::Vacant { key, .. } => {
                    holders.insert(*key, None);
                }
                Claim::ReleaseAll { .. } => streams.push(&*job.stream),
            }
        }
    }
    if holders.is_empty() && streams.is_empty() {
        return Ok(holders);
    }
    let keys: Vec<Hash> = holders.keys().copied().collect();
    let rows: Vec<(Hash, String, String)> = sqlx::query_as(
        "select key, stream, kind from log.reservations where key = any($1) \
         union select key, stream, kind from log.reservations where stream = any($2)",
    )
    .bind(&keys)
    .bind(&streams)
    .fetch_all(connection)
    .await?;
    for (key, stream, kind) in rows {
        let stream = stream_id(&stream)?;
        holders.insert(key, Some(Holding { stream, kind }));
    }
    Ok(holders)
}

/// Which appends an earlier try has written: an event id is made once and never used again.
async fn landed(
    connection: &mut PgConnection,
    batch: &[Job],
) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let firsts: Vec<i64> = batch.iter().map(|job| job.append.expected + 1).collect();
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "select e.event_id, e.position from unnest($1::text[], $2::bigint[]) as s (stream, version) \
         join log.events e on e.stream = s.stream collate \"C\" and e.version = s.version",
    )
    .bind(streams(batch))
    .bind(&firsts)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

fn stream_id(text: &str) -> Result<StreamId, sqlx::Error> {
    StreamId::parse(text).ok_or_else(|| undecodable("stream name"))
}

fn undecodable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
