//! The log as its keepers see it: proof, checkpoints, exports, tails, rights, and the doctor.

mod doctor;
mod export;
mod rights;
mod tail;
mod tampering;

use std::{fmt::Write as _, path::Path, process::Output};

use anyhow::ensure;
use api::log::{Event, ReadEventsRequest};
use tests::{
    client::Client,
    office::{Office, kontakty},
};

/// `n` companies whose names begin so.
fn companies(name: &str, n: usize) -> String {
    let mut csv = "external_id,name,type,phone,email,city,region,address,industry,project,source,owner,registered_at\n".to_owned();
    let key = name.len();
    for i in 0..n {
        let phone = format!("+79{:02}{i:07}", key % 100);
        let _ = writeln!(csv, "{key}-{i},{name} {i},prospect,{phone},,Миасс,,,,,,,");
    }
    csv
}

/// Everything a service has recorded.
async fn events(client: &Client, service: &str) -> anyhow::Result<Vec<Event>> {
    let mut found: Vec<Event> = Vec::new();
    loop {
        let request = ReadEventsRequest {
            service: service.to_owned(),
            after_position: found.last().map_or(0, |event| event.position),
            limit: 1_000,
        };
        let page = client
            .log(service)
            .read_events(request)
            .await?
            .into_inner()
            .events;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// What a command that must fail says.
fn refused(office: &Office, staff: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = office.try_command(staff, args)?;
    let said = said(&output);
    ensure!(!output.status.success(), "{args:?} went well: {said}");
    Ok(said)
}

/// A script of `tests/outside`, with the packages of `tests/tools.txt`.
fn outside(script: &str, args: &[&Path]) -> anyhow::Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/outside");
    let output = std::process::Command::new(tool("python3"))
        .arg(format!("{folder}/{script}"))
        .args(args)
        .output()?;
    ensure!(output.status.success(), "{script}: {}", said(&output));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A program that `tests/run` installs beside the build.
fn tool(name: &str) -> std::path::PathBuf {
    let binary = tests::office::binary();
    let built = binary.ancestors().nth(2).unwrap_or_else(|| Path::new("."));
    let tool = built.join("tools/bin").join(name);
    assert!(
        tool.exists(),
        "{} is missing: tests/run installs it",
        tool.display()
    );
    tool
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn fails(args: &[&str]) -> anyhow::Result<String> {
    let output = kontakty(args)?;
    let said = said(&output);
    ensure!(!output.status.success(), "{args:?} went well: {said}");
    Ok(said)
}
