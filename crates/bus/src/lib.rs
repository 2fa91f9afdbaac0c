//! The wire between services: NATS JetStream as doorbell and courier, never as the truth.
//!
//! Each service's log is relayed to one stream, in position order, as CloudEvents; other services
//! follow it as a [`Source`](es_postgres::projection::Source) of their views and reactions. What
//! NATS loses is published again from the log, and what a reader misses it asks the owner for.
//!
//! Knows nothing of gRPC: how a reader asks the owner is given to it.

mod cloud_event;
mod connect;
mod foreign;
mod headers;
mod relay;
mod stream;
mod subjects;
mod subscription;

pub use cloud_event::{Envelope, FormatError, from_message, to_headers};
pub use connect::{ConnectError, connect, instance, jetstream};
pub use foreign::{Fetch, Fetched, Foreign, Pages};
pub use headers::{Form, HEADERS, Header};
pub use relay::run_relay;
pub use subjects::{all_subjects, data_schema, source, subject};
