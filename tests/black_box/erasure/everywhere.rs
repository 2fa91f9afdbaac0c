//! All that an office keeps, as text.

use std::{fmt::Write as _, path::Path};

use anyhow::ensure;
use async_nats::jetstream;
use futures::TryStreamExt;
use tests::{client::SERVICES, psql::Psql};

/// Which of these are in a text, in whatever letters.
pub(super) fn traces_of<'c>(text: &str, canaries: &[&'c str]) -> Vec<&'c str> {
    let text = text.to_lowercase();
    let found = canaries.iter().filter(|canary| text.contains(**canary));
    found.copied().collect()
}

/// `pg_dump` of all databases.
pub(super) fn dumps(data: &Path, args: &[&str]) -> anyhow::Result<String> {
    let psql = Psql::at(data)?;
    let mut text = String::new();
    for service in SERVICES {
        let dump = psql
            .program("pg_dump")?
            .arg(format!("--dbname=kontakty_{service}"))
            .args(args)
            .output()?;
        let said = String::from_utf8_lossy(&dump.stderr);
        ensure!(dump.status.success(), "{service}: {said}");
        text += &legible(&String::from_utf8_lossy(&dump.stdout));
    }
    // The bytes of events and of sort keys are in it, as text.
    ensure!(text.contains("\"owner_id\":"), "a dump without events");
    Ok(text)
}

/// With bytes that are written as `\x…` as what they spell.
pub(super) fn legible(dump: &str) -> String {
    let mut text = dump.to_owned();
    for part in dump.split("\\x").skip(1) {
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let bytes = part.as_bytes()[..hex].chunks_exact(2).map(|pair| {
            let digits = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(digits, 16).unwrap_or_default()
        });
        let bytes: Vec<u8> = bytes.collect();
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

/// Every message of every stream, as stored.
pub(super) async fn messages(nats: &str) -> anyhow::Result<String> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    let mut text = String::new();
    let names: Vec<String> = jetstream.stream_names().try_collect().await?;
    ensure!(names.len() >= SERVICES.len(), "{names:?}");
    for name in names {
        let mut stream = jetstream.get_stream(&name).await?;
        let state = stream.info().await?.state.clone();
        // A stream that never had a message begins at nought.
        for sequence in state.first_sequence.max(1)..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await?;
            let _ = write!(text, "{} {:?} ", message.subject, message.headers);
            text += &String::from_utf8_lossy(&message.payload);
            text.push('\n');
        }
    }
    Ok(text)
}
