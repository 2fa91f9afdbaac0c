use std::{collections::HashMap, hash::Hash, mem};

use es::StreamId;
use uuid::Uuid;

use crate::Appended;

/// What was written of late. True as of the head that the appender remembers.
#[derive(Default)]
pub(super) struct Memory {
    versions: Recent<StreamId, i64>,
    requests: Recent<Uuid, Appended>,
}

impl Memory {
    pub(super) fn version(&self, stream: &StreamId) -> Option<i64> {
        self.versions.get(stream).copied()
    }

    pub(super) fn request(&self, id: &Uuid) -> Option<&Appended> {
        self.requests.get(id)
    }

    pub(super) fn keep(&mut self, request_id: Option<Uuid>, appended: &Appended) {
        self.versions
            .insert(appended.stream.clone(), appended.version);
        self.keep_request(request_id, appended);
    }

    pub(super) fn keep_request(&mut self, request_id: Option<Uuid>, appended: &Appended) {
        if let Some(id) = request_id {
            self.requests.insert(id, appended.clone());
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
    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
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
