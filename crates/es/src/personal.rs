//! Personal data in events: readable only as long as the key of the person it is about exists.

use std::{convert::Infallible, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Fields;

/// Whose data it is: `person:0192…`, `account:0192…`, `staff:0192…`. One key each.
///
/// A text about several people is a subject of its own that names them,
/// `text:0192…;person:0192…;person:0192…`: its key is wrapped for each of them, and erasing any one
/// closes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

const TEXT: &str = "text:";

impl Subject {
    pub fn new(kind: &str, id: Uuid) -> Self {
        Self(format!("{kind}:{id}"))
    }

    /// Whose a text is: its own subject when it is about several, `otherwise` when about nobody.
    pub fn of_text(text: Uuid, mut about: Vec<Self>, otherwise: impl FnOnce() -> Self) -> Self {
        about.sort_unstable();
        about.dedup();
        match about.as_slice() {
            [] => otherwise(),
            [one] => one.clone(),
            several => several
                .iter()
                .fold(Self::new("text", text), |text, Self(about)| {
                    Self(format!("{text};{about}"))
                }),
        }
    }

    /// A text about several people, with a key of its own.
    pub fn is_shared(&self) -> bool {
        self.0.starts_with(TEXT)
    }

    /// Everybody it is about.
    pub fn about(&self) -> impl Iterator<Item = Self> + '_ {
        let text = usize::from(self.is_shared());
        self.0.split(';').skip(text).map(Self::stored)
    }

    /// What data goes on under when the key it was under so far is to be destroyed: `account:0192…`
    /// is followed by `account:0192….2`.
    #[must_use]
    pub fn renewed(&self) -> Self {
        let numbered = self.0.rsplit_once('.');
        let numbered =
            numbered.and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
        let (name, number) = numbered.unwrap_or((&self.0, 1));
        Self(format!("{name}.{}", number.saturating_add(1)))
    }

    /// The id, if it is of this kind.
    pub fn id(&self, kind: &str) -> Option<Uuid> {
        let id = self.0.strip_prefix(kind)?.strip_prefix(':')?;
        Uuid::parse_str(id).ok()
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

    /// Another value under the same key; once the one is erased nothing can be said beside it.
    pub fn beside<U>(&self, value: U) -> Personal<U> {
        let subject = self.subject().clone();
        match self {
            Self::Known { .. } => Personal::new(subject, value),
            Self::Erased { .. } => Personal::Erased { subject },
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
/// The subject of what was stored before it was personal.
const PLAIN: &str = "plain:";

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
    named(payload, &|_| true)
}

/// Those of them whose keys are needed to seal it: what is erased already stays as it is.
pub fn subjects_to_seal(payload: &Value) -> Vec<Subject> {
    named(payload, &|field| field.contains_key(CLEAR))
}

fn named(payload: &Value, counts: &impl Fn(&Map<String, Value>) -> bool) -> Vec<Subject> {
    let mut found = Vec::new();
    visit(payload, &mut |subject, field| {
        if counts(field) {
            found.extend(subject.about());
            found.push(subject);
        }
    });
    found.sort();
    found.dedup();
    found
}

fn visit(value: &Value, found: &mut impl FnMut(Subject, &Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(subject)) = map.get(MARK) {
                found(Subject::stored(subject.clone()), map);
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

/// For upcasters: a field that was plain text in an older version of its event. Whose text it is they
/// are not told, and there is no key to destroy: readers know it by what the event is about.
pub fn lift_plain(fields: &mut Fields, field: &str) {
    let plain = fields.get_mut(field).filter(|value| value.is_string());
    if let Some(value) = plain {
        let text = value.take();
        *value = json!({ (MARK): PLAIN, (CLEAR): text });
    }
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
    fn a_text_about_several_names_them_all() {
        let (text, one, two) = (Uuid::from_u128(9), Uuid::from_u128(1), Uuid::from_u128(2));
        let [a, b] = [one, two].map(|id| Subject::new("person", id));
        let company = || Subject::new("account", one);
        let of = |about: &[&Subject]| {
            Subject::of_text(text, about.iter().copied().cloned().collect(), company)
        };
        assert_eq!(of(&[]), company());
        assert_eq!(of(&[&a, &a]), a);
        let both = of(&[&b, &a, &b]);
        assert_eq!(both.as_str(), format!("text:{text};{a};{b}"));
        assert_eq!(both.about().collect::<Vec<_>>(), [a.clone(), b.clone()]);
        assert!(both.is_shared() && !a.is_shared());
        assert_eq!(a.about().collect::<Vec<_>>(), std::slice::from_ref(&a));
        assert_eq!((a.id("person"), a.id("account")), (Some(one), None));
        assert_eq!(a.renewed().as_str(), format!("{a}.2"));
        assert_eq!(a.renewed().renewed().as_str(), format!("{a}.3"));

        let json = serde_json::json!([
            Personal::new(both.clone(), "о двоих"),
            Personal::<String>::Erased { subject: company() },
        ]);
        let mut named = vec![company(), a.clone(), b.clone(), both.clone()];
        named.sort();
        assert_eq!(subjects(&json), named);
        named.retain(|subject| *subject != company());
        assert_eq!(subjects_to_seal(&json), named);
    }

    #[test]
    fn what_was_plain_text_reads_as_personal() {
        let mut fields = Fields::new();
        fields.insert("reason".to_owned(), "Ильин болен".into());
        fields.insert("count".to_owned(), 7.into());
        for field in ["reason", "count", "comment"] {
            lift_plain(&mut fields, field);
        }
        let reason: Personal<String> =
            serde_json::from_value(fields["reason"].clone()).expect("reads");
        assert_eq!(reason.get().map(String::as_str), Some("Ильин болен"));
        assert_eq!(reason.subject().as_str(), PLAIN);
        // Nothing else is touched, and nothing made up.
        assert_eq!(fields["count"], 7);
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn nothing_is_said_beside_what_is_erased() {
        let subject = Subject::stored("person:1");
        let known = Personal::new(subject.clone(), 7).beside("Ильин");
        assert_eq!(known, Personal::new(subject.clone(), "Ильин"));
        let erased = Personal::<u8>::Erased {
            subject: subject.clone(),
        };
        assert_eq!(erased.beside("Ильин"), Personal::Erased { subject });
    }

    #[test]
    fn debug_never_shows_the_value() {
        assert!(!format!("{:?}", card()).contains("Ильин"));
    }
}
