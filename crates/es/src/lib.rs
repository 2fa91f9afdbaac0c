//! The pure half of event sourcing: what an aggregate is, what an event looks like in the log, how
//! personal data is marked, and the given/when/then language of tests.
//!
//! Knows nothing of databases, networks, clocks or randomness: time and ids come in with commands.

mod aggregate;
mod codec;
mod envelope;
pub mod golden;
pub mod personal;
#[cfg(test)]
mod sample;
mod schema;
pub mod spec;

pub use aggregate::{Aggregate, Kind, Never, Rejection, Reservation, Violation};
pub use codec::{CodecError, Encoded, Fields, Upcaster, decode, encode};
pub use envelope::{Actor, Metadata, Recorded, StoredMetadata, StreamId};
pub use personal::{Personal, Subject};
