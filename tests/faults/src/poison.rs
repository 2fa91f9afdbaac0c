//! Events that cannot be applied, as a faulty writer would have left them in a log.

use chrono::Utc;
use es::{Actor, Metadata, StreamId};
use es_postgres::{Append, NewEvent};
use uuid::Uuid;

use crate::replay::Stores;

/// A task that says nothing, then one that waits behind it, then one of a kind that nobody knows.
pub async fn tasks(stores: &Stores, stream: Uuid) -> anyhow::Result<()> {
    let events = [
        ("task.created", "{}"),
        ("task.cancelled", r#"{"reason":"it was never there"}"#),
        ("task.painted", r#"{"colour":"red"}"#),
    ];
    record(stores, "planning", "task", stream, &events).await
}

/// A contact whose fields are of other types than they should be.
pub async fn contact(stores: &Stores, stream: Uuid) -> anyhow::Result<()> {
    let events = [("interaction.logged", r#"{"account_id":7,"kind":[]}"#)];
    record(stores, "contacts", "interaction", stream, &events).await
}

#[expect(clippy::disallowed_methods, reason = "a faulty writer's own clock")]
async fn record(
    stores: &Stores,
    service: &'static str,
    category: &str,
    stream: Uuid,
    events: &[(&str, &str)],
) -> anyhow::Result<()> {
    let now = Utc::now();
    let metadata = Metadata {
        actor: Actor::Gateway("a faulty writer".to_owned()),
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: stream,
        causation_id: None,
        traceparent: None,
        request_digest: None,
        subjects: Vec::new(),
    };
    let events = events.iter().zip(0_u8..);
    let events = events.map(|((event_type, payload), nth)| NewEvent {
        event_id: Uuid::new_v5(&stream, &[nth]),
        event_type: (*event_type).to_owned(),
        schema_version: 1,
        occurred_at: now,
        payload: payload.as_bytes().to_vec(),
    });
    let append = Append {
        stream: StreamId::new(category, stream),
        expected: 0,
        events: events.collect(),
        request_id: None,
        digest: None,
        metadata: serde_json::to_vec(&metadata)?,
        reservations: Vec::new(),
        now,
    };
    for appended in stores.log(service).await?.append(vec![append]).await {
        appended?;
    }
    Ok(())
}
