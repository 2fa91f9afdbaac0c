use std::collections::BTreeSet;

use es::{Aggregate, StreamId, Subject, personal};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Append, CommandContext, LogError, NewEvent,
    append::event_id,
    keys::{KeyRing, seal_payload},
};

/// Decided events on their way into the log: encoded, and not yet sealed.
pub(crate) struct Draft {
    append: Append,
    payloads: Vec<Value>,
    /// Whose keys sealing needs.
    pub(crate) subjects: Vec<Subject>,
}

impl Draft {
    pub(crate) fn new<A: Aggregate>(
        context: &CommandContext,
        id: Uuid,
        expected: i64,
        decided: &[A::Event],
    ) -> Result<Self, LogError> {
        let mut events = Vec::with_capacity(decided.len());
        let mut payloads = Vec::with_capacity(decided.len());
        let mut named = BTreeSet::new();
        let mut to_seal = BTreeSet::new();
        for event in decided {
            let encoded = es::encode::<A>(event)?;
            named.extend(personal::subjects(&encoded.payload));
            to_seal.extend(personal::subjects_to_seal(&encoded.payload));
            payloads.push(encoded.payload);
            events.push(NewEvent {
                event_id: event_id(context.now),
                event_type: encoded.event_type,
                schema_version: encoded.schema_version,
                occurred_at: A::occurred_at(event).unwrap_or(context.now),
                payload: Vec::new(),
            });
        }
        let metadata = serde_json::to_vec(&context.metadata(named.into_iter().collect()))
            .map_err(|_| LogError::Invalid("metadata cannot be encoded"))?;
        Ok(Self {
            append: Append {
                stream: StreamId::new(A::CATEGORY, id),
                expected,
                events,
                request_id: context.request_id,
                digest: context.digest,
                metadata,
                reservations: decided.iter().flat_map(A::reservations).collect(),
                now: context.now,
            },
            payloads,
            subjects: to_seal.into_iter().collect(),
        })
    }

    pub(crate) fn seal(mut self, ring: &KeyRing) -> Result<Append, LogError> {
        for (event, mut payload) in self.append.events.iter_mut().zip(self.payloads) {
            if !self.subjects.is_empty() {
                seal_payload(ring, event.event_id, &mut payload)?;
            }
            event.payload = payload.to_string().into_bytes();
        }
        Ok(self.append)
    }
}
