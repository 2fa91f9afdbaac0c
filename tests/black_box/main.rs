//! Tests that talk only gRPC, NATS and the command line, to the real binary with its own
//! PostgreSQL and NATS.

mod apart;
mod architecture;
mod bad_input;
mod bench;
mod campaign;
mod cards;
mod companies;
mod consumer;
mod deals;
mod documents;
mod erasure;
mod faults;
mod handover;
mod imports;
mod lifecycle;
mod log_tools;
mod orders;
mod prospects;
mod rebuild;
mod records;
mod replicas;
mod restore;
mod rights;
mod saved_views;
mod scenarios;
mod search;
mod staff;
mod telemetry;
mod trace;
mod visibility;
mod webhooks;
