//! What a release has said of an event stays true.

use std::collections::BTreeSet;

use serde_json::Value;

/// What makes a value what it is.
const NATURE: [&str; 5] = ["type", "format", "const", "pattern", "contentEncoding"];
/// Where a schema goes on.
const INNER: [&str; 3] = ["items", "additionalProperties", "x-opened"];

/// Everything in `now` that a reader of `released` would stumble over: a property that vanished or
/// became something else, one that need not be there any more, a value that is gone. Stored events
/// do not change, so nothing may become required either.
pub fn broken_promises(released: &Value, now: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    compare(released, now, "", &mut broken);
    broken
}

fn compare(released: &Value, now: &Value, path: &str, broken: &mut Vec<String>) {
    for key in NATURE {
        if released.get(key) != now.get(key) {
            let show = |schema: &Value| schema[key].to_string();
            let (was, is) = (show(released), show(now));
            broken.push(format!("{path}: {key} was {was} and is {is}"));
        }
    }
    for value in elements(released, "enum").difference(&elements(now, "enum")) {
        broken.push(format!("{path}: value {value} is gone"));
    }
    for name in elements(released, "required").symmetric_difference(&elements(now, "required")) {
        broken.push(format!("{path}: {name} changed whether it is required"));
    }
    for (name, property) in released["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        match now["properties"].get(name) {
            Some(now) => compare(property, now, &path, broken),
            None => broken.push(format!("{path} is gone")),
        }
    }
    for key in INNER {
        if let Some(released) = released.get(key) {
            compare(released, &now[key], &format!("{path}/{key}"), broken);
        }
    }
    let choices = released["oneOf"].as_array().into_iter().flatten();
    for (n, choice) in choices.enumerate() {
        let path = format!("{path}/oneOf/{n}");
        compare(choice, &now["oneOf"][n], &path, broken);
    }
}

fn elements(schema: &Value, key: &str) -> BTreeSet<String> {
    let elements = schema[key].as_array().into_iter().flatten();
    elements.map(Value::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn released() -> Value {
        json!({
            "type": "object",
            "properties": {
                "amount": {
                    "type": "object",
                    "properties": { "minor_units": { "type": "integer" } },
                    "required": ["minor_units"],
                },
                "kind": { "type": "string", "enum": ["call", "meeting"] },
                "name": { "type": "object", "x-opened": { "type": "string" } },
                "phones": { "type": "array", "items": { "type": "string" } },
            },
            "required": ["kind"],
        })
    }

    fn changed(pointer: &str, value: Value) -> Vec<String> {
        let mut now = released();
        *now.pointer_mut(pointer).expect(pointer) = value;
        broken_promises(&released(), &now)
    }

    #[test]
    fn what_is_added_breaks_nothing() {
        let mut now = released();
        now["properties"]["more"] = json!({ "type": "string" });
        now["properties"]["kind"]["enum"] = json!(["call", "letter", "meeting"]);
        now["properties"]["kind"]["description"] = "what it was".into();
        assert_eq!(broken_promises(&released(), &now), [""; 0]);
    }

    #[test]
    fn what_vanishes_or_changes_is_named() {
        let broken = |pointer, value, expected| {
            assert_eq!(changed(pointer, value), [expected]);
        };
        let vanished = json!({ "type": "object", "required": ["minor_units"] });
        broken(
            "/properties/amount",
            vanished,
            "/amount/minor_units is gone",
        );
        broken(
            "/properties/amount/properties/minor_units/type",
            json!("number"),
            "/amount/minor_units: type was \"integer\" and is \"number\"",
        );
        broken(
            "/properties/kind/enum",
            json!(["call"]),
            "/kind: value \"meeting\" is gone",
        );
        broken(
            "/properties/name/x-opened/type",
            json!("array"),
            "/name/x-opened: type was \"string\" and is \"array\"",
        );
        broken(
            "/properties/phones/items/type",
            json!("integer"),
            "/phones/items: type was \"string\" and is \"integer\"",
        );
        broken(
            "/required",
            json!([]),
            ": \"kind\" changed whether it is required",
        );
        broken(
            "/required",
            json!(["kind", "name"]),
            ": \"name\" changed whether it is required",
        );
    }
}
