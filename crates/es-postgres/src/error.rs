use std::sync::Arc;

use es::{CodecError, Rejection, Subject};

/// Why the log could not do what was asked, whatever was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No connection, a restart, a time-out: trying again later is right.
    #[error("event log is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is not what was written, or cannot be read with this master key.
    #[error("event log is corrupt: {0}")]
    Corrupt(String),
    /// The personal data of this log is under another one: nothing was read or written with it.
    #[error("the master key is not the one that the personal data of this database is under")]
    ForeignMasterKey,
    /// A data key names a master key that this process does not have (yet).
    #[error("master key {master} is needed and not here")]
    MasterKeyAbsent { master: String },
    /// Nothing more can be recorded about somebody whose key was destroyed.
    #[error("personal data of {subject} was erased")]
    Erased { subject: Subject },
    #[error("not an event: {0}")]
    Invalid(&'static str),
    #[error("event cannot be encoded or decoded")]
    Codec(#[source] Arc<CodecError>),
    #[error("statement failed")]
    Sql(#[source] Arc<sqlx::Error>),
}

impl LogError {
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::MasterKeyAbsent { .. })
    }
}

impl From<sqlx::Error> for LogError {
    fn from(error: sqlx::Error) -> Self {
        if is_transient(&error) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Sql(Arc::new(error))
        }
    }
}

impl From<CodecError> for LogError {
    fn from(error: CodecError) -> Self {
        Self::Codec(Arc::new(error))
    }
}

/// Whether the same statement may succeed a moment later, on this connection or another.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(fault) => fault.code().is_some_and(|code| {
            let class = code.get(..2).unwrap_or_default();
            // 08 connection, 53 resources, 57 shutdown and cancel.
            matches!(class, "08" | "53" | "57")
                // serialization, deadlock, idle transaction ended, standby, lock time-out
                || matches!(code.as_ref(), "40001" | "40P01" | "25P03" | "25006" | "55P03")
        }),
        _ => false,
    }
}

/// Why one append was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    #[error("stream is at version {current}")]
    Conflict { current: i64 },
    #[error("{kind} is taken")]
    Taken { kind: String },
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a command was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExecuteError<R: Rejection> {
    #[error(transparent)]
    Rejected(R),
    /// The caller named a version, and the aggregate has moved on.
    #[error("stale version: now {current}")]
    Stale { current: i64 },
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Another stream holds a name that this command would take.
    #[error("{kind} is taken")]
    Taken { kind: String },
    #[error(transparent)]
    Log(LogError),
}

// Not `#[from]`: a rejection could be a LogError as far as the compiler knows.
impl<R: Rejection> From<LogError> for ExecuteError<R> {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}
