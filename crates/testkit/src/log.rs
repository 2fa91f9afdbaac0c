//! Events that a test writes into a log in place of its service.

use anyhow::{Context as _, Result};
use api::common::Position;
use es::{Actor, Metadata, StreamId};
use es_postgres::{Append, NewEvent};
use kit::Service;
use serde_json::Value;
use uuid::Uuid;
use vocabulary::derived_id;

/// Records an event of the moment, in a stream that is just before this version.
pub async fn record(
    service: &Service,
    stream: StreamId,
    version: i64,
    event_type: &str,
    fields: &Value,
) -> Result<Position> {
    append(
        service,
        event(service, stream, version, event_type, fields)?,
    )
    .await
}

/// As [`record`] writes it, to be changed before it is appended.
pub fn event(
    service: &Service,
    stream: StreamId,
    version: i64,
    event_type: &str,
    fields: &Value,
) -> Result<Append> {
    let now = service.node.clock.now();
    let metadata = Metadata {
        actor: Actor::System,
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: Uuid::nil(),
        causation_id: None,
        traceparent: None,
        request_digest: None,
        subjects: Vec::new(),
    };
    let event = NewEvent {
        event_id: derived_id("event", &format!("{stream}/{version}")),
        event_type: event_type.to_owned(),
        schema_version: 1,
        occurred_at: now,
        payload: fields.to_string().into_bytes(),
    };
    Ok(Append {
        stream,
        expected: version - 1,
        events: vec![event],
        request_id: None,
        digest: None,
        metadata: serde_json::to_vec(&metadata)?,
        reservations: Vec::new(),
        now,
    })
}

pub async fn append(service: &Service, append: Append) -> Result<Position> {
    let appended = service.log.append(vec![append]).await.pop();
    let appended = appended.context("no answer")??;
    Ok(service.position(appended.position))
}
