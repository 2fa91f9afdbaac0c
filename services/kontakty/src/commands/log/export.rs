//! `kontakty log export`: events into a file for analysts, row by row, whatever the size of the log.
//!
//! Everything is written in `FILE.part/` first; the file itself appears when it is whole. A second
//! call with the same arguments continues behind the last whole row (or row group), up to the same
//! last position, so the result does not depend on how often it was interrupted.

mod lines;
mod order;
mod parquet;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use api::log::{
    ExportEventsRequest, ExportEventsResponse, ExportOpenedEventsRequest, GetHeadRequest,
    log_service_client::LogServiceClient,
};
use clap::ValueEnum;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tonic::Status;

use self::{
    lines::Lines,
    order::{Order, Work},
    parquet::Groups,
};
use super::row::Row;
use crate::{
    client::{Authenticated, Connection, Refused},
    output::progress,
    services::one,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// accounts, contacts, planning, notifications or analytics.
    #[arg(long, value_parser = one)]
    service: &'static str,
    /// First position.
    #[arg(long, default_value_t = 1)]
    from: i64,
    /// Last position [default: the newest].
    #[arg(long)]
    to: Option<i64>,
    /// With personal data in clear, for administrators. Without it personal fields are there as
    /// ciphertext, marked `sealed`.
    #[arg(long)]
    personal: bool,
    #[arg(long, value_enum)]
    format: Format,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Rows in a row group of Parquet.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    group_rows: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// JSON Lines: one event a line, metadata and payload byte for byte as they were hashed.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// A file that is being written.
enum Sink {
    Lines(Lines),
    Groups(Box<Groups>),
}

pub(super) async fn export(args: Args, connection: &Connection) -> anyhow::Result<()> {
    let mut log = connection.open().await?.log(args.service)?;
    ensure!(
        !args.out.exists(),
        "{} exists already; choose another file, or remove it",
        args.out.display()
    );
    let work = match Work::resume(&args)? {
        Some(work) => work,
        None => Work::begin(&args, order(&mut log, &args).await?)?,
    };
    let order = &work.order;
    let mut sink = match order.format {
        Format::Jsonl => Sink::Lines(Lines::open(&work)?),
        Format::Parquet => Sink::Groups(Box::new(Groups::open(&work)?)),
    };
    let mut last = match &sink {
        Sink::Lines(lines) => lines.last(),
        Sink::Groups(groups) => groups.last(),
    };

    let bar = progress("events")?;
    bar.set_length((order.to - order.from + 1).max(0) as u64);
    if last >= order.from {
        bar.println(format!("continuing behind position {last}"));
    }
    let interrupted = || "the export was interrupted: the same command continues it";
    let mut parts = if last < order.to {
        let parts = parts(&mut log, order, last).await;
        if parts.is_err() && last < order.from {
            work.discard();
        }
        parts?.boxed()
    } else {
        futures::stream::empty().boxed()
    };
    while let Some(part) = parts
        .try_next()
        .await
        .map_err(Refused)
        .with_context(interrupted)?
    {
        if part.events.is_empty() {
            ensure!(
                part.epoch == order.epoch,
                "the log was restored from a backup since this export began: remove {} and begin anew",
                work.folder.display()
            );
        }
        for event in &part.events {
            ensure!(
                event.position == last + 1,
                "the office left out position {}",
                last + 1
            );
            match &mut sink {
                Sink::Lines(lines) => lines.write(&Row::new(event)?)?,
                Sink::Groups(groups) => groups.write(&Row::new(event)?)?,
            }
            last = event.position;
        }
        bar.set_position((last - order.from + 1).max(0) as u64);
    }
    ensure!(last >= order.to, "{}", interrupted());
    let written = match sink {
        Sink::Lines(lines) => lines.finish()?,
        Sink::Groups(groups) => groups.finish()?,
    };
    bar.finish_and_clear();
    let order = work.finish(&written, &args.out)?;
    println!(
        "{}: positions {} to {} of {}, personal data {}",
        args.out.display(),
        order.from,
        order.to,
        order.service,
        if order.personal { "in clear" } else { "sealed" }
    );
    Ok(())
}

/// What is asked for, with a last position, so that a call that continues ends where this one would
/// have ended.
async fn order(log: &mut LogServiceClient<Authenticated>, args: &Args) -> anyhow::Result<Order> {
    ensure!(args.from > 0, "positions begin at 1");
    let request = GetHeadRequest {
        service: args.service.to_owned(),
    };
    let head = log.get_head(request).await.map_err(Refused)?.into_inner();
    let to = args.to.unwrap_or(head.position);
    if to > head.position {
        bail!(
            "the log of {} ends at position {}",
            args.service,
            head.position
        );
    }
    ensure!(
        to >= args.from,
        "there is nothing from position {} on",
        args.from
    );
    Ok(Order {
        service: args.service.to_owned(),
        epoch: head.epoch,
        from: args.from,
        to,
        personal: args.personal,
        format: args.format,
        group_rows: args.group_rows,
    })
}

/// The rest of an export, with or without what is sealed opened.
async fn parts(
    log: &mut LogServiceClient<Authenticated>,
    order: &Order,
    after_position: i64,
) -> anyhow::Result<impl Stream<Item = Result<ExportEventsResponse, Status>> + Send + use<>> {
    if !order.personal {
        let request = ExportEventsRequest {
            service: order.service.clone(),
            after_position,
            up_to_position: order.to,
        };
        let parts = log.export_events(request).await.map_err(Refused)?;
        return Ok(parts.into_inner().left_stream());
    }
    let request = ExportOpenedEventsRequest {
        service: order.service.clone(),
        after_position,
        up_to_position: order.to,
    };
    let parts = log.export_opened_events(request).await.map_err(Refused)?;
    let alike = |part: api::log::ExportOpenedEventsResponse| ExportEventsResponse {
        events: part.events,
        epoch: part.epoch,
        up_to_position: part.up_to_position,
        record_position: part.record_position,
    };
    Ok(parts.into_inner().map_ok(alike).right_stream())
}
