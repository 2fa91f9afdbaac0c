use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{CodecError, Subject, codec};

/// `<category>-<uuid>`: one aggregate's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    pub category: String,
    pub id: Uuid,
}

impl StreamId {
    pub fn new(category: &str, id: Uuid) -> Self {
        Self {
            category: category.to_owned(),
            id,
        }
    }

    /// Reads `task-0192…`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (category, id) = text.split_once('-')?;
        Some(Self::new(category, Uuid::parse_str(id).ok()?))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.id)
    }
}

/// Who made something happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    Staff(Uuid),
    Gateway(String),
    /// A rule of ours reacting to an event: `planning/next-step`.
    Policy(String),
    System,
}

/// What is kept beside the fields of an event: stored as JSON bytes and covered by the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Uuid>,
    /// The actor's group when it happened: reports never ask for today's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_group_id: Option<Uuid>,
    pub correlation_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// W3C trace context of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Hash of the request that made the event, hex: the same `request_id` with other content is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// Whose keys are needed to read the payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Subject>,
}

/// An event as the log holds it.
///
/// `payload` is JSON; personal fields in it are sealed unless the log has opened them.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Order in the service's log: 1, 2, 3 … without holes, in commit order.
    pub position: i64,
    pub event_id: Uuid,
    pub stream: StreamId,
    /// Order in the stream: 1, 2, 3 … without holes.
    pub version: i64,
    pub event_type: String,
    pub schema_version: u16,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
    /// Time of the append; never falls as `position` rises.
    pub recorded_at: DateTime<Utc>,
    /// On the last event of the command that carried it.
    pub request_id: Option<Uuid>,
    pub metadata: Metadata,
    pub payload: Vec<u8>,
    pub hash: [u8; 32],
}

impl Recorded {
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, CodecError> {
        codec::decode(&self.event_type, &self.payload)
    }

    /// The fields alone, for readers that chose by `event_type`.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        serde_json::from_slice(&self.payload).map_err(|source| CodecError::Json {
            event_type: self.event_type.clone(),
            source,
        })
    }
}
