//! `kontakty`: the one binary. It runs services (`serve`), a whole office (`up`), and is a client
//! of the public API for everything else.

mod bench;
mod client;
mod commands;
mod office;
mod output;
mod services;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Many small, short-lived values on several threads: the campaign of the tests takes a fifth less time
/// than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The backend of a cold-sales department: nobody is forgotten, nothing is forgotten.
///
/// Start an office with `kontakty up --demo`, then ask it: `kontakty report scorecard`.
#[derive(Parser)]
#[command(
    name = "kontakty",
    version,
    max_term_width = 100,
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole office on this machine: PostgreSQL, NATS and all five services.
    Up(office::UpArgs),
    /// Run some services, or all of them, on an existing PostgreSQL and NATS.
    Serve(commands::serve::Args),
    /// Create databases where they are missing and bring them to this version.
    Migrate(commands::migrate::Args),
    /// Check a configuration and what it points at, and say in words what is wrong.
    Doctor(commands::doctor::Args),
    Import(commands::import::Args),
    /// Lists of companies or persons for a spreadsheet; each export is on record.
    Export(commands::export::Args),
    /// Ask for a report.
    Report(commands::report::Args),
    /// Read, follow and prove the event logs.
    Log(commands::log::Args),
    /// How far every view and reaction is, and what is kept beside it.
    Views(commands::views::Args),
    /// Build a view anew beside the one that serves, and let it take its place.
    Rebuild(commands::rebuild::Args),
    /// Events that a view or reaction could not apply: show, retry, skip.
    Parked(commands::parked::Args),
    /// Replace the master key of personal data, while everything runs.
    Keys(commands::keys::Args),
    /// Print a token signed with this machine's own key.
    Token(commands::token::Args),
    /// Read or move the clock of an office started with `--clock controlled`.
    Clock(commands::clock::Args),
    /// Measure the log and filtered lists, against plain SQL in the same run.
    Bench(bench::Args),
    /// Run only PostgreSQL and NATS, for tests.
    #[command(hide = true)]
    Engines {
        /// Where they keep their data.
        #[arg(long)]
        data: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Two libraries of the graph may each bring a provider; rustls wants to be told which.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match Cli::parse().command {
        Command::Up(args) => Box::pin(office::up(args)).await,
        Command::Serve(args) => Box::pin(commands::serve::run(args)).await,
        Command::Migrate(args) => commands::migrate::run(args).await,
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Import(args) => commands::import::run(args).await,
        Command::Export(args) => commands::export::run(args).await,
        Command::Report(args) => commands::report::run(args).await,
        Command::Log(args) => commands::log::run(args).await,
        Command::Views(args) => commands::views::run(args).await,
        Command::Rebuild(args) => commands::rebuild::run(args).await,
        Command::Parked(args) => commands::parked::run(args).await,
        Command::Keys(args) => commands::keys::run(args).await,
        Command::Token(args) => commands::token::run(&args),
        Command::Clock(args) => commands::clock::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Engines { data } => office::engines(&data).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_command_contradicts_itself() {
        super::Cli::command().debug_assert();
    }
}
