use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// An event as its permanent type name and the JSON of its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    pub event_type: String,
    pub payload: Value,
}

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("event is not an externally tagged enum variant with fields")]
    Shape,
    #[error("event of type {event_type} is not readable")]
    Json {
        event_type: String,
        #[source]
        source: serde_json::Error,
    },
}

/// Splits an event into its stored type and payload. The type is the serde name of the variant.
pub fn encode<E: Serialize>(event: &E) -> Result<Encoded, CodecError> {
    match serde_json::to_value(event) {
        Ok(Value::Object(map)) if map.len() == 1 => map
            .into_iter()
            .next()
            .map(|(event_type, payload)| Encoded {
                event_type,
                payload,
            })
            .ok_or(CodecError::Shape),
        Ok(_) => Err(CodecError::Shape),
        Err(source) => Err(CodecError::Json {
            event_type: String::new(),
            source,
        }),
    }
}

/// Reads an event back from its stored type and payload bytes.
///
/// Also serves readers that know only some of a foreign service's events: an enum with
/// `#[serde(other)]` cannot hold fields, so such readers look at the type first.
pub fn decode<E: DeserializeOwned>(event_type: &str, payload: &[u8]) -> Result<E, CodecError> {
    let mut tagged = Vec::with_capacity(payload.len() + event_type.len() + 5);
    tagged.extend_from_slice(b"{\"");
    tagged.extend_from_slice(event_type.as_bytes());
    tagged.extend_from_slice(b"\":");
    tagged.extend_from_slice(payload);
    tagged.push(b'}');
    serde_json::from_slice(&tagged).map_err(|source| CodecError::Json {
        event_type: event_type.to_owned(),
        source,
    })
}
