//! A pull consumer on another service's stream, of one reader and for as long as that listens.
//! Nothing is acknowledged: the reader's own cursor tells what is done.

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
/// The server forgets the consumer of a reader that has gone.
const INACTIVE: Duration = Duration::from_mins(1);
const EXPIRES: Duration = Duration::from_secs(30);
/// Two missed ones tell that consumer, stream or server are gone.
const HEARTBEAT: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscriptionError {
    #[error("no stream")]
    Stream(#[from] jetstream::context::GetStreamError),
    #[error("no consumer")]
    Consumer(#[from] ConsumerError),
    #[error("stream not readable")]
    Info(#[from] jetstream::stream::InfoError),
    #[error("no messages")]
    Stopped(#[from] jetstream::consumer::StreamError),
    #[error("messages ended")]
    Messages(#[from] MessagesError),
    #[error("messages ended")]
    Ended,
}

pub(crate) struct Subscription(Messages);

impl Subscription {
    /// Begins behind a position of the log. Makes the consumer anew if it is there already: where
    /// it was costs nothing to forget.
    pub(crate) async fn open(
        jetstream: &jetstream::Context,
        stream: &str,
        name: &str,
        after: i64,
    ) -> Result<Self, SubscriptionError> {
        let mut stream = jetstream.get_stream(stream).await?;
        // The relay keeps the stream dense, so this is the place. Were it not, what comes twice is
        // dropped and what is missing is asked for.
        let first = stream.info().await?.state.first_sequence.max(1);
        let config = config(name, first + after.max(0) as u64);
        let consumer = match stream.create_consumer(config.clone()).await {
            Err(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(_)) => {
                stream.delete_consumer(name).await?;
                stream.create_consumer(config).await?
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

fn config(name: &str, start_sequence: u64) -> Config {
    Config {
        name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        ..Config::default()
    }
}
