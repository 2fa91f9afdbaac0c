//! A list of prospects for telesales: which prospects, and who calls them. Prospects are put on it
//! one by one, or are on it by what is written on their cards.

use std::collections::BTreeSet;

use es::{Aggregate, Kind, Reservation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, GroupId, StaffId};

/// Marker of the aggregate.
pub enum ProspectList {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// There is a new list of prospects.
    #[serde(rename = "prospect_list.created")]
    Created(Created),
    /// A list has another name, other criteria or other callers.
    #[serde(rename = "prospect_list.changed")]
    Changed(Changed),
    /// Prospects were put at the end of a list.
    #[serde(rename = "prospect_list.members_added")]
    MembersAdded(Members),
    /// Prospects were taken off a list.
    #[serde(rename = "prospect_list.members_removed")]
    MembersRemoved(Members),
    /// Nobody is given anything of a list any more.
    #[serde(rename = "prospect_list.closed")]
    Closed(Closed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub name: String,
    /// Absent: a list of members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Criteria>,
    pub callers: Callers,
}

/// What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Criteria>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<Callers>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// In the order in which they are called.
    pub account_ids: Vec<AccountId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    pub reason: String,
}

/// What the cards on the list say; empty: anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Criteria {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub city: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub industry: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// Key of the catalogue.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// Who calls the prospects of a list: these and the members of these groups and of those below;
/// everybody who sells where nobody is named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Callers {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff_ids: Vec<StaffId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_ids: Vec<GroupId>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    #[default]
    Unknown,
    Open(Box<Open>),
    Closed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub name: String,
    pub criteria: Option<Criteria>,
    pub callers: Callers,
    pub members: BTreeSet<AccountId>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Create(Created),
    Change(Changed),
    Add { account_ids: Vec<AccountId> },
    Remove { account_ids: Vec<AccountId> },
    Close { reason: String },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such list of prospects")]
    Unknown,
    #[error("this list of prospects is there already")]
    Exists,
    #[error("this list of prospects is closed")]
    Closed,
    #[error("prospects are on this list by what is written on their cards")]
    ByCriteria,
    #[error("prospects are put on this list one by one")]
    ByMembers,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
            Self::Closed | Self::ByCriteria | Self::ByMembers => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "LIST_UNKNOWN",
            Self::Exists => "LIST_EXISTS",
            Self::Closed => "LIST_CLOSED",
            Self::ByCriteria => "LIST_BY_CRITERIA",
            Self::ByMembers => "LIST_BY_MEMBERS",
        }
    }
}

impl Aggregate for ProspectList {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "prospect_list";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            (State::Unknown, Command::Create(created)) => Ok(vec![Event::Created(created)]),
            (State::Unknown, _) => Err(Rejection::Unknown),
            (State::Open(_) | State::Closed, Command::Create(_)) => Err(Rejection::Exists),
            (State::Closed, Command::Close { .. }) => Ok(Vec::new()),
            (State::Closed, _) => Err(Rejection::Closed),
            (State::Open(now), Command::Change(changes)) => change(now, changes),
            (State::Open(now), Command::Add { account_ids }) if now.criteria.is_none() => {
                let new = |id: &AccountId| !now.members.contains(id);
                Ok(members(account_ids, new, Event::MembersAdded))
            }
            (State::Open(now), Command::Remove { account_ids }) if now.criteria.is_none() => {
                let there = |id: &AccountId| now.members.contains(id);
                Ok(members(account_ids, there, Event::MembersRemoved))
            }
            (State::Open(_), Command::Add { .. } | Command::Remove { .. }) => {
                Err(Rejection::ByCriteria)
            }
            (State::Open(_), Command::Close { reason }) => {
                Ok(vec![Event::Closed(Closed { reason })])
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (_, Event::Created(created)) => State::Open(Box::new(Open {
                name: created.name.clone(),
                criteria: created.criteria.clone(),
                callers: created.callers.clone(),
                members: BTreeSet::new(),
            })),
            (State::Open(now), Event::Changed(changed)) => {
                State::Open(Box::new(now.changed_by(changed)))
            }
            (State::Open(mut now), Event::MembersAdded(added)) => {
                now.members.extend(&added.account_ids);
                State::Open(now)
            }
            (State::Open(mut now), Event::MembersRemoved(removed)) => {
                for id in &removed.account_ids {
                    now.members.remove(id);
                }
                State::Open(now)
            }
            (State::Open(_), Event::Closed(_)) => State::Closed,
            (
                state @ (State::Unknown | State::Closed),
                Event::Changed(_)
                | Event::MembersAdded(_)
                | Event::MembersRemoved(_)
                | Event::Closed(_),
            ) => state,
        }
    }

    /// Two open lists of one name would be taken for each other.
    fn reservations(event: &Event) -> Vec<Reservation> {
        let take = |name: &str| Reservation::Take {
            kind: "list",
            name: vocabulary::normalise(name).to_lowercase(),
        };
        let give_back = || Reservation::ReleaseAll { kind: "list" };
        match event {
            Event::Created(created) => vec![take(&created.name)],
            Event::Changed(changed) => match &changed.name {
                Some(name) => vec![give_back(), take(name)],
                None => Vec::new(),
            },
            Event::Closed(_) => vec![give_back()],
            Event::MembersAdded(_) | Event::MembersRemoved(_) => Vec::new(),
        }
    }
}

impl Open {
    fn changed_by(self, changed: &Changed) -> Self {
        Self {
            name: changed.name.clone().unwrap_or(self.name),
            criteria: changed.criteria.clone().or(self.criteria),
            callers: changed.callers.clone().unwrap_or(self.callers),
            members: self.members,
        }
    }
}

fn change(now: &Open, changes: Changed) -> Result<Vec<Event>, Rejection> {
    if changes.criteria.is_some() && now.criteria.is_none() {
        return Err(Rejection::ByMembers);
    }
    let differing = Changed {
        name: changes.name.filter(|name| *name != now.name),
        criteria: changes
            .criteria
            .filter(|criteria| now.criteria.as_ref() != Some(criteria)),
        callers: changes.callers.filter(|callers| *callers != now.callers),
    };
    if differing == Changed::default() {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Changed(differing)])
}

/// Each once, in the order given.
fn members(
    account_ids: Vec<AccountId>,
    differs: impl Fn(&AccountId) -> bool,
    event: impl Fn(Members) -> Event,
) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    let account_ids: Vec<_> = account_ids
        .into_iter()
        .filter(|id| differs(id) && seen.insert(*id))
        .collect();
    if account_ids.is_empty() {
        return Vec::new();
    }
    vec![event(Members { account_ids })]
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn created(criteria: Option<Criteria>) -> Created {
        Created {
            name: "Миасс, стройка".to_owned(),
            criteria,
            callers: Callers {
                staff_ids: vec![StaffId::of_external("s-13")],
                group_ids: Vec::new(),
            },
        }
    }

    fn of_miass() -> Criteria {
        Criteria {
            city: "Миасс".to_owned(),
            ..Criteria::default()
        }
    }

    fn ids(names: &[&str]) -> Vec<AccountId> {
        names
            .iter()
            .map(|name| AccountId::of_external(name))
            .collect()
    }

    fn added(names: &[&str]) -> Event {
        Event::MembersAdded(Members {
            account_ids: ids(names),
        })
    }

    fn add(names: &[&str]) -> Command {
        Command::Add {
            account_ids: ids(names),
        }
    }

    #[test]
    fn members_are_on_a_list_once_and_in_order() {
        given::<ProspectList>([])
            .when(add(&["b"]))
            .then_rejected(Rejection::Unknown);
        given::<ProspectList>([])
            .when(Command::Create(created(None)))
            .then([Event::Created(created(None))]);
        given::<ProspectList>([Event::Created(created(None)), added(&["b"])])
            .when(add(&["c", "b", "a", "c"]))
            .then([added(&["c", "a"])]);
        given::<ProspectList>([Event::Created(created(None)), added(&["b", "a"])])
            .when(Command::Remove {
                account_ids: ids(&["a", "d"]),
            })
            .then([Event::MembersRemoved(Members {
                account_ids: ids(&["a"]),
            })]);
    }

    #[test]
    fn a_list_is_by_members_or_by_criteria() {
        given::<ProspectList>([Event::Created(created(Some(of_miass())))])
            .when(add(&["a"]))
            .then_rejected(Rejection::ByCriteria);
        let change = |criteria| {
            Command::Change(Changed {
                criteria: Some(criteria),
                ..Changed::default()
            })
        };
        given::<ProspectList>([Event::Created(created(None))])
            .when(change(of_miass()))
            .then_rejected(Rejection::ByMembers);
        given::<ProspectList>([Event::Created(created(Some(of_miass())))])
            .when(change(of_miass()))
            .then_nothing();
        given::<ProspectList>([Event::Created(created(Some(of_miass())))])
            .when(change(Criteria::default()))
            .then([Event::Changed(Changed {
                criteria: Some(Criteria::default()),
                ..Changed::default()
            })]);
    }

    #[test]
    fn a_closed_list_stays_closed() {
        let close = || Command::Close {
            reason: "обзвонили".to_owned(),
        };
        let closed = || {
            Event::Closed(Closed {
                reason: "обзвонили".to_owned(),
            })
        };
        given::<ProspectList>([Event::Created(created(None))])
            .when(close())
            .then([closed()]);
        given::<ProspectList>([Event::Created(created(None)), closed()])
            .when(close())
            .then_nothing();
        given::<ProspectList>([Event::Created(created(None)), closed()])
            .when(add(&["a"]))
            .then_rejected(Rejection::Closed);
        let give_back = Reservation::ReleaseAll { kind: "list" };
        assert_eq!(ProspectList::reservations(&closed()), [give_back]);
    }
}
