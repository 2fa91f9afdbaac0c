//! The check of a log's hash chain, told while it goes on.

use api::log::VerifyLogResponse;
use es_postgres::{Log, Verdict};
use tokio::sync::watch;

use crate::{Closed, Sender, StreamEnd};

/// Sends how far the check has come, and at last the verdict.
pub(super) async fn run(
    log: Log,
    after: i64,
    sender: Sender<VerifyLogResponse>,
) -> Result<(), StreamEnd> {
    let head_position = log.refresh_head().await?;
    let (progress, seen) = watch::channel(after);
    let verified = log.verify(after, |verified| {
        progress.send_replace(verified);
    });
    let verdict = tokio::select! {
        verdict = verified => verdict?,
        Closed = reports(&sender, seen, head_position) => return Ok(()),
    };
    sender.send(verdict_to_api(verdict)).await?;
    Ok(())
}

/// Sends how far the check has come until nobody listens.
async fn reports(
    sender: &Sender<VerifyLogResponse>,
    mut seen: watch::Receiver<i64>,
    head_position: i64,
) -> Closed {
    while seen.changed().await.is_ok() {
        let part = VerifyLogResponse {
            verified: *seen.borrow_and_update(),
            head_position,
            ..VerifyLogResponse::default()
        };
        if sender.send(part).await.is_err() {
            return Closed;
        }
    }
    std::future::pending().await
}

fn verdict_to_api(verdict: Verdict) -> VerifyLogResponse {
    let (broken_position, fault) = verdict
        .fault
        .map_or_else(Default::default, |fault| (fault.position, fault.what));
    let whole = broken_position == 0;
    VerifyLogResponse {
        verified: verdict.verified,
        head_position: verdict.head,
        finished: true,
        broken_position,
        fault,
        hash: if whole {
            verdict.hash.to_vec()
        } else {
            Vec::new()
        },
        epoch: verdict.epoch.to_string(),
    }
}
