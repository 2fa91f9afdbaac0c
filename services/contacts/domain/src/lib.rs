//! What contacts decides: who can be talked to at an account, what was said, and who is forgotten.
//!
//! Pure: the time, new ids and whatever is known of other services come in with the commands.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod data_subject;
pub mod interaction;
pub mod person;

pub use data_subject::DataSubject;
pub use interaction::Interaction;
pub use person::Person;
