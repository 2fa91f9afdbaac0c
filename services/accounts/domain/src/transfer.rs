//! A hand-over of many accounts: who gets which is decided whole before the first one is moved, so
//! that one that broke off goes on as it was meant. The accounts themselves are moved one by one,
//! each by a command of its own; this says how far that is.

pub mod plan;

use std::collections::BTreeSet;

use es::{Aggregate, Kind, Personal, Subject, Upcaster};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, StaffId, TransferId};

use crate::staff;

/// Marker of the aggregate.
pub enum Transfer {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Who hands which accounts to whom.
    #[serde(rename = "transfer.started")]
    Started(Started),
    /// The next accounts of the plan were moved, or could not be.
    #[serde(rename = "transfer.advanced")]
    Advanced(Advanced),
    /// All accounts are moved, and planning has confirmed that their tasks have followed.
    #[serde(rename = "transfer.completed")]
    Completed(Completed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// Absent: accounts were named one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_owner_id: Option<StaffId>,
    /// Of the hand-over as a whole: under the key of whoever hands over, or, where several do, under
    /// one of its own. Each account has it under its own key.
    pub reason: Personal<String>,
    pub parts: Vec<Part>,
    /// What was asked for and is not moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// What one owner hands to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    pub from_owner_id: StaffId,
    pub to_owner_id: StaffId,
    pub account_ids: Vec<AccountId>,
}

/// An account that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    pub account_id: AccountId,
    /// The stable tag of the refusal.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advanced {
    pub moved: Vec<AccountId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// Accounts of the plan that come after these.
    pub left: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    pub moved: u64,
    pub kept: u64,
    /// As planning has counted them.
    pub tasks_reassigned: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub plan: Option<Started>,
    /// How many accounts of the plan are dealt with: moved or kept.
    pub handled: u64,
    pub moved: u64,
    /// From the beginning and on the way.
    pub kept: Vec<Kept>,
    pub completed: Option<Completed>,
}

/// An account of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub account_id: AccountId,
    pub from: StaffId,
    pub to: StaffId,
}

/// Whose key the reason of a hand-over is under. Where several hand over it is about none of them
/// more than about the others, and they may be too many for a text that each of them closes.
pub fn subject(id: TransferId, parts: &[Part]) -> Subject {
    let mut owners = parts.iter().map(|part| part.from_owner_id);
    match owners.next() {
        Some(first) if owners.all(|other| other == first) => staff::subject(first),
        _ => Subject::new(Transfer::CATEGORY, id.0),
    }
}

impl Started {
    pub fn planned(&self) -> u64 {
        let counts = self.parts.iter().map(|part| part.account_ids.len() as u64);
        counts.sum()
    }

    pub fn moves(&self) -> impl Iterator<Item = Move> {
        self.parts.iter().flat_map(|part| {
            part.account_ids.iter().map(|id| Move {
                account_id: *id,
                from: part.from_owner_id,
                to: part.to_owner_id,
            })
        })
    }
}

impl State {
    pub fn planned(&self) -> u64 {
        self.plan.as_ref().map_or(0, Started::planned)
    }

    pub fn left(&self) -> u64 {
        self.planned().saturating_sub(self.handled)
    }

    /// What is to be moved next, at most so many.
    pub fn next(&self, limit: usize) -> Vec<Move> {
        let done = usize::try_from(self.handled).unwrap_or(usize::MAX);
        let plan = self.plan.iter().flat_map(Started::moves);
        plan.skip(done).take(limit).collect()
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Start(Started),
    Advance {
        /// How many accounts were dealt with before these.
        after: u64,
        moved: Vec<AccountId>,
        kept: Vec<Kept>,
    },
    Complete {
        tasks_reassigned: u64,
    },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("this hand-over is there already")]
    Exists,
    #[error("there is no such hand-over")]
    Unknown,
    #[error("the hand-over has accounts to move still")]
    Unfinished,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists => Kind::AlreadyExists,
            Self::Unknown => Kind::NotFound,
            Self::Unfinished => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Exists => "TRANSFER_EXISTS",
            Self::Unknown => "TRANSFER_UNKNOWN",
            Self::Unfinished => "TRANSFER_UNFINISHED",
        }
    }
}

impl Aggregate for Transfer {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "transfer";

    const UPCASTERS: &'static [Upcaster] = &[Upcaster::plain_reason("transfer.started")];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (&state.plan, command) {
            (Some(_), Command::Start(_)) => Err(Rejection::Exists),
            // Whatever was asked for is so already, or cannot be.
            (None, Command::Start(plan)) if plan.planned() == 0 => Ok(Vec::new()),
            (None, Command::Start(plan)) => Ok(vec![Event::Started(plan)]),
            (None, Command::Advance { .. } | Command::Complete { .. }) => Err(Rejection::Unknown),
            (Some(_), Command::Advance { after, moved, kept }) => {
                Ok(advance(state, after, moved, kept))
            }
            (Some(_), Command::Complete { .. }) if state.left() > 0 => Err(Rejection::Unfinished),
            (Some(_), Command::Complete { .. }) if state.completed.is_some() => Ok(Vec::new()),
            (Some(plan), Command::Complete { tasks_reassigned }) => {
                Ok(vec![Event::Completed(Completed {
                    moved: state.moved,
                    kept: plan.planned().saturating_sub(state.moved),
                    tasks_reassigned,
                })])
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Started(plan) => State {
                kept: plan.kept.clone(),
                plan: Some(plan.clone()),
                ..state
            },
            Event::Advanced(advanced) => {
                let (moved, kept) = (advanced.moved.len(), advanced.kept.len());
                State {
                    handled: state.handled + (moved + kept) as u64,
                    moved: state.moved + moved as u64,
                    kept: [state.kept, advanced.kept.clone()].concat(),
                    ..state
                }
            }
            Event::Completed(completed) => State {
                completed: Some(completed.clone()),
                ..state
            },
        }
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::Started(_) => 2,
            Event::Advanced(_) | Event::Completed(_) => 1,
        }
    }
}

/// Only from where it is, and only what comes next: whoever is late has nothing to add.
fn advance(state: &State, after: u64, moved: Vec<AccountId>, kept: Vec<Kept>) -> Vec<Event> {
    let handled = (moved.len() + kept.len()) as u64;
    if after != state.handled || handled == 0 || handled > state.left() {
        return Vec::new();
    }
    let next = state.next(moved.len() + kept.len()).into_iter();
    let next: BTreeSet<_> = next.map(|one| one.account_id).collect();
    let kept_ids = kept.iter().map(|one| one.account_id);
    let done: BTreeSet<_> = moved.iter().copied().chain(kept_ids).collect();
    if done != next {
        return Vec::new();
    }
    let left = state.left() - handled;
    vec![Event::Advanced(Advanced { moved, kept, left })]
}

#[cfg(test)]
mod tests;
