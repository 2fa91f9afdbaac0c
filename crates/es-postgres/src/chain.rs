//! The hash chain over the stored bytes.
//!
//! `hash(n) = blake3(hash(n-1) || field || field …)`; each field is its length (8 bytes, big
//! endian) and its bytes; numbers are 8 bytes, big endian; times are microseconds since 1970;
//! ids are 16 bytes; no request id is a field of length 0. The hash before the first is zeros.
//! This can never change: anybody may have kept a hash.

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) type Hash = [u8; 32];

pub(crate) const GENESIS: Hash = [0; 32];

/// What of an event is covered.
pub(crate) struct Link<'a> {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) stream: &'a str,
    pub(crate) version: i64,
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: i16,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) metadata: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The end of the chain, from which it grows.
pub(crate) struct Chain {
    hash: Hash,
    // One buffer for all links: hashing it in one piece is what makes the chain nearly free.
    buffer: Vec<u8>,
}

impl Chain {
    pub(crate) fn from(hash: Hash) -> Self {
        Self {
            hash,
            buffer: Vec::with_capacity(1024),
        }
    }

    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    pub(crate) fn add(&mut self, link: &Link<'_>) -> Hash {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.hash);
        self.number(link.position);
        self.field(link.event_id.as_bytes());
        self.field(link.stream.as_bytes());
        self.number(link.version);
        self.field(link.event_type.as_bytes());
        self.number(i64::from(link.schema_version));
        self.number(link.occurred_at.timestamp_micros());
        self.number(link.recorded_at.timestamp_micros());
        match &link.request_id {
            Some(id) => self.field(id.as_bytes()),
            None => self.field(&[]),
        }
        self.field(link.metadata);
        self.field(link.payload);
        self.hash = *blake3::hash(&self.buffer).as_bytes();
        self.hash
    }

    fn number(&mut self, number: i64) {
        self.field(&number.to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        self.buffer
            .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.buffer.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept forever: a change of the layout would break every log there is.
    #[test]
    fn layout_is_frozen() {
        let mut chain = Chain::from(GENESIS);
        let hash = chain.add(&Link {
            position: 1,
            event_id: Uuid::from_u128(7),
            stream: "task-00000000-0000-0000-0000-000000000001",
            version: 1,
            event_type: "task.created",
            schema_version: 1,
            occurred_at: DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("valid"),
            recorded_at: DateTime::from_timestamp_micros(1_700_000_000_000_002).expect("valid"),
            request_id: None,
            metadata: b"{}",
            payload: b"{}",
        });
        assert_eq!(
            blake3::Hash::from_bytes(hash).to_hex().as_str(),
            "2ec062b8b0b7a4c9cc4c420938d1c0bc0ff17868e4c91fbaaa286e15bd15fb64"
        );
    }
}
