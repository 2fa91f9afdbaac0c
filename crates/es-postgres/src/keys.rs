//! Keys of personal data: one per data subject, wrapped by the master key, destroyed to erase.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use es::{Recorded, Reservation, Subject, personal};
use moka::sync::Cache;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{LogError, retry};

/// What all data keys are wrapped with. Lost with it: every personal field of the log.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Separate keys for separate uses, so that none can stand in for another.
    fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &*self.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

type DataKey = Arc<Zeroizing<[u8; 32]>>;

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

const CACHED_SUBJECTS: u64 = 16_384;
/// An upper bound for how long a replica can still read what another one has erased.
const CACHED_FOR: Duration = Duration::from_mins(1);

pub(crate) struct Keys {
    pool: PgPool,
    wrapping: RandomizedNonceKey,
    names: [u8; 32],
    cache: Cache<Subject, Option<DataKey>>,
}

impl Keys {
    pub(crate) fn new(pool: PgPool, master: &MasterKey) -> Result<Self, LogError> {
        let wrapping = Zeroizing::new(master.derive("kontakty 1 wrapping of data keys"));
        Ok(Self {
            pool,
            wrapping: cipher(&wrapping)?,
            names: master.derive("kontakty 1 reserved names"),
            cache: Cache::builder()
                .max_capacity(CACHED_SUBJECTS)
                .time_to_live(CACHED_FOR)
                .build(),
        })
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

    fn name(&self, kind: &str, name: &str) -> [u8; 32] {
        let text = [kind.as_bytes(), &[0], name.as_bytes()].concat();
        *blake3::keyed_hash(&self.names, &text).as_bytes()
    }

    /// Keys to write with: made where missing, an error where destroyed.
    pub(crate) async fn ensure(
        &self,
        subjects: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<KeyRing, LogError> {
        let (mut ring, missing) = self.cached(subjects);
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|subject| subject.as_str()).collect();
            let mut candidates = Vec::with_capacity(missing.len());
            for name in &names {
                candidates.push(self.candidate(name)?);
            }
            let rows: Vec<(String, Option<Vec<u8>>)> = retry::read(|| {
                sqlx::query_as("select * from log.ensure_keys($1, $2, $3)")
                    .bind(&names)
                    .bind(&candidates)
                    .bind(now)
                    .fetch_all(&self.pool)
            })
            .await?;
            self.unwrap_into(&mut ring, rows)?;
        }
        match ring.iter().find(|(_, key)| key.is_none()) {
            Some((subject, _)) => Err(LogError::Erased {
                subject: subject.clone(),
            }),
            None => Ok(ring),
        }
    }

    /// Opens what there are keys for.
    pub(crate) async fn open(&self, events: &mut [Recorded]) -> Result<(), LogError> {
        let mut subjects: Vec<Subject> = events
            .iter()
            .flat_map(|event| event.metadata.subjects.iter().cloned())
            .collect();
        if subjects.is_empty() {
            return Ok(());
        }
        subjects.sort_unstable();
        subjects.dedup();
        let ring = self.find(&subjects).await?;
        for event in events
            .iter_mut()
            .filter(|e| !e.metadata.subjects.is_empty())
        {
            open_payload(&ring, event)?;
        }
        Ok(())
    }

    async fn find(&self, subjects: &[Subject]) -> Result<KeyRing, LogError> {
        let (mut ring, missing) = self.cached(subjects);
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|subject| subject.as_str()).collect();
            let rows: Vec<(String, Option<Vec<u8>>)> = retry::read(|| {
                sqlx::query_as("select subject, wrapped from log.keys where subject = any($1)")
                    // Planned anew: see log.load in the migration.
                    .persistent(false)
                    .bind(&names)
                    .fetch_all(&self.pool)
            })
            .await?;
            self.unwrap_into(&mut ring, rows)?;
        }
        Ok(ring)
    }

    pub(crate) async fn destroy(
        &self,
        subjects: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<u64, LogError> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let done = sqlx::query(
            "update log.keys set wrapped = null, destroyed_at = $2 \
             where subject = any($1) and wrapped is not null",
        )
        .bind(&names)
        .bind(now)
        .execute(&self.pool)
        .await?;
        for subject in subjects {
            self.cache.invalidate(subject);
        }
        Ok(done.rows_affected())
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

    fn unwrap_into(
        &self,
        ring: &mut KeyRing,
        rows: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), LogError> {
        for (subject, wrapped) in rows {
            let key = wrapped
                .map(|wrapped| self.unwrap(&subject, wrapped))
                .transpose()?;
            let subject = Subject::stored(subject);
            self.cache.insert(subject.clone(), key.clone());
            ring.insert(subject, key);
        }
        Ok(())
    }

    /// A new data key, wrapped: nonce, ciphertext, tag.
    fn candidate(&self, subject: &str) -> Result<Vec<u8>, LogError> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(&mut *key).map_err(|_| LogError::Invalid("no randomness"))?;
        encrypt(&self.wrapping, subject.as_bytes(), &*key)
    }

    fn unwrap(&self, subject: &str, mut wrapped: Vec<u8>) -> Result<DataKey, LogError> {
        decrypt(&self.wrapping, subject.as_bytes(), &mut wrapped)
            .and_then(|clear| <[u8; 32]>::try_from(clear).ok())
            .map(|key| Arc::new(Zeroizing::new(key)))
            .ok_or_else(|| {
                LogError::Corrupt(format!("the master key does not open the key of {subject}"))
            })
    }
}

/// Encrypts the personal fields of a payload.
pub(crate) fn seal_payload(
    ring: &KeyRing,
    event_id: Uuid,
    payload: &mut Value,
) -> Result<(), LogError> {
    personal::seal(payload, &mut |subject, clear| {
        let Some(Some(key)) = ring.get(subject) else {
            return Err(LogError::Erased {
                subject: subject.clone(),
            });
        };
        let sealed = encrypt(&cipher(key)?, &field(subject, event_id), clear)?;
        Ok(BASE64.encode(sealed))
    })
}

fn open_payload(ring: &KeyRing, event: &mut Recorded) -> Result<(), LogError> {
    let corrupt = |what: &str| LogError::Corrupt(format!("{what} at position {}", event.position));
    let mut payload: Value =
        serde_json::from_slice(&event.payload).map_err(|_| corrupt("payload"))?;
    personal::open(&mut payload, &mut |subject, sealed| {
        let Some(Some(key)) = ring.get(subject) else {
            return Ok(None);
        };
        let mut bytes = BASE64
            .decode(sealed)
            .map_err(|_| corrupt("personal field"))?;
        decrypt(&cipher(key)?, &field(subject, event.event_id), &mut bytes)
            .map(|clear| Some(clear.to_vec()))
            .ok_or_else(|| corrupt("personal field"))
    })?;
    event.payload = payload.to_string().into_bytes();
    Ok(())
}

/// What a ciphertext is bound to: moved to another event or person, it does not open.
fn field(subject: &Subject, event_id: Uuid) -> Vec<u8> {
    [subject.as_str().as_bytes(), event_id.as_bytes()].concat()
}

fn cipher(key: &[u8; 32]) -> Result<RandomizedNonceKey, LogError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| LogError::Invalid("no such cipher"))
}

fn encrypt(key: &RandomizedNonceKey, bound: &[u8], clear: &[u8]) -> Result<Vec<u8>, LogError> {
    let mut sealed = clear.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound), &mut sealed)
        .map_err(|_| LogError::Invalid("cannot be encrypted"))?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

fn decrypt<'b>(key: &RandomizedNonceKey, bound: &[u8], sealed: &'b mut [u8]) -> Option<&'b [u8]> {
    let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    key.open_in_place(nonce, Aad::from(bound), sealed)
        .ok()
        .map(|clear| &*clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_opens_only_where_it_belongs() {
        let key = cipher(&[7; 32]).unwrap();
        let sealed = encrypt(&key, b"person:1", "Ильин".as_bytes()).unwrap();

        let opened = |bound: &[u8], sealed: &[u8]| {
            decrypt(&key, bound, &mut sealed.to_vec()).map(<[u8]>::to_vec)
        };
        assert_eq!(opened(b"person:1", &sealed).unwrap(), "Ильин".as_bytes());
        assert_eq!(opened(b"person:2", &sealed), None);
        assert_eq!(opened(b"person:1", &sealed[..5]), None);
    }

    #[test]
    fn the_master_key_is_never_printed() {
        assert_eq!(format!("{:?}", MasterKey::new([42; 32])), "MasterKey");
    }
}
