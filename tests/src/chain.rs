//! The hash chain as the contract describes it, written without a look at ours.

use api::log::Event;
use prost_types::Timestamp;
use uuid::Uuid;

/// The hash of an event behind another one; of the first behind 32 zeros.
pub fn hash(before: &[u8], event: &Event) -> Vec<u8> {
    let id =
        |text: &str| Uuid::parse_str(text).map_or_else(|_| Vec::new(), |id| id.as_bytes().to_vec());
    let number = |number: i64| number.to_be_bytes().to_vec();
    let micros = |time: &Option<Timestamp>| {
        let time = time.unwrap_or_default();
        number(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    for field in [
        number(event.position),
        id(&event.event_id),
        event.stream.clone().into_bytes(),
        number(event.version),
        event.r#type.clone().into_bytes(),
        number(event.schema_version.into()),
        micros(&event.occurred_at),
        micros(&event.recorded_at),
        id(&event.request_id),
        event.metadata.clone(),
        event.payload.clone(),
    ] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(&field);
    }
    hasher.finalize().as_bytes().to_vec()
}
