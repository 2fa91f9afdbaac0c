//! Publishes a service's log to its stream. The log is the outbox: there is no other.

use std::{convert::Infallible, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{
        self,
        context::{PublishAckFuture, PublishError},
        message::PublishMessage,
    },
};
use es::Recorded;
use es_postgres::{Log, LogError, projection::Backoff};
use kill_point::kill_point;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cloud_event,
    headers::DATA_REF,
    stream,
    stream::{Place, StreamError},
    subjects,
};

/// Messages in flight before the first must be acknowledged.
const WINDOW: i64 = 512;
/// Back-up of the wake-up call, for appends of other replicas.
const POLL: Duration = Duration::from_millis(500);
/// How often an idle relay makes sure that the stream still holds the log.
const VERIFY: Duration = Duration::from_secs(5);
/// What the message gets on its way: ids and expectations.
const MORE_HEADERS: usize = 512;

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("NATS is not connected")]
    Disconnected,
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("event {position} not published")]
    Publish {
        position: i64,
        #[source]
        source: PublishError,
    },
    #[error("event {position} was taken for another message {sequence} of the stream")]
    Misplaced { position: i64, sequence: u64 },
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Keeps the stream of `log`'s service equal to the log until cancelled; `progress` tells the
/// position published last. Waits out every fault: commands never depend on it.
///
/// One replica should do it, the leader. Another one that does not know of its end yet does no harm:
/// the stream refuses what does not follow its last message.
pub async fn run_relay(
    log: Log,
    jetstream: jetstream::Context,
    progress: watch::Sender<i64>,
    cancel: CancellationToken,
) {
    let relay = Relay {
        log,
        jetstream,
        progress,
        backoff: Backoff::default(),
        told: String::new(),
        refill: 0,
    };
    cancel.run_until_cancelled(relay.run()).await;
}

struct Relay {
    log: Log,
    jetstream: jetstream::Context,
    progress: watch::Sender<i64>,
    backoff: Backoff,
    /// The fault last logged; once is enough while it lasts.
    told: String,
    /// Part of the message ids when not 0: see [`Relay::message_id`].
    refill: u64,
}

impl Relay {
    async fn run(mut self) -> Infallible {
        kill_point!("relay.leads");
        loop {
            let Err::<Infallible, _>(error) = Box::pin(self.follow()).await;
            let text = chain(&error);
            if self.told != text {
                tracing::warn!(stream = self.log.service(), "relay interrupted: {text}");
                self.told = text;
            }
            self.backoff.wait().await;
        }
    }

    /// Publishes whatever the log has and the stream has not, until something goes wrong.
    async fn follow(&mut self) -> Result<Infallible, RelayError> {
        if self.jetstream.client().connection_state() != State::Connected {
            return Err(RelayError::Disconnected);
        }
        let stream = stream::ensure(&self.jetstream, self.log.service()).await?;
        let mut place = stream::place(&stream, &self.log).await?;
        let asked = place.sequence;
        let mut head = self.log.head();
        let mut verified = Instant::now();
        loop {
            self.progress.send_replace(place.position);
            // Seen before the read: an append in between wakes us once too often, never too rarely.
            head.borrow_and_update();
            let page = self.log.page(place.position, WINDOW).await?;
            if page.epoch != place.epoch {
                return Err(StreamError::Changed.into()); // the log was restored from a backup
            }
            if !page.events.is_empty() {
                place = self.publish(place, asked, page.events).await?;
                self.recovered();
                continue;
            }
            if verified.elapsed() >= VERIFY {
                stream::verify(&stream, place).await?;
                verified = Instant::now();
                self.recovered();
            }
            if let Ok(Err(_closed)) = timeout(POLL, head.changed()).await {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        self.told.clear();
    }

    /// Publishes all, then waits for all: the stream takes each only right behind the one before,
    /// so one failure makes all later ones fail, and nothing is ever out of order.
    async fn publish(
        &mut self,
        place: Place,
        asked: u64,
        events: Vec<Recorded>,
    ) -> Result<Place, RelayError> {
        let mut acks = Vec::with_capacity(events.len());
        let mut before = None;
        for (event, expected) in events.into_iter().zip(place.sequence..) {
            let position = event.position;
            let id = self.message_id(&event);
            let failed = |source| RelayError::Publish { position, source };
            kill_point!("relay.before_publish");
            let sent = self.send(place.epoch, event, &id, expected, before.as_deref());
            acks.push((position, expected + 1, sent.await.map_err(failed)?));
            before = Some(id);
        }
        kill_point!("relay.after_publish");
        let mut reached = place;
        for (position, sequence, ack) in acks {
            let failed = |source| RelayError::Publish { position, source };
            let ack = ack.await.map_err(failed)?;
            if ack.duplicate || ack.sequence != sequence {
                if ack.duplicate && ack.sequence <= asked {
                    self.refill = asked;
                }
                let sequence = ack.sequence;
                return Err(RelayError::Misplaced { position, sequence });
            }
            reached = Place {
                position,
                sequence,
                ..place
            };
        }
        kill_point!("relay.after_ack");
        Ok(reached)
    }

    async fn send(
        &self,
        epoch: Uuid,
        event: Recorded,
        id: &str,
        expected: u64,
        before: Option<&str>,
    ) -> Result<PublishAckFuture, PublishError> {
        let service = self.log.service();
        let subject = subjects::subject(service, &event.event_type, event.schema_version);
        let mut headers = cloud_event::to_headers(service, epoch, &event);
        let mut payload = event.payload;
        let size = payload.len() + cloud_event::size(&headers) + MORE_HEADERS;
        if size > self.jetstream.client().max_payload() {
            // Only where it is to be had: readers ask the owner, as for a hole.
            let place = format!("/kontakty/{service}/{}", event.position);
            headers.insert(DATA_REF, place);
            payload = Vec::new();
        }
        let mut message = PublishMessage::build()
            .headers(headers)
            .message_id(id)
            // The fence. Not the last message's id: the server forgets that one when, at its
            // restart, the message is older than the duplicate window, and then refuses for ever.
            .expected_last_sequence(expected)
            .payload(payload.into());
        // Within a window the id is fresh, and needed: were a stranger's message to take the place
        // of the first of ours, the second would have the right sequence without it.
        if let Some(before) = before {
            message = message.expected_last_message_id(before);
        }
        self.jetstream.send_publish(subject, message).await
    }

    /// The event's id, so that a message sent twice is stored once. The server remembers ids of
    /// messages that have since been removed; filling the stream again then needs others.
    fn message_id(&self, event: &Recorded) -> String {
        match self.refill {
            0 => event.event_id.to_string(),
            refill => format!("{}.{refill}", event.event_id),
        }
    }
}

/// The error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
