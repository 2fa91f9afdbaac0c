//! The notifications service as its callers see it: real PostgreSQL, real NATS, gRPC over a
//! socket. What planning and accounts would say is written into their logs by hand.
#![cfg(test)]

mod deliveries;
mod ledger;
mod office;
