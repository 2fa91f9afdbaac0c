//! The AsyncAPI document: which streams there are, which messages are on them, what each header
//! and payload holds.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Form, HEADERS, Header};
use serde_json::{Map, Value, json};

use crate::Event;

/// The oldest 3 that tools know; nothing newer is needed.
const VERSION: &str = "3.0.0";
const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-07";

const ABOUT: &str = "\
What happened in the office, as every service publishes it. The application that this document \
describes is a gateway or a tool of yours that follows.

Each event is a CloudEvent 1.0 in binary mode: attributes in `ce-` headers, the payload is JSON. \
Header values are percent-encoded (space, quote, percent and everything outside of printable ASCII).

Rules for readers: README.md beside this document.";

pub(crate) fn document(events: &[Event]) -> Value {
    let mut services: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        services.entry(event.service).or_default().push(event);
    }
    json!({
        "asyncapi": VERSION,
        "id": "urn:kontakty",
        "info": {
            "title": "Events of Kontakty",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "office": {
                "host": "localhost:8602",
                "protocol": "nats",
                "description": "NATS with JetStream, 2.9 or newer. `kontakty up` prints its address.",
            },
        },
        "channels": services.iter().map(|(service, events)| (*service, channel(service, events))).collect::<BTreeMap<_, _>>(),
        "operations": services.keys().map(|service| (format!("follow-{service}"), operation(service))).collect::<BTreeMap<_, _>>(),
        "components": {
            "messages": events.iter().map(|event| (key(event), message(event))).collect::<BTreeMap<_, _>>(),
            "schemas": { "headers": headers() },
        },
    })
}

/// The stream of one service.
fn channel(service: &str, events: &[&Event]) -> Value {
    let types = events.iter().filter_map(|e| e.event_type.split_once('.'));
    let (aggregates, names): (BTreeSet<_>, BTreeSet<_>) = types.unzip();
    let versions: BTreeSet<_> = events.iter().map(|e| format!("v{}", e.version)).collect();
    json!({
        "address": format!("{}.{{version}}", bus_address(service)),
        "description": format!("Everything the {service} service records, in the order of its log."),
        "parameters": {
            "aggregate": { "description": "What it happened to.", "enum": aggregates },
            "event": { "description": "What happened.", "enum": names },
            "version": { "description": "Of the payload's schema.", "enum": versions },
        },
        "messages": events.iter().map(|event| {
            (event.name(), json!({ "$ref": format!("#/components/messages/{}", key(event)) }))
        }).collect::<BTreeMap<_, _>>(),
        "x-nats-jetstream": {
            "stream": service,
            "filter": bus::all_subjects(service),
            "order": "ce-sequence is dense: the next message after n is n + 1. A message may come \
                      twice; one that is missing is read from the log.",
            "missing": {
                "method": "kontakty.log.v1.LogService/ReadEvents",
                "request": { "service": service, "after_position": "the last position applied" },
            },
            "consumer": {
                "durable": "yourname--purpose, the same for ever",
                "deliver_policy": "all",
                "ack_policy": "explicit",
            },
        },
    })
}

fn bus_address(service: &str) -> String {
    bus::all_subjects(service).replace('>', "{aggregate}.{event}")
}

fn operation(service: &str) -> Value {
    json!({
        "action": "receive",
        "channel": { "$ref": format!("#/channels/{service}") },
        "summary": format!("Follow what the {service} service records."),
    })
}

fn message(event: &Event) -> Value {
    let Event {
        service,
        event_type,
        version,
        ..
    } = event;
    let subject = bus::subject(service, event_type, *version);
    let own = [
        ("ce-source", bus::source(service)),
        ("ce-type", subject.clone()),
        (
            "ce-dataschema",
            bus::data_schema(service, event_type, *version),
        ),
    ];
    let own: Map<_, _> = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!({ "const": value })))
        .collect();
    json!({
        "name": subject,
        "title": event.name(),
        "summary": event.schema["description"],
        "headers": {
            "type": "object",
            "allOf": [{ "$ref": "#/components/schemas/headers" }],
            "properties": own,
        },
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": { "$ref": format!("./{}", event.file()) },
        },
        "examples": [{ "name": event.name(), "payload": event.example }],
    })
}

/// Key among the components.
fn key(event: &Event) -> String {
    format!("{}.{}", event.service, event.name())
}

fn headers() -> Value {
    let properties: Map<_, _> = HEADERS
        .iter()
        .map(|header| (header.name.to_owned(), header_schema(header)))
        .collect();
    let always = HEADERS.iter().filter(|header| header.always);
    let required: Vec<_> = always.map(|header| header.name).collect();
    json!({
        "description": "Values are as they read once percent-decoded.",
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

fn header_schema(header: &Header) -> Value {
    let mut schema = match header.form {
        Form::Fixed(value) => json!({ "const": value }),
        Form::OneOf(values) => json!({ "enum": values }),
        Form::Pattern(pattern) => json!({ "pattern": pattern }),
        Form::Uuid => json!({ "format": "uuid" }),
        Form::Instant => json!({ "format": "date-time" }),
        Form::Uri => json!({ "format": "uri" }),
        Form::UriReference => json!({ "format": "uri-reference" }),
        Form::Text => json!({}),
    };
    schema["type"] = "string".into();
    schema["description"] = header.meaning.into();
    schema
}
