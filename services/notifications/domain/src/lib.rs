//! What a reminder is and when it may be scheduled, delivered and acknowledged; which addresses of
//! integrators are told of which events. Decides and does nothing else: who is connected and what time
//! it is comes in with the commands.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod reminder;
pub mod webhook;

pub use reminder::Reminder;
pub use webhook::Webhook;
