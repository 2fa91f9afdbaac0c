//! An event as a line of JSON: metadata and payload byte for byte as they were hashed, so that the
//! chain can be recomputed from the lines.

use anyhow::Context;
use api::log::Event;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

#[derive(Serialize)]
pub(super) struct Row<'e> {
    pub(super) position: i64,
    pub(super) event_id: &'e str,
    pub(super) stream: &'e str,
    pub(super) version: i64,
    #[serde(rename = "type")]
    pub(super) event_type: &'e str,
    pub(super) schema_version: i32,
    #[serde(serialize_with = "instant")]
    pub(super) occurred_at: DateTime<Utc>,
    #[serde(serialize_with = "instant")]
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) request_id: Option<&'e str>,
    pub(super) metadata: &'e RawValue,
    pub(super) payload: &'e RawValue,
    pub(super) hash: String,
}

impl<'e> Row<'e> {
    pub(super) fn new(event: &'e Event) -> anyhow::Result<Self> {
        let time = |time: &Option<_>| time.as_ref().and_then(kit::instant).context("no time");
        let read = || -> anyhow::Result<Self> {
            Ok(Self {
                position: event.position,
                event_id: &event.event_id,
                stream: &event.stream,
                version: event.version,
                event_type: &event.r#type,
                schema_version: event.schema_version,
                occurred_at: time(&event.occurred_at)?,
                recorded_at: time(&event.recorded_at)?,
                request_id: Some(event.request_id.as_str()).filter(|id| !id.is_empty()),
                metadata: serde_json::from_slice(&event.metadata)?,
                payload: serde_json::from_slice(&event.payload)?,
                hash: hex::encode(&event.hash),
            })
        };
        read().with_context(|| format!("the event at position {} is malformed", event.position))
    }
}

/// As precise as the log keeps it, and always as long.
fn instant<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
