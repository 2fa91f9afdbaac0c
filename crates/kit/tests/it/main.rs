//! Two services in one process, on a real PostgreSQL and a real NATS.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod log;
mod office;
mod runtime;
