//! Keys of personal data: one per data subject, wrapped by the master key, destroyed to erase.
//!
//! A text about several people has a key of its own, wrapped by the key of each of them: a 2 and
//! one sealed key after the other, in the order in which the subject names them.

mod cipher;
mod master;
mod rotation;

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use es::{Recorded, Reservation, Subject};
use kill_point::kill_point;
use moka::sync::Cache;
use sqlx::PgPool;

pub(crate) use cipher::seal_payload;
pub use master::{KeyId, MasterKey, MasterKeys};
pub use rotation::{Census, census, note, rewrap, settle};

use crate::{LogError, retry};
use cipher::SEALED_KEY;
use master::{DataKey, NAMED_LENGTH, random_key};

/// The keys that some payloads need; `None`: destroyed. Absent: never was one here.
pub(crate) type KeyRing = HashMap<Subject, Option<DataKey>>;

/// What an append does with one reserved name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claim {
    Take { key: [u8; 32], kind: &'static str },
    Release { key: [u8; 32] },
    ReleaseAll { kind: &'static str },
    Vacant { key: [u8; 32], kind: &'static str },
}

/// What an erasure has left nobody able to read, however often it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Keys of the subjects themselves.
    pub keys: i64,
    /// Keys of texts that were about them and others.
    pub texts: i64,
}

const CACHED_SUBJECTS: u64 = 16_384;
/// How long a replica may still decide with a key that another one has destroyed. What is shown is
/// opened with keys read at that moment.
const CACHED_FOR: Duration = Duration::from_secs(3);
const SHARED: u8 = 2;

pub(crate) struct Keys {
    pool: PgPool,
    master: MasterKeys,
    cache: Cache<Subject, Option<DataKey>>,
}

impl Keys {
    pub(crate) fn new(pool: PgPool, master: MasterKeys) -> Self {
        Self {
            pool,
            master,
            cache: Cache::builder()
                .max_capacity(CACHED_SUBJECTS)
                .time_to_live(CACHED_FOR)
                .build(),
        }
    }

    /// Refuses master keys that nothing here is under. The one in use when a new log is opened, or
    /// all that an old one without a note has, becomes its key.
    pub(crate) async fn belongs(&self) -> Result<(), LogError> {
        let own = self.master.check_values();
        let in_use = own.first().ok_or(LogError::Invalid("no master key"))?;
        let mut tx = self.pool.begin().await?;
        // Two replicas with different keys must not both be the first.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('log.master_keys', 0))")
            .execute(&mut *tx)
            .await?;
        let known: Vec<Vec<u8>> = sqlx::query_scalar("select check_value from log.master_keys")
            .fetch_all(&mut *tx)
            .await?;
        if known.is_empty() {
            // Keys of texts are longer: they are wrapped by keys of persons.
            let sealed: Option<(String, Vec<u8>)> = sqlx::query_as(
                "select subject, wrapped from log.keys where octet_length(wrapped) <= $1 limit 1",
            )
            .bind(NAMED_LENGTH as i32)
            .fetch_optional(&mut *tx)
            .await?;
            if sealed.is_some_and(|(subject, key)| self.master.unwrap(&subject, &key).is_err()) {
                return Err(LogError::ForeignMasterKey);
            }
            sqlx::query("insert into log.master_keys (check_value) values ($1)")
                .bind(&in_use[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        } else if !own.iter().any(|own| known.iter().any(|known| known == own)) {
            return Err(LogError::ForeignMasterKey);
        }
        Ok(())
    }

    /// Asks the database again for everything.
    pub(crate) fn forget(&self) {
        self.cache.invalidate_all();
    }

    pub(crate) fn claim(&self, reservation: &Reservation) -> Claim {
        match reservation {
            Reservation::Take { kind, name } => Claim::Take {
                key: self.name(kind, name),
                kind,
            },
            Reservation::Release { kind, name } => Claim::Release {
                key: self.name(kind, name),
            },
            Reservation::ReleaseAll { kind } => Claim::ReleaseAll { kind },
            Reservation::Vacant { kind, name } => Claim::Vacant {
                key: self.name(kind, name),
                kind,
            },
        }
    }

    pub(crate) fn name(&self, kind: &str, name: &str) -> [u8; 32] {
        let text = [kind.as_bytes(), &[0], name.as_bytes()].concat();
        *blake3::keyed_hash(self.master.names(), &text).as_bytes()
    }

    /// Keys to write with: made where missing, an error where destroyed.
    pub(crate) async fn ensure(
        &self,
        subjects: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<KeyRing, LogError> {
        let (mut ring, missing) = self.cached(subjects);
        let (texts, own): (Vec<_>, Vec<_>) = missing.into_iter().partition(|s| s.is_shared());
        let wrapped = own
            .iter()
            .map(|subject| self.master.fresh(subject.as_str()));
        let wrapped = wrapped.collect::<Result<_, _>>()?;
        self.make(&mut ring, &own, wrapped, now).await?;
        alive(&ring)?;
        // The keys of everybody a text is about are here now.
        let wrapped = texts.iter().map(|text| fresh_shared(&ring, text));
        let wrapped = wrapped.collect::<Result<_, _>>()?;
        self.make(&mut ring, &texts, wrapped, now).await?;
        alive(&ring)?;
        Ok(ring)
    }

    /// Stores those that are not there yet and takes those that count.
    async fn make(
        &self,
        ring: &mut KeyRing,
        missing: &[&Subject],
        wrapped: Vec<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), LogError> {
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|subject| subject.as_str()).collect();
        kill_point!("keys.before_made");
        let rows: Vec<(String, Option<Vec<u8>>)> = retry::read(|| {
            sqlx::query_as("select * from log.ensure_keys($1, $2, $3)")
                .bind(&names)
                .bind(&wrapped)
                .bind(now)
                .fetch_all(&self.pool)
        })
        .await?;
        kill_point!("keys.after_made");
        self.unwrap_into(ring, rows)
    }

    /// Opens what there are keys for, by what the database says at this moment.
    pub(crate) async fn open(&self, events: &mut [Recorded]) -> Result<(), LogError> {
        self.open_with(events, |subjects| {
            (
                KeyRing::with_capacity(subjects.len()),
                subjects.iter().collect(),
            )
        })
        .await
    }

    /// The same for a decision, which may be a few seconds behind.
    pub(crate) async fn open_to_decide(&self, events: &mut [Recorded]) -> Result<(), LogError> {
        self.open_with(events, |subjects| self.cached(subjects))
            .await
    }

    async fn open_with(
        &self,
        events: &mut [Recorded],
        known: impl for<'s> FnOnce(&'s [Subject]) -> (KeyRing, Vec<&'s Subject>),
    ) -> Result<(), LogError> {
        let mut subjects: Vec<Subject> = events
            .iter()
            .flat_map(|event| event.metadata.subjects.iter().cloned())
            .collect();
        if subjects.is_empty() {
            return Ok(());
        }
        subjects.sort_unstable();
        subjects.dedup();
        let (mut ring, missing) = known(&subjects);
        self.find(&mut ring, &missing).await?;
        for event in events
            .iter_mut()
            .filter(|e| !e.metadata.subjects.is_empty())
        {
            cipher::open_payload(&ring, event)?;
        }
        Ok(())
    }

    async fn find(&self, ring: &mut KeyRing, missing: &[&Subject]) -> Result<(), LogError> {
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|subject| subject.as_str()).collect();
        let rows: Vec<(String, Option<Vec<u8>>)> = retry::read(|| {
            sqlx::query_as("select subject, wrapped from log.keys where subject = any($1)")
                // Planned anew: see log.load in the migration.
                .persistent(false)
                .bind(&names)
                .fetch_all(&self.pool)
        })
        .await?;
        self.unwrap_into(ring, rows)
    }

    /// For good: nobody makes these keys again, and no text that was about these subjects, alone or
    /// among others, can be read.
    pub(crate) async fn destroy(
        &self,
        subjects: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<Destroyed, LogError> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let mut tx = self.pool.begin().await?;
        // First a headstone where there is no key yet: whoever is making one is waited for.
        sqlx::query(
            "insert into log.keys (subject, wrapped, created_at, destroyed_at)
             select subject, null, '-infinity', $2 from unnest($1::text[]) as s (subject) order by subject
             on conflict do nothing",
        )
        .bind(&names)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        let gone: Vec<String> = sqlx::query_scalar(
            "update log.keys set wrapped = null, destroyed_at = $2
             where destroyed_at is null and (subject = any($1)
                or subject like 'text:%' and string_to_array(subject, ';') && $1)
             returning subject",
        )
        .bind(&names)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        let (keys, texts) = sqlx::query_as(
            "select count(*) filter (where subject not like 'text:%'),
                    count(*) filter (where subject like 'text:%')
             from log.keys
             where destroyed_at is not null and created_at > '-infinity' and (subject = any($1)
                or subject like 'text:%' and string_to_array(subject, ';') && $1)",
        )
        .bind(&names)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        for subject in gone
            .into_iter()
            .map(Subject::stored)
            .chain(subjects.iter().cloned())
        {
            self.cache.invalidate(&subject);
        }
        Ok(Destroyed { keys, texts })
    }

    fn cached<'s>(&self, subjects: &'s [Subject]) -> (KeyRing, Vec<&'s Subject>) {
        let mut ring = KeyRing::with_capacity(subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            match self.cache.get(subject) {
                Some(key) => {
                    ring.insert(subject.clone(), key);
                }
                None => missing.push(subject),
            }
        }
        (ring, missing)
    }

    /// Those of texts last: they are wrapped by the others.
    fn unwrap_into(
        &self,
        ring: &mut KeyRing,
        mut rows: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), LogError> {
        rows.sort_by_key(|(_, wrapped)| is_shared(wrapped.as_deref()));
        for (subject, wrapped) in rows {
            let subject = Subject::stored(subject);
            let key = match &wrapped {
                None => None,
                Some(wrapped) if is_shared(Some(wrapped)) => unwrap_shared(ring, &subject, wrapped),
                Some(wrapped) => Some(self.master.unwrap(subject.as_str(), wrapped)?),
            };
            self.cache.insert(subject.clone(), key.clone());
            ring.insert(subject, key);
        }
        Ok(())
    }
}

/// Nothing more can be written about somebody whose key was destroyed.
fn alive(ring: &KeyRing) -> Result<(), LogError> {
    match ring.iter().find(|(_, key)| key.is_none()) {
        Some((subject, _)) => Err(LogError::Erased {
            subject: subject.clone(),
        }),
        None => Ok(()),
    }
}

fn is_shared(wrapped: Option<&[u8]>) -> bool {
    wrapped
        .is_some_and(|wrapped| wrapped.first() == Some(&SHARED) && wrapped.len() > 2 * SEALED_KEY)
}

/// A fresh key of a text, wrapped for each of those it is about.
fn fresh_shared(ring: &KeyRing, text: &Subject) -> Result<Vec<u8>, LogError> {
    let fresh = random_key()?;
    let mut wrapped = vec![SHARED];
    for subject in text.about() {
        let Some(Some(key)) = ring.get(&subject) else {
            return Err(LogError::Erased { subject });
        };
        wrapped.extend(cipher::encrypt(key, text.as_str().as_bytes(), &*fresh)?);
    }
    Ok(wrapped)
}

/// None as soon as one of those it is about is erased.
fn unwrap_shared(ring: &KeyRing, text: &Subject, wrapped: &[u8]) -> Option<DataKey> {
    let mut found = None;
    for (subject, sealed) in text.about().zip(wrapped[1..].chunks(SEALED_KEY)) {
        let key = ring.get(&subject)?.as_ref()?;
        found = cipher::decrypt_key(key, text.as_str().as_bytes(), sealed).map(Arc::new);
    }
    found
}
