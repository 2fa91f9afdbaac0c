//! Real servers for tests: PostgreSQL and NATS as children of the test process.

pub mod nats;
pub mod postgres;

pub use nats::Nats;
pub use postgres::{Database, Postgres};
