//! The JSON Schema of one event's payload.

use anyhow::{Context, ensure};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

/// AsyncAPI tools must know it.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// What the payload of each variant of an event enum looks like, by the stored name of its type.
pub(crate) fn of_each_type<E: JsonSchema>() -> anyhow::Result<Vec<(String, Map<String, Value>)>> {
    let settings = SchemaSettings::draft07()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(left_out_when_absent));
    let schema = settings.into_generator().into_root_schema_for::<E>();
    let variants = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .context("not an enum whose variants have fields")?;
    variants.iter().map(payload).collect()
}

/// Takes the tag off.
fn payload(variant: &Value) -> anyhow::Result<(String, Map<String, Value>)> {
    let (event_type, payload) = variant["properties"]
        .as_object()
        .and_then(|tagged| tagged.iter().next())
        .context("a variant without a tag")?;
    let mut payload = payload.as_object().context("a payload")?.clone();
    let summary = variant["description"].as_str();
    let summary = summary.with_context(|| format!("{event_type} says not what happened"))?;
    // What the fields mean, where that is not plain.
    let description = match payload.get("description").and_then(Value::as_str) {
        Some(more) => format!("{summary}\n\n{more}"),
        None => summary.to_owned(),
    };
    payload.insert("description".to_owned(), description.into());
    ensure!(payload.contains_key("type"), "{event_type} has no fields");
    Ok((event_type.clone(), payload))
}

/// As a document of its own.
pub(crate) fn document(
    service: &str,
    event_type: &str,
    version: u16,
    mut payload: Map<String, Value>,
) -> Value {
    let mut put = |key: &str, value: String| payload.insert(key.to_owned(), value.into());
    put("$schema", DIALECT.to_owned());
    put("$id", bus::data_schema(service, event_type, version));
    put("title", bus::subject(service, event_type, version));
    payload.into()
}

/// Nothing is ever stored as null: what is not there is left out.
fn left_out_when_absent(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = required.as_array().cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in properties {
        if let Value::Object(property) = property
            && !required.contains(&json!(name))
        {
            without_null(property);
        }
    }
}

fn without_null(schema: &mut Map<String, Value>) {
    let null = json!({ "type": "null" });
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| *choice != null);
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            // What is said of the field goes before what is said of its type.
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
        }
    }
}
