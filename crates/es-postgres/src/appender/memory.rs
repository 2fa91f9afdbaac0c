use std::{borrow::Borrow, collections::HashMap, hash::Hash, mem, sync::Arc};

use uuid::Uuid;

use crate::{Append, Appended};

/// What was written of late. True as of the head that the appender remembers.
#[derive(Default)]
pub(super) struct Memory {
    versions: Recent<Arc<str>, i64>,
    requests: Recent<Uuid, Appended>,
}

impl Memory {
    pub(super) fn version(&self, stream: &str) -> Option<i64> {
        self.versions.get(stream).copied()
    }

    pub(super) fn request(&self, id: &Uuid) -> Option<&Appended> {
        self.requests.get(id)
    }

    /// What was just written: the last version of `stream`, at `position`.
    pub(super) fn keep(&mut self, stream: Arc<str>, version: i64, position: i64, append: Append) {
        self.versions.insert(stream, version);
        if let Some(id) = append.request_id {
            let appended = Appended {
                stream: append.stream,
                version,
                position,
                repeated: false,
                digest: append.digest,
            };
            self.requests.insert(id, appended);
        }
    }
}

/// How many entries a generation holds.
const GENERATION: usize = 32_768;

/// A map that forgets what was not written for a generation: cheaper than keeping an order of use.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            // The room of the forgotten is used again.
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, value);
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_generation_and_forgets_in_the_end() {
        let mut recent = Recent::default();
        for n in 0..=GENERATION {
            recent.insert(n, n);
        }
        assert_eq!(recent.get(&0), Some(&0));
        for n in 0..GENERATION {
            recent.insert(GENERATION * 2 + n, n);
        }
        assert_eq!(recent.get(&0), None);
        assert!(recent.young.len() + recent.old.len() <= 2 * GENERATION);
    }
}
