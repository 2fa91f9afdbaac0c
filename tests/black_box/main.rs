//! Tests that talk only gRPC, NATS and the command line, to the real binary with its own
//! PostgreSQL and NATS.

mod architecture;
mod bad_input;
mod bench;
mod campaign;
mod cards;
mod faults;
mod lifecycle;
mod rights;
mod scenarios;
mod telemetry;
mod trace;
