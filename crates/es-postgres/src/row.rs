use chrono::{DateTime, Utc};
use es::{Recorded, StoredMetadata, StreamId};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    LogError,
    chain::{Hash, Link},
};

/// Events out of a function, in the order of columns that [`Row::read`] takes.
macro_rules! select_events {
    ($from:literal) => {
        concat!(
            "select position, event_id, stream, version, type, schema_version, occurred_at, \
             recorded_at, request_id, metadata, payload, hash from ",
            $from
        )
    };
}
pub(crate) use select_events;

/// The same from the log, each with where the log stands: one statement, so one moment.
macro_rules! select_page {
    () => {
        "select position, event_id, stream, version, type, schema_version, occurred_at, \
         recorded_at, request_id, metadata, payload, hash, epoch, head \
         from (select epoch, position as head from log.head order by position desc limit 1) as now \
         left join log.read($1, $2) on true order by position"
    };
}
pub(crate) use select_page;

/// An event exactly as stored.
pub(crate) struct Row {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) stream: String,
    pub(crate) version: i64,
    pub(crate) event_type: String,
    pub(crate) schema_version: i16,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Row {
    pub(crate) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: row.try_get(0)?,
            event_id: row.try_get(1)?,
            stream: row.try_get(2)?,
            version: row.try_get(3)?,
            event_type: row.try_get(4)?,
            schema_version: row.try_get(5)?,
            occurred_at: row.try_get(6)?,
            recorded_at: row.try_get(7)?,
            request_id: row.try_get(8)?,
            metadata: row.try_get(9)?,
            payload: row.try_get(10)?,
            hash: row.try_get(11)?,
        })
    }

    pub(crate) fn link(&self) -> Link<'_> {
        Link {
            position: self.position,
            event_id: self.event_id,
            stream: &self.stream,
            version: self.version,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            request_id: self.request_id,
            metadata: &self.metadata,
            payload: &self.payload,
        }
    }

    pub(crate) fn recorded(self) -> Result<Recorded, LogError> {
        let position = self.position;
        let corrupt = |what: &str| LogError::Corrupt(format!("{what} at position {position}"));
        Ok(Recorded {
            position,
            event_id: self.event_id,
            stream: StreamId::parse(&self.stream).ok_or_else(|| corrupt("stream name"))?,
            version: self.version,
            event_type: self.event_type,
            schema_version: u16::try_from(self.schema_version)
                .map_err(|_| corrupt("schema version"))?,
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            request_id: self.request_id,
            metadata: StoredMetadata::parse(self.metadata).map_err(|_| corrupt("metadata"))?,
            payload: self.payload,
            hash: Hash::try_from(self.hash.as_slice()).map_err(|_| corrupt("hash"))?,
        })
    }
}
