//! What gateways are told of events, made of the event types themselves: a JSON Schema of each
//! type and version, and one AsyncAPI document. The files are checked in; a test fails when they
//! are not what the types say, or break what a release has promised.
//!
//! `cargo run -p contract` writes them.

mod asyncapi;
mod catalogue;
mod promises;
mod schema;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::Value;

pub use catalogue::{Event, events};
pub use promises::broken_promises;

/// Schemas of the last release by the name of their file: see [`released`].
const BASELINE: &str = "baseline.events.json";

/// Where the contract lies.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

/// Every generated file by its path in [`folder`].
pub fn files(events: &[Event]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files: BTreeMap<_, _> = events
        .iter()
        .map(|event| Ok((event.file(), text(&event.schema)?)))
        .collect::<anyhow::Result<_>>()?;
    files.insert(
        "asyncapi.json".to_owned(),
        text(&asyncapi::document(events))?,
    );
    Ok(files)
}

/// What later versions must not break.
pub fn released() -> anyhow::Result<BTreeMap<String, Value>> {
    let path = folder().join(BASELINE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// Promises what is now to all later versions.
pub fn release(events: &[Event]) -> anyhow::Result<()> {
    let schemas: BTreeMap<_, _> = events
        .iter()
        .map(|event| (event.file(), &event.schema))
        .collect();
    fs::write(
        folder().join(BASELINE),
        text(&serde_json::to_value(schemas)?)?,
    )?;
    Ok(())
}

fn text(json: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(json)? + "\n")
}
