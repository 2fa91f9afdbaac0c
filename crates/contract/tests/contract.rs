//! The files in `proto/` are what the event types say, and keep what was promised.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::ensure;
use contract::{broken_promises, events, files, folder, released};
use kit::config::SERVICES;

/// When this test was written; there are never fewer.
const FIRST_EVENTS: usize = 27;

#[test]
fn the_files_are_what_the_events_say() -> anyhow::Result<()> {
    let wanted = files(&events()?)?;
    let stale: Vec<_> = wanted
        .iter()
        .filter(|(path, text)| fs::read_to_string(folder().join(path)).ok().as_ref() != Some(*text))
        .map(|(path, _)| path)
        .collect();
    ensure!(
        stale.is_empty(),
        "out of date: {stale:?}; write them anew with: cargo run -p contract"
    );
    let wanted: BTreeSet<_> = wanted
        .into_keys()
        .filter(|path| path.starts_with("events/"))
        .collect();
    let there = below(&folder().join("events"), "events")?;
    let superfluous: Vec<_> = there.difference(&wanted).collect();
    ensure!(superfluous.is_empty(), "of no event: {superfluous:?}");
    Ok(())
}

/// An aggregate that is not in the catalogue would be missing here.
#[test]
fn every_stored_example_has_its_schema() -> anyhow::Result<()> {
    let known: BTreeSet<_> = events()?
        .iter()
        .map(|event| format!("{}/{}.json", event.service, event.name()))
        .collect();
    let of_every_service = folder().join("../crates/kit/tests/golden");
    let mut examples = BTreeSet::new();
    for service in SERVICES {
        let of_service = folder().join(format!("../services/{service}/domain/tests/golden"));
        for golden in [&of_service, &of_every_service] {
            if golden.is_dir() {
                examples.extend(below(golden, service)?);
            }
        }
    }
    let examples: BTreeSet<_> = examples.iter().filter_map(|file| schema_of(file)).collect();
    ensure!(examples.len() >= FIRST_EVENTS, "{examples:?}");
    let unknown: Vec<_> = examples.symmetric_difference(&known).collect();
    ensure!(unknown.is_empty(), "not in contract::events: {unknown:?}");
    Ok(())
}

/// `a.b.v1.json`, also of the further examples `a.b.v1.<what>.json`.
fn schema_of(example: &str) -> Option<String> {
    let (event_type, version) = example.strip_suffix(".json")?.rsplit_once(".v")?;
    let version = version.split('.').next()?;
    Some(format!("{event_type}.v{version}.json"))
}

#[test]
fn no_released_event_breaks_its_promise() -> anyhow::Result<()> {
    let released = released()?;
    ensure!(released.len() >= FIRST_EVENTS, "{}", released.len());
    let mut broken = Vec::new();
    for (file, schema) in released {
        match fs::read(folder().join(&file)) {
            Err(_) => broken.push(format!("{file} is gone")),
            Ok(now) => {
                let found = broken_promises(&schema, &serde_json::from_slice(&now)?);
                broken.extend(found.iter().map(|what| format!("{file}{what}")));
            }
        }
    }
    ensure!(
        broken.is_empty(),
        "an event that is released changes by a new schema_version: {broken:#?}"
    );
    Ok(())
}

fn below(folder: &Path, name: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(below(&entry.path(), &path)?);
        } else {
            found.insert(path);
        }
    }
    Ok(found)
}
