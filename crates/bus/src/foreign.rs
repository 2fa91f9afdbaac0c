use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{
        self,
        message::{Acker, Message},
    },
};
use es_postgres::projection::{Batch, Source, SourceError};
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::{
    cloud_event::{self, Envelope},
    subscription::Subscription,
};

/// Reads a page of the owner's log: events after a position, at most so many. An empty page means
/// that there are none.
pub type Fetch =
    Arc<dyn Fn(i64, i64) -> BoxFuture<'static, Result<Batch, SourceError>> + Send + Sync>;

/// Without a message for so long, the owner is asked: a dead NATS costs no more than this.
const IDLE: Duration = Duration::from_secs(5);
/// How often the owner is asked while there is no stream to listen to.
const WITHOUT_STREAM: Duration = Duration::from_secs(1);
const OPEN: Duration = Duration::from_secs(3);
/// Acknowledging is hygiene, and not worth waiting for.
const ACK: Duration = Duration::from_secs(1);
/// Messages kept in memory while one before them is missing.
const HELD: usize = 1_000;

/// Another service's log, heard over the bus; what the bus lost is read from the owner.
///
/// Only positions count. Whatever NATS delivers twice, late, in another order or not at all, what
/// comes out is the log.
pub struct Foreign {
    jetstream: jetstream::Context,
    owner: &'static str,
    /// `contacts--timeline`; replicas share it.
    durable: String,
    fetch: Fetch,
    subscription: Option<Subscription>,
    /// Delivered and not yet given out, by position.
    held: BTreeMap<i64, Held>,
    /// Given out and not yet done.
    taken: Vec<(i64, Acker)>,
    /// The owner gave events the bus did not, and may have more: asked again before listening.
    behind: bool,
}

struct Held {
    envelope: Envelope,
    acker: Acker,
    /// How many messages the stream has after this one.
    pending: i64,
}

impl Foreign {
    /// `owner`'s log, for the view or reaction `purpose` of the service `consumer`.
    pub fn new(
        jetstream: jetstream::Context,
        owner: &'static str,
        consumer: &str,
        purpose: &str,
        fetch: Fetch,
    ) -> Self {
        Self {
            jetstream,
            owner,
            durable: format!("{consumer}--{purpose}"),
            fetch,
            subscription: None,
            held: BTreeMap::new(),
            taken: Vec::new(),
            behind: false,
        }
    }

    /// The run of held events right behind `after`, of one life of the log.
    fn take(&mut self, after: i64, limit: usize) -> Option<Batch> {
        let epoch = self.held.get(&(after + 1))?.envelope.epoch;
        let mut batch = Batch {
            epoch,
            events: Vec::new(),
            head: after,
        };
        for position in (after + 1..).take(limit) {
            match self.held.remove(&position) {
                Some(held) if held.envelope.epoch == epoch => {
                    batch.head = position + held.pending;
                    batch.events.push(held.envelope.event);
                    self.taken.push((position, held.acker));
                }
                Some(other_life) => {
                    self.held.insert(position, other_life);
                    break;
                }
                None => break,
            }
        }
        Some(batch)
    }

    /// Reads what is missing between `after` and the first held event, or what there is.
    async fn fill(&mut self, after: i64, limit: usize) -> Result<Option<Batch>, SourceError> {
        let first = self.held.first_key_value().map(|(&position, _)| position);
        let hole = first.map_or(i64::MAX, |first| first - after - 1);
        let limit = hole.min(limit as i64);
        let batch = (self.fetch)(after, limit).await?;
        self.behind = first.is_none() && !batch.events.is_empty();
        if batch.events.is_empty() && first.is_some() {
            // The stream is ahead of its log: a log restored from a backup, whose relay has not
            // yet emptied the stream. What is still true will be delivered again.
            tracing::warn!(source = self.owner, "the stream has what its log has not");
            self.held.clear();
            sleep(WITHOUT_STREAM).await;
        }
        Ok((!batch.events.is_empty()).then_some(batch))
    }

    /// Waits for messages; false if none came.
    async fn listen(&mut self) -> bool {
        if self.jetstream.client().connection_state() != State::Connected {
            self.subscription = None;
        } else if self.subscription.is_none() {
            let open = Subscription::open(&self.jetstream, self.owner, &self.durable);
            match timeout(OPEN, Box::pin(open)).await {
                Ok(Ok(subscription)) => self.subscription = Some(subscription),
                Ok(Err(error)) => tracing::debug!(consumer = self.durable, "not open: {error}"),
                Err(_elapsed) => tracing::debug!(consumer = self.durable, "not open in time"),
            }
        }
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let first = match timeout(IDLE, subscription.next()).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => {
                tracing::info!(consumer = self.durable, "opening again: {error}");
                self.subscription = None;
                return false;
            }
            Err(_elapsed) => return false,
        };
        let mut arrived = vec![first];
        while arrived.len() < HELD
            && let Some(message) = subscription.ready()
        {
            arrived.push(message);
        }
        for message in arrived {
            self.hold(message);
        }
        true
    }

    fn hold(&mut self, message: Message) {
        let pending = message.info().map_or(0, |info| info.pending as i64);
        let (message, acker) = message.split();
        let headers = message.headers.unwrap_or_default();
        match cloud_event::from_message(&headers, &message.payload) {
            Ok(envelope) if envelope.service == self.owner => {
                let held = Held {
                    envelope,
                    acker,
                    pending,
                };
                self.held.insert(held.envelope.event.position, held);
            }
            Ok(_) => self.drop_stranger(acker, "of another service"),
            Err(error) => self.drop_stranger(acker, &error.to_string()),
        }
    }

    /// Nothing is lost with it: if it should have been an event, its position is missing and will
    /// be asked for.
    fn drop_stranger(&mut self, acker: Acker, reason: &str) {
        tracing::warn!(stream = self.owner, "message is not an event: {reason}");
        self.taken.push((0, acker));
    }

    async fn acknowledge(&mut self, up_to: i64) {
        let later = self.held.split_off(&(up_to + 1));
        let passed = std::mem::replace(&mut self.held, later);
        let mut ackers: Vec<Acker> = passed.into_values().map(|held| held.acker).collect();
        let taken = std::mem::take(&mut self.taken);
        let (done, open): (Vec<_>, Vec<_>) = taken.into_iter().partition(|(at, _)| *at <= up_to);
        self.taken = open;
        ackers.extend(done.into_iter().map(|(_, acker)| acker));
        if self.jetstream.client().connection_state() != State::Connected {
            return; // delivered again, then, and skipped
        }
        let all = async {
            for acker in ackers {
                if acker.ack().await.is_err() {
                    break;
                }
            }
        };
        if timeout(ACK, all).await.is_err() {
            tracing::debug!(consumer = self.durable, "acknowledgements not sent");
        }
    }
}

impl Source for Foreign {
    fn service(&self) -> &'static str {
        self.owner
    }

    async fn next(&mut self, after: i64, limit: usize) -> Result<Batch, SourceError> {
        loop {
            // Whatever is at or before the cursor is done, whoever did it.
            self.acknowledge(after).await;
            if let Some(batch) = self.take(after, limit) {
                return Ok(batch);
            }
            if self.held.is_empty() && !self.behind && self.listen().await {
                continue;
            }
            if let Some(batch) = self.fill(after, limit).await? {
                return Ok(batch);
            }
            if self.subscription.is_none() {
                sleep(WITHOUT_STREAM).await;
            }
        }
    }

    async fn done(&mut self, position: i64) {
        self.acknowledge(position).await;
    }
}
