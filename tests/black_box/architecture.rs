//! The arrows of ARCHITECTURE.md, checked against the manifests.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, ensure};
use serde_json::Value;

/// What a crate of the workspace may depend on, apart from libraries.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    const SERVER: &[&str] = &["api", "bus", "es", "es-postgres", "kit", "vocabulary"];
    Some(match name {
        "api" | "vocabulary" | "es" => &[],
        "es-postgres" => &["es"],
        "bus" => &["es", "es-postgres"],
        "kit" => &["api", "bus", "es", "es-postgres", "vocabulary"],
        "contract" => &[
            "accounts-domain",
            "bus",
            "contacts-domain",
            "es",
            "kit",
            "notifications-domain",
            "planning-domain",
        ],
        "testkit" => &["api", "es", "es-postgres", "kit", "vocabulary"],
        "tests" => &["api"],
        "accounts" | "contacts" | "planning" | "notifications" | "analytics" => SERVER,
        name if name.ends_with("-domain") => &["es", "vocabulary"],
        "kontakty" | "faults" => return None,
        _ => &[],
    })
}

/// What decides must not reach out.
const NOT_IN_A_DOMAIN: [&str; 9] = [
    "kill-point",
    "tokio",
    "sqlx",
    "tonic",
    "async-nats",
    "tracing",
    "rand",
    "futures",
    "serde_json",
];

#[test]
fn crates_depend_only_along_the_arrows() -> anyhow::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new("cargo")
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root)
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let dependencies: BTreeMap<&str, Vec<&str>> = packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|d| d["kind"].is_null());
            (
                package["name"].as_str().unwrap_or_default(),
                normal.filter_map(|d| d["name"].as_str()).collect(),
            )
        })
        .collect();
    ensure!(dependencies.len() >= 16, "{dependencies:?}");
    let mut faults = Vec::new();
    for (name, needs) in &dependencies {
        let Some(allowed) = allowed(name) else {
            continue;
        };
        for needed in needs {
            let own_domain = *needed == format!("{name}-domain");
            let anywhere = *needed == "kill-point";
            if dependencies.contains_key(needed)
                && !allowed.contains(needed)
                && !own_domain
                && !anywhere
            {
                faults.push(format!("{name} -> {needed}"));
            }
            if name.ends_with("-domain") && NOT_IN_A_DOMAIN.contains(needed) {
                faults.push(format!("{name} -> {needed}"));
            }
        }
    }
    ensure!(
        faults.is_empty(),
        "against the arrows: {}",
        faults.join(", ")
    );
    Ok(())
}
