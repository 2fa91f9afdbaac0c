//! What the office has decided about itself: rules that an administrator can turn.

use es::{Aggregate, Kind, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::derived_id;

/// Marker of the aggregate.
pub enum Policy {}

/// There is one for the whole office.
pub fn id() -> Uuid {
    derived_id("policy", "office")
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// An administrator has turned some rules; those that are absent stay.
    #[serde(rename = "policy.changed")]
    Changed(Changed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Managers do not change names, telephones and addresses: operators do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_data_by_operator_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual_reading: Option<UnusualReading>,
    pub reason: String,
}

/// More different cards a day than both of these is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnusualReading {
    pub at_least: u32,
    /// As many times what this member of staff usually opens.
    pub times_usual: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub personal_data_by_operator_only: bool,
    pub unusual_reading: UnusualReading,
}

/// As an office begins.
impl Default for State {
    fn default() -> Self {
        Self {
            personal_data_by_operator_only: true,
            unusual_reading: UnusualReading {
                at_least: 50,
                times_usual: 3,
            },
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Change(Changed),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("rules cannot be turned so")]
    Invalid(Vec<Violation>),
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "POLICY_INVALID",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
        }
    }
}

impl Aggregate for Policy {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "policy";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        let Command::Change(wanted) = command;
        let faults = faults(&wanted);
        if !faults.is_empty() {
            return Err(Rejection::Invalid(faults));
        }
        let changed = Changed {
            personal_data_by_operator_only: wanted
                .personal_data_by_operator_only
                .filter(|only| *only != state.personal_data_by_operator_only),
            unusual_reading: wanted
                .unusual_reading
                .filter(|unusual| *unusual != state.unusual_reading),
            reason: wanted.reason,
        };
        Ok(match changed {
            Changed {
                personal_data_by_operator_only: None,
                unusual_reading: None,
                ..
            } => Vec::new(),
            changed => vec![Event::Changed(changed)],
        })
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Changed(changed) => State {
                personal_data_by_operator_only: changed
                    .personal_data_by_operator_only
                    .unwrap_or(state.personal_data_by_operator_only),
                unusual_reading: changed.unusual_reading.unwrap_or(state.unusual_reading),
            },
        }
    }
}

fn faults(wanted: &Changed) -> Vec<Violation> {
    let mut faults = Vec::new();
    if let Some(unusual) = wanted.unusual_reading {
        for (field, value, most) in [
            ("unusual_reading.at_least", unusual.at_least, 10_000),
            ("unusual_reading.times_usual", unusual.times_usual, 100),
        ] {
            if value < 1 || value > most {
                faults.push(Violation::new(field, format!("must be from 1 to {most}")));
            }
        }
    }
    if wanted.reason.trim().is_empty() {
        faults.push(Violation::new("reason", "must say why"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use es::{Rejection as _, spec::given};

    use super::*;

    fn change(only: Option<bool>, unusual: Option<(u32, u32)>) -> Changed {
        Changed {
            personal_data_by_operator_only: only,
            unusual_reading: unusual.map(|(at_least, times_usual)| UnusualReading {
                at_least,
                times_usual,
            }),
            reason: "нет оператора".to_owned(),
        }
    }

    #[test]
    fn an_office_begins_with_operators_for_personal_data() {
        assert!(State::default().personal_data_by_operator_only);
        given::<Policy>([])
            .when(Command::Change(change(Some(true), Some((50, 3)))))
            .then_nothing();
    }

    #[test]
    fn only_what_differs_is_recorded() {
        let managers_too = Event::Changed(change(Some(false), None));
        given::<Policy>([])
            .when(Command::Change(change(Some(false), Some((50, 3)))))
            .then([managers_too.clone()]);
        given::<Policy>([managers_too.clone()])
            .when(Command::Change(change(Some(true), None)))
            .then([Event::Changed(change(Some(true), None))]);
        let state = Policy::fold(&[managers_too, Event::Changed(change(None, Some((20, 2))))]);
        assert!(!state.personal_data_by_operator_only);
        assert_eq!(state.unusual_reading.at_least, 20);
    }

    #[test]
    fn every_fault_is_named() {
        let wanted = Changed {
            reason: " ".to_owned(),
            ..change(None, Some((0, 101)))
        };
        let refused = Policy::decide(&State::default(), Command::Change(wanted)).unwrap_err();
        let faults = refused.violations();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let expected = [
            "unusual_reading.at_least",
            "unusual_reading.times_usual",
            "reason",
        ];
        assert_eq!(fields, expected);
    }
}
