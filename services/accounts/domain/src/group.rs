//! A group of the sales department: a name, a head, a group above.

use es::{Aggregate, Kind, Reservation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupId, StaffId};

/// Marker of the aggregate.
pub enum SalesGroup {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A group of the sales department was formed.
    #[serde(rename = "group.formed")]
    Formed(Formed),
    /// A group got its head.
    #[serde(rename = "group.head_appointed")]
    HeadAppointed(HeadAppointed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Formed {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<GroupId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeadAppointed {
    pub head_id: StaffId,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub formed: bool,
    pub head_id: Option<StaffId>,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// The group above is there already, so the tree has no circles.
    Form {
        name: String,
        parent_id: Option<GroupId>,
    },
    AppointHead {
        head_id: StaffId,
    },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such group")]
    Unknown,
    #[error("a group of this name is there already")]
    Exists,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "GROUP_UNKNOWN",
            Self::Exists => "GROUP_EXISTS",
        }
    }
}

/// Two names are of one group when this is the same.
pub fn name_key(name: &str) -> String {
    vocabulary::normalise(name).to_lowercase()
}

/// Staff files know groups by name only, so the id follows from it.
pub fn id_of(name: &str) -> GroupId {
    GroupId::of_external(&name_key(name))
}

impl Aggregate for SalesGroup {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "group";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Form { .. } if state.formed => Err(Rejection::Exists),
            Command::Form { name, parent_id } => {
                Ok(vec![Event::Formed(Formed { name, parent_id })])
            }
            Command::AppointHead { .. } if !state.formed => Err(Rejection::Unknown),
            Command::AppointHead { head_id } if state.head_id == Some(head_id) => Ok(Vec::new()),
            Command::AppointHead { head_id } => {
                Ok(vec![Event::HeadAppointed(HeadAppointed { head_id })])
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Formed(_) => State {
                formed: true,
                ..state
            },
            Event::HeadAppointed(appointed) => State {
                head_id: Some(appointed.head_id),
                ..state
            },
        }
    }

    fn reservations(event: &Event) -> Vec<Reservation> {
        match event {
            Event::Formed(formed) => vec![Reservation::Take {
                kind: "group_name",
                name: name_key(&formed.name),
            }],
            Event::HeadAppointed(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn form() -> Command {
        Command::Form {
            name: "Группа А".to_owned(),
            parent_id: None,
        }
    }

    fn formed() -> Event {
        Event::Formed(Formed {
            name: "Группа А".to_owned(),
            parent_id: None,
        })
    }

    fn appoint(external_id: &str) -> Command {
        Command::AppointHead {
            head_id: StaffId::of_external(external_id),
        }
    }

    fn appointed(external_id: &str) -> Event {
        Event::HeadAppointed(HeadAppointed {
            head_id: StaffId::of_external(external_id),
        })
    }

    #[test]
    fn a_name_is_one_group() {
        given::<SalesGroup>([]).when(form()).then([formed()]);
        given::<SalesGroup>([formed()])
            .when(form())
            .then_rejected(Rejection::Exists);
        assert_eq!(id_of(" группа а "), id_of("Группа А"));
        assert_eq!(
            SalesGroup::reservations(&formed()),
            [Reservation::Take {
                kind: "group_name",
                name: "группа а".to_owned()
            }]
        );
    }

    #[test]
    fn one_head_at_a_time() {
        given::<SalesGroup>([])
            .when(appoint("s-10"))
            .then_rejected(Rejection::Unknown);
        given::<SalesGroup>([formed()])
            .when(appoint("s-10"))
            .then([appointed("s-10")]);
        given::<SalesGroup>([formed(), appointed("s-10")])
            .when(appoint("s-10"))
            .then_nothing();
        given::<SalesGroup>([formed(), appointed("s-10")])
            .when(appoint("s-20"))
            .then([appointed("s-20")]);
    }
}
