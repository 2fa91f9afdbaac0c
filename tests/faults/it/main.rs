//! Faults against the real parts. Each property has a control beside it that fails without the
//! protection.

mod bus;
mod concurrency;
mod controls;
mod deliveries;
mod kill_sweep;
mod lost_replies;
mod network;
mod postgres;
