//! `kontakty log verify`: recomputes the hash chain, and compares the log with what was signed.

use std::path::Path;

use anyhow::{Context, bail};
use api::log::{ReadEventsRequest, VerifyLogRequest, log_service_client::LogServiceClient};
use kit::checkpoints::{CheckpointKeys, Head, Mismatch, Stored, read_checkpoints};

use crate::{
    client::{Authenticated, Client, Refused},
    output::progress,
};

type Log = LogServiceClient<Authenticated>;

/// Checkpoints to compare with: a file or a folder, and the keys that count.
pub(super) struct Proof<'a> {
    pub(super) place: &'a Path,
    pub(super) keys: &'a CheckpointKeys,
}

pub(super) async fn verify(
    client: &Client,
    service: &str,
    proof: Option<&Proof<'_>>,
) -> anyhow::Result<()> {
    // Before anything is recomputed: a forged checkpoint is known at once.
    let checkpoints = proof
        .map(|proof| read_checkpoints(proof.place, service, proof.keys))
        .transpose()?
        .unwrap_or_default();
    let mut log = client.log(service)?;
    let head = whole(&mut log, service).await?;
    if let Some(proof) = proof
        && checkpoints.is_empty()
        && head.position > 0
    {
        bail!(
            "there is no checkpoint of {service} in {}",
            proof.place.display()
        );
    }
    compare(&mut log, &head, &checkpoints).await?;

    print!(
        "the log of {service} is whole: {} events, every hash follows from the one before",
        head.position
    );
    match checkpoints.last() {
        Some(last) => println!(
            "; checkpoints met: {}, the newest for position {}, signed at {}",
            checkpoints.len(),
            last.checkpoint.position,
            last.checkpoint.at
        ),
        None => println!(),
    }
    Ok(())
}

/// Recomputes a log and returns where it ends; fails with the first position that is not in order.
pub(super) async fn whole(log: &mut Log, service: &str) -> anyhow::Result<Head> {
    let request = VerifyLogRequest {
        service: service.to_owned(),
        after_position: 0,
    };
    let mut steps = log.verify_log(request).await.map_err(Refused)?.into_inner();
    let bar = progress("events")?;
    while let Some(step) = steps.message().await.map_err(Refused)? {
        bar.set_length(step.head_position.max(0) as u64);
        bar.set_position(step.verified.max(0) as u64);
        if !step.finished {
            continue;
        }
        bar.finish_and_clear();
        if step.broken_position > 0 {
            bail!(
                "the log of {service} is not whole: position {}: {}",
                step.broken_position,
                step.fault
            );
        }
        return Ok(Head {
            epoch: step.epoch.parse().context("the epoch is not an id")?,
            position: step.verified,
            hash: step
                .hash
                .try_into()
                .ok()
                .context("the hash has another length")?,
        });
    }
    bail!("the office ended the check without a verdict")
}

/// Fails at the first checkpoint that the log does not meet. `checkpoints` in order of position.
pub(super) async fn compare(
    log: &mut Log,
    head: &Head,
    checkpoints: &[Stored],
) -> anyhow::Result<()> {
    // Up to here history is as it was signed.
    let mut met = 0;
    for Stored { path, checkpoint } in checkpoints {
        let (service, position) = (&checkpoint.service, checkpoint.position);
        let hash = if position <= head.position {
            hash_at(log, service, position).await?
        } else {
            None
        };
        let (first, what) = match checkpoint.compare(head.position, hash.as_deref()) {
            Ok(()) => {
                met = position;
                continue;
            }
            Err(Mismatch::Cut) => (head.position + 1, "the tail was cut off"),
            Err(Mismatch::Altered) => (
                met + 1,
                "the log was rewritten, though every hash follows from the one before",
            ),
        };
        let life = if checkpoint.epoch == head.epoch {
            ""
        } else {
            "; the log has begun another life since then, as after a restore from a backup"
        };
        bail!(
            "the log of {service} is not whole: position {first}: {what}: what {} signed at {} up to \
             position {position} is not there any more{life}",
            path.display(),
            checkpoint.at
        );
    }
    Ok(())
}

async fn hash_at(log: &mut Log, service: &str, position: i64) -> anyhow::Result<Option<Vec<u8>>> {
    let request = ReadEventsRequest {
        service: service.to_owned(),
        after_position: position - 1,
        limit: 1,
    };
    let page = log
        .read_events(request)
        .await
        .map_err(Refused)?
        .into_inner();
    Ok(page.events.into_iter().next().map(|event| event.hash))
}
