//! The JetStream stream of one service, as the relay sees it.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    context::CreateStreamError,
    stream::{
        Config, DeleteMessageError, InfoError, LastRawMessageErrorKind, PurgeError,
        RawMessageError, RetentionPolicy, State, StorageType, Stream,
    },
};
use es_postgres::{Log, LogError};
use kill_point::kill_point;
use uuid::Uuid;

use crate::{
    cloud_event::{self, Standing},
    subjects::all_subjects,
};

const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// Up to where a stream holds its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position in the log of the last event held.
    pub(crate) position: i64,
    /// The stream's own count, which never falls and which the next message must follow.
    pub(crate) sequence: u64,
    /// The life of the log that the stream holds.
    pub(crate) epoch: Uuid,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("stream not made or not set up")]
    Create(#[from] CreateStreamError),
    #[error("stream {0} is not set up as it must be, and the server keeps it so")]
    Drifted(String),
    #[error("stream not readable")]
    Info(#[from] InfoError),
    #[error("last message not readable")]
    Last(#[from] RawMessageError),
    #[error("stranger's message not deleted")]
    Delete(#[from] DeleteMessageError),
    #[error("stream not emptied")]
    Purge(#[from] PurgeError),
    #[error("stream was changed by somebody else")]
    Changed,
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The stream, made or set right if need be. Uses nothing newer than NATS 2.9, which drops unknown
/// settings without a word: so what it stored is read back.
pub(crate) async fn ensure(
    jetstream: &jetstream::Context,
    service: &str,
) -> Result<Stream, StreamError> {
    let stream = jetstream
        .get_or_create_stream(wanted(service, Config::default()))
        .await?;
    kill_point!("relay.stream_made");
    let stored = stream.cached_info().config.clone();
    if !is_as_wanted(service, &stored) {
        tracing::warn!(
            stream = service,
            "stream was set up otherwise, setting it right"
        );
        let updated = jetstream.update_stream(wanted(service, stored)).await?;
        if !is_as_wanted(service, &updated.config) {
            return Err(StreamError::Drifted(service.to_owned()));
        }
    }
    Ok(stream)
}

/// No limit of age or size: the stream is as long as the log, and an empty one means a lost one.
fn wanted(service: &str, stored: Config) -> Config {
    Config {
        name: service.to_owned(),
        subjects: vec![all_subjects(service)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        max_age: Duration::ZERO,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        ..stored
    }
}

fn is_as_wanted(service: &str, stored: &Config) -> bool {
    *stored == wanted(service, stored.clone())
}

/// Asks the stream what it last holds, and makes sure that this, and as much as this, is the log's.
/// What is not, goes: a stranger's message at the end; everything, if the beginning is gone or is of
/// a life of the log before a restored backup.
pub(crate) async fn place(stream: &Stream, log: &Log) -> Result<Place, StreamError> {
    loop {
        let state = stream.get_info().await?.state;
        let sequence = state.last_sequence;
        let subjects = all_subjects(log.service());
        let last = match stream.get_last_raw_message_by_subject(&subjects).await {
            Ok(last) => last,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(Place {
                    position: 0,
                    sequence,
                    epoch: log.page(0, 0).await?.epoch,
                });
            }
            Err(error) => return Err(error.into()),
        };
        if last.sequence > sequence {
            continue; // published in between, by a leader that has not noticed its end
        }
        match cloud_event::standing(&last.headers) {
            Ok(standing)
                if holds(&state, standing.position) && is_in_log(log, &standing).await? =>
            {
                let missing = standing.position as u64 - state.messages;
                if missing > 0 {
                    tracing::warn!(
                        stream = log.service(),
                        missing,
                        "messages were deleted from the stream; readers get them from the log"
                    );
                }
                return Ok(Place {
                    position: standing.position,
                    sequence,
                    epoch: standing.epoch,
                });
            }
            Ok(standing) => {
                tracing::warn!(
                    stream = log.service(),
                    position = standing.position,
                    epoch = %standing.epoch,
                    messages = state.messages,
                    "stream is not what the log says: emptying it and filling it again"
                );
                // Not what a new leader has published since.
                stream.purge().sequence(sequence + 1).await?;
                kill_point!("relay.stream_emptied");
            }
            Err(error) => {
                tracing::warn!(
                    stream = log.service(),
                    sequence = last.sequence,
                    "stream ends with a message that is not ours, deleting it: {error}"
                );
                stream.delete_message(last.sequence).await?;
            }
        }
    }
}

/// Whether a stream has the log up to a position, but for messages taken out of its middle: each
/// reader sees that hole and reads the log.
fn holds(state: &State, position: i64) -> bool {
    (position as u64)
        .checked_sub(state.messages)
        .is_some_and(|missing| missing <= state.deleted_count.unwrap_or_default())
}

async fn is_in_log(log: &Log, standing: &Standing) -> Result<bool, LogError> {
    let page = log.page(standing.position - 1, 1).await?;
    let held = page.events.first();
    Ok(standing.epoch == page.epoch
        && held.is_some_and(|event| event.event_id == standing.event_id))
}

/// Fails if the stream is gone, or does not hold the log up to where we left it.
pub(crate) async fn verify(stream: &Stream, place: Place) -> Result<(), StreamError> {
    let state = stream.get_info().await?.state;
    let same = state.last_sequence == place.sequence && holds(&state, place.position);
    same.then_some(()).ok_or(StreamError::Changed)
}
