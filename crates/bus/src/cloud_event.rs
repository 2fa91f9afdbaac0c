//! An event of the log as a CloudEvent 1.0 in NATS binary mode: attributes in `ce-` headers, the
//! payload exactly as stored. Everything the log holds comes across, so that a reader of the bus
//! and a reader of the log see the same.

use std::borrow::Cow;

use async_nats::{HeaderMap, header::HeaderValue};
use chrono::{DateTime, SecondsFormat, Utc};
use es::{Actor, Metadata, Recorded, StoredMetadata, StreamId};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use crate::{
    headers::{
        ACTOR, CAUSATION_ID, CE_TRACE_PARENT, CLASSIFICATION, CONFIDENTIAL, CONTENT_TYPE,
        CORRELATION_ID, EPOCH, HASH, ID, INTERNAL, JSON, METADATA, PARTITION_KEY, RECORDED_TIME,
        REQUEST_ID, SCHEMA, SEQUENCE, SEQUENCE_DIGITS, SOURCE, SPEC_VERSION, STREAM_VERSION,
        SUBJECT, TIME, TRACE_PARENT, TYPE, VERSION,
    },
    subjects,
};

/// A message that is not an event of ours. Names headers, never their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("header {0} is missing")]
    Missing(&'static str),
    #[error("header {0} is not readable")]
    Unreadable(&'static str),
}

/// An event, and which log, in which of its lives, it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub service: String,
    pub epoch: Uuid,
    pub event: Recorded,
}

pub fn to_headers(service: &str, epoch: Uuid, event: &Recorded) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from(escape(value)));
    };
    let metadata = &event.metadata;
    let stream = event.stream.to_string();
    put(SPEC_VERSION, VERSION);
    put(ID, &event.event_id.to_string());
    put(SOURCE, &subjects::source(service));
    let (event_type, schema_version) = (&event.event_type, event.schema_version);
    put(
        TYPE,
        &subjects::subject(service, event_type, schema_version),
    );
    put(TIME, &instant(event.occurred_at));
    put(SUBJECT, &stream);
    put(CONTENT_TYPE, JSON);
    put(
        SCHEMA,
        &subjects::data_schema(service, event_type, schema_version),
    );
    put(CLASSIFICATION, classification(metadata));
    put(SEQUENCE, &format!("{:0SEQUENCE_DIGITS$}", event.position));
    put(RECORDED_TIME, &instant(event.recorded_at));
    put(STREAM_VERSION, &event.version.to_string());
    put(EPOCH, &epoch.to_string());
    put(PARTITION_KEY, &stream);
    put(CORRELATION_ID, &metadata.correlation_id.to_string());
    if let Some(causation_id) = metadata.causation_id {
        put(CAUSATION_ID, &causation_id.to_string());
    }
    if let Some(request_id) = event.request_id {
        put(REQUEST_ID, &request_id.to_string());
    }
    if let Some(traceparent) = &metadata.traceparent {
        put(CE_TRACE_PARENT, traceparent);
        put(TRACE_PARENT, traceparent);
    }
    put(ACTOR, &actor(&metadata.actor));
    put(METADATA, metadata.json());
    put(HASH, &hex::encode(event.hash));
    headers
}

/// About as long as they are on the wire.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .flat_map(|(name, values)| {
            let name = AsRef::<str>::as_ref(name).len();
            values
                .iter()
                .map(move |value| name + value.as_str().len() + 4)
        })
        .sum()
}

pub fn from_message(headers: &HeaderMap, payload: &[u8]) -> Result<Envelope, FormatError> {
    let kind = required(headers, TYPE)?;
    let (service, event_type, schema_version) =
        subjects::parse(&kind).ok_or(FormatError::Unreadable(TYPE))?;
    let request_id = match headers.get(REQUEST_ID) {
        Some(_) => Some(parsed(headers, REQUEST_ID)?),
        None => None,
    };
    let metadata = StoredMetadata::parse(required(headers, METADATA)?.into_bytes())
        .map_err(|_| FormatError::Unreadable(METADATA))?;
    let event = Recorded {
        position: parsed(headers, SEQUENCE)?,
        event_id: parsed(headers, ID)?,
        stream: StreamId::parse(&required(headers, SUBJECT)?)
            .ok_or(FormatError::Unreadable(SUBJECT))?,
        version: parsed(headers, STREAM_VERSION)?,
        event_type: event_type.to_owned(),
        schema_version,
        occurred_at: parsed(headers, TIME)?,
        recorded_at: parsed(headers, RECORDED_TIME)?,
        request_id,
        metadata,
        payload: payload.to_vec(),
        hash: unhex(&required(headers, HASH)?).ok_or(FormatError::Unreadable(HASH))?,
    };
    Ok(Envelope {
        service: service.to_owned(),
        epoch: parsed(headers, EPOCH)?,
        event,
    })
}

/// Which event of which log a message holds: all that the relay needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: Uuid,
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
}

pub(crate) fn standing(headers: &HeaderMap) -> Result<Standing, FormatError> {
    Ok(Standing {
        epoch: parsed(headers, EPOCH)?,
        position: parsed(headers, SEQUENCE)?,
        event_id: parsed(headers, ID)?,
    })
}

fn required(headers: &HeaderMap, name: &'static str) -> Result<String, FormatError> {
    let value = headers.get(name).ok_or(FormatError::Missing(name))?;
    unescape(value.as_str()).ok_or(FormatError::Unreadable(name))
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, FormatError> {
    required(headers, name)?
        .parse()
        .map_err(|_| FormatError::Unreadable(name))
}

/// As precise as PostgreSQL keeps it.
fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn classification(metadata: &Metadata) -> &'static str {
    if metadata.subjects.is_empty() {
        INTERNAL
    } else {
        CONFIDENTIAL
    }
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Staff(id) => format!("staff:{id}"),
        Actor::Gateway(name) => format!("gateway:{name}"),
        Actor::Policy(name) => format!("policy:{name}"),
        Actor::System => "system".to_owned(),
    }
}

/// The binding's rule: anything outside printable ASCII, and space, quote and percent.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

fn escape(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

fn unescape(value: &str) -> Option<String> {
    let text = percent_decode_str(value).decode_utf8();
    text.ok().map(Cow::into_owned)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use es::{Metadata, Subject};
    use proptest::prelude::*;

    use super::*;
    use crate::HEADERS;

    fn event(text: String, numbers: [u64; 4], ids: [u128; 4], hash: [u8; 32]) -> Recorded {
        let id = |n: usize| Uuid::from_u128(ids[n]);
        let at = |n: u64| DateTime::from_timestamp_micros((n % 4_102_444_800_000_000) as i64);
        Recorded {
            position: (numbers[0] >> 1) as i64,
            event_id: id(0),
            stream: StreamId::new("task", id(1)),
            version: (numbers[1] >> 1) as i64,
            event_type: "task.rescheduled".to_owned(),
            schema_version: numbers[2] as u16,
            occurred_at: at(numbers[2]).expect("in range"),
            recorded_at: at(numbers[3]).expect("in range"),
            request_id: ids[2].is_multiple_of(2).then(|| id(2)),
            metadata: Metadata {
                actor: Actor::Gateway(text.clone()),
                on_behalf_of: None,
                actor_group_id: Some(id(3)),
                correlation_id: id(2),
                causation_id: ids[3].is_multiple_of(2).then(|| id(3)),
                traceparent: ids[1].is_multiple_of(2).then(|| text.clone()),
                request_digest: None,
                subjects: vec![Subject::new("account", id(1))],
            }
            .try_into()
            .expect("always serialises"),
            payload: text.into_bytes(),
            hash,
        }
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_back(
            text in any::<String>(), numbers in any::<[u64; 4]>(),
            ids in any::<[u128; 4]>(), hash in any::<[u8; 32]>(),
        ) {
            let event = event(text, numbers, ids, hash);
            let epoch = Uuid::from_u128(ids[0]);
            let headers = to_headers("planning", epoch, &event);
            for (name, values) in headers.iter() {
                prop_assert!(HEADERS.iter().any(|header| header.name == name.to_string()));
                for value in values {
                    prop_assert!(value.as_str().bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
                }
            }
            for header in HEADERS {
                prop_assert!(!header.always || headers.get(header.name).is_some());
            }
            let back = from_message(&headers, &event.payload);
            let service = "planning".to_owned();
            prop_assert_eq!(back, Ok(Envelope { service, epoch, event }));
        }

        #[test]
        fn no_header_makes_it_panic(value in any::<String>(), which in 0_usize..8) {
            let name = [ID, TYPE, TIME, SUBJECT, SEQUENCE, METADATA, HASH, EPOCH][which];
            let event = event(String::new(), [2; 4], [2; 4], [0; 32]);
            let mut headers = to_headers("planning", Uuid::nil(), &event);
            let value: String = value.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            headers.insert(name, HeaderValue::from(value));
            let _ = from_message(&headers, b"{}");
        }
    }

    #[test]
    fn positions_sort_as_text() {
        let sequence = |position| {
            let event = Recorded {
                position,
                ..event(String::new(), [2; 4], [2; 4], [0; 32])
            };
            let headers = to_headers("planning", Uuid::nil(), &event);
            required(&headers, SEQUENCE).expect("a sequence")
        };
        assert_eq!(sequence(10), "0000000000000000010");
        assert!(sequence(9) < sequence(10) && sequence(10) < sequence(i64::MAX));
    }

    #[test]
    fn strangers_are_told_by_name_of_the_header() {
        assert_eq!(
            from_message(&HeaderMap::new(), b"{}"),
            Err(FormatError::Missing(TYPE))
        );
    }
}
