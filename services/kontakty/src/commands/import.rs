//! `kontakty import`: files as offices have them, sent in batches through the public API.
//!
//! Every row has an external id, or is known by what it says, so importing a file again, or going on
//! after a crash, changes nothing that is there already. A file of accounts is known by its bytes:
//! imported again, it gets the report that it got first.

mod columns;
mod rows;
mod table;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use api::{
    accounts::ImportFile,
    common::{Position, RowResult, row_result},
};
use clap::ValueEnum;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Code;

use crate::{
    client::{Client, Connection, Refused},
    output::{Format, Rows, number, progress, text},
};
use columns::Columns;
use table::{Table, TableRow};

/// Load staff, accounts, persons, interactions, orders, shipments, payments, deals or tasks from a
/// CSV or XLSX file.
///
/// Encoding (UTF-8, UTF-16, Windows-1251) and delimiter are found by themselves. The first line
/// names the columns:
///
///   staff         external_id,name,role,group,head,login,extension,hired_on
///   accounts      external_id,name,type,phone,email,city,region,address,industry,project,source,owner,registered_at,
///                 rubrics and the fields of the office
///   persons       external_id,account,name,position,phone,email
///   interactions  external_id,account,person,kind,direction,outcome,occurred_at,duration_s,author,summary,impression,note
///   orders        external_id,account,amount,currency,ordered_at,owner
///   shipments     external_id,order,shipped_at,amount,currency,quantity,waybill,note
///   payments      external_id,order,amount,currency,paid_at,reference,note
///   deals         external_id,account,owner,pipeline,stage,amount,currency,product,opened_at,closed_at,lost_reason
///   tasks         external_id,account,assignee,kind,due_at,comment,created_at,completed_at
///
/// References (account, order, owner …) are external ids. Companies of a directory need none: without
/// an external id the same name, phones and e-mails are the same company.
///
/// The column of a field of the office is its key in the catalogue, or its name; a cell may say
/// `unknown` or `?`. Several phones or e-mails are separated by ; , or /, several rubrics by ; or |.
/// What `kontakty export accounts` has written is read, too, with its Russian titles and with the
/// English ones.
///
/// An order, shipment or payment whose external id is known is repeated when it says the same, and
/// rejected when it says something else or the known one was cancelled.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What the rows are.
    #[arg(value_enum)]
    kind: Kind,
    /// The file.
    file: PathBuf,
    /// Say what would happen and record nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write the fate of every row to this CSV file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Staff,
    Accounts,
    Persons,
    Interactions,
    Orders,
    Shipments,
    Payments,
    Deals,
    Tasks,
}

const BATCH: usize = 1_000;
const SHOWN_REJECTIONS: usize = 20;
/// An office that restarts is back by then.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let bytes =
        fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let client = args.connection.open().await?;
    let columns = Columns::of(args.kind, &client).await?;
    let table = Table::read(&args.file, &bytes, &columns)
        .with_context(|| format!("{} is no file of {}", args.file.display(), args.kind.name()))?;
    if !table.ignored.is_empty() {
        eprintln!("columns ignored: {}", table.ignored.join(", "));
    }
    let name = args.file.file_name().unwrap_or_default();
    let file = ImportFile {
        digest: blake3::hash(&bytes).to_string(),
        name: name.to_string_lossy().into_owned(),
    };
    let (results, position) = send(&client, args.kind, &table, &file, args.dry_run).await?;
    if let Some(position) = position.filter(|_| !args.dry_run) {
        client.settle(position).await?;
    }
    if let Some(path) = &args.report {
        write_report(path, &results)?;
    }
    summary(&results).print(args.format)?;
    show_rejections(&results, args.report.is_some());
    if results.is_empty() {
        bail!("{} has no rows", args.file.display());
    }
    Ok(())
}

/// The fate of each row, and how far the log has come by it.
type Sent = (Vec<RowResult>, Option<Position>);

/// Sends every row that the file itself does not rule out; results in the order of the file.
async fn send(
    client: &Client,
    kind: Kind,
    table: &Table,
    file: &ImportFile,
    dry_run: bool,
) -> anyhow::Result<Sent> {
    let bar = progress(kind.name())?;
    bar.set_length(table.rows.len() as u64);
    // Rows of these files speak of each other, so they go in order.
    let at_once = match kind {
        Kind::Staff | Kind::Accounts | Kind::Shipments | Kind::Payments => 1,
        Kind::Persons | Kind::Interactions | Kind::Orders | Kind::Deals | Kind::Tasks => 4,
    };
    let batches: Vec<&[TableRow]> = table.rows.chunks(BATCH).collect();
    let sent: Vec<Sent> = stream::iter(batches)
        .map(|batch| {
            let bar = &bar;
            async move {
                let ask = async || rows::send(client, kind, batch, file, dry_run).await;
                let sent = patiently(ask).await?;
                bar.inc(batch.len() as u64);
                anyhow::Ok(sent)
            }
        })
        .buffered(at_once)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let position = sent
        .iter()
        .filter_map(|(_, position)| position.clone())
        .max_by_key(|position| position.position);
    let mut results: Vec<RowResult> = sent
        .into_iter()
        .flat_map(|(results, _)| results)
        .chain(table.broken.iter().cloned())
        .collect();
    results.sort_by_key(|result| result.row);
    Ok((results, position))
}

/// An office that is away is asked again for a while. Safe to repeat: every row is recognised.
async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Refused>) -> Result<T, Refused> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(100);
    loop {
        match ask().await {
            Err(Refused(status))
                if matches!(
                    status.code(),
                    Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
                ) && tokio::time::Instant::now() < until =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            result => return result,
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Accounts => "accounts",
            Self::Persons => "persons",
            Self::Interactions => "interactions",
            Self::Orders => "orders",
            Self::Shipments => "shipments",
            Self::Payments => "payments",
            Self::Deals => "deals",
            Self::Tasks => "tasks",
        }
    }
}

fn outcome(result: &RowResult) -> &'static str {
    match result.outcome() {
        row_result::Outcome::Created => "created",
        row_result::Outcome::Matched => "matched",
        row_result::Outcome::Repeated => "repeated",
        row_result::Outcome::Rejected | row_result::Outcome::Unspecified => "rejected",
    }
}

fn summary(results: &[RowResult]) -> Rows {
    let mut rows = Rows::new(vec![text("Rows", "outcome"), number("Count", "count")]);
    for name in ["created", "matched", "repeated", "rejected"] {
        let count = results
            .iter()
            .filter(|result| outcome(result) == name)
            .count();
        rows.push(vec![name.to_owned(), count.to_string()]);
    }
    rows.push(vec!["total".to_owned(), results.len().to_string()]);
    rows
}

fn show_rejections(results: &[RowResult], reported: bool) {
    let rejected: Vec<_> = results
        .iter()
        .filter(|result| outcome(result) == "rejected")
        .collect();
    for result in rejected.iter().take(SHOWN_REJECTIONS) {
        eprintln!("row {}: {}", result.row, reasons(result));
    }
    if rejected.len() > SHOWN_REJECTIONS && !reported {
        eprintln!(
            "… and {} more; --report FILE writes them all",
            rejected.len() - SHOWN_REJECTIONS
        );
    }
}

fn reasons(result: &RowResult) -> String {
    let reasons: Vec<String> = result
        .violations
        .iter()
        .map(|violation| {
            format!("{} {}", violation.field, violation.description)
                .trim()
                .to_owned()
        })
        .collect();
    reasons.join("; ")
}

fn write_report(path: &PathBuf, results: &[RowResult]) -> anyhow::Result<()> {
    let mut writer =
        csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    writer.write_record(["row", "outcome", "id", "owner", "reasons"])?;
    for result in results {
        writer.write_record([
            &result.row.to_string(),
            outcome(result),
            &result.id,
            &result.owner,
            &reasons(result),
        ])?;
    }
    writer.flush()?;
    Ok(())
}
