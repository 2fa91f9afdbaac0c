use chrono::{DateTime, Utc};
use es::{Reservation, StreamId};
use uuid::Uuid;

/// One event to write. Personal fields of the payload are sealed already.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_id: Uuid,
    pub event_type: String,
    pub schema_version: u16,
    pub occurred_at: DateTime<Utc>,
    /// JSON.
    pub payload: Vec<u8>,
}

/// Events that go into one stream together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    pub stream: StreamId,
    /// Version of the stream's last event; 0 for a stream that does not exist.
    pub expected: i64,
    pub events: Vec<NewEvent>,
    /// Stored with the last event. Seen before: nothing is written, the first answer is given.
    pub request_id: Option<Uuid>,
    /// The same as in the metadata: what a repeated request is compared with.
    pub digest: Option<[u8; 32]>,
    /// JSON of [`es::Metadata`].
    pub metadata: Vec<u8>,
    pub reservations: Vec<Reservation>,
    pub now: DateTime<Utc>,
}

/// Where the last event of an append stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    pub stream: StreamId,
    pub version: i64,
    pub position: i64,
    /// The request id was in the log already; all else here is of that first time.
    pub repeated: bool,
    pub digest: Option<[u8; 32]>,
}

/// The one place where the log makes ids: a v7 id, so in order of the time of the command.
pub(crate) fn event_id(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        seconds,
        now.timestamp_subsec_nanos(),
    ))
}

/// PostgreSQL keeps microseconds, and the hash must be of what it keeps.
pub(crate) fn microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}
