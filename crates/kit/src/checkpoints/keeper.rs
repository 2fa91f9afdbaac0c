//! Signs a checkpoint of each log now and then, after having seen that the log follows from the
//! last one: a log that was tampered with is never signed, and the alarm is in our own log.

use std::{path::PathBuf, time::Duration};

use es_postgres::{Log, LogError};
use tokio::time::timeout;

use super::{
    CheckpointError, CheckpointKeys, CheckpointSigner, Head, Mismatch, newest, write_checkpoint,
};
use crate::{Clock, Node, StartError};

/// Why there is no new checkpoint.
#[derive(Debug, thiserror::Error)]
enum NotSigned {
    #[error(transparent)]
    File(#[from] CheckpointError),
    #[error("position {position}: {fault}")]
    NotWhole { position: i64, fault: String },
    #[error("the checkpoint at position {position} is not met: {mismatch}")]
    NotMet { position: i64, mismatch: Mismatch },
    #[error(transparent)]
    Log(#[from] LogError),
}

struct Keeper {
    log: Log,
    folder: PathBuf,
    signer: CheckpointSigner,
    keys: CheckpointKeys,
    clock: Clock,
}

/// Keeps checkpoints of a log if the configuration names a folder for them: at the start, at every
/// interval and at the stop, whenever something new was recorded.
pub(crate) fn keep(node: &Node, log: &Log) -> Result<(), StartError> {
    let config = &node.config.checkpoints;
    let Some(folder) = config.folder.clone() else {
        return Ok(());
    };
    let keeper = Keeper {
        log: log.clone(),
        folder,
        signer: CheckpointSigner::load(&node.config.keys.folder)?,
        keys: CheckpointKeys::load(&node.config.keys.folder)?,
        clock: node.clock.clone(),
    };
    let (interval, stopping) = (config.interval, node.tasks.stopping());
    let name = format!("{} checkpoints", log.service());
    node.tasks.spawn_to_end(name, async move {
        let mut stopped = false;
        while !stopped {
            keeper.sign_or_tell().await;
            stopped = timeout(interval, stopping.cancelled()).await.is_ok();
        }
        // What was recorded since then: nobody else will say what it was.
        let _ = timeout(LAST, keeper.sign_or_tell()).await;
    });
    Ok(())
}

/// A process that stops does not wait longer for its last checkpoint.
const LAST: Duration = Duration::from_secs(3);

impl Keeper {
    async fn sign_or_tell(&self) {
        let service = self.log.service();
        match self.sign().await {
            Ok(Some(path)) => tracing::debug!(service, path = %path.display(), "checkpoint signed"),
            Ok(None) => {}
            Err(NotSigned::Log(error)) if error.is_transient() => {
                tracing::warn!(service, %error, "no checkpoint of {service} for now");
            }
            Err(error) => {
                tracing::error!(service, %error, "the log of {service} is not signed: {error}");
            }
        }
    }

    /// `None`: nothing was recorded since the last one.
    async fn sign(&self) -> Result<Option<PathBuf>, NotSigned> {
        let log = &self.log;
        let last = newest(&self.folder, log.service(), log.epoch(), &self.keys)?
            .map(|stored| stored.checkpoint);
        let from = last.as_ref().map_or(0, |last| last.position);
        if let Some(last) = last {
            let head = log.refresh_head().await?;
            let event = log.read(from - 1, 1).await?.pop();
            let hash = event.as_ref().map(|event| &event.hash[..]);
            last.compare(head, hash)
                .map_err(|mismatch| NotSigned::NotMet {
                    position: from,
                    mismatch,
                })?;
        }
        let verdict = log.verify(from, |_| {}).await?;
        if let Some(fault) = verdict.fault {
            return Err(NotSigned::NotWhole {
                position: fault.position,
                fault: fault.what,
            });
        }
        if verdict.verified == from {
            return Ok(None);
        }
        let head = Head {
            epoch: verdict.epoch,
            position: verdict.verified,
            hash: verdict.hash,
        };
        let checkpoint = self.signer.sign(log.service(), &head, self.clock.now());
        Ok(Some(write_checkpoint(&self.folder, &checkpoint)?))
    }
}
