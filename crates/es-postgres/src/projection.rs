//! Read models and reactions: whatever follows a log in order and remembers how far it got.
//!
//! The effect of an event and the cursor move in one transaction, so a view has applied each event
//! exactly once, wherever the process died. Any number of replicas may run the same view: the
//! cursor is compared before it is set, and who comes second lets go.

mod backoff;
mod build;
mod compare;
mod cursor;
mod parked;
mod prepare;
mod progress;
mod react;
mod rebuild;
mod restored;
mod retry;
mod run;
mod runner;
mod shares;
mod source;
mod spans;
mod versions;

use es::{CodecError, Recorded};
use sqlx::PgConnection;
use uuid::Uuid;

pub use backoff::Backoff;
pub use build::{BuildError, Builder};
pub use cursor::{Cursor, Standing, cursor, mended, standings};
pub use parked::{Parked, SkipError};
pub use prepare::prepare;
pub use progress::{Progress, Reached};
pub use react::run_reaction;
pub use rebuild::{Rebuild, State};
pub use restored::Lost;
pub use retry::{retry_parked, retry_parked_reaction};
pub use run::run_projection;
pub use source::{Batch, OwnLog, Share, Source, SourceError};
pub use spans::{SPAN_PARENT, trace_parent};
pub use versions::Version;

use crate::LogError;

/// A read model: one schema in the service's database.
pub trait Projection: Send + Sync + 'static {
    /// Permanent: the name of its schema and of its cursors.
    const NAME: &'static str;
    /// The services whose logs it reads.
    const SOURCES: &'static [&'static str];
    /// Idempotent DDL with unqualified names: it runs with the view's schema as search path.
    const SCHEMA: &'static str;
    /// What the events of one stream write depends on no other stream: several workers, each with
    /// its streams, may build the view anew.
    const BY_STREAM: bool = false;
    /// Whether it shows personal fields of the own log. To open them costs more than all the rest;
    /// where that is not done they arrive as if they were erased.
    const PERSONAL: bool = true;

    /// Writes what `events` mean. `tx` has the view's schema as search path; names stay
    /// unqualified. Events of other logs arrive with their personal fields sealed.
    ///
    /// Never sees an event of a stream that has a parked one. Must not commit, nor act outside `tx`.
    fn apply(
        &self,
        tx: &mut PgConnection,
        source: &str,
        events: &[Recorded],
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// A rule: an event leads to a command of ours. Runs at least once per event, outside any database
/// transaction, so what it does must be idempotent by request id.
pub trait Reaction: Send + Sync + 'static {
    /// Permanent: the name of its cursors.
    const NAME: &'static str;
    const SOURCES: &'static [&'static str];
    /// The types of events that it reacts to: all others pass by, at no cost. They arrive with their
    /// personal fields sealed.
    const EVENTS: &'static [&'static str];

    /// Comes when the events of a batch are here and before they are looked at: a rule whose
    /// [`concerns`](Self::concerns) goes by what it knows, and not by `EVENTS`, learns here what there
    /// was before them.
    fn look(&self) -> impl Future<Output = Result<(), ApplyError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether it reacts to an event.
    fn concerns(&self, event: &Recorded) -> bool {
        Self::EVENTS.contains(&event.event_type.as_str())
    }

    /// What the reaction to an event reads or changes. Events that have none of it in common are
    /// reacted to at the same time, the others one after the other, in the order of their log, and
    /// each of those costs a commit.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        vec![event.stream.id]
    }

    fn react(
        &self,
        source: &str,
        event: &Recorded,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Why an event could not be applied. The text is stored and logged: never personal data in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Would have worked at another time: tried again for ever, with back-off.
    #[error("{0}")]
    Transient(String),
    /// Can never work: parked with this reason, and what follows in its stream behind it.
    #[error("{0}")]
    Poison(String),
}

impl From<sqlx::Error> for ApplyError {
    /// Only faults of the data are the event's; a missing table or right is ours to mend, and
    /// parking the whole log because of it would help nobody.
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // The server's message may quote values, so only code and names are kept.
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let reason = format!(
                    "database error {code}, table {}, constraint {}",
                    database.table().unwrap_or("unknown"),
                    database.constraint().unwrap_or("none"),
                );
                match code.get(..2) {
                    Some("21" | "22" | "23") => Self::Poison(reason),
                    _ if code == "P0001" => Self::Poison(reason),
                    // The author of the view needs the text: it names tables, not people.
                    Some("42") => Self::Transient(format!("{reason}: {}", database.message())),
                    _ => Self::Transient(reason),
                }
            }
            sqlx::Error::RowNotFound => Self::Poison("a row the event speaks of is absent".into()),
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                Self::Poison("a value does not fit its column".into())
            }
            _ => Self::Transient(error.to_string()),
        }
    }
}

impl From<CodecError> for ApplyError {
    fn from(error: CodecError) -> Self {
        Self::Poison(error.to_string())
    }
}

impl From<LogError> for ApplyError {
    /// A log that is down or damaged is no fault of the event.
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Unavailable(_)
            | LogError::Corrupt(_)
            | LogError::ForeignMasterKey
            | LogError::MasterKeyAbsent { .. }
            | LogError::Sql(_) => Self::Transient(error.to_string()),
            LogError::Erased { .. } | LogError::Invalid(_) => Self::Poison(error.to_string()),
            LogError::Codec(codec) => Self::Poison(codec.to_string()),
        }
    }
}

/// Why a runner gave up. Everything else it waits out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{view} holds events that the log of {service} has lost: it must be built anew")]
    Stale { view: String, service: &'static str },
}
