//! Every form in which an event was ever stored stays readable: what the golden test of a service
//! checks.
//!
//! A folder holds `<event type>.v<version>.json` for every version of every event type, as
//! `….v<version>.<what>.json` further examples of what a field can hold, and the list `RELEASED`
//! with the BLAKE3 digest of each file, as `b3sum` prints it. Files and lines are added, never
//! edited: production has stored events like these.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::{
    de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::{Aggregate, codec, personal};

const LIST: &str = "RELEASED";

/// The events of one aggregate.
pub struct Family {
    types: &'static [&'static str],
    /// Type, stored version and fields; the present version, or what is wrong.
    check: fn(&str, u16, &Value) -> Result<u16, String>,
}

pub fn family<A: Aggregate>() -> Family {
    Family {
        types: event_types::<A::Event>(),
        check: check::<A>,
    }
}

/// Everything that is wrong with a folder, one line each; nothing when every event type and version
/// has its file, every file still reads, and none was edited since it was listed.
pub fn faults(folder: &Path, families: &[Family]) -> Vec<String> {
    let mut faults = Vec::new();
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => return vec![format!("{}: {error}", folder.display())],
    };
    let mut versions: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    let mut present: BTreeMap<&str, u16> = BTreeMap::new();
    for (name, bytes) in &files {
        let Some((event_type, version)) = parse(name) else {
            faults.push(format!(
                "{name}: is not <event type>.v<version>[.<what>].json"
            ));
            continue;
        };
        let Some(family) = families.iter().find(|f| f.types.contains(&event_type)) else {
            faults.push(format!("{name}: no aggregate has this event any more"));
            continue;
        };
        versions.entry(event_type).or_default().insert(version);
        let read = serde_json::from_slice(bytes).map_err(|error| format!("is no JSON: {error}"));
        match read.and_then(|fields| (family.check)(event_type, version, &fields)) {
            Ok(now) => _ = present.insert(event_type, now),
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    for event_type in families.iter().flat_map(|family| family.types) {
        let now = present.get(event_type).copied().unwrap_or(1);
        let there = versions.remove(event_type).unwrap_or_default();
        faults.extend(
            (1..=now)
                .filter(|version| !there.contains(version))
                .map(|version| format!("{event_type}.v{version}.json: is missing")),
        );
    }
    faults.extend(edited(folder, &files));
    faults
}

fn files(folder: &Path) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != LIST {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(files)
}

fn parse(name: &str) -> Option<(&str, u16)> {
    let (event_type, version) = name.strip_suffix(".json")?.rsplit_once(".v")?;
    let version = version
        .split_once('.')
        .map_or(version, |(version, _)| version);
    Some((event_type, version.parse().ok()?))
}

fn check<A: Aggregate>(event_type: &str, version: u16, fields: &Value) -> Result<u16, String> {
    let read = |fields: &Value| {
        codec::decode::<A>(event_type, version, fields.to_string().as_bytes())
            .map_err(|error| told(&error))
    };
    let event = read(fields)?;
    let present = A::schema_version(&event);
    if version == present {
        let encoded = codec::encode::<A>(&event).map_err(|error| told(&error))?;
        if encoded.payload != *fields {
            return Err(
                "is written otherwise today: a change of shape is a new schema_version".to_owned(),
            );
        }
    }
    let mut erased = fields.clone();
    personal::erase(&mut erased);
    let erased = read(&erased).map_err(|fault| format!("once its person is erased: {fault}"))?;
    // Total, also over what nobody can read any more.
    A::evolve(A::State::default(), &erased);
    Ok(present)
}

fn edited(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let list = fs::read_to_string(folder.join(LIST)).unwrap_or_default();
    let mut listed: BTreeMap<&str, &str> = list
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name, digest))
        .collect();
    let mut faults = Vec::new();
    for (name, bytes) in files {
        let digest = blake3::hash(bytes).to_hex();
        match listed.remove(name.as_str()) {
            Some(known) if known == digest.as_str() => {}
            Some(_) => faults.push(format!(
                "{name}: was edited after its release: put it back, and write a new version"
            )),
            None => faults.push(format!(
                "{name}: add this line to {LIST} when it is final: {digest}  {name}"
            )),
        }
    }
    faults.extend(
        listed
            .keys()
            .map(|name| format!("{name}: was released and is gone")),
    );
    faults
}

fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The stored names of an event enum, as serde knows them: asks it to read itself and listens.
fn event_types<E: DeserializeOwned>() -> &'static [&'static str] {
    let mut types: &'static [&'static str] = &[];
    // Always an error: the names are all that is wanted.
    drop(E::deserialize(Listener(&mut types)));
    types
}

struct Listener<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("only enums"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::PathBuf};

    use super::*;
    use crate::sample::Lamp;

    /// A folder with these files, all of them listed as they are.
    struct Golden(PathBuf);

    impl Golden {
        fn new(test: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("es-golden-{test}-{}", std::process::id());
            let golden = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(&golden.0).unwrap();
            let mut list = String::new();
            for (name, content) in files {
                golden.write(name, content);
                let digest = blake3::hash(content.as_bytes()).to_hex();
                let _ = writeln!(list, "{digest}  {name}");
            }
            golden.write(LIST, &list);
            golden
        }

        fn write(&self, name: &str, content: &str) {
            fs::write(self.0.join(name), content).unwrap();
        }

        fn faults(&self) -> Vec<String> {
            faults(&self.0, &[family::<Lamp>()])
        }
    }

    impl Drop for Golden {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const WHOLE: [(&str, &str); 4] = [
        ("lamp.lit.v1.json", r#"{"watts":60}"#),
        ("lamp.lit.v2.json", r#"{"lumens":800}"#),
        ("lamp.lit.v3.json", r#"{"lumens":800,"colour":"red"}"#),
        (
            "lamp.given.v1.json",
            r#"{"to":{"$personal":"staff:1","clear":"Орлова"}}"#,
        ),
    ];

    #[test]
    fn a_whole_folder_has_no_fault() {
        assert_eq!(Golden::new("whole", &WHOLE).faults(), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |name: &str| -> Vec<_> {
            let files = WHOLE.into_iter().filter(|(other, _)| *other != name);
            Golden::new(&format!("without-{name}"), &files.collect::<Vec<_>>()).faults()
        };
        for (name, _) in WHOLE {
            assert_eq!(without(name), [format!("{name}: is missing")]);
        }
    }

    #[test]
    fn what_was_edited_or_removed_is_named() {
        let golden = Golden::new("edited", &WHOLE);
        golden.write("lamp.lit.v2.json", r#"{"lumens":801}"#);
        fs::remove_file(golden.0.join("lamp.lit.v1.json")).unwrap();
        let faults = golden.faults().join("\n");
        assert!(faults.contains("lamp.lit.v2.json: was edited"), "{faults}");
        assert!(faults.contains("lamp.lit.v1.json: was released and is gone"));

        let golden = Golden::new("new", &WHOLE);
        let list = fs::read_to_string(golden.0.join(LIST)).unwrap();
        let (first, rest) = list.split_once('\n').unwrap();
        golden.write(LIST, rest);
        let faults = golden.faults();
        assert!(
            faults.len() == 1 && faults[0].ends_with(first),
            "{faults:?}"
        );
    }

    #[test]
    fn what_no_longer_reads_is_named() {
        for (name, content, fault) in [
            ("lamp.lit.v3.json", r#"{"lumens":800}"#, "not readable"),
            (
                "lamp.lit.v4.json",
                r#"{"lumens":8,"colour":"red"}"#,
                "version 4",
            ),
            (
                "lamp.lit.v3.json",
                r#"{"lumens":8,"colour":"red","x":1}"#,
                "otherwise",
            ),
            ("lamp.sold.v1.json", "{}", "no aggregate"),
            ("notes.txt", "", "is not <event type>"),
        ] {
            let mut files = WHOLE.to_vec();
            files.retain(|(other, _)| *other != name);
            files.push((name, content));
            let faults = Golden::new("unreadable", &files).faults();
            assert!(
                faults.len() == 1 && faults[0].starts_with(name) && faults[0].contains(fault),
                "{faults:?}"
            );
        }
    }
}
