use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::{
    background::{Background, import},
    office::binary,
};

use super::{companies, events, outside, refused, said, text};

fn export<'a>(format: &'a str, out: &'a str) -> Vec<&'a str> {
    vec![
        "log",
        "export",
        "--service",
        "accounts",
        "--format",
        format,
        "--out",
        out,
    ]
}

/// The accesses that the log itself has recorded: who, from, to, with personal data.
async fn accesses(office: &Background) -> anyhow::Result<Vec<(String, i64, i64, bool)>> {
    let mut accesses = Vec::new();
    for event in events(&office.admin, "accounts").await? {
        if event.r#type == "log.exported" {
            let metadata: Value = serde_json::from_slice(&event.metadata)?;
            let fields: Value = serde_json::from_slice(&event.payload)?;
            accesses.push((
                metadata["actor"]["id"].as_str().context("who")?.to_owned(),
                fields["after_position"].as_i64().context("from")?,
                fields["up_to_position"].as_i64().context("to")?,
                fields["personal"].as_bool().context("personal")?,
            ));
        }
    }
    Ok(accesses)
}

#[tokio::test]
async fn exports_are_for_those_who_may_and_leave_a_record() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "admin", "accounts", &companies("Завод", 20))?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (sealed, opened) = (text(&path("sealed.jsonl")), text(&path("opened.jsonl")));
    let head = events(&office.admin, "accounts").await?.len() as i64;

    let open = [export("jsonl", &opened), vec!["--personal"]].concat();
    for (staff, args) in [
        ("s-11", &export("jsonl", &sealed)),
        ("s-10", &export("jsonl", &sealed)),
        ("s-30", &open),
        ("s-40", &open),
    ] {
        let said = refused(&office.office, staff, args)?;
        ensure!(said.contains("not allowed"), "{staff}: {said}");
    }
    ensure!(
        accesses(&office).await?.is_empty(),
        "who was refused took nothing"
    );

    office.office.command("s-40", &export("jsonl", &sealed))?;
    office.office.command("s-02", &open)?;
    let by = |staff: &str| office.staff.get(staff).cloned().unwrap_or_default();
    ensure!(
        accesses(&office).await?
            == [
                (by("s-40"), 0, head, false),
                (by("s-02"), 0, head + 1, true)
            ],
        "{:?}",
        accesses(&office).await?
    );

    let (sealed_text, opened_text) = (fs::read_to_string(&sealed)?, fs::read_to_string(&opened)?);
    ensure!(opened_text.contains("Смирнова") && opened_text.contains("\"clear\""));
    for clear in ["Смирнова", "\"clear\"", "+7910"] {
        ensure!(!sealed_text.contains(clear), "{clear} is not sealed");
    }
    ensure!(sealed_text.contains("\"sealed\""));
    ensure!(sealed_text.lines().count() as i64 == head);
    // Proof without any of our code: from the file alone to the hash that the office has.
    let end = outside("recompute_chain.py", &[Path::new(&sealed)])?;
    let history = events(&office.admin, "accounts").await?;
    let last = &history[head as usize - 1].hash;
    let last = hex::encode(last);
    ensure!(end == format!("{head} {last}"), "{end}");
    let tampered = path("tampered.jsonl");
    fs::write(&tampered, sealed_text.replacen("prospect", "client", 1))?;
    let caught = outside("recompute_chain.py", &[&tampered])
        .unwrap_err()
        .to_string();
    ensure!(caught.contains("the hash does not follow"), "{caught}");

    // A part of it, and what cannot be.
    let part = text(&path("part.jsonl"));
    let args = [export("jsonl", &part), vec!["--from", "3", "--to", "7"]].concat();
    office.office.command("s-40", &args)?;
    let lines: Vec<&str> = sealed_text.lines().skip(2).take(5).collect();
    ensure!(fs::read_to_string(&part)?.lines().eq(lines));
    let said = refused(&office.office, "s-40", &args)?;
    ensure!(said.contains("exists already"), "{said}");
    let none = text(&path("none.jsonl"));
    let beyond = [export("jsonl", &none), vec!["--to", "1000000"]].concat();
    let said = refused(&office.office, "s-40", &beyond)?;
    ensure!(said.contains("ends at position"), "{said}");
    Ok(())
}

/// Runs an export that may not write more than so many bytes into one file, and is killed in the
/// middle of a write when it tries.
fn cut_off(office: &Background, bytes: u32, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("prlimit")
        .args([&format!("--fsize={bytes}"), "--core=0", "--"])
        .arg(binary())
        .args(args)
        .args([
            "--as",
            "s-40",
            "--server",
            &format!("http://{}", office.office.grpc),
        ])
        .arg("--data")
        .arg(office.office.data())
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        !output.status.success(),
        "it was not cut off: {}",
        said(&output)
    );
    Ok(())
}

#[tokio::test]
async fn an_interrupted_export_continues_and_ends_the_same() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(
        &office.office,
        "admin",
        "accounts",
        &companies("Завод", 600),
    )?;
    // Row groups of what comes later are larger.
    let long = "Очень длинное название ".repeat(7);
    import(
        &office.office,
        "admin",
        "accounts",
        &companies(long.trim(), 600),
    )?;
    let to = events(&office.admin, "accounts").await?.len().to_string();
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);

    let lines = text(&path("straight.jsonl"));
    office.office.command(
        "s-40",
        &[export("jsonl", &lines), vec!["--to", &to]].concat(),
    )?;
    let whole = fs::read(&lines)?;
    let cut = text(&path("cut.jsonl"));
    let args = [export("jsonl", &cut), vec!["--to", &to]].concat();
    let parts = path("cut.jsonl.part");
    for bytes in [100_000, 250_001] {
        cut_off(&office, bytes, &args)?;
        let torn = fs::read(parts.join("rows.jsonl"))?;
        ensure!(torn.len() <= bytes as usize && torn.len() > bytes as usize / 2);
        ensure!(whole.starts_with(&torn) && !path("cut.jsonl").exists());
    }
    // Not with other arguments.
    let other = [export("jsonl", &cut), vec!["--from", "2"]].concat();
    let said = refused(&office.office, "s-40", &other)?;
    ensure!(said.contains("the beginning of another export"), "{said}");
    // Without naming the end: it is the one of the first call, though the log has grown.
    office.office.command("s-40", &export("jsonl", &cut))?;
    ensure!(fs::read(&cut)? == whole, "not the same file");
    ensure!(!parts.exists());

    let straight = text(&path("straight.parquet"));
    let grouped = vec!["--to", &to, "--group-rows", "100"];
    office.office.command(
        "s-40",
        &[export("parquet", &straight), grouped.clone()].concat(),
    )?;
    let cut = text(&path("cut.parquet"));
    let args = [export("parquet", &cut), grouped].concat();
    let parts = path("cut.parquet.part");
    let largest = fs::metadata(&straight)?.len() / 9;
    cut_off(&office, largest as u32, &args)?;
    let groups = || -> anyhow::Result<usize> {
        let names =
            fs::read_dir(&parts)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| name.ends_with(".parquet")).count())
    };
    ensure!((1..13).contains(&groups()?), "{} row groups", groups()?);
    office.office.command("s-40", &args)?;
    ensure!(fs::read(&cut)? == fs::read(&straight)?, "not the same file");
    ensure!(!parts.exists());

    // By a reader that is not ours.
    let compared = outside("compare_parquet.py", &[Path::new(&cut), Path::new(&lines)])?;
    let compared: Value = serde_json::from_str(&compared)?;
    ensure!(
        compared["rows"].as_u64() == to.parse().ok() && compared["groups"].as_i64() > Some(12),
        "{compared}"
    );
    ensure!(
        compared["notes"]["kontakty.service"] == "accounts",
        "{compared}"
    );
    ensure!(
        compared["notes"]["kontakty.personal"] == "false",
        "{compared}"
    );
    Ok(())
}
