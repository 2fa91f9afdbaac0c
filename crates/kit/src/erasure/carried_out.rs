//! What a service has destroyed for one person. Every service records it in its own log.

use es::{Aggregate, CodecError, Never, Recorded, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::AccountId;

/// The aggregate; its stream is `erasure-<PersonId>`.
pub enum Erasure {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// This service has destroyed what it had of a person, and its views have taken it out.
    #[serde(rename = "erasure.carried_out")]
    CarriedOut(CarriedOut),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CarriedOut {
    /// Where the person is.
    pub account_id: AccountId,
    /// The person, and the account when that is the person too.
    pub subjects: Vec<Subject>,
    /// How many keys of theirs the service had.
    pub keys: i64,
    /// How many texts about them and others were closed by it.
    pub texts: i64,
}

impl CarriedOut {
    /// `None` for any other event.
    pub fn read(event: &Recorded) -> Result<Option<Self>, CodecError> {
        if event.event_type == "erasure.carried_out" {
            event.fields().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The subjects as views keep them.
    pub fn subjects(&self) -> Vec<String> {
        self.subjects.iter().map(ToString::to_string).collect()
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    done: bool,
}

impl Aggregate for Erasure {
    type State = State;
    type Command = CarriedOut;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "erasure";

    fn decide(state: &State, done: CarriedOut) -> Result<Vec<Event>, Never> {
        Ok(if state.done {
            Vec::new()
        } else {
            vec![Event::CarriedOut(done)]
        })
    }

    fn evolve(_state: State, event: &Event) -> State {
        match event {
            Event::CarriedOut(_) => State { done: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use es::{decode, spec::given};

    use super::*;

    const GOLDEN: &str = include_str!("../../tests/golden/erasure.carried_out.v1.json");

    #[test]
    fn a_person_is_erased_once() {
        let stored = decode::<Erasure>("erasure.carried_out", 1, GOLDEN.as_bytes());
        let Event::CarriedOut(done) = stored.unwrap();
        let carried_out = Event::CarriedOut(done.clone());
        given::<Erasure>([])
            .when(done.clone())
            .then([carried_out.clone()]);
        let found_later = CarriedOut { keys: 7, ..done };
        given::<Erasure>([carried_out])
            .when(found_later)
            .then_nothing();
    }
}
