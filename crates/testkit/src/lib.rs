//! Real servers for tests: PostgreSQL and NATS as children of the test process, and services in it.

pub mod log;
pub mod nats;
pub mod node;
pub mod postgres;

pub use log::record;
pub use nats::Nats;
pub use node::{Caller, Door, Ground};
pub use postgres::{Database, Postgres};
