//! What contacts decides: who can be talked to at an account, and what was said.
//!
//! Pure: the time, new ids and whatever is known of other services come in with the commands.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod interaction;
pub mod person;

pub use interaction::Interaction;
pub use person::Person;

use es::Subject;
use vocabulary::{AccountId, PersonId};

/// Whose key closes free text: the person's it is about, or the company's when none is named.
fn subject(person_id: Option<PersonId>, account_id: AccountId) -> Subject {
    match person_id {
        Some(person) => Subject::new("person", person.0),
        None => Subject::new("account", account_id.0),
    }
}
