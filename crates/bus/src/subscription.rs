//! A durable pull consumer on another service's stream.

use std::time::Duration;

use async_nats::jetstream::{
    self, Message,
    consumer::{
        AckPolicy, DeliverPolicy,
        pull::{Config, MessagesError, Stream as Messages},
    },
    stream::{ConsumerError, ConsumerErrorKind},
};
use futures::{FutureExt, StreamExt};

/// Messages asked for at a time, and thereby how many may wait in memory.
const PULL: usize = 500;
const ACK_PENDING: i64 = 2_000;
/// After this, a message that a dead replica took is given to another.
const ACK_WAIT: Duration = Duration::from_secs(30);
const EXPIRES: Duration = Duration::from_secs(30);
/// Two missed ones tell that consumer, stream or server are gone.
const HEARTBEAT: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscriptionError {
    #[error("no stream")]
    Stream(#[from] jetstream::context::GetStreamError),
    #[error("no consumer")]
    Consumer(#[from] ConsumerError),
    #[error("no messages")]
    Stopped(#[from] jetstream::consumer::StreamError),
    #[error("messages ended")]
    Messages(#[from] MessagesError),
    #[error("messages ended")]
    Ended,
}

pub(crate) struct Subscription(Messages);

impl Subscription {
    /// Makes the consumer if it is not there; makes it anew if it was set up otherwise, which
    /// costs nothing, because the reader's own cursor tells what is done.
    pub(crate) async fn open(
        jetstream: &jetstream::Context,
        stream: &str,
        durable: &str,
    ) -> Result<Self, SubscriptionError> {
        let stream = jetstream.get_stream(stream).await?;
        let consumer = match stream.create_consumer(config(durable)).await {
            Err(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(_)) => {
                tracing::warn!(consumer = durable, "consumer was set up otherwise: {error}");
                stream.delete_consumer(durable).await?;
                stream.create_consumer(config(durable)).await?
            }
            made => made?,
        };
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL)
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await?;
        Ok(Self(messages))
    }

    pub(crate) async fn next(&mut self) -> Result<Message, SubscriptionError> {
        match self.0.next().await {
            Some(message) => Ok(message?),
            None => Err(SubscriptionError::Ended),
        }
    }

    /// A message that is here already.
    pub(crate) fn ready(&mut self) -> Option<Message> {
        self.0.next().now_or_never()??.ok()
    }
}

fn config(durable: &str) -> Config {
    Config {
        durable_name: Some(durable.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: ACK_PENDING,
        ..Config::default()
    }
}
