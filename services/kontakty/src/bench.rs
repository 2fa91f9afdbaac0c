//! `kontakty bench`: figures anyone can repeat, as ratios against something measured in the same
//! run on the same machine.

mod append;
mod filters;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Subcommand;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::runtime;

use crate::{
    office::{Engines, Folder},
    output::Format,
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Appends to the log against plain single-row INSERTs with as many writers.
    ///
    /// The INSERTs are pgbench's, or go through sqlx with one writer (through a pool as applications
    /// do it, and through a connection that is kept), into a table with the columns and indexes of
    /// the log, and into a bare one, whose only index is its primary key. Rounds take turns; the
    /// ratios are those of the medians. The appends come from one thread, pgbench has two.
    Append(AppendArgs),
    /// First pages of filtered lists of companies, over gRPC, against SQL written by hand.
    ///
    /// In an office of its own whose companies are imported; each answer must have the rows that
    /// the SQL has.
    Filters(FiltersArgs),
}

#[derive(clap::Args)]
struct FiltersArgs {
    /// Companies in the base.
    #[arg(long, default_value_t = 200_000)]
    accounts: usize,
    /// Questions of each kind.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Folder of the office; a real disk, not memory.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(clap::Args)]
struct AppendArgs {
    /// Callers that append at the same time.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Length of one round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rounds of each side.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A PostgreSQL to measure on, as one who may create databases [default: a private one in a
    /// temporary folder, with the settings of `kontakty up`].
    #[arg(long, env = "KONTAKTY_BENCH_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// Folder of the private PostgreSQL; a real disk, not memory.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.bench {
        // Writers on several threads would measure how threads wake each other.
        Bench::Append(args) => {
            tokio::task::spawn_blocking(move || {
                let one_thread = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                one_thread.block_on(append(args))
            })
            .await?
        }
        Bench::Filters(args) => {
            let workload = filters::Workload {
                accounts: args.accounts.max(1),
                rounds: args.rounds.max(1),
                format: args.format,
            };
            filters::run(scratch(&args.folder)?.path(), &workload).await
        }
    }
}

fn scratch(folder: &Path) -> anyhow::Result<TempDir> {
    let scratch = tempfile::Builder::new()
        .prefix("kontakty-bench-")
        .tempdir_in(folder)?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open)?;
    Ok(scratch)
}

async fn append(args: AppendArgs) -> anyhow::Result<()> {
    let workload = append::Workload {
        writers: args.writers.max(1),
        seconds: args.seconds.max(1),
        rounds: args.rounds.max(1),
    };
    let report = if let Some(url) = &args.postgres {
        append::measure(&PgConnectOptions::from_str(url)?, &workload).await?
    } else {
        let scratch = scratch(&args.folder)?;
        let folder = Folder::lock(&scratch.path().join("data"))?;
        let mut engines = Engines::start(&folder, 0).await?;
        let owner = engines.owner();
        let report = tokio::select! {
            report = append::measure(&owner, &workload) => report,
            fallen = engines.supervise() => fallen.and(Err(anyhow::anyhow!("PostgreSQL fell"))),
        };
        engines.stop().await?;
        report?
    };
    report.print(args.format)
}
