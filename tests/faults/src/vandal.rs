//! Somebody with an administrator's rights on the bus and no idea what it is for.

use std::time::Duration;

use async_nats::jetstream;
use futures::TryStreamExt;
use tests::client::SERVICES;
use tokio_util::sync::CancellationToken;

use crate::{
    meanwhile,
    seed::{Seed, one_of},
};

/// Deletes a message, a consumer or a whole stream every now and then, until stopped.
pub async fn rage(nats: String, seed: Seed, every: Duration, stop: CancellationToken) {
    let mut rng = seed.rng("vandal");
    let raging = async {
        loop {
            meanwhile(every).await;
            let service = one_of(&mut rng, &SERVICES);
            let what = rng.u8(..10);
            // Not there, or just being made: then there is nothing to destroy.
            let _ = destroy(&nats, service, what, &mut rng).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(raging).await;
}

async fn destroy(
    nats: &str,
    service: &str,
    what: u8,
    rng: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    match what {
        0 => {
            jetstream.delete_stream(service).await?;
        }
        1..=2 => delete_consumers(&jetstream, service).await?,
        _ => {
            let stream = jetstream.get_stream(service).await?;
            let state = stream.get_info().await?.state;
            if state.messages > 0 {
                // Out of the middle it is a hole; the first one makes the stream begin late.
                let sequence = match what {
                    3..=5 => state.first_sequence,
                    _ => rng.u64(state.first_sequence..=state.last_sequence),
                };
                stream.delete_message(sequence).await?;
            }
        }
    }
    Ok(())
}

/// All that read the stream of one service.
pub async fn delete_consumers(jetstream: &jetstream::Context, service: &str) -> anyhow::Result<()> {
    let stream = jetstream.get_stream(service).await?;
    let names: Vec<String> = stream.consumer_names().try_collect().await?;
    for name in names {
        stream.delete_consumer(&name).await?;
    }
    Ok(())
}
