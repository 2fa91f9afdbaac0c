use std::{collections::BTreeMap, future, sync::Arc, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{self, message::Message},
};
use es_postgres::{
    Life,
    projection::{Batch, Cursor, Source, SourceError},
};
use futures::future::BoxFuture;
use kill_point::kill_point;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    cloud_event::{self, Envelope},
    headers::DATA_REF,
    subscription::Subscription,
};

/// Reads a page of the owner's log: events after a position, at most so many. An empty page means
/// that there are none.
pub type Fetch =
    Arc<dyn Fn(i64, i64) -> BoxFuture<'static, Result<Fetched, SourceError>> + Send + Sync>;

/// What the owner of a log answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    pub batch: Batch,
    /// All lives of the log, oldest first.
    pub lives: Vec<Life>,
}

/// Without a message for so long, the owner is asked: a dead NATS costs no more than this.
const IDLE: Duration = Duration::from_secs(5);
/// How often the owner is asked while there is no stream to listen to.
const WITHOUT_STREAM: Duration = Duration::from_secs(1);
/// How often a reader that does without the bus asks the owner.
const POLL: Duration = Duration::from_millis(500);
const OPEN: Duration = Duration::from_secs(3);
/// How long the bus may take where somebody waits for what the owner has.
const HURRY: Duration = Duration::from_millis(300);
/// Messages kept in memory while one before them is missing.
const HELD: usize = 1_000;

/// Another service's log, heard over the bus; what the bus lost is read from the owner.
///
/// Only positions count. Whatever NATS delivers twice, late, in another order or not at all, what
/// comes out is the log.
pub struct Foreign {
    jetstream: jetstream::Context,
    owner: &'static str,
    /// `contacts--timeline--7f3a`; each replica has one of its own.
    consumer: String,
    fetch: Fetch,
    subscription: Option<Subscription>,
    /// Delivered and not yet given out, by position.
    held: BTreeMap<i64, Held>,
    /// The life of the log, as the owner told it: the reader's may be over since it was here.
    life: Option<Uuid>,
    /// The owner has what the bus did not bring, or what it brought is not of the reader's life:
    /// asked before listening again.
    ask: bool,
    /// A position that somebody waits for.
    awaited: watch::Receiver<i64>,
    /// One of those that the owner did not have either when it was asked.
    absent: i64,
}

struct Held {
    envelope: Envelope,
    /// How many messages the stream has after this one.
    pending: i64,
}

impl Foreign {
    /// `owner`'s log; `consumer` is what the reader is called on the bus; `awaited` tells of positions
    /// that are wanted soon.
    pub fn new(
        jetstream: jetstream::Context,
        owner: &'static str,
        consumer: String,
        fetch: Fetch,
        awaited: watch::Receiver<i64>,
    ) -> Self {
        Self {
            jetstream,
            owner,
            consumer,
            fetch,
            awaited,
            absent: 0,
            subscription: None,
            held: BTreeMap::new(),
            life: None,
            ask: false,
        }
    }

    /// The run of held events right behind `after`.
    fn take(&mut self, after: i64, limit: usize) -> Option<Batch> {
        let epoch = self.held.get(&(after + 1))?.envelope.epoch;
        let mut batch = Batch {
            epoch,
            events: Vec::new(),
            head: after,
        };
        for position in (after + 1..).take(limit) {
            let Some(held) = self.held.remove(&position) else {
                break;
            };
            batch.head = position + held.pending;
            batch.events.push(held.envelope.event);
        }
        Some(batch)
    }

    /// Reads what is missing between the cursor and the first held event, or what there is.
    async fn fill(&mut self, after: &Cursor, limit: usize) -> Result<Option<Batch>, SourceError> {
        let first = self.held.first_key_value().map(|(&position, _)| position);
        let hole = first.map_or(i64::MAX, |first| first - after.position - 1);
        let limit = hole.clamp(1, limit as i64);
        let awaited = *self.awaited.borrow();
        let asked = asked(&self.fetch, self.owner, after, limit).await;
        if let Err(SourceError::OtherLife(lives)) = &asked {
            self.life = lives.last().map(|life| life.epoch);
            self.held.clear();
        }
        let batch = asked?;
        self.life = Some(batch.epoch);
        self.ask = first.is_none() && !batch.events.is_empty();
        if batch.events.is_empty() {
            self.absent = awaited;
        }
        if batch.events.is_empty() && first.is_some() {
            // The stream is ahead of its log: a log restored from a backup, whose relay has not
            // yet emptied the stream. What is still true will be delivered again.
            tracing::warn!(source = self.owner, "the stream has what its log has not");
            self.held.clear();
            sleep(WITHOUT_STREAM).await;
        }
        Ok((!batch.events.is_empty()).then_some(batch))
    }

    /// Whether somebody waits for what the owner may have.
    fn hurries(&mut self, after: i64) -> bool {
        let awaited = *self.awaited.borrow_and_update();
        awaited > after && awaited != self.absent
    }

    /// Waits for messages behind a position; false if none came.
    async fn listen(&mut self, after: i64) -> bool {
        let hurries = self.hurries(after);
        let (open_within, within) = if hurries {
            (HURRY, HURRY)
        } else {
            (OPEN, IDLE)
        };
        if self.jetstream.client().connection_state() != State::Connected {
            self.subscription = None;
        } else if self.subscription.is_none() {
            let open = Subscription::open(&self.jetstream, self.owner, &self.consumer, after);
            let opened = tokio::select! {
                opened = timeout(open_within, Box::pin(open)) => opened,
                () = changed(&mut self.awaited), if !hurries => return false,
            };
            match opened {
                Ok(Ok(subscription)) => self.subscription = Some(subscription),
                Ok(Err(error)) => tracing::debug!(consumer = self.consumer, "not open: {error}"),
                Err(_elapsed) => tracing::debug!(consumer = self.consumer, "not open in time"),
            }
        }
        let Some(subscription) = &mut self.subscription else {
            return false;
        };
        let heard = tokio::select! {
            heard = timeout(within, subscription.next()) => heard,
            () = changed(&mut self.awaited), if !hurries => return true,
        };
        let first = match heard {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => {
                tracing::info!(consumer = self.consumer, "opening again: {error}");
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
            self.hold(&message);
        }
        true
    }

    /// Nothing is lost with what is not held: if it should have been an event, its position is
    /// missing and will be asked for.
    fn hold(&mut self, message: &Message) {
        let pending = message.info().map_or(0, |info| info.pending as i64);
        let headers = message.headers.clone().unwrap_or_default();
        if headers.get(DATA_REF).is_some() {
            self.ask = true; // too large for the bus
            return;
        }
        match cloud_event::from_message(&headers, &message.payload) {
            Ok(envelope) if envelope.service == self.owner => {
                if self.life.is_some_and(|life| life != envelope.epoch) {
                    // Of a life before, or the first sign of a new one: the owner knows.
                    self.ask = true;
                    return;
                }
                let held = Held { envelope, pending };
                self.held.insert(held.envelope.event.position, held);
            }
            Ok(_) => tracing::warn!(stream = self.owner, "message is of another service"),
            Err(error) => tracing::warn!(stream = self.owner, "message is not an event: {error}"),
        }
    }
}

impl Source for Foreign {
    fn service(&self) -> &'static str {
        self.owner
    }

    async fn next(&mut self, after: &Cursor, limit: usize) -> Result<Batch, SourceError> {
        // Whatever is at or before the cursor is done, whoever did it.
        self.held = self.held.split_off(&(after.position + 1));
        if after.epoch.is_some() && after.epoch != self.life {
            self.held.clear();
            self.ask = true;
        }
        loop {
            if let Some(batch) = self.take(after.position, limit) {
                kill_point!("foreign.before_apply");
                return Ok(batch);
            }
            // Who has read nothing yet does not know what to listen for.
            let listens = self.held.is_empty() && !self.ask && self.life.is_some();
            if listens && self.listen(after.position).await {
                self.held = self.held.split_off(&(after.position + 1));
                continue;
            }
            if let Some(batch) = self.fill(after, limit).await? {
                kill_point!("foreign.hole_filled");
                return Ok(batch);
            }
            if self.subscription.is_none() && listens {
                tokio::select! {
                    () = sleep(WITHOUT_STREAM) => {}
                    () = changed(&mut self.awaited) => {}
                }
            }
        }
    }
}

/// Resolves when another position is awaited.
async fn changed(awaited: &mut watch::Receiver<i64>) {
    if awaited.changed().await.is_err() {
        // Nobody is left to wait for anything.
        future::pending::<()>().await;
    }
}

/// Another service's log, read from its owner alone: for who has much to read and no hurry.
pub struct Pages {
    owner: &'static str,
    fetch: Fetch,
}

impl Pages {
    pub fn new(owner: &'static str, fetch: Fetch) -> Self {
        Self { owner, fetch }
    }
}

impl Source for Pages {
    fn service(&self) -> &'static str {
        self.owner
    }

    async fn next(&mut self, after: &Cursor, limit: usize) -> Result<Batch, SourceError> {
        loop {
            let batch = asked(&self.fetch, self.owner, after, limit as i64).await?;
            if !batch.events.is_empty() {
                return Ok(batch);
            }
            sleep(POLL).await;
        }
    }
}

/// A page that goes on where the reader is; an error when the log is not the reader's any more.
async fn asked(
    fetch: &Fetch,
    owner: &str,
    after: &Cursor,
    limit: i64,
) -> Result<Batch, SourceError> {
    let Fetched { batch, lives } = fetch(after.position, limit).await?;
    if after.epoch.is_some_and(|mine| mine != batch.epoch) {
        return Err(SourceError::OtherLife(lives));
    }
    if batch.head < after.position {
        return Err(SourceError::Unavailable(format!(
            "the log of {owner} ends at {}, before what was read of it: was it restored from a \
             backup without `kontakty migrate --restored {owner}`?",
            batch.head
        )));
    }
    Ok(batch)
}
