//! Laws that hold for every history, and the stored form of every event ever released.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod golden;
mod laws;
