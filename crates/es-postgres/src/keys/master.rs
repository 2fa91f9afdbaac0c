//! The master keys: the one in use wraps every new data key, former ones still unwrap.
//!
//! A wrapped key names its master key, so that the keys of an installation can be wrapped anew one
//! by one while it runs:
//!
//! | bytes | what |
//! |---|---|
//! | 1, id (8), nonce (12), key (32), tag (16) | wrapped by the master key with this id |
//! | nonce (12), key (32), tag (16) | as written before master keys had ids |

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::cipher::{self, SEALED_KEY};
use crate::LogError;

const NAMED: u8 = 1;
pub(super) const NAMED_LENGTH: usize = 1 + size_of::<KeyId>() + SEALED_KEY;
pub(super) const UNNAMED_LENGTH: usize = SEALED_KEY;

/// What all data keys are wrapped with. Lost with it: every personal field of the log.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Names the key and tells nothing of it.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.derive("kontakty 1 id of a master key")[..8]);
        KeyId(id)
    }

    /// Tells this key from others, and nothing about it.
    pub fn check_value(&self) -> [u8; 32] {
        *self.derive("kontakty 1 check of the master key")
    }

    /// The key under which names are hashed; that of the first master key stays for ever.
    pub fn names(&self) -> Zeroizing<[u8; 32]> {
        self.derive("kontakty 1 reserved names")
    }

    fn wrapping(&self) -> Zeroizing<[u8; 32]> {
        self.derive("kontakty 1 wrapping of data keys")
    }

    /// Separate keys for separate uses, so that none can stand in for another.
    fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, &*self.0))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Which master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

pub(crate) type DataKey = Arc<Zeroizing<[u8; 32]>>;

/// The master keys of an installation. Clones share them, so a rotation reaches them all.
#[derive(Clone)]
pub struct MasterKeys(Arc<Shared>);

struct Shared {
    /// The one in use first.
    keys: RwLock<Arc<[Wrapping]>>,
    names: Zeroizing<[u8; 32]>,
    read: Box<Read>,
}

#[derive(Clone)]
struct Wrapping {
    id: KeyId,
    check_value: [u8; 32],
    key: Zeroizing<[u8; 32]>,
}

/// Gives the keys as they are kept now; none when they cannot be read.
type Read = dyn Fn() -> Option<Vec<MasterKey>> + Send + Sync;

impl MasterKeys {
    /// `keys`: the one in use first. `names`: of the first master key there ever was. `read` is
    /// asked when a data key names a master key that is not known yet.
    pub fn new(
        keys: &[MasterKey],
        names: Zeroizing<[u8; 32]>,
        read: impl Fn() -> Option<Vec<MasterKey>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            keys: RwLock::new(wrappings(keys)),
            names,
            read: Box::new(read),
        }))
    }

    /// Takes the keys as they are kept now; true when the one in use is another one.
    pub fn read_again(&self) -> bool {
        let Some(keys) = (self.0.read)().filter(|keys| !keys.is_empty()) else {
            return false;
        };
        let keys = wrappings(&keys);
        let mut held = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        let changed = held.first().map(|key| key.id) != keys.first().map(|key| key.id);
        *held = keys;
        changed
    }

    /// The one in use.
    pub fn current(&self) -> Option<KeyId> {
        self.held().first().map(|key| key.id)
    }

    /// What tells each of them from others, that of the one in use first.
    pub(super) fn check_values(&self) -> Vec<[u8; 32]> {
        self.held().iter().map(|key| key.check_value).collect()
    }

    /// A key for another purpose, the same in all replicas and after every rotation.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &*self.0.names)
    }

    pub(super) fn names(&self) -> &[u8; 32] {
        &self.0.names
    }

    fn held(&self) -> Arc<[Wrapping]> {
        let held = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }

    /// A fresh data key, wrapped.
    pub(super) fn fresh(&self, subject: &str) -> Result<Vec<u8>, LogError> {
        self.wrap(subject, &*random_key()?)
    }

    pub(super) fn wrap(&self, subject: &str, key: &[u8; 32]) -> Result<Vec<u8>, LogError> {
        let keys = self.held();
        let master = keys.first().ok_or(LogError::Invalid("no master key"))?;
        let sealed = cipher::encrypt(&master.key, subject.as_bytes(), key)?;
        Ok([&[NAMED], master.id.0.as_slice(), &sealed].concat())
    }

    pub(super) fn unwrap(&self, subject: &str, wrapped: &[u8]) -> Result<DataKey, LogError> {
        let keys = match wrapped.split_first_chunk::<9>() {
            Some(([NAMED, id @ ..], sealed)) if wrapped.len() == NAMED_LENGTH => {
                let id = KeyId(*id);
                let key = self.find(id).ok_or_else(|| LogError::MasterKeyAbsent {
                    master: id.to_string(),
                })?;
                return key.open(subject, sealed).ok_or_else(|| unreadable(subject));
            }
            _ => self.held(),
        };
        keys.iter()
            .find_map(|key| key.open(subject, wrapped))
            .ok_or_else(|| unreadable(subject))
    }

    /// One that was added a moment ago is known too.
    fn find(&self, id: KeyId) -> Option<Wrapping> {
        let known = || self.held().iter().find(|key| key.id == id).cloned();
        known().or_else(|| {
            self.read_again();
            known()
        })
    }
}

impl From<MasterKey> for MasterKeys {
    /// One key that never changes.
    fn from(key: MasterKey) -> Self {
        let names = key.names();
        Self::new(&[key], names, || None)
    }
}

impl Wrapping {
    fn open(&self, subject: &str, sealed: &[u8]) -> Option<DataKey> {
        cipher::decrypt_key(&self.key, subject.as_bytes(), sealed).map(Arc::new)
    }
}

fn wrappings(keys: &[MasterKey]) -> Arc<[Wrapping]> {
    keys.iter()
        .map(|key| Wrapping {
            id: key.id(),
            check_value: key.check_value(),
            key: key.wrapping(),
        })
        .collect()
}

pub(super) fn random_key() -> Result<Zeroizing<[u8; 32]>, LogError> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(&mut *key).map_err(|_| LogError::Invalid("no randomness"))?;
    Ok(key)
}

fn unreadable(subject: &str) -> LogError {
    LogError::Corrupt(format!("no master key opens the key of {subject}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[u8]) -> MasterKeys {
        let keys: Vec<_> = keys.iter().map(|n| MasterKey::new([*n; 32])).collect();
        let names = keys[0].names();
        MasterKeys::new(&keys, names, || None)
    }

    #[test]
    fn the_master_key_is_never_printed() {
        assert_eq!(format!("{:?}", MasterKey::new([42; 32])), "MasterKey");
    }

    #[test]
    fn a_former_key_opens_and_the_one_in_use_wraps() {
        let old = keys(&[1]).wrap("person:1", &[9; 32]).unwrap();
        assert_eq!(old.len(), NAMED_LENGTH);
        let both = keys(&[2, 1]);
        let key = both.unwrap("person:1", &old).unwrap();
        assert_eq!(**key, [9; 32]);
        assert!(both.unwrap("person:2", &old).is_err());

        let new = both.wrap("person:1", &key).unwrap();
        assert_eq!(**keys(&[2]).unwrap("person:1", &new).unwrap(), [9; 32]);
        let refused = keys(&[2]).unwrap("person:1", &old).unwrap_err();
        let id = MasterKey::new([1; 32]).id().to_string();
        assert!(matches!(refused, LogError::MasterKeyAbsent { master } if master == id));
    }

    #[test]
    fn a_key_wrapped_before_master_keys_had_ids_is_read() {
        let master = MasterKey::new([1; 32]);
        let old = cipher::encrypt(&master.wrapping(), b"person:1", &[9; 32]).unwrap();
        assert_eq!(old.len(), UNNAMED_LENGTH);
        for keys in [keys(&[1]), keys(&[2, 1])] {
            assert_eq!(**keys.unwrap("person:1", &old).unwrap(), [9; 32]);
        }
        assert!(keys(&[2]).unwrap("person:1", &old).is_err());
    }

    #[test]
    fn a_key_that_is_not_known_is_looked_for_once() {
        let [old, new] = [1, 2].map(|n| MasterKey::new([n; 32]));
        let names = old.names();
        let kept = vec![new.clone(), old.clone()];
        let running = MasterKeys::new(&[old], names, move || Some(kept.clone()));
        let wrapped = keys(&[2]).wrap("person:1", &[9; 32]).unwrap();
        assert_eq!(**running.unwrap("person:1", &wrapped).unwrap(), [9; 32]);
        assert_eq!(running.current(), Some(new.id()));
        assert!(!running.read_again());
    }
}
