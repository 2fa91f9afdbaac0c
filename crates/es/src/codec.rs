use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Aggregate, personal};

/// An event as its permanent type name, the version of its shape and the JSON of its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    pub event_type: String,
    pub schema_version: u16,
    pub payload: Value,
}

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("event is not an externally tagged enum variant with fields")]
    Shape,
    #[error("event of type {event_type} is not readable: {fault}")]
    Json { event_type: String, fault: String },
    /// Of a newer writer, or an old one that no upcaster lifts.
    #[error("event of type {event_type} has version {version}, which this program does not read")]
    Version { event_type: String, version: u16 },
}

impl CodecError {
    /// What is wrong and where, without serde's own text: that quotes the value it did not like.
    pub(crate) fn json(event_type: &str, error: &serde_json::Error) -> Self {
        Self::Json {
            event_type: event_type.to_owned(),
            fault: format!("{:?} error at column {}", error.classify(), error.column()),
        }
    }
}

/// The fields of a stored event.
pub type Fields = Map<String, Value>;

/// Lifts the fields of one old version of an event to the next version. Total: what it does not
/// find it leaves out, and reading the result says what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    pub event_type: &'static str,
    /// The version it reads; it writes the next one.
    pub from: u16,
    pub lift: fn(&mut Fields),
}

impl Upcaster {
    /// From the first version of an event, in which its reason was plain text.
    pub const fn plain_reason(event_type: &'static str) -> Self {
        Self {
            event_type,
            from: 1,
            lift: |fields| personal::lift_plain(fields, "reason"),
        }
    }
}

/// Splits an event into its stored type and payload. The type is the serde name of the variant.
pub fn encode<A: Aggregate>(event: &A::Event) -> Result<Encoded, CodecError> {
    match serde_json::to_value(event) {
        Ok(Value::Object(map)) if map.len() == 1 => map
            .into_iter()
            .next()
            .map(|(event_type, payload)| Encoded {
                event_type,
                schema_version: A::schema_version(event),
                payload,
            })
            .ok_or(CodecError::Shape),
        Ok(_) => Err(CodecError::Shape),
        Err(error) => Err(CodecError::json("", &error)),
    }
}

/// Reads an event back from its stored type, version and payload; an old version is lifted to the
/// present one first.
pub fn decode<A: Aggregate>(
    event_type: &str,
    schema_version: u16,
    payload: &[u8],
) -> Result<A::Event, CodecError> {
    let mut reached = schema_version;
    let mut lifted: Option<Fields> = None;
    while let Some(upcaster) = A::UPCASTERS
        .iter()
        .find(|upcaster| upcaster.event_type == event_type && upcaster.from == reached)
    {
        let mut fields = match lifted.take() {
            Some(fields) => fields,
            None => serde_json::from_slice(payload)
                .map_err(|error| CodecError::json(event_type, &error))?,
        };
        (upcaster.lift)(&mut fields);
        lifted = Some(fields);
        reached += 1;
    }
    let event = match lifted {
        None => read(event_type, payload)?,
        Some(fields) => read(event_type, Value::Object(fields).to_string().as_bytes())?,
    };
    if A::schema_version(&event) == reached {
        Ok(event)
    } else {
        Err(CodecError::Version {
            event_type: event_type.to_owned(),
            version: schema_version,
        })
    }
}

fn read<E: DeserializeOwned>(event_type: &str, payload: &[u8]) -> Result<E, CodecError> {
    let mut tagged = Vec::with_capacity(payload.len() + event_type.len() + 5);
    tagged.extend_from_slice(b"{\"");
    tagged.extend_from_slice(event_type.as_bytes());
    tagged.extend_from_slice(b"\":");
    tagged.extend_from_slice(payload);
    tagged.push(b'}');
    serde_json::from_slice(&tagged).map_err(|error| CodecError::json(event_type, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Event, Lamp};

    fn lit(version: u16, payload: &str) -> Result<Event, CodecError> {
        decode::<Lamp>("lamp.lit", version, payload.as_bytes())
    }

    #[test]
    fn every_old_version_is_lifted_to_the_present_one() {
        let present = Event::Lit {
            lumens: 800,
            colour: "white".to_owned(),
        };
        assert_eq!(lit(1, r#"{"watts":60}"#).unwrap(), present);
        assert_eq!(lit(2, r#"{"lumens":800}"#).unwrap(), present);
        let encoded = encode::<Lamp>(&present).unwrap();
        assert_eq!(encoded.schema_version, 3);
        assert_eq!(lit(3, &encoded.payload.to_string()).unwrap(), present);
    }

    #[test]
    fn what_no_upcaster_leads_to_is_refused_and_never_guessed() {
        let now = r#"{"lumens":800,"colour":"white"}"#;
        for version in [0, 4] {
            assert!(
                matches!(lit(version, now), Err(CodecError::Version { version: v, .. }) if v == version)
            );
        }
        assert!(matches!(
            lit(1, r#"{"volts":1}"#),
            Err(CodecError::Json { .. })
        ));
        assert!(matches!(lit(1, "7"), Err(CodecError::Json { .. })));
        assert!(matches!(
            decode::<Lamp>("lamp.broken", 1, b"{}"),
            Err(CodecError::Json { .. })
        ));
    }

    #[test]
    fn a_value_is_not_quoted_by_what_could_not_read_it() {
        let error = decode::<Lamp>(
            "lamp.lit",
            3,
            br#"{"lumens":"\u0418\u043b\u044c\u0438\u043d"}"#,
        );
        let text = format!("{:?}", error.expect_err("a name is no number"));
        assert!(text.contains("lamp.lit") && text.contains("column"));
        assert!(!text.contains('И'), "{text}");
    }
}
