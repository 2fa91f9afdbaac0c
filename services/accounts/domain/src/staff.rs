//! A member of staff: comes, changes role and group, leaves. Nobody is ever deleted.

use chrono::NaiveDate;
use es::{Aggregate, Kind, Personal, Reservation, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupId, Role, StaffId};

/// Marker of the aggregate.
pub enum StaffMember {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody started to work here.
    #[serde(rename = "staff.hired")]
    Hired(Hired),
    /// A member of staff became something else.
    #[serde(rename = "staff.role_changed")]
    RoleChanged(RoleChanged),
    /// A member of staff came into a group or left one.
    #[serde(rename = "staff.moved_to_group")]
    MovedToGroup(MovedToGroup),
    /// Login and password of a member of staff were set.
    #[serde(rename = "staff.password_set")]
    PasswordSet(PasswordSet),
    /// A member of staff left.
    #[serde(rename = "staff.dismissed")]
    Dismissed(Dismissed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hired {
    pub external_id: String,
    pub name: Personal<String>,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// Of the telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    pub hired_on: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleChanged {
    pub role: Role,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedToGroup {
    /// Absent: in no group now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordSet {
    pub login: Personal<String>,
    pub password_hash: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dismissed {
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    #[default]
    Unknown,
    Working(Working),
    Dismissed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Working {
    pub role: Role,
    pub group_id: Option<GroupId>,
    pub credentials: Option<PasswordSet>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Hire(Newcomer),
    ChangeRole {
        role: Role,
        reason: String,
    },
    MoveToGroup {
        group_id: Option<GroupId>,
    },
    SetPassword {
        id: StaffId,
        credentials: Credentials,
    },
    Dismiss {
        reason: String,
        duties: Duties,
    },
}

/// What somebody still has to do here, as the shell has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duties {
    pub accounts: u64,
    pub open_tasks: u64,
}

/// Somebody who starts to work here.
#[derive(Clone)]
pub struct Newcomer {
    pub id: StaffId,
    pub external_id: String,
    pub name: String,
    pub role: Role,
    pub group_id: Option<GroupId>,
    pub extension: Option<String>,
    pub hired_on: NaiveDate,
    pub login: Option<String>,
    pub password_hash: Option<String>,
}

/// What the built-in login asks for.
#[derive(Clone)]
pub struct Credentials {
    pub login: String,
    pub password_hash: String,
}

/// Never the name or the hash: they would end up in a log file.
impl std::fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Newcomer({}, {})", self.id, self.role)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such member of staff")]
    Unknown,
    #[error("a member of staff with this external id is there already")]
    Exists,
    #[error("this member of staff works here no more")]
    Dismissed,
    #[error(
        "this member of staff still has accounts: {}, open tasks: {}",
        _0.accounts,
        _0.open_tasks
    )]
    HasDuties(Duties),
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
            Self::Dismissed | Self::HasDuties(_) => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "STAFF_UNKNOWN",
            Self::Exists => "STAFF_EXISTS",
            Self::Dismissed => "STAFF_DISMISSED",
            Self::HasDuties(Duties { accounts: 0, .. }) => "STAFF_HAS_OPEN_TASKS",
            Self::HasDuties(_) => "STAFF_OWNS_ACCOUNTS",
        }
    }

    fn facts(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::HasDuties(duties) => vec![
                ("accounts", duties.accounts),
                ("open_tasks", duties.open_tasks),
            ],
            Self::Unknown | Self::Exists | Self::Dismissed => Vec::new(),
        }
    }
}

/// Whose key a person's data is under.
pub fn subject(id: StaffId) -> Subject {
    Subject::new("staff", id.0)
}

/// Two logins are the same when this is.
pub fn login_key(login: &str) -> String {
    vocabulary::normalise(login).to_lowercase()
}

impl Aggregate for StaffMember {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "staff";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            (State::Unknown, Command::Hire(newcomer)) => Ok(vec![hired(newcomer)]),
            (State::Unknown, _) => Err(Rejection::Unknown),
            (State::Working(_) | State::Dismissed, Command::Hire(_)) => Err(Rejection::Exists),
            (State::Dismissed, Command::Dismiss { .. }) => Ok(Vec::new()),
            (State::Dismissed, _) => Err(Rejection::Dismissed),
            (State::Working(now), Command::ChangeRole { role, reason }) => Ok(unless(
                now.role == role,
                Event::RoleChanged(RoleChanged { role, reason }),
            )),
            (State::Working(now), Command::MoveToGroup { group_id }) => Ok(unless(
                now.group_id == group_id,
                Event::MovedToGroup(MovedToGroup { group_id }),
            )),
            (State::Working(now), Command::SetPassword { id, credentials }) => {
                let set = personal(id, credentials);
                let same = now.credentials.as_ref() == Some(&set);
                Ok(unless(same, Event::PasswordSet(set)))
            }
            (State::Working(_), Command::Dismiss { reason, duties }) => {
                if duties == Duties::default() {
                    Ok(vec![Event::Dismissed(Dismissed { reason })])
                } else {
                    Err(Rejection::HasDuties(duties))
                }
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (_, Event::Hired(hired)) => State::Working(Working {
                role: hired.role,
                group_id: hired.group_id,
                credentials: hired.login.clone().zip(hired.password_hash.clone()).map(
                    |(login, password_hash)| PasswordSet {
                        login,
                        password_hash,
                    },
                ),
            }),
            (State::Working(now), Event::RoleChanged(changed)) => State::Working(Working {
                role: changed.role,
                ..now
            }),
            (State::Working(now), Event::MovedToGroup(moved)) => State::Working(Working {
                group_id: moved.group_id,
                ..now
            }),
            (State::Working(now), Event::PasswordSet(set)) => State::Working(Working {
                credentials: Some(set.clone()),
                ..now
            }),
            (State::Working(_), Event::Dismissed(_)) => State::Dismissed,
            (
                state @ (State::Unknown | State::Dismissed),
                Event::RoleChanged(_)
                | Event::MovedToGroup(_)
                | Event::PasswordSet(_)
                | Event::Dismissed(_),
            ) => state,
        }
    }

    /// A login once given stays with the person for ever: old records that name it stay true.
    fn reservations(event: &Event) -> Vec<Reservation> {
        let login = match event {
            Event::Hired(hired) => hired.login.as_ref(),
            Event::PasswordSet(set) => Some(&set.login),
            Event::RoleChanged(_) | Event::MovedToGroup(_) | Event::Dismissed(_) => None,
        };
        login
            .and_then(Personal::get)
            .map(|login| Reservation::Take {
                kind: "login",
                name: login_key(login),
            })
            .into_iter()
            .collect()
    }
}

fn unless(already_so: bool, event: Event) -> Vec<Event> {
    if already_so { Vec::new() } else { vec![event] }
}

fn hired(newcomer: Newcomer) -> Event {
    let subject = subject(newcomer.id);
    Event::Hired(Hired {
        external_id: newcomer.external_id,
        name: Personal::new(subject.clone(), newcomer.name),
        role: newcomer.role,
        group_id: newcomer.group_id,
        extension: newcomer.extension,
        hired_on: newcomer.hired_on,
        login: newcomer
            .login
            .map(|login| Personal::new(subject.clone(), login)),
        password_hash: newcomer
            .password_hash
            .map(|hash| Personal::new(subject, hash)),
    })
}

fn personal(id: StaffId, credentials: Credentials) -> PasswordSet {
    let subject = subject(id);
    PasswordSet {
        login: Personal::new(subject.clone(), credentials.login),
        password_hash: Personal::new(subject, credentials.password_hash),
    }
}

#[cfg(test)]
mod tests {
    use es::{Rejection as _, spec::given};

    use super::*;

    fn petrov() -> Newcomer {
        Newcomer {
            id: StaffId::of_external("s-11"),
            external_id: "s-11".to_owned(),
            name: "Петров Алексей Игоревич".to_owned(),
            role: Role::Manager,
            group_id: Some(GroupId::of_external("a")),
            extension: Some("111".to_owned()),
            hired_on: NaiveDate::from_ymd_opt(2023, 2, 1).unwrap(),
            login: Some("petrov".to_owned()),
            password_hash: None,
        }
    }

    fn dismissed() -> Event {
        Event::Dismissed(Dismissed {
            reason: "ушёл сам".to_owned(),
        })
    }

    fn dismiss(accounts: u64, open_tasks: u64) -> Command {
        Command::Dismiss {
            reason: "ушёл сам".to_owned(),
            duties: Duties {
                accounts,
                open_tasks,
            },
        }
    }

    #[test]
    fn a_person_is_hired_once() {
        given::<StaffMember>([])
            .when(Command::Hire(petrov()))
            .then([hired(petrov())]);
        given::<StaffMember>([hired(petrov())])
            .when(Command::Hire(petrov()))
            .then_rejected(Rejection::Exists);
        given::<StaffMember>([hired(petrov()), dismissed()])
            .when(Command::Hire(petrov()))
            .then_rejected(Rejection::Exists);
    }

    #[test]
    fn nobody_changes_who_was_never_hired() {
        given::<StaffMember>([])
            .when(Command::MoveToGroup { group_id: None })
            .then_rejected(Rejection::Unknown);
        given::<StaffMember>([])
            .when(dismiss(0, 0))
            .then_rejected(Rejection::Unknown);
    }

    #[test]
    fn the_same_role_and_group_are_nothing_new() {
        let change = |role| Command::ChangeRole {
            role,
            reason: "повышение".to_owned(),
        };
        given::<StaffMember>([hired(petrov())])
            .when(change(Role::Manager))
            .then_nothing();
        given::<StaffMember>([hired(petrov())])
            .when(change(Role::Head))
            .then([Event::RoleChanged(RoleChanged {
                role: Role::Head,
                reason: "повышение".to_owned(),
            })]);
        given::<StaffMember>([hired(petrov())])
            .when(Command::MoveToGroup {
                group_id: petrov().group_id,
            })
            .then_nothing();
        given::<StaffMember>([hired(petrov())])
            .when(Command::MoveToGroup { group_id: None })
            .then([Event::MovedToGroup(MovedToGroup { group_id: None })]);
    }

    #[test]
    fn who_owns_accounts_or_has_tasks_stays() {
        for (accounts, open_tasks, reason) in [
            (120, 47, "STAFF_OWNS_ACCOUNTS"),
            (120, 0, "STAFF_OWNS_ACCOUNTS"),
            (0, 1, "STAFF_HAS_OPEN_TASKS"),
        ] {
            let rejection = Rejection::HasDuties(Duties {
                accounts,
                open_tasks,
            });
            assert_eq!(rejection.reason(), reason);
            let facts = [("accounts", accounts), ("open_tasks", open_tasks)];
            assert_eq!(rejection.facts(), facts);
            given::<StaffMember>([hired(petrov())])
                .when(dismiss(accounts, open_tasks))
                .then_rejected(rejection);
        }
        given::<StaffMember>([hired(petrov())])
            .when(dismiss(0, 0))
            .then([dismissed()]);
    }

    #[test]
    fn who_left_stays_as_he_was() {
        given::<StaffMember>([hired(petrov()), dismissed()])
            .when(dismiss(0, 0))
            .then_nothing();
        given::<StaffMember>([hired(petrov()), dismissed()])
            .when(Command::MoveToGroup { group_id: None })
            .then_rejected(Rejection::Dismissed);
    }

    #[test]
    fn a_login_is_taken_in_any_case() {
        let id = petrov().id;
        let set = Command::SetPassword {
            id,
            credentials: Credentials {
                login: " Petrov".to_owned(),
                password_hash: "$argon2id$…".to_owned(),
            },
        };
        let events = StaffMember::decide(&StaffMember::fold(&[hired(petrov())]), set.clone());
        let taken = Reservation::Take {
            kind: "login",
            name: "petrov".to_owned(),
        };
        assert_eq!(
            events.map(|events| StaffMember::reservations(&events[0])),
            Ok(vec![taken.clone()])
        );
        assert_eq!(StaffMember::reservations(&hired(petrov())), [taken]);
        given::<StaffMember>([hired(petrov())])
            .when(set)
            .then([Event::PasswordSet(personal(
                id,
                Credentials {
                    login: " Petrov".to_owned(),
                    password_hash: "$argon2id$…".to_owned(),
                },
            ))]);
    }

    #[test]
    fn an_erased_person_still_has_a_state() {
        let subject = subject(petrov().id);
        let Event::Hired(known) = hired(petrov()) else {
            panic!("hired")
        };
        let erased = Event::Hired(Hired {
            name: Personal::Erased {
                subject: subject.clone(),
            },
            login: Some(Personal::Erased { subject }),
            ..known
        });
        assert_eq!(StaffMember::reservations(&erased), []);
        given::<StaffMember>([erased])
            .when(dismiss(0, 0))
            .then([dismissed()]);
    }
}
