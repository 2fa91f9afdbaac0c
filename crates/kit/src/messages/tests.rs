//! Every reason and every fault that the sources can give has its texts, and no text is left over.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// What the services say, without their tests and without these tables.
fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![
        root.join("crates/kit/src"),
        root.join("crates/vocabulary/src"),
    ];
    for service in fs::read_dir(root.join("services")).unwrap().flatten() {
        folders.extend(["domain/src", "server/src"].map(|part| service.path().join(part)));
    }
    let mut found = Vec::new();
    for folder in folders.iter().filter(|folder| folder.exists()) {
        read(folder, &mut found);
    }
    // Where the tag is that all other faults of fields have.
    found.push(include_str!("../../../es/src/aggregate.rs").to_owned());
    assert!(found.len() > 50, "only {} files were found", found.len());
    found
}

fn read(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path: PathBuf = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "messages" && name != "config" {
                read(&path, found);
            }
        } else if !name.ends_with("tests.rs") && name != "config.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let (code, _tests) = text
                .split_once("#[cfg(test)]\nmod tests")
                .unwrap_or((&text, ""));
            found.push(code.to_owned());
        }
    }
}

/// What stands between two quotes on one line.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| {
        let parts: Vec<_> = line.split('"').collect();
        let inner = 1..parts.len().saturating_sub(1).max(1);
        parts[inner].to_vec()
    })
}

fn is_reason(text: &str) -> bool {
    let capital = |c: char| c.is_ascii_uppercase() || c == '_';
    text.len() >= 5 && text.chars().all(capital) && !text.ends_with('_') && !text.starts_with('_')
}

/// `must have at most {max} characters` as the table has it.
fn pattern(text: &str) -> String {
    match (text.find('{'), text.rfind('}')) {
        (Some(open), Some(close)) => format!("{}{{}}{}", &text[..open], &text[close + 1..]),
        _ => text.to_owned(),
    }
}

#[test]
fn every_reason_has_its_texts() {
    let sources = sources();
    let mut given = BTreeSet::new();
    for code in &sources {
        given.extend(
            literals(code)
                .filter(|text| is_reason(text))
                .map(str::to_owned),
        );
        // The log says which kind of name is taken.
        let kinds = code.split("kind: \"").skip(1);
        given.extend(kinds.filter_map(|rest| {
            let kind = rest.split('"').next()?;
            code.contains("Reservation::Take")
                .then(|| format!("{}_TAKEN", kind.to_uppercase()))
        }));
    }
    let told: BTreeSet<_> = refusals::TABLE
        .iter()
        .map(|(reason, ..)| (*reason).to_owned())
        .collect();
    let silent: Vec<_> = given.difference(&told).collect();
    assert!(silent.is_empty(), "without a text: {silent:?}");
    let stale: Vec<_> = told.difference(&given).collect();
    assert!(stale.is_empty(), "given by nobody: {stale:?}");
    assert_eq!(
        told.len(),
        refusals::TABLE.len(),
        "a reason stands there twice"
    );
}

#[test]
fn every_fault_of_a_field_is_translated() {
    let starts = [
        "must ",
        "is ",
        "needs ",
        "cannot be asked",
        "may not ",
        "a phone ",
    ];
    // Of keys and configurations: nobody sends those in a request.
    let inward = ["is not there: run", "must be 32 bytes"];
    let known: BTreeSet<_> = faults::TABLE.iter().map(|(english, _)| *english).collect();
    let mut missing = BTreeSet::new();
    for code in sources() {
        for text in literals(&code) {
            let said = starts.iter().any(|start| text.starts_with(start));
            let ours = !inward.iter().any(|start| text.starts_with(start));
            if said && ours && !known.contains(pattern(text).as_str()) {
                missing.insert(text.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "without a translation: {missing:#?}");
}

#[test]
fn numbers_and_lists_are_carried_over() {
    for (english, russian) in [
        ("must have at most 300 characters", "не больше 300 знаков"),
        (
            "must be one of call, meeting",
            "должно быть одно из: call, meeting",
        ),
        (
            "must be one of the contract's values",
            "должно быть одно из значений контракта",
        ),
        ("must have at most 1000 entries", "не больше 1000 записей"),
        ("said by nobody", "said by nobody"),
    ] {
        assert_eq!(fault(english, Language::Russian), russian);
        assert_eq!(fault(english, Language::English), english);
    }
}

#[test]
fn the_callers_first_language_that_we_speak() {
    let asked = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, value.parse().unwrap());
        Language::asked_for(&headers)
    };
    assert_eq!(asked("ru-RU,ru;q=0.9,en;q=0.8"), Some(Language::Russian));
    assert_eq!(asked("en-US,ru;q=0.5"), Some(Language::English));
    assert_eq!(asked("de, RU;q=0.5"), Some(Language::Russian));
    assert_eq!(asked("de"), None);
    assert_eq!(Language::asked_for(&HeaderMap::new()), None);
}
