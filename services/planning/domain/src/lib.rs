//! Decides what may be promised, to be done by whom and when. Pure: who is active, what the time
//! is and which id is new come in with the commands.

// A new event must be looked at everywhere: no arm may swallow it.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod data_entry;
pub mod hand_over;
pub mod task;

pub use data_entry::DataEntry;
pub use hand_over::HandOver;
pub use task::Task;
