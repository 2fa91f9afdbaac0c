//! The headers of a message, by name and meaning. What gateways are told is made of this table.

/// What a header's value looks like once it is percent-decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Always this.
    Fixed(&'static str),
    OneOf(&'static [&'static str]),
    /// An ECMA 262 regular expression.
    Pattern(&'static str),
    Uuid,
    /// RFC 3339, UTC, microseconds.
    Instant,
    Uri,
    UriReference,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub name: &'static str,
    /// On every message.
    pub always: bool,
    pub form: Form,
    pub meaning: &'static str,
}

pub(crate) const SPEC_VERSION: &str = "ce-specversion";
pub(crate) const ID: &str = "ce-id";
pub(crate) const SOURCE: &str = "ce-source";
pub(crate) const TYPE: &str = "ce-type";
pub(crate) const TIME: &str = "ce-time";
pub(crate) const SUBJECT: &str = "ce-subject";
pub(crate) const CONTENT_TYPE: &str = "ce-datacontenttype";
pub(crate) const SCHEMA: &str = "ce-dataschema";
pub(crate) const CLASSIFICATION: &str = "ce-dataclassification";
pub(crate) const DATA_REF: &str = "ce-dataref";
pub(crate) const SEQUENCE: &str = "ce-sequence";
pub(crate) const RECORDED_TIME: &str = "ce-recordedtime";
pub(crate) const STREAM_VERSION: &str = "ce-streamversion";
pub(crate) const EPOCH: &str = "ce-epoch";
pub(crate) const PARTITION_KEY: &str = "ce-partitionkey";
pub(crate) const CORRELATION_ID: &str = "ce-correlationid";
pub(crate) const CAUSATION_ID: &str = "ce-causationid";
pub(crate) const REQUEST_ID: &str = "ce-requestid";
pub(crate) const ACTOR: &str = "ce-actor";
pub(crate) const METADATA: &str = "ce-metadata";
pub(crate) const HASH: &str = "ce-hash";
pub(crate) const CE_TRACE_PARENT: &str = "ce-traceparent";
/// What tracing libraries look for, CloudEvents or not.
pub(crate) const TRACE_PARENT: &str = "traceparent";

pub(crate) const VERSION: &str = "1.0";
pub(crate) const JSON: &str = "application/json";
/// Labels that CloudEvents recommends.
pub(crate) const CONFIDENTIAL: &str = "confidential";
pub(crate) const INTERNAL: &str = "internal";
/// As many digits as the largest position has: CloudEvents wants text that sorts.
pub(crate) const SEQUENCE_DIGITS: usize = 19;

const STREAM: Form = Form::Pattern("^[a-z_]+-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$");
const TRACE: Form = Form::Text;

/// Every header that a message of ours may carry, apart from those that NATS itself reads.
pub const HEADERS: &[Header] = &[
    always(
        SPEC_VERSION,
        Form::Fixed(VERSION),
        "Version of CloudEvents.",
    ),
    always(
        ID,
        Form::Uuid,
        "The event's id, the same wherever it is read.",
    ),
    always(
        SOURCE,
        Form::UriReference,
        "/kontakty/ and the service whose log the event is from.",
    ),
    always(
        TYPE,
        Form::Text,
        "The event's type and schema version: also the NATS subject.",
    ),
    always(TIME, Form::Instant, "Business time: when it happened."),
    always(
        SUBJECT,
        STREAM,
        "What it happened to: the kind of thing and its id.",
    ),
    always(CONTENT_TYPE, Form::Fixed(JSON), "The payload is JSON."),
    always(SCHEMA, Form::Uri, "$id of the JSON Schema of the payload."),
    always(
        CLASSIFICATION,
        Form::OneOf(&[CONFIDENTIAL, INTERNAL]),
        "confidential when personal data may be sealed in the payload, else internal.",
    ),
    sometimes(
        DATA_REF,
        Form::UriReference,
        "The payload is too large for the bus: read the event from the log, as one that is missing.",
    ),
    always(
        SEQUENCE,
        Form::Pattern("^[0-9]{19}$"),
        "Position in the service's log: 1, 2, 3 … without holes, zero-padded so that it sorts as text.",
    ),
    always(
        RECORDED_TIME,
        Form::Instant,
        "When it was recorded; never falls as the position rises.",
    ),
    always(
        STREAM_VERSION,
        Form::Pattern("^[1-9][0-9]*$"),
        "Position in the history of ce-subject: 1, 2, 3 … without holes.",
    ),
    always(
        EPOCH,
        Form::Uuid,
        "The life of the log. Another one: a backup was restored and positions are given out anew.",
    ),
    always(
        PARTITION_KEY,
        STREAM,
        "Events with the same key must be kept in order: ce-subject.",
    ),
    always(
        CORRELATION_ID,
        Form::Uuid,
        "Shared by everything that one first cause led to.",
    ),
    sometimes(
        CAUSATION_ID,
        Form::Uuid,
        "The event that a rule reacted to.",
    ),
    sometimes(
        REQUEST_ID,
        Form::Uuid,
        "request_id of the command, on the last of its events.",
    ),
    sometimes(CE_TRACE_PARENT, TRACE, "W3C trace context of the command."),
    sometimes(
        TRACE_PARENT,
        TRACE,
        "The same for tracing libraries that know no CloudEvents.",
    ),
    always(
        ACTOR,
        Form::Pattern("^(system|(staff|gateway|policy):.+)$"),
        "Who did it: staff:ID, gateway:NAME, policy:NAME or system.",
    ),
    always(
        METADATA,
        Form::Text,
        "What the log keeps beside the payload, as JSON. Tools of Kontakty read it; others need not.",
    ),
    always(
        HASH,
        Form::Pattern("^[0-9a-f]{64}$"),
        "The event's link of the hash chain.",
    ),
];

const fn always(name: &'static str, form: Form, meaning: &'static str) -> Header {
    Header {
        name,
        always: true,
        form,
        meaning,
    }
}

const fn sometimes(name: &'static str, form: Form, meaning: &'static str) -> Header {
    Header {
        name,
        always: false,
        form,
        meaning,
    }
}
