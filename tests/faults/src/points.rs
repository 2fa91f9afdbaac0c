//! The kill points, as the sources have them: a new one is swept without being listed anywhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;

const OPENS: &str = "kill_point!(\"";

/// Every point in production code. Fails when two places have the same name.
pub fn all() -> anyhow::Result<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut points = BTreeSet::new();
    for folder in ["crates", "services"] {
        for file in sources(&root.join(folder))? {
            for point in named_in(&fs::read_to_string(&file)?) {
                ensure!(
                    points.insert(point.clone()),
                    "there are two kill points `{point}`, one in {}",
                    file.display()
                );
            }
        }
    }
    Ok(points)
}

fn named_in(source: &str) -> Vec<String> {
    let uses = source.split(OPENS).skip(1);
    uses.filter_map(|rest| rest.split_once('"'))
        .map(|(point, _)| point.to_owned())
        .collect()
}

/// Rust files in the `src` folders below, apart from those of the mechanism itself.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "kill-point" && name != "tests" && name != "target" {
                found.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_found_in_the_sources() {
        let points = all().unwrap();
        assert!(points.contains("append.after_commit"), "{points:?}");
        assert!(points.contains("migrate.tables_made"), "{points:?}");
        let source = "a(); kill_point!(\"one.two\"); b(); kill_point!(\"three\");";
        assert_eq!(named_in(source), ["one.two", "three"]);
    }
}
