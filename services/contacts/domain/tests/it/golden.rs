//! Every event type has a stored example. The files are never edited: a change of shape is a new
//! version with a new file, and the old one must still be readable.

use std::{fs, path::PathBuf};

use contacts_domain::{interaction, person};
use es::{decode, encode};
use serde::{
    Deserialize, Serialize,
    de::{self, DeserializeOwned, Deserializer, Visitor, value::Error},
};
use serde_json::Value;

#[test]
fn person() {
    read_every_type::<person::Event>();
}

#[test]
fn interaction() {
    read_every_type::<interaction::Event>();
}

fn read_every_type<E: DeserializeOwned + Serialize>() {
    let types = event_types::<E>();
    assert!(!types.is_empty());
    for &event_type in types {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(format!("{event_type}.v1.json"));
        let stored = fs::read(&path)
            .unwrap_or_else(|error| panic!("{event_type} needs {}: {error}", path.display()));
        let event: E = decode(event_type, &stored).expect(event_type);
        let again = encode(&event).expect(event_type);
        assert_eq!(again.event_type, event_type);
        let stored: Value = serde_json::from_slice(&stored).expect(event_type);
        assert_eq!(again.payload, stored, "{event_type}");
    }
}

/// The names of an event enum as serde knows them: asks it to read itself and listens.
fn event_types<'de, E: Deserialize<'de>>() -> &'static [&'static str] {
    struct Listener<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Listener<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
            Err(de::Error::custom("only enums"))
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _name: &'static str,
            variants: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            *self.0 = variants;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    let mut types: &[&str] = &[];
    // Always an error: the names are all that is wanted.
    drop(E::deserialize(Listener(&mut types)));
    types
}
