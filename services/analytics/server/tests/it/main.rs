//! The analytics service as its callers see it: real PostgreSQL, real NATS, gRPC over a socket.
//! What accounts and contacts would say is written into their logs by hand.
#![cfg(test)]

mod office;
mod rights;
mod scorecards;
