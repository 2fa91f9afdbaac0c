//! `kontakty log checkpoint`: signs where the logs stand, for keeping elsewhere.

use std::path::Path;

use anyhow::Context;
use api::log::GetHeadRequest;
use kit::{
    Clock, Config,
    checkpoints::{CheckpointKeys, CheckpointSigner, newest, write_checkpoint},
};

use super::verify::{compare, whole};
use crate::client::{Client, Refused};

/// Signs a log that is whole and follows from the last checkpoint in `folder`.
pub(super) async fn checkpoint(
    client: &Client,
    service: &str,
    folder: &Path,
    keys: &Path,
) -> anyhow::Result<()> {
    let signer = CheckpointSigner::load(keys).with_context(|| {
        format!(
            "checkpoints are signed where the office's keys are; name their folder with --keys, \
             instead of {}",
            keys.display()
        )
    })?;
    let trusted = CheckpointKeys::load(keys)?;
    let mut log = client.log(service)?;
    let request = GetHeadRequest {
        service: service.to_owned(),
    };
    let now = log.get_head(request).await.map_err(Refused)?.into_inner();
    let epoch = now.epoch.parse().context("the epoch is not an id")?;
    let last = newest(folder, service, epoch, &trusted)?;
    if now.position == 0 {
        println!("{service}: nothing is recorded yet");
        return Ok(());
    }
    let head = whole(&mut log, service).await?;
    compare(&mut log, &head, last.as_slice()).await?;
    let at = Clock::new(&Config::default().clock).now();
    let path = write_checkpoint(folder, &signer.sign(service, &head, at))?;
    println!(
        "{service}: position {} signed in {}",
        head.position,
        path.display()
    );
    Ok(())
}
