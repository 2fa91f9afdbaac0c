//! Every event ever released stays readable: one file for each type and version, never edited.

use std::{collections::BTreeSet, fs, path::PathBuf};

use accounts_domain::{account, deal, group, pipeline, staff};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, Deserializer, Error, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value;

fn golden_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_stored_event_reads_and_writes_back() {
    let mut seen = 0;
    for entry in fs::read_dir(golden_dir()).expect("golden files") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let event_type = name
            .strip_suffix(".v1.json")
            .unwrap_or_else(|| panic!("{name} is not <event type>.v1.json"));
        let payload: Value =
            serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
        let written = match event_type.split_once('.') {
            Some(("staff", _)) => reread::<staff::Event>(event_type, &payload),
            Some(("group", _)) => reread::<group::Event>(event_type, &payload),
            Some(("account", _)) => reread::<account::Event>(event_type, &payload),
            Some(("deal", _)) => reread::<deal::Event>(event_type, &payload),
            Some(("pipeline", _)) => reread::<pipeline::Event>(event_type, &payload),
            _ => panic!("{name} is of no aggregate"),
        };
        assert_eq!(written, payload, "{name}");
        seen += 1;
    }
    assert!(seen > 0, "no golden files found");
}

fn reread<E: Serialize + DeserializeOwned>(event_type: &str, payload: &Value) -> Value {
    let event: E = es::decode(event_type, payload.to_string().as_bytes())
        .unwrap_or_else(|error| panic!("{event_type}: {error:?}"));
    let encoded = es::encode(&event).expect("encodes");
    assert_eq!(encoded.event_type, event_type);
    encoded.payload
}

#[test]
fn no_event_type_lacks_its_file() {
    let types: BTreeSet<_> = [
        event_types::<staff::Event>(),
        event_types::<group::Event>(),
        event_types::<account::Event>(),
        event_types::<deal::Event>(),
        event_types::<pipeline::Event>(),
    ]
    .concat()
    .into_iter()
    .collect();
    assert!(types.contains("account.converted_to_client"));
    let missing: Vec<_> = types
        .into_iter()
        .filter(|event_type| !golden_dir().join(format!("{event_type}.v1.json")).exists())
        .collect();
    assert!(missing.is_empty(), "no golden file for {missing:?}");
}

/// The stored names of an enum's variants, as its own `Deserialize` asks for them.
fn event_types<E: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    let mut found = Vec::new();
    let asked = E::deserialize(Asked(&mut found)).map(|_| ());
    assert!(asked.is_err(), "nothing to read");
    found
}

struct Asked<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not an enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(variants);
        Err(Self::Error::custom("only asked"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
