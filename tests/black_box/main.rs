//! Tests that talk only gRPC, NATS and the command line, to the real binary with its own
//! PostgreSQL and NATS.

mod architecture;
mod bad_input;
mod bench;
mod campaign;
mod faults;
mod lifecycle;
mod prospects;
mod rights;
mod scenarios;
mod telemetry;
mod trace;
