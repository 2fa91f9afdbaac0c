//! I6 as it shows on the bus: one relay at a time, so a stream holds its log, in order, once;
//! what somebody took out of its middle is a hole that readers see.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::pull};
use es::Recorded;
use futures::StreamExt;
use tokio::time::{Instant, timeout};

use super::Finding;
use crate::{meanwhile, replay::Stores};

const RELAYED_WITHIN: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(5);

/// Waits for the relays; the services must be running.
pub async fn bus(nats: &str, services: &[&str], stores: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I6", "streams equal to their logs");
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    for service in services.iter().copied() {
        let head: i64 = sqlx::query_scalar("select position from log.head")
            .fetch_one(stores.of(service))
            .await?;
        let began = Instant::now();
        let (positions, deleted) = loop {
            let (positions, deleted) = positions(&jetstream, service).await.unwrap_or_default();
            let is_whole = delivered_in_order(&positions, deleted, head).is_ok();
            // A relay that has nothing to do looks after its stream every few seconds.
            if is_whole || began.elapsed() > RELAYED_WITHIN {
                break (positions, deleted);
            }
            meanwhile(Duration::from_millis(100)).await;
        };
        finding.looked_at += positions.len();
        if let Err(what) = delivered_in_order(&positions, deleted, head) {
            finding.found(|| format!("{service}: {what}"));
        }
    }
    Ok(finding)
}

/// Rising up to `head`, with no more missing than was deleted.
pub fn delivered_in_order(positions: &[i64], deleted: i64, head: i64) -> Result<(), String> {
    let mut last = 0;
    for position in positions {
        if *position <= last {
            return Err(format!("{position} stands behind {last}"));
        }
        last = *position;
    }
    if last != head {
        return Err(format!("ends at {last} of {head}"));
    }
    let missing = head - positions.len() as i64;
    if missing > deleted {
        return Err(format!("{missing} are missing, and {deleted} were deleted"));
    }
    Ok(())
}

/// Positions of the events that a stream holds, in its order, and how many were taken out of it.
async fn positions(
    jetstream: &jetstream::Context,
    service: &str,
) -> anyhow::Result<(Vec<i64>, i64)> {
    let (events, deleted) = events(jetstream, service).await?;
    // A stranger's message has no position.
    let positions = events
        .iter()
        .map(|event| event.as_ref().map_or(0, |event| event.position));
    Ok((positions.collect(), deleted))
}

/// The events of a stream as it delivers them.
pub async fn delivered(nats: &str, service: &str) -> anyhow::Result<Vec<Recorded>> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    let (events, _) = events(&jetstream, service).await?;
    Ok(events.into_iter().flatten().collect())
}

/// What a stream holds, in its order; nothing for what is no event.
async fn events(
    jetstream: &jetstream::Context,
    service: &str,
) -> anyhow::Result<(Vec<Option<Recorded>>, i64)> {
    let stream = jetstream.get_stream(service).await?;
    let state = stream.get_info().await?.state;
    let held = state.messages as usize;
    let consumer = stream
        .create_consumer(pull::OrderedConfig::default())
        .await?;
    let mut messages = consumer.messages().await?;
    let mut events = Vec::with_capacity(held);
    while events.len() < held {
        let Some(message) = timeout(ANSWER, messages.next()).await? else {
            break;
        };
        let message = message?;
        let headers = message.headers.clone().unwrap_or_default();
        let envelope = bus::from_message(&headers, &message.payload).ok();
        events.push(envelope.map(|envelope| envelope.event));
    }
    Ok((events, state.deleted_count.unwrap_or_default() as i64))
}
