//! Tests that talk only gRPC, NATS and the command line, to the real binary with its own
//! PostgreSQL and NATS.

mod apart;
mod architecture;
mod bad_input;
mod bench;
mod campaign;
mod consumer;
mod erasure;
mod faults;
mod lifecycle;
mod log_tools;
mod rebuild;
mod replicas;
mod restore;
mod rights;
mod scenarios;
mod telemetry;
mod trace;
mod visibility;
