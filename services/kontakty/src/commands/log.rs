//! `kontakty log`: the events themselves.

mod checkpoint;
mod export;
mod read;
mod row;
mod verify;

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use kit::checkpoints::CheckpointKeys;

use crate::{
    client::Connection,
    services::{Services, one},
};
use read::Shape;
use verify::Proof;

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print events from a position on.
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
    ///
    /// The chain alone cannot show that the tail was cut off, or that everything behind some position
    /// was rewritten, hashes and all. Checkpoints that were kept elsewhere can.
    Verify {
        /// accounts, contacts, planning, notifications, analytics, or all.
        service: Services,
        /// Compare with this checkpoint, or with all in this folder.
        #[arg(long, value_name = "FILE|DIR")]
        checkpoint: Option<PathBuf>,
        /// Folder with the public keys of checkpoints [default: the one of the local office].
        #[arg(long, value_name = "DIR", requires = "checkpoint")]
        keys: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Sign where logs stand, for keeping elsewhere. Refuses a log that does not follow from the last
    /// checkpoint in the folder.
    Checkpoint {
        /// accounts, contacts, planning, notifications, analytics, or all.
        #[arg(long)]
        service: Services,
        /// Folder of the checkpoints.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Folder with the key that signs them [default: the one of the local office].
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Write events into a file for analysts. Interrupted, it continues when it is called again.
    ///
    /// Who exported what is recorded in the log itself as `log.exported`.
    Export {
        #[command(flatten)]
        export: export::Args,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(clap::Args)]
struct Which {
    /// accounts, contacts, planning, notifications or analytics.
    #[arg(value_parser = one)]
    service: &'static str,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Read {
            which,
            from,
            to,
            types,
            shape,
        } => read::read(which, from, to, &types, shape).await,
        Command::Tail { which, back, shape } => read::tail(which, back, shape).await,
        Command::Verify {
            service,
            checkpoint,
            keys,
            connection,
        } => {
            let client = connection.open().await?;
            let keys = keys.unwrap_or_else(|| connection.keys());
            let trusted = checkpoint
                .as_ref()
                .map(|_| CheckpointKeys::load(&keys))
                .transpose()?;
            let proof = checkpoint
                .as_deref()
                .zip(trusted.as_ref())
                .map(|(place, keys)| Proof { place, keys });
            each(&service, async |service| {
                verify::verify(&client, service, proof.as_ref()).await
            })
            .await
        }
        Command::Checkpoint {
            service,
            out,
            keys,
            connection,
        } => {
            let client = connection.open().await?;
            let keys = keys.unwrap_or_else(|| connection.keys());
            each(&service, async |service| {
                checkpoint::checkpoint(&client, service, &out, &keys).await
            })
            .await
        }
        Command::Export { export, connection } => export::export(export, &connection).await,
    }
}

/// Every one is looked at, whatever is wrong with the others.
async fn each(
    services: &Services,
    mut work: impl AsyncFnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let &[service] = services.names() {
        return work(service).await;
    }
    let mut faults = Vec::new();
    for &service in services.names() {
        if let Err(fault) = work(service).await {
            faults.push(format!("{fault:#}"));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!(faults.join("\nerror: "))
}
