//! Planning's word that what was to be done about the accounts of a hand-over has followed them.

use es::{Aggregate, Never};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The aggregate; its id is that of the transfer.
pub enum HandOver {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// The open tasks of all accounts of a hand-over have followed them.
    #[serde(rename = "hand_over.confirmed")]
    Confirmed(Confirmed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    pub tasks_reassigned: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    confirmed: bool,
}

impl Aggregate for HandOver {
    type State = State;
    type Command = Confirmed;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "hand_over";

    fn decide(state: &State, confirmed: Confirmed) -> Result<Vec<Event>, Never> {
        Ok(if state.confirmed {
            Vec::new()
        } else {
            vec![Event::Confirmed(confirmed)]
        })
    }

    fn evolve(_: State, event: &Event) -> State {
        match event {
            Event::Confirmed(_) => State { confirmed: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    #[test]
    fn it_is_confirmed_once() {
        let confirm = |tasks_reassigned| Confirmed { tasks_reassigned };
        given::<HandOver>([])
            .when(confirm(47))
            .then([Event::Confirmed(confirm(47))]);
        given::<HandOver>([Event::Confirmed(confirm(47))])
            .when(confirm(48))
            .then_nothing();
    }
}
