//! What others see of personal data: the sealed form, as the log keeps it and the bus carries it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{Personal, Subject};

impl JsonSchema for Subject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Subject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SUBJECT })
    }
}

/// `person:…`, `account:….2` once it was sealed anew, `text:…;person:…;person:…` of a text about several.
const SUBJECT: &str = concat!(
    r"^[a-z_]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]+)?",
    r"(;[a-z_]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]+)?)*$",
);

impl<T: JsonSchema> JsonSchema for Personal<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Personal_{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("es::Personal<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "$personal": {
                    "description": "Whose data it is. Erasing this subject, or one of those it \
                                    names, destroys the key.",
                    "type": "string",
                    "pattern": SUBJECT,
                },
                "sealed": {
                    "description": "Ciphertext under the subject's key. Absent: erased before \
                                    the event was recorded.",
                    "type": "string",
                    "contentEncoding": "base64",
                    "minLength": 1,
                },
            },
            "required": ["$personal"],
            // No keyword of JSON Schema says what a ciphertext holds.
            "x-opened": generator.subschema_for::<T>(),
        })
    }
}
