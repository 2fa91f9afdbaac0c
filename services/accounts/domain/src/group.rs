//! A group of the sales department: a name, a head, a group above.

use es::{Aggregate, Kind, Personal, Reservation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupId, StaffId};

use crate::staff;

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
    /// A group got another name.
    #[serde(rename = "group.renamed")]
    Renamed(Renamed),
    /// A group came below another one, or to the top, with all that is below it.
    #[serde(rename = "group.moved")]
    Moved(Moved),
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// Absent: at the top now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<GroupId>,
    /// About the office, not about a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub formed: bool,
    pub name: String,
    pub parent_id: Option<GroupId>,
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
        /// May be empty.
        reason: String,
    },
    Rename {
        name: String,
    },
    Move {
        id: GroupId,
        parent_id: Option<GroupId>,
        /// The new parent and every group above it, as the shell has found them.
        above: Vec<GroupId>,
        /// May be empty.
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such group")]
    Unknown,
    #[error("a group of this name is there already")]
    Exists,
    #[error("the group would stand below itself")]
    Circle,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
            Self::Circle => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "GROUP_UNKNOWN",
            Self::Exists => "GROUP_EXISTS",
            Self::Circle => "GROUP_CIRCLE",
        }
    }
}

/// Two names are of one group when this is the same.
pub fn name_key(name: &str) -> String {
    vocabulary::normalise(name).to_lowercase()
}

/// Staff files know groups by name only, so the id follows from the first one that a group has.
pub fn id_of(name: &str) -> GroupId {
    GroupId::of_external(&name_key(name))
}

/// For a new group of a name that one with this id has given up.
pub fn id_after(former: GroupId) -> GroupId {
    GroupId::of_external(&former.to_string())
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
            Command::AppointHead { .. } | Command::Rename { .. } | Command::Move { .. }
                if !state.formed =>
            {
                Err(Rejection::Unknown)
            }
            Command::AppointHead { head_id, .. } if state.head_id == Some(head_id) => {
                Ok(Vec::new())
            }
            Command::AppointHead { head_id, reason } => {
                let reason = staff::about(head_id, reason);
                Ok(vec![Event::HeadAppointed(HeadAppointed {
                    head_id,
                    reason,
                })])
            }
            Command::Rename { name } if state.name == name => Ok(Vec::new()),
            Command::Rename { name } => Ok(vec![Event::Renamed(Renamed { name })]),
            Command::Move { parent_id, .. } if state.parent_id == parent_id => Ok(Vec::new()),
            Command::Move { id, above, .. } if above.contains(&id) => Err(Rejection::Circle),
            Command::Move {
                parent_id, reason, ..
            } => Ok(vec![Event::Moved(Moved { parent_id, reason })]),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Formed(formed) => State {
                formed: true,
                name: formed.name.clone(),
                parent_id: formed.parent_id,
                ..state
            },
            Event::HeadAppointed(appointed) => State {
                head_id: Some(appointed.head_id),
                ..state
            },
            Event::Renamed(renamed) => State {
                name: renamed.name.clone(),
                ..state
            },
            Event::Moved(moved) => State {
                parent_id: moved.parent_id,
                ..state
            },
        }
    }

    /// A name that a group gives up is free for others.
    fn reservations(event: &Event) -> Vec<Reservation> {
        let take = |name: &str| Reservation::Take {
            kind: "group_name",
            name: name_key(name),
        };
        match event {
            Event::Formed(formed) => vec![take(&formed.name)],
            Event::Renamed(renamed) => {
                let give_back = Reservation::ReleaseAll { kind: "group_name" };
                vec![give_back, take(&renamed.name)]
            }
            Event::HeadAppointed(_) | Event::Moved(_) => Vec::new(),
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
            reason: String::new(),
        }
    }

    fn appointed(external_id: &str) -> Event {
        Event::HeadAppointed(HeadAppointed {
            head_id: StaffId::of_external(external_id),
            reason: None,
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

    fn rename(name: &str) -> Command {
        Command::Rename {
            name: name.to_owned(),
        }
    }

    fn renamed(name: &str) -> Event {
        Event::Renamed(Renamed {
            name: name.to_owned(),
        })
    }

    #[test]
    fn a_former_name_is_free() {
        given::<SalesGroup>([])
            .when(rename("Север"))
            .then_rejected(Rejection::Unknown);
        given::<SalesGroup>([formed()])
            .when(rename("Группа А"))
            .then_nothing();
        given::<SalesGroup>([formed()])
            .when(rename("Север"))
            .then([renamed("Север")]);
        given::<SalesGroup>([formed(), renamed("Север")])
            .when(rename("Группа А"))
            .then([renamed("Группа А")]);
        assert_eq!(
            SalesGroup::reservations(&renamed("Север")),
            [
                Reservation::ReleaseAll { kind: "group_name" },
                Reservation::Take {
                    kind: "group_name",
                    name: "север".to_owned()
                }
            ]
        );
        let first = id_of("Группа А");
        assert_ne!(id_after(first), first);
    }

    /// Of group А, below these, the nearest first.
    fn below(above: &[&str]) -> Command {
        let above: Vec<_> = above.iter().map(|name| id_of(name)).collect();
        Command::Move {
            id: id_of("Группа А"),
            parent_id: above.first().copied(),
            above,
            reason: "новый отдел".to_owned(),
        }
    }

    fn moved(parent: Option<&str>) -> Event {
        Event::Moved(Moved {
            parent_id: parent.map(id_of),
            reason: "новый отдел".to_owned(),
        })
    }

    #[test]
    fn a_group_never_stands_below_itself() {
        given::<SalesGroup>([])
            .when(below(&["Продажи"]))
            .then_rejected(Rejection::Unknown);
        given::<SalesGroup>([formed()])
            .when(below(&[]))
            .then_nothing();
        given::<SalesGroup>([formed()])
            .when(below(&["Продажи", "Дирекция"]))
            .then([moved(Some("Продажи"))]);
        given::<SalesGroup>([formed(), moved(Some("Продажи"))])
            .when(below(&[]))
            .then([moved(None)]);
        for circle in [&["Группа А"][..], &["Север", "Группа А"]] {
            given::<SalesGroup>([formed()])
                .when(below(circle))
                .then_rejected(Rejection::Circle);
        }
    }
}
