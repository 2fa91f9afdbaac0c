//! What a reminder is and when it may be scheduled, delivered and acknowledged. Decides and does
//! nothing else: who is connected and what time it is comes in with the commands.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod reminder;

pub use reminder::Reminder;
