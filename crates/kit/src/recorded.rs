//! Events as they travel over gRPC.

use api::log::Event;
use es::{Recorded, StoredMetadata, StreamId};
use uuid::Uuid;

use crate::wire::{instant, timestamp};

/// An event for an answer.
pub(crate) fn to_api(event: Recorded) -> Event {
    Event {
        position: event.position,
        event_id: event.event_id.to_string(),
        stream: event.stream.to_string(),
        version: event.version,
        r#type: event.event_type,
        schema_version: event.schema_version.into(),
        occurred_at: Some(timestamp(event.occurred_at)),
        recorded_at: Some(timestamp(event.recorded_at)),
        request_id: event
            .request_id
            .map_or_else(String::new, |id| id.to_string()),
        metadata: event.metadata.json().as_bytes().to_vec(),
        payload: event.payload,
        hash: event.hash.to_vec(),
    }
}

/// An event of an answer; `None` when it is none.
pub(crate) fn from_api(event: Event) -> Option<Recorded> {
    Some(Recorded {
        position: event.position,
        event_id: Uuid::parse_str(&event.event_id).ok()?,
        stream: StreamId::parse(&event.stream)?,
        version: event.version,
        event_type: event.r#type,
        schema_version: event.schema_version.try_into().ok()?,
        occurred_at: instant(event.occurred_at.as_ref()?)?,
        recorded_at: instant(event.recorded_at.as_ref()?)?,
        request_id: match event.request_id.as_str() {
            "" => None,
            id => Some(Uuid::parse_str(id).ok()?),
        },
        metadata: StoredMetadata::parse(event.metadata).ok()?,
        payload: event.payload,
        hash: event.hash.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use es::{Actor, Metadata, Subject};

    use super::*;

    #[test]
    fn an_event_survives_the_wire() {
        let event = Recorded {
            position: 7,
            event_id: Uuid::from_u128(1),
            stream: StreamId::new("task", Uuid::from_u128(2)),
            version: 3,
            event_type: "task.rescheduled".to_owned(),
            schema_version: 2,
            occurred_at: "2026-03-02T09:00:00.123456Z".parse().unwrap(),
            recorded_at: "2026-03-02T09:00:01Z".parse().unwrap(),
            request_id: Some(Uuid::from_u128(4)),
            metadata: Metadata {
                actor: Actor::Staff(Uuid::from_u128(5)),
                on_behalf_of: None,
                actor_group_id: None,
                correlation_id: Uuid::from_u128(6),
                causation_id: None,
                traceparent: None,
                request_digest: None,
                subjects: vec![Subject::new("person", Uuid::from_u128(8))],
            }
            .try_into()
            .unwrap(),
            payload: b"{\"a\":1}".to_vec(),
            hash: [9; 32],
        };
        let sent = to_api(event.clone());
        assert_eq!(from_api(sent.clone()), Some(event));
        let cut = Event {
            hash: vec![1],
            ..sent
        };
        assert_eq!(from_api(cut), None);
    }
}
