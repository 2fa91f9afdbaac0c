//! Which test drives which row of what the product promises: features (T, X, N) and scenarios (S).
//! A black-box test names its rows in the comment above it; `ROWS.md` shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ROWS.md");

/// Rows that are promised, each with what it says.
const PROMISED: [(&str, &str); 64] = [
    ("T-001", "one base of companies, prospect to client"),
    ("T-002", "the first order converts, history stays"),
    ("T-003", "prospects come from directories and files"),
    ("T-004", "duplicates are found before creation"),
    ("T-005", "merged, not deleted"),
    ("T-006", "one owner; distribution among staff"),
    ("T-007", "lists of prospects for telesales"),
    ("T-008", "two managers never call the same prospect"),
    ("T-009", "who works with a company, to those who may know"),
    ("T-010", "a client who returns: old owner, old information"),
    ("T-011", "fields of a company"),
    ("T-012", "fields of the office, rubrics, links"),
    ("T-013", "a limit on required fields"),
    ("T-014", "unknown is a value"),
    ("T-015", "filters"),
    ("T-017", "export, with a record"),
    ("T-018", "documents"),
    ("T-019", "profile of staff, group, extension"),
    ("T-020", "sources"),
    ("T-021", "segmentation"),
    ("T-022", "orders, shipments, payments"),
    ("T-023", "three levels of visibility"),
    ("T-024", "a head plans for the group"),
    ("T-025", "tasks and results follow the company"),
    ("T-026", "data-entry operator"),
    ("T-027", "columns of each section, kept for a frontend"),
    ("T-028", "administrators manage the whole base"),
    ("T-037", "the next step is planned with the result"),
    ("T-041", "no task without assignee, deadline, type, comment"),
    ("T-044", "not done in the period and earlier"),
    ("T-045", "nobody is forgotten"),
    ("T-048", "required fields on entering a stage"),
    ("T-049", "pipelines; won, lost with a reason, suspended"),
    ("T-054", "queue of entry requests for the operator"),
    ("T-055", "reference process of each operation"),
    ("T-085", "scorecard"),
    ("T-098", "absence and substitution"),
    ("X-10", "distribution by load"),
    ("X-12", "time in each status"),
    ("X-13", "audit of fields"),
    ("X-14", "nothing is lost for good"),
    ("X-15", "reassignment on dismissal"),
    ("X-16", "substitution ends by itself"),
    ("X-19", "saved views, own and shared"),
    ("X-20", "webhooks and event stream for integrators"),
    ("X-24", "erasure with a stop list"),
    ("N-01", "state on any date"),
    ("N-02", "proof that history was not altered"),
    ("N-06", "erasure with intact figures"),
    ("N-07", "a merge can be undone"),
    ("N-11", "who was first"),
    ("N-16", "who opened and exported cards"),
    ("N-17", "from the row of a file to the order"),
    ("S-02", "not done in the period and earlier"),
    ("S-03", "a task without its four facts does not exist"),
    ("S-04", "result and next step in one decision"),
    ("S-05", "a manager leaves"),
    ("S-07", "visibility and the masked hit"),
    ("S-08", "who may write what"),
    ("S-10", "two managers, one prospect"),
    ("S-11", "conversion on the first order"),
    ("S-12", "import of a telephone directory"),
    ("S-14", "stage gate"),
    ("S-23", "time travel: whose client it was"),
];

/// Promised rows that have no test, and why. A row that has one must not stay here.
const NOT_YET: [(&str, &str); 0] = [];

/// Writes the table anew: `cargo run -p tests --bin rows`.
pub fn write() -> anyhow::Result<()> {
    Ok(fs::write(TABLE, table(&rows()?)?)?)
}

/// Tests, as `file::name`, by the row they name.
type Rows = BTreeMap<String, BTreeSet<String>>;

fn rows() -> anyhow::Result<Rows> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("black_box");
    let mut rows = Rows::new();
    for file in sources(&folder)? {
        let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let file = file.strip_prefix(&folder)?.with_extension("");
        for (row, name) in named(&source) {
            let test = format!("{}::{name}", file.display());
            rows.entry(row).or_default().insert(test);
        }
    }
    Ok(rows)
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Rows and the tests below whose comments they are.
fn named(source: &str) -> Vec<(String, String)> {
    let (mut found, mut comment, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("///") {
            comment.extend(rows_in(text));
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else {
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            if let (true, Some(name)) = (is_test, name) {
                let name = name.split('(').next().unwrap_or(name);
                found.extend(comment.drain(..).map(|row| (row, name.to_owned())));
            }
            comment.clear();
            is_test = false;
        }
    }
    found
}

fn rows_in(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| {
            word.split_once('-').is_some_and(|(kind, number)| {
                ["T", "X", "N", "S"].contains(&kind)
                    && number.len() >= 2
                    && number.bytes().all(|digit| digit.is_ascii_digit())
            })
        })
        .map(ToOwned::to_owned)
}

/// The table, for those who read.
fn table(rows: &Rows) -> anyhow::Result<String> {
    let mut text = "# Rows and the tests that drive them\n\n\
        Written by `cargo run -p tests --bin rows` from the comments of the tests in `tests/black_box`.\n\n\
        | Row | What | Tests |\n|---|---|---|\n"
        .to_owned();
    for (row, what) in PROMISED {
        let tests = match rows.get(row) {
            Some(tests) => tests
                .iter()
                .map(|test| format!("`{test}`"))
                .collect::<Vec<_>>()
                .join("<br>"),
            None => not_yet(row),
        };
        writeln!(text, "| {row} | {what} | {tests} |")?;
    }
    Ok(text)
}

fn not_yet(row: &str) -> String {
    let reason = NOT_YET.iter().find(|(known, _)| *known == row);
    reason.map_or_else(String::new, |(_, reason)| format!("not yet: {reason}"))
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    /// What is wrong with the promises: a row without a test, one that is said to have none, or a test
    /// of a row that nobody promises.
    fn unkept(rows: &Rows) -> Vec<String> {
        let promised: BTreeSet<_> = PROMISED.iter().map(|(row, _)| *row).collect();
        let not_yet: BTreeMap<_, _> = NOT_YET.into_iter().collect();
        let mut wrong = Vec::new();
        for row in &promised {
            match (rows.contains_key(*row), not_yet.contains_key(row)) {
                (false, false) => wrong.push(format!("{row} has no test")),
                (true, true) => wrong.push(format!("{row} has a test: it is not NOT_YET any more")),
                _ => {}
            }
        }
        let unknown = not_yet.keys().filter(|row| !promised.contains(*row));
        wrong.extend(unknown.map(|row| format!("{row} of NOT_YET is not promised")));
        let strange = rows.keys().filter(|row| !promised.contains(row.as_str()));
        wrong.extend(strange.map(|row| format!("{row} has a test and is not promised")));
        wrong
    }

    #[test]
    fn every_promised_row_has_a_test() -> anyhow::Result<()> {
        let unkept = unkept(&rows()?);
        ensure!(unkept.is_empty(), "{unkept:#?}");
        Ok(())
    }

    #[test]
    fn the_table_is_what_the_tests_say() -> anyhow::Result<()> {
        ensure!(
            fs::read_to_string(TABLE)? == table(&rows()?)?,
            "out of date; write it anew with: cargo run -p tests --bin rows"
        );
        Ok(())
    }

    #[test]
    fn rows_belong_to_the_test_below() {
        let source = "/// T-001, X-10: this (N-11).\n/// Also S-02; not Q-04, T-1 or UTF-16.\n\
            #[tokio::test(flavor = \"multi_thread\")]\nasync fn one() {\n/// T-099\nfn helper() {}\n\
            /// T-002\n#[test]\nfn two() {\n}\n#[test]\nfn three() {\n";
        let found = named(source);
        let found: Vec<_> = found
            .iter()
            .map(|(row, test)| (row.as_str(), test.as_str()))
            .collect();
        let of_one = ["T-001", "X-10", "N-11", "S-02"].map(|row| (row, "one"));
        assert_eq!(found[..4], of_one);
        assert_eq!(found[4..], [("T-002", "two")]);
    }

    #[test]
    fn a_row_without_a_test_is_named() {
        let wrong = unkept(&Rows::new());
        assert_eq!(wrong.len(), PROMISED.len() - NOT_YET.len());
        assert!(wrong.iter().all(|fault| fault.ends_with("has no test")));
        let all = PROMISED.map(|(row, _)| (row.to_owned(), BTreeSet::new()));
        assert_eq!(unkept(&all.into()).len(), NOT_YET.len());
    }

    #[test]
    fn a_test_of_what_is_not_promised_is_named() {
        let strange = Rows::from([("T-999".to_owned(), BTreeSet::new())]);
        let named = "T-999 has a test and is not promised".to_owned();
        assert!(unkept(&strange).contains(&named));
    }
}
