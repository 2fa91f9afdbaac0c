//! `kontakty clock`: the time of an office started with `--clock controlled`, in all its processes.

use anyhow::Context;
use api::clock::{GetClockRequest, SetClockRequest};
use chrono::{DateTime, Duration, Utc};
use clap::Subcommand;

use crate::client::{Connection, Refused};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
enum Command {
    /// What time the office thinks it is.
    Show,
    /// Set it: RFC 3339, never backwards.
    Set { now: DateTime<Utc> },
    /// Move it on: 90s, 15m, 8h, 3d.
    Advance {
        #[arg(value_parser = span)]
        by: Duration,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.connection.open().await?;
    let mut latest = None;
    for (service, mut clock) in client.clocks() {
        let shown = clock.get_clock(GetClockRequest {}).await;
        let shown = shown.map_err(Refused)?.into_inner();
        let now = shown.now.as_ref().and_then(kit::instant);
        let now = now.context("the office told no time")?;
        latest = latest.max(Some(now));
        if matches!(args.command, Command::Show) {
            let (whose, kind) = (
                if service.is_empty() {
                    String::new()
                } else {
                    format!("{service}: ")
                },
                if shown.controlled {
                    "controlled"
                } else {
                    "real"
                },
            );
            println!("{whose}{} ({kind})", now.to_rfc3339());
        }
    }
    let target = match args.command {
        Command::Show => return Ok(()),
        Command::Set { now } => now,
        Command::Advance { by } => latest.context("no address")? + by,
    };
    for (_, mut clock) in client.clocks() {
        let request = SetClockRequest {
            now: Some(kit::timestamp(target)),
        };
        clock.set_clock(request).await.map_err(Refused)?;
    }
    println!("{}", target.to_rfc3339());
    Ok(())
}

fn span(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_alphabetic());
    let amount: i64 = number
        .parse()
        .map_err(|_| "must be a number with s, m, h or d".to_owned())?;
    match &text[number.len()..] {
        "s" => Ok(Duration::seconds(amount)),
        "m" => Ok(Duration::minutes(amount)),
        "h" => Ok(Duration::hours(amount)),
        "d" => Ok(Duration::days(amount)),
        _ => Err("must be a number with s, m, h or d".to_owned()),
    }
}
