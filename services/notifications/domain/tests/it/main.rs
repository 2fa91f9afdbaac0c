//! Laws that hold for every history, and the stored form of every event ever released.
#![cfg(test)]

mod golden;
mod laws;
mod webhook_laws;
