use std::{fmt, ops::Deref};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{Aggregate, CodecError, Subject, codec};

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

    /// Reads `task-0192…`; `None` for anything else, also for the same id spelled otherwise: what
    /// is read is shown again exactly as it was hashed.
    pub fn parse(text: &str) -> Option<Self> {
        let (category, id) = text.split_once('-')?;
        if id.len() != 36 || id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
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

impl Actor {
    /// The member of staff, if it is one.
    pub fn staff(&self) -> Option<Uuid> {
        match self {
            Self::Staff(id) => Some(*id),
            Self::Gateway(_) | Self::Policy(_) | Self::System => None,
        }
    }
}

/// What is kept beside the fields of an event.
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

/// [`Metadata`] with the JSON bytes that are stored and covered by the hash. Whoever passes an
/// event on passes these on: a newer writer may have put more into them than we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMetadata {
    known: Metadata,
    json: String,
}

impl StoredMetadata {
    pub fn parse(json: Vec<u8>) -> Result<Self, serde_json::Error> {
        let json = String::from_utf8(json).map_err(serde::de::Error::custom)?;
        Ok(Self {
            known: serde_json::from_str(&json)?,
            json,
        })
    }

    pub fn json(&self) -> &str {
        &self.json
    }
}

impl Deref for StoredMetadata {
    type Target = Metadata;

    fn deref(&self) -> &Metadata {
        &self.known
    }
}

impl TryFrom<Metadata> for StoredMetadata {
    type Error = serde_json::Error;

    fn try_from(known: Metadata) -> Result<Self, serde_json::Error> {
        Ok(Self {
            json: serde_json::to_string(&known)?,
            known,
        })
    }
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
    pub metadata: StoredMetadata,
    pub payload: Vec<u8>,
    pub hash: [u8; 32],
}

impl Recorded {
    /// For the service that owns the event: as of today, in whichever version it was stored.
    pub fn decode<A: Aggregate>(&self) -> Result<A::Event, CodecError> {
        codec::decode::<A>(&self.event_type, self.schema_version, &self.payload)
    }

    /// The fields alone and as stored, for readers that chose by `event_type` (and by
    /// `schema_version`, once there is more than one).
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, CodecError> {
        serde_json::from_slice(&self.payload)
            .map_err(|error| CodecError::json(&self.event_type, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_spelling() {
        let id = "0192f3aa-0000-7000-8000-0000000000ff";
        let stream = StreamId::parse(&format!("task-{id}")).unwrap();
        assert_eq!(stream.to_string(), format!("task-{id}"));
        for other in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
        ] {
            assert_eq!(StreamId::parse(&format!("task-{other}")), None, "{other}");
        }
    }

    #[test]
    fn metadata_keeps_its_bytes_and_what_it_does_not_know() {
        let id = Uuid::nil();
        let stored =
            format!(r#"{{ "actor":{{"kind":"system"}}, "later":[1], "correlation_id":"{id}"}}"#);
        let metadata = StoredMetadata::parse(stored.clone().into_bytes()).unwrap();
        assert_eq!(metadata.json(), stored);
        assert_eq!(metadata.actor, Actor::System);
    }
}
