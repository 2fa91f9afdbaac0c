//! `kontakty log`: the events themselves.

use anyhow::{Context, bail};
use api::log::{Event, ReadEventsRequest, SubscribeEventsRequest, VerifyLogRequest};
use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    client::{Connection, Refused},
    output::hex,
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print events from a position on, one JSON object a line.
    Read {
        #[command(flatten)]
        which: Which,
        /// First position.
        #[arg(long, default_value_t = 1)]
        from: i64,
        /// Last position [default: the newest].
        #[arg(long)]
        to: Option<i64>,
        /// Only these event types: task.created,task.completed
        #[arg(long, value_delimiter = ',')]
        types: Vec<String>,
        #[arg(long, value_enum, default_value_t = Shape::Short)]
        shape: Shape,
    },
    /// Print each event as it is recorded; ends with Ctrl-C.
    Tail {
        #[command(flatten)]
        which: Which,
        /// Begin this many events back.
        #[arg(long, default_value_t = 10)]
        back: i64,
        #[arg(long, value_enum, default_value_t = Shape::Short)]
        shape: Shape,
    },
    /// Recompute the hash chain and name the first position at fault, if there is one.
    Verify {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args)]
struct Which {
    /// accounts, contacts, planning, notifications or analytics.
    service: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// One readable line an event.
    Short,
    /// The whole envelope as one JSON object a line. Personal fields stay sealed.
    Json,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Read {
            which,
            from,
            to,
            types,
            shape,
        } => read(which, from, to, &types, shape).await,
        Command::Tail { which, back, shape } => tail(which, back, shape).await,
        Command::Verify { which } => verify(which).await,
    }
}

async fn read(
    which: Which,
    from: i64,
    to: Option<i64>,
    types: &[String],
    shape: Shape,
) -> anyhow::Result<()> {
    let mut log = which.connection.open().await?.log(&which.service)?;
    let mut after = from.max(1) - 1;
    loop {
        let request = ReadEventsRequest {
            service: which.service.clone(),
            after_position: after,
            limit: 1_000,
        };
        let page = log
            .read_events(request)
            .await
            .map_err(Refused)?
            .into_inner();
        for event in &page.events {
            if to.is_some_and(|to| event.position > to) {
                return Ok(());
            }
            if types.is_empty() || types.contains(&event.r#type) {
                print(event, shape)?;
            }
        }
        match page.events.last() {
            Some(last) => after = last.position,
            None => return Ok(()),
        }
    }
}

async fn tail(which: Which, back: i64, shape: Shape) -> anyhow::Result<()> {
    let mut log = which.connection.open().await?.log(&which.service)?;
    let request = api::log::GetHeadRequest {
        service: which.service.clone(),
    };
    let head = log
        .get_head(request)
        .await
        .map_err(Refused)?
        .into_inner()
        .position;
    let request = SubscribeEventsRequest {
        service: which.service,
        after_position: (head - back).max(0),
    };
    let mut events = log
        .subscribe_events(request)
        .await
        .map_err(Refused)?
        .into_inner();
    while let Some(page) = events.message().await.map_err(Refused)? {
        for event in &page.events {
            print(event, shape)?;
        }
    }
    Ok(())
}

async fn verify(which: Which) -> anyhow::Result<()> {
    let mut log = which.connection.open().await?.log(&which.service)?;
    let request = VerifyLogRequest {
        service: which.service.clone(),
    };
    let mut progress = log.verify_log(request).await.map_err(Refused)?.into_inner();
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events  {per_sec}")
            .context("a template of ours")?,
    );
    while let Some(step) = progress.message().await.map_err(Refused)? {
        bar.set_length(step.head_position.max(0) as u64);
        bar.set_position(step.verified.max(0) as u64);
        if !step.finished {
            continue;
        }
        bar.finish_and_clear();
        if step.broken_position > 0 {
            bail!(
                "the log of {} is not whole: position {}: {}",
                which.service,
                step.broken_position,
                step.fault
            );
        }
        println!(
            "the log of {} is whole: {} events, every hash follows from the one before",
            which.service, step.verified
        );
        return Ok(());
    }
    bail!("the office ended the check without a verdict")
}

fn print(event: &Event, shape: Shape) -> anyhow::Result<()> {
    let recorded_at = event
        .recorded_at
        .as_ref()
        .and_then(kit::instant)
        .unwrap_or_default();
    let occurred_at = event
        .occurred_at
        .as_ref()
        .and_then(kit::instant)
        .unwrap_or_default();
    let metadata: Value = serde_json::from_slice(&event.metadata)?;
    let payload: Value = serde_json::from_slice(&event.payload)?;
    match shape {
        Shape::Short => {
            let payload: String = payload.to_string().chars().take(160).collect();
            println!(
                "{:>8}  {}  {:<28} {}  {payload}",
                event.position,
                recorded_at.format("%Y-%m-%d %H:%M:%S"),
                event.r#type,
                event.stream
            );
        }
        Shape::Json => {
            let hash = hex(&event.hash);
            println!(
                "{}",
                json!({
                    "position": event.position,
                    "event_id": event.event_id,
                    "stream": event.stream,
                    "version": event.version,
                    "type": event.r#type,
                    "schema_version": event.schema_version,
                    "occurred_at": occurred_at,
                    "recorded_at": recorded_at,
                    "request_id": event.request_id,
                    "metadata": metadata,
                    "payload": payload,
                    "hash": hash,
                })
            );
        }
    }
    Ok(())
}
