//! Personal data in events: readable only as long as the key of the person it is about exists.

use std::{convert::Infallible, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap,
};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Whose data it is: `person:0192…`, `account:0192…`, `staff:0192…`. One key each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    pub fn new(kind: &str, id: Uuid) -> Self {
        Self(format!("{kind}:{id}"))
    }

    /// Takes the text as the log stored it.
    pub fn stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value about a data subject. In the log it is ciphertext; once the subject is erased nobody
/// can read it again, and every reader must cope.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    Known {
        subject: Subject,
        value: T,
    },
    /// The key is gone, or was never ours.
    Erased {
        subject: Subject,
    },
}

impl<T> Personal<T> {
    pub fn new(subject: Subject, value: T) -> Self {
        Self::Known { subject, value }
    }

    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Erased { .. } => None,
        }
    }

    pub fn into_inner(self) -> Option<T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Erased { .. } => None,
        }
    }

    pub fn subject(&self) -> &Subject {
        match self {
            Self::Known { subject, .. } | Self::Erased { subject } => subject,
        }
    }
}

/// Never the value: it would end up in a log file.
impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Personal({})", self.subject())
    }
}

const MARK: &str = "$personal";
const CLEAR: &str = "clear";
const SEALED: &str = "sealed";

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(MARK, self.subject())?;
        if let Self::Known { value, .. } = self {
            map.serialize_entry(CLEAR, value)?;
        }
        map.end()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Stored<T> {
            #[serde(rename = "$personal")]
            subject: Subject,
            #[serde(default = "none")]
            clear: Option<T>,
        }
        fn none<T>() -> Option<T> {
            None
        }
        let Stored { subject, clear } = Stored::<T>::deserialize(deserializer)?;
        Ok(match clear {
            Some(value) => Self::Known { subject, value },
            None => Self::Erased { subject },
        })
    }
}

/// Every data subject named in a payload, each once, in order.
pub fn subjects(payload: &Value) -> Vec<Subject> {
    let mut found = Vec::new();
    visit(payload, &mut |subject| found.push(subject));
    found.sort();
    found.dedup();
    found
}

fn visit(value: &Value, found: &mut impl FnMut(Subject)) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(subject)) = map.get(MARK) {
                found(Subject::stored(subject.clone()));
            } else {
                map.values().for_each(|inner| visit(inner, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| visit(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces every clear value by the text `seal` makes of its JSON bytes.
pub fn seal<E>(
    payload: &mut Value,
    seal: &mut impl FnMut(&Subject, &[u8]) -> Result<String, E>,
) -> Result<(), E> {
    transform(payload, &mut |subject, map| {
        if let Some(clear) = map.remove(CLEAR) {
            let sealed = seal(subject, clear.to_string().as_bytes())?;
            map.insert(SEALED.to_owned(), Value::String(sealed));
        }
        Ok(())
    })
}

/// Puts back every clear value that `open` can still read; the rest reads as erased.
pub fn open<E>(
    payload: &mut Value,
    open: &mut impl FnMut(&Subject, &str) -> Result<Option<Vec<u8>>, E>,
) -> Result<(), E> {
    transform(payload, &mut |subject, map| {
        if let Some(Value::String(sealed)) = map.remove(SEALED)
            && let Some(bytes) = open(subject, &sealed)?
            && let Ok(clear) = serde_json::from_slice(&bytes)
        {
            map.insert(CLEAR.to_owned(), clear);
        }
        Ok(())
    })
}

/// Takes every clear value away, as if the keys were gone.
pub(crate) fn erase(payload: &mut Value) {
    let Ok(()) = transform(payload, &mut |_, map| {
        map.remove(CLEAR);
        Ok::<_, Infallible>(())
    });
}

fn transform<E>(
    value: &mut Value,
    change: &mut impl FnMut(&Subject, &mut Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(subject)) = map.get(MARK) {
                let subject = Subject::stored(subject.clone());
                change(&subject, map)
            } else {
                map.values_mut()
                    .try_for_each(|inner| transform(inner, change))
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|inner| transform(inner, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Card {
        name: Personal<String>,
        phones: Vec<Personal<String>>,
        city: String,
    }

    fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
        use std::fmt::Write as _;
        bytes.fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn card() -> Card {
        let subject = Subject::stored("person:1");
        Card {
            name: Personal::new(subject.clone(), "Ильин".to_owned()),
            phones: vec![Personal::new(subject, "+79000000115".to_owned())],
            city: "Миасс".to_owned(),
        }
    }

    #[test]
    fn sealed_values_come_back_only_with_the_key() {
        let mut json = serde_json::to_value(card()).expect("serialises");
        assert_eq!(subjects(&json), [Subject::stored("person:1")]);

        seal(&mut json, &mut |_, clear| {
            Ok::<_, Infallible>(hex(clear.iter().rev()))
        })
        .expect("infallible");
        assert!(!json.to_string().contains("Ильин"));

        let mut with_key = json.clone();
        open(&mut with_key, &mut |_, sealed| {
            let mut bytes: Vec<u8> = (0..sealed.len())
                .step_by(2)
                .filter_map(|i| u8::from_str_radix(&sealed[i..i + 2], 16).ok())
                .collect();
            bytes.reverse();
            Ok::<_, Infallible>(Some(bytes))
        })
        .expect("infallible");
        assert_eq!(
            serde_json::from_value::<Card>(with_key).expect("reads"),
            card()
        );

        let mut erased = json;
        open(&mut erased, &mut |_, _| Ok::<_, Infallible>(None)).expect("infallible");
        let erased: Card = serde_json::from_value(erased).expect("an erased card still reads");
        assert_eq!(erased.name.get(), None);
        assert_eq!(erased.city, "Миасс");
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert!(!format!("{:?}", card()).contains("Ильин"));
    }
}
