//! Laws that hold for any history, and the stored form of every event ever released.
#![expect(
    clippy::expect_used,
    reason = "tests: clippy.toml knows only functions marked as such, not their helpers"
)]

mod golden;
mod laws;
