use std::fmt;

use chrono::{DateTime, Utc};
use es::{Actor, Aggregate, Metadata, Subject};
use uuid::Uuid;

/// Everything about a command that is not the command: who, when, why, and which request.
#[derive(Debug, Clone)]
pub struct CommandContext {
    pub request_id: Option<Uuid>,
    /// Hash of the request's content: the same id with other content is refused.
    pub digest: Option<[u8; 32]>,
    pub actor: Actor,
    pub on_behalf_of: Option<Uuid>,
    pub actor_group_id: Option<Uuid>,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
    /// The version the caller saw; another one is refused, without a second try.
    pub expected_version: Option<i64>,
}

impl CommandContext {
    /// For one of several commands that a request fans out into: the same purpose always gives the
    /// same request id, so that a repeated request repeats each of them.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        let request_id = self
            .request_id
            .map(|id| Uuid::new_v5(&id, purpose.as_bytes()));
        Self {
            request_id,
            expected_version: None,
            ..self.clone()
        }
    }

    pub(crate) fn metadata(&self, subjects: Vec<Subject>) -> Metadata {
        Metadata {
            actor: self.actor.clone(),
            on_behalf_of: self.on_behalf_of,
            actor_group_id: self.actor_group_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            traceparent: self.traceparent.clone(),
            request_digest: self.digest.map(hex),
            subjects,
        }
    }
}

pub(crate) fn hex(digest: [u8; 32]) -> String {
    blake3::Hash::from_bytes(digest).to_hex().to_string()
}

pub(crate) fn unhex(digest: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(digest).ok().map(Into::into)
}

/// What became of a command.
///
/// `events` empty and not `repeated`: it was so already.
pub struct Outcome<A: Aggregate> {
    pub id: Uuid,
    /// Of the stream, behind `events`.
    pub version: i64,
    /// Of the last event, in the service's log.
    pub position: i64,
    pub events: Vec<A::Event>,
    pub state: A::State,
    /// The request id was seen before: everything here is of the first time.
    pub repeated: bool,
}

/// An aggregate as of now.
pub struct Loaded<A: Aggregate> {
    pub state: A::State,
    /// 0: nothing ever happened to it.
    pub version: i64,
    /// Of its last event; 0: none.
    pub position: i64,
}

// By hand, because derive would demand them of `A` itself, which is an empty enum.
impl<A: Aggregate> fmt::Debug for Outcome<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("position", &self.position)
            .field("events", &self.events)
            .field("state", &self.state)
            .field("repeated", &self.repeated)
            .finish()
    }
}

impl<A: Aggregate> Clone for Outcome<A> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            version: self.version,
            position: self.position,
            events: self.events.clone(),
            state: self.state.clone(),
            repeated: self.repeated,
        }
    }
}

impl<A: Aggregate> fmt::Debug for Loaded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("state", &self.state)
            .field("version", &self.version)
            .field("position", &self.position)
            .finish()
    }
}
