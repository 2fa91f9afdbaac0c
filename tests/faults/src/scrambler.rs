//! Carries events from one bus to another one, and carries them badly: each message one to three
//! times, shuffled within a window, with messages in between that are no events at all.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{self, consumer::pull, stream},
};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;

use crate::{meanwhile, seed::Seed};

const WINDOW: usize = 50;
/// What has come by then is carried on, though the window is not full.
const IDLE: Duration = Duration::from_millis(100);

struct Message {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
}

/// Carries one service's events until the connection to either bus ends.
pub async fn carry(from: String, to: String, service: &str, seed: Seed) -> anyhow::Result<()> {
    let mut rng = seed.rng(("scrambler", service));
    let from = jetstream::new(async_nats::connect(from).await?);
    let to = jetstream::new(async_nats::connect(to).await?);
    to.get_or_create_stream(stream::Config {
        name: service.to_owned(),
        subjects: vec![bus::all_subjects(service)],
        ..stream::Config::default()
    })
    .await?;
    let source = loop {
        match from.get_stream(service).await {
            Ok(stream) => break stream,
            Err(_) => meanwhile(Duration::from_millis(50)).await,
        }
    };
    let consumer = source
        .create_consumer(pull::OrderedConfig::default())
        .await?;
    let mut messages = consumer.messages().await?;
    let mut window: Vec<Message> = Vec::new();
    loop {
        match timeout(IDLE, messages.next()).await {
            Ok(Some(message)) => {
                let message = message?;
                window.push(Message {
                    subject: message.subject.to_string(),
                    headers: as_an_event(message.headers.as_ref()),
                    payload: message.payload.clone(),
                });
                if window.len() < WINDOW {
                    continue;
                }
            }
            Ok(None) => return Ok(()),
            Err(_idle) if window.is_empty() => continue,
            Err(_idle) => {}
        }
        for message in scrambled(std::mem::take(&mut window), service, &mut rng) {
            to.publish_with_headers(message.subject, message.headers, message.payload)
                .await?
                .await?;
        }
    }
}

/// Without what NATS reads: the same message may be stored again.
fn as_an_event(headers: Option<&HeaderMap>) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        if name.to_string().starts_with("ce-") {
            for value in values {
                kept.append(name.clone(), value.clone());
            }
        }
    }
    kept
}

fn scrambled(window: Vec<Message>, service: &str, rng: &mut fastrand::Rng) -> Vec<Message> {
    let mut scrambled = Vec::new();
    for message in window {
        for _ in 0..rng.u8(1..=3) {
            scrambled.push(Message {
                subject: message.subject.clone(),
                headers: message.headers.clone(),
                payload: message.payload.clone(),
            });
        }
    }
    let noise = Message {
        subject: format!("kontakty.{service}.noise.made.v1"),
        headers: HeaderMap::new(),
        payload: Bytes::from_static(b"\xff\x00 no event"),
    };
    scrambled.push(noise);
    rng.shuffle(&mut scrambled);
    scrambled
}
