use std::collections::HashMap;

use es::StreamId;
use uuid::Uuid;

use super::memory::Memory;
use crate::Appended;

/// What a batch is decided on; it grows by what the batch itself decides.
pub(super) struct Facts<'a> {
    /// What may be unknown. `None`: everything this batch touches was read behind the lock.
    pub(super) memory: Option<&'a Memory>,
    pub(super) versions: HashMap<&'a str, i64>,
    pub(super) requests: HashMap<Uuid, Appended>,
    /// Who holds a reserved name; no entry: not looked up.
    pub(super) holders: HashMap<[u8; 32], Option<Holding>>,
    /// First event ids of appends that an earlier try has written, with their positions.
    pub(super) landed: HashMap<Uuid, i64>,
}

/// A reserved name's holder, and what kind of name it is.
pub(super) struct Holding {
    pub(super) stream: StreamId,
    pub(super) kind: String,
}

impl<'a> Facts<'a> {
    pub(super) fn remembered(memory: &'a Memory) -> Self {
        Self {
            memory: Some(memory),
            ..Self::read()
        }
    }

    /// To be filled from the database.
    pub(super) fn read() -> Self {
        Self {
            memory: None,
            versions: HashMap::new(),
            requests: HashMap::new(),
            holders: HashMap::new(),
            landed: HashMap::new(),
        }
    }

    pub(super) fn are_complete(&self) -> bool {
        self.memory.is_none()
    }

    pub(super) fn version(&self, stream: &str) -> Option<i64> {
        self.versions
            .get(stream)
            .copied()
            .or_else(|| match self.memory {
                Some(memory) => memory.version(stream),
                None => Some(0),
            })
    }

    pub(super) fn request(&self, id: Uuid) -> Option<&Appended> {
        self.requests
            .get(&id)
            .or_else(|| self.memory.and_then(|memory| memory.request(&id)))
    }
}
