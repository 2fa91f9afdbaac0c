use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use es::{Recorded, Subject};
use sqlx::{PgPool, Row as _};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use crate::{
    Append, AppendError, Appended, Destroyed, Life, LogError, MasterKeys,
    appender::{Appender, Job},
    keys::Keys,
    life::Known,
    retry,
    row::{Row, select_page},
};

/// How many appends may wait. Callers beyond it wait for a place.
const QUEUE: usize = 8_192;

/// The event log of one service. Clones share everything.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    service: &'static str,
    pool: PgPool,
    queue: mpsc::Sender<Job>,
    known: Arc<Known>,
}

/// A part of a log, as of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The life of the log that it is of.
    pub epoch: Uuid,
    /// Where the log ends.
    pub head: i64,
    /// Personal fields are sealed.
    pub events: Vec<Recorded>,
}

impl Log {
    /// Opens the log of a migrated database, if one of the master keys is that of its personal data,
    /// and starts its appender, which ends when the last clone of the log is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "the appender must outlive any caller, and its end is the end of the queue"
    )]
    pub async fn open(
        pool: PgPool,
        service: &'static str,
        master: impl Into<MasterKeys>,
    ) -> Result<Self, LogError> {
        let row = retry::read(|| {
            sqlx::query("select position, epoch from log.head order by position desc limit 1")
                .fetch_one(&pool)
        })
        .await?;
        let keys = Keys::new(pool.clone(), master.into());
        keys.belongs().await?;
        let known = Arc::new(Known::new(row.try_get(1)?, row.try_get(0)?, keys));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let appender = Appender::new(pool.clone(), jobs, Arc::clone(&known));
        tokio::spawn(appender.run());
        Ok(Self {
            shared: Arc::new(Shared {
                service,
                pool,
                queue,
                known,
            }),
        })
    }

    /// Whose log it is: `planning`.
    pub fn service(&self) -> &'static str {
        self.shared.service
    }

    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// The life of the log as this process last saw it. Another one after a restore from a backup:
    /// positions then mean other events.
    pub fn epoch(&self) -> Uuid {
        self.shared.known.epoch()
    }

    /// All lives of the log, oldest first. The database is asked only when there is a new one.
    pub async fn lives(&self) -> Result<Vec<Life>, LogError> {
        let asked = || {
            let asked = self.shared.known.lives.lock();
            asked.unwrap_or_else(PoisonError::into_inner)
        };
        let known = asked().clone();
        if known.last().is_some_and(|life| life.epoch == self.epoch()) {
            return Ok(known);
        }
        let rows: Vec<(Uuid, i64)> = retry::read(|| {
            sqlx::query_as("select epoch, first_position from log.epochs order by ordinal")
                .fetch_all(self.pool())
        })
        .await?;
        let life = |(epoch, first_position)| Life {
            epoch,
            first_position,
        };
        let lives: Vec<Life> = rows.into_iter().map(life).collect();
        asked().clone_from(&lives);
        Ok(lives)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.shared.known.keys
    }

    /// The newest position this process knows of. Other replicas' appends show after [`Log::read`]
    /// or [`Log::refresh_head`].
    pub fn head(&self) -> watch::Receiver<i64> {
        self.shared.known.head.subscribe()
    }

    /// Asks the database for the newest position.
    pub async fn refresh_head(&self) -> Result<i64, LogError> {
        let (position, epoch) = retry::read(|| {
            sqlx::query_as("select position, epoch from log.head order by position desc limit 1")
                .fetch_one(self.pool())
        })
        .await?;
        self.shared.known.see(epoch, position);
        Ok(position)
    }

    /// Hands events to the appender. Each append is accepted or refused by itself, in this order.
    /// A caller that stops waiting changes nothing: what was handed over will be settled.
    pub async fn append(&self, requests: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let epoch = self.epoch();
        let mut answers = Vec::with_capacity(requests.len());
        for append in requests {
            let (answer, settled) = oneshot::channel();
            let claims = append
                .reservations
                .iter()
                .map(|reservation| self.keys().claim(reservation))
                .collect();
            // Refused only when the runtime is going down, and then `settled` ends in an error.
            let _ = self
                .shared
                .queue
                .send(Job::new(append, claims, epoch, answer))
                .await;
            answers.push(settled);
        }
        let mut settled = Vec::with_capacity(answers.len());
        for answer in answers {
            settled.push(answer.await.unwrap_or_else(|_| {
                Err(LogError::Unavailable("appender has ended".to_owned()).into())
            }));
        }
        settled
    }

    /// Events behind a position, in order. Personal fields are sealed.
    pub async fn read(&self, after: i64, limit: i64) -> Result<Vec<Recorded>, LogError> {
        Ok(self.page(after, limit).await?.events)
    }

    /// The same, with where the log stood at that moment.
    pub async fn page(&self, after: i64, limit: i64) -> Result<Page, LogError> {
        let rows = retry::read(|| {
            sqlx::query(select_page!())
                .bind(after)
                .bind(after.saturating_add(limit))
                .fetch_all(self.pool())
        })
        .await?;
        // There is always a row with the head; without events it is the only one.
        let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (epoch, head): (Uuid, i64) = (first.try_get("epoch")?, first.try_get("head")?);
        self.shared.known.see(epoch, head);
        let empty = first.try_get::<Option<i64>, _>(0)?.is_none();
        let events = rows
            .iter()
            .filter(|_| !empty)
            .map(|row| Row::read(row)?.recorded())
            .collect::<Result<Vec<_>, LogError>>()?;
        Ok(Page {
            epoch,
            head,
            events,
        })
    }

    /// Puts back the personal fields that can still be read, by the keys there are at this moment;
    /// the others stay erased.
    pub async fn open_personal(&self, events: &mut [Recorded]) -> Result<(), LogError> {
        self.keys().open(events).await
    }

    /// Destroys the keys of data subjects, for good: their personal fields read as erased from now
    /// on, and nothing more is sealed for them. Other replicas decide by it within seconds.
    pub async fn erase(
        &self,
        subjects: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<Destroyed, LogError> {
        self.keys().destroy(subjects, now).await
    }

    /// What a name is known by where it may not be kept: the same in every service of an
    /// installation, for ever, and of no use to whoever lacks the key.
    pub fn fingerprint(&self, kind: &str, name: &str) -> [u8; 32] {
        self.keys().name(kind, name)
    }
}

/// Raises the known head, never lowers it, and wakes readers only when it rose.
pub(crate) fn raise(head: &watch::Sender<i64>, position: i64) {
    head.send_if_modified(|known| {
        let rises = position > *known;
        if rises {
            *known = position;
        }
        rises
    });
}
