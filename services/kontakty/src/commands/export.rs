//! `kontakty export`: lists for spreadsheets. Who took which is on record in the office.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use api::{
    accounts::{ExportAccountsRequest, Lifecycle, ListAccountsRequest},
    common::SheetFormat,
    contacts::ExportPersonsRequest,
};
use clap::{Subcommand, ValueEnum};
use futures::{Stream, StreamExt, TryStreamExt};
use tempfile::NamedTempFile;
use tonic::Status;
use vocabulary::StaffId;

use crate::{
    client::{Connection, Refused},
    output::progress,
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Companies that you see.
    ///
    /// For example `kontakty export accounts --lifecycle client --city Миасс --out clients.xlsx`.
    Accounts(Accounts),
    /// Contact persons of companies that you see.
    Persons(Persons),
}

#[derive(clap::Args)]
struct Accounts {
    /// Prospects or clients alone.
    #[arg(long, value_enum)]
    lifecycle: Option<Standing>,
    /// Part of the name, or a phone.
    #[arg(long, default_value = "", hide_default_value = true)]
    query: String,
    /// External id of the owner.
    #[arg(long)]
    owner: Option<String>,
    /// Of no owner.
    #[arg(long)]
    in_pool: bool,
    #[arg(long, default_value = "", hide_default_value = true)]
    city: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    region: String,
    /// Key or name.
    #[arg(long, default_value = "", hide_default_value = true)]
    status: String,
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Persons {
    /// UUID of one account [default: all].
    #[arg(long, default_value = "", hide_default_value = true)]
    account: String,
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct File {
    /// [default: by the name of the file, else csv].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Of the header: ru, or en for the names that an import knows.
    #[arg(long, default_value = "ru")]
    language: String,
    /// Where it goes [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Xlsx,
}

#[derive(Clone, Copy, ValueEnum)]
enum Standing {
    Prospect,
    Client,
}

/// A part of a file, of whichever list.
struct Part {
    rows: i64,
    bytes: Vec<u8>,
    done: i64,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Accounts(args) => accounts(args).await,
        What::Persons(args) => persons(args).await,
    }
}

async fn accounts(args: Accounts) -> anyhow::Result<()> {
    let client = args.connection.open().await?;
    let lifecycle = args.lifecycle.map(|standing| match standing {
        Standing::Prospect => Lifecycle::Prospect,
        Standing::Client => Lifecycle::Client,
    });
    let owner = args.owner.as_deref().map(StaffId::of_external);
    let request = ExportAccountsRequest {
        filter: Some(ListAccountsRequest {
            lifecycle: lifecycle.unwrap_or_default().into(),
            query: args.query,
            owner_id: owner.map_or_else(String::new, |id| id.to_string()),
            in_pool: args.in_pool,
            city: args.city,
            region: args.region,
            status: args.status,
            ..ListAccountsRequest::default()
        }),
        format: args.file.format().into(),
        language: args.file.language.clone(),
    };
    let parts = client.export()?.export_accounts(request).await;
    let parts = parts.map_err(Refused)?.into_inner();
    let parts = parts.map_ok(|part| Part {
        rows: part.rows,
        bytes: part.bytes,
        done: part.done,
    });
    args.file.write(parts, "accounts").await
}

async fn persons(args: Persons) -> anyhow::Result<()> {
    let client = args.connection.open().await?;
    let request = ExportPersonsRequest {
        account_id: args.account,
        format: args.file.format().into(),
        language: args.file.language.clone(),
        min_positions: Vec::new(),
    };
    let parts = client.person_export()?.export_persons(request).await;
    let parts = parts.map_err(Refused)?.into_inner();
    let parts = parts.map_ok(|part| Part {
        rows: part.rows,
        bytes: part.bytes,
        done: part.done,
    });
    args.file.write(parts, "persons").await
}

impl File {
    fn format(&self) -> SheetFormat {
        let by_name = || {
            let name = self.out.as_deref().and_then(Path::extension);
            if name.is_some_and(|name| name.eq_ignore_ascii_case("xlsx")) {
                Format::Xlsx
            } else {
                Format::Csv
            }
        };
        match self.format.unwrap_or_else(by_name) {
            Format::Csv => SheetFormat::Csv,
            Format::Xlsx => SheetFormat::Xlsx,
        }
    }

    /// A file appears when it is whole, and takes the place of no other.
    async fn write(
        &self,
        parts: impl Stream<Item = Result<Part, Status>>,
        what: &str,
    ) -> anyhow::Result<()> {
        let Some(path) = &self.out else {
            receive(parts, &mut io::stdout().lock(), what).await?;
            return Ok(());
        };
        if path.exists() {
            bail!("{} exists already; choose another file", path.display());
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let mut file = NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        let rows = receive(parts, &mut file, what).await?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {rows} {what}", path.display());
        Ok(())
    }
}

/// How many rows there were.
async fn receive(
    parts: impl Stream<Item = Result<Part, Status>>,
    to: &mut impl Write,
    what: &str,
) -> anyhow::Result<i64> {
    let bar = progress(what)?;
    let mut parts = Box::pin(parts);
    let mut begun = false;
    let mut done = 0;
    while let Some(part) = parts.next().await {
        let part = part.map_err(Refused)?;
        if !begun {
            begun = true;
            bar.set_length(part.rows.unsigned_abs());
        }
        to.write_all(&part.bytes)?;
        done = part.done;
        bar.set_position(done.unsigned_abs());
    }
    ensure!(begun, "the office sent nothing");
    to.flush()?;
    bar.finish_and_clear();
    Ok(done)
}
