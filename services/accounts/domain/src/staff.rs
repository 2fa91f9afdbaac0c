//! A member of staff: comes, changes role and group, is away, leaves, may come again. Nobody is ever
//! deleted.

mod absence;
mod profile;

use chrono::{DateTime, NaiveDate, Utc};
use es::{Aggregate, Kind, Personal, Reservation, Subject, Upcaster, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AbsenceId, GroupId, Role, StaffId};

pub use absence::{
    Absence, AbsenceCancelled, MarkedAbsent, NewAbsence, Stage, SubstitutionEnded,
    SubstitutionStarted, faults as absence_faults,
};
pub use profile::{DetailsChanged, NewDetails, Profile};

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
    /// Name, extension or login of a member of staff became another.
    #[serde(rename = "staff.details_changed")]
    DetailsChanged(DetailsChanged),
    /// A member of staff left.
    #[serde(rename = "staff.dismissed")]
    Dismissed(Dismissed),
    /// Somebody who had left works here again.
    #[serde(rename = "staff.rehired")]
    Rehired(Rehired),
    /// A member of staff will be away, and somebody else acts instead.
    #[serde(rename = "staff.marked_absent")]
    MarkedAbsent(MarkedAbsent),
    /// From here on somebody acts for who is away.
    #[serde(rename = "staff.substitution_started")]
    SubstitutionStarted(SubstitutionStarted),
    /// From here on nobody acts for who was away.
    #[serde(rename = "staff.substitution_ended")]
    SubstitutionEnded(SubstitutionEnded),
    /// An absence that had not begun will not be.
    #[serde(rename = "staff.absence_cancelled")]
    AbsenceCancelled(AbsenceCancelled),
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
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedToGroup {
    /// Absent: in no group now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordSet {
    pub login: Personal<String>,
    pub password_hash: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dismissed {
    pub reason: Personal<String>,
}

/// Name, extension, login and password are those that the person had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rehired {
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    pub hired_on: NaiveDate,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    #[default]
    Unknown,
    Working(Working),
    Dismissed(Profile),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Working {
    pub role: Role,
    pub group_id: Option<GroupId>,
    pub profile: Profile,
    /// In the order in which they were marked.
    pub absences: Vec<Absence>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Hire(Newcomer),
    ChangeRole {
        id: StaffId,
        role: Role,
        reason: String,
        /// What a role that cannot own must not have left.
        duties: Duties,
    },
    MoveToGroup {
        id: StaffId,
        group_id: Option<GroupId>,
        /// May be empty.
        reason: String,
    },
    SetPassword {
        id: StaffId,
        credentials: Credentials,
    },
    ChangeDetails {
        id: StaffId,
        details: NewDetails,
    },
    Dismiss {
        id: StaffId,
        reason: String,
        duties: Duties,
    },
    Rehire(Rehired),
    MarkAbsent {
        absence: NewAbsence,
        now: DateTime<Utc>,
    },
    /// Before its time.
    EndAbsence {
        staff_id: StaffId,
        absence_id: AbsenceId,
        reason: String,
        now: DateTime<Utc>,
    },
    /// Says what has begun and ended by itself.
    TurnAbsences {
        now: DateTime<Utc>,
    },
}

/// What somebody still has to do here, as the shell has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duties {
    pub accounts: u64,
    pub open_deals: u64,
    pub open_tasks: u64,
    /// By hand-overs that are not done.
    pub accounts_to_come: u64,
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
    #[error("this member of staff works here")]
    WorksHere,
    #[error(
        "this member of staff still has accounts: {}, open deals: {}, open tasks: {}, \
         and accounts to come: {}",
        _0.accounts,
        _0.open_deals,
        _0.open_tasks,
        _0.accounts_to_come
    )]
    HasDuties(Duties),
    #[error("the absence lacks what every absence needs")]
    AbsenceInvalid(Vec<Violation>),
    #[error("this member of staff is away at that time already")]
    AbsenceOverlaps,
    #[error("there is no such absence")]
    AbsenceUnknown,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::AbsenceUnknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
            Self::AbsenceInvalid(_) => Kind::Invalid,
            Self::Dismissed | Self::WorksHere | Self::HasDuties(_) | Self::AbsenceOverlaps => {
                Kind::FailedPrecondition
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "STAFF_UNKNOWN",
            Self::Exists => "STAFF_EXISTS",
            Self::Dismissed => "STAFF_DISMISSED",
            Self::WorksHere => "STAFF_WORKS_HERE",
            Self::HasDuties(Duties { accounts: 1.., .. }) => "STAFF_OWNS_ACCOUNTS",
            Self::HasDuties(Duties {
                open_deals: 1.., ..
            }) => "STAFF_OWNS_DEALS",
            Self::HasDuties(Duties {
                accounts_to_come: 1..,
                ..
            }) => "STAFF_AWAITS_ACCOUNTS",
            Self::HasDuties(_) => "STAFF_HAS_OPEN_TASKS",
            Self::AbsenceInvalid(_) => "ABSENCE_INVALID",
            Self::AbsenceOverlaps => "ABSENCE_OVERLAPS",
            Self::AbsenceUnknown => "ABSENCE_UNKNOWN",
        }
    }

    fn facts(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::HasDuties(duties) => vec![
                ("accounts", duties.accounts),
                ("open_deals", duties.open_deals),
                ("open_tasks", duties.open_tasks),
                ("accounts_to_come", duties.accounts_to_come),
            ],
            Self::Unknown
            | Self::Exists
            | Self::Dismissed
            | Self::WorksHere
            | Self::AbsenceInvalid(_)
            | Self::AbsenceOverlaps
            | Self::AbsenceUnknown => Vec::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::AbsenceInvalid(violations) => violations.clone(),
            Self::Unknown
            | Self::Exists
            | Self::Dismissed
            | Self::WorksHere
            | Self::HasDuties(_)
            | Self::AbsenceOverlaps
            | Self::AbsenceUnknown => Vec::new(),
        }
    }
}

/// Whose key a person's data is under.
pub fn subject(id: StaffId) -> Subject {
    Subject::new("staff", id.0)
}

/// What is said of a person, where something is.
pub(crate) fn about(id: StaffId, text: String) -> Option<Personal<String>> {
    (!text.is_empty()).then(|| Personal::new(subject(id), text))
}

/// Operators enter and analysts read; the others own accounts and have tasks to do.
pub fn can_own(role: Role) -> bool {
    match role {
        Role::Administrator | Role::Head | Role::Manager => true,
        Role::Operator | Role::Analyst => false,
    }
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

    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster::plain_reason("staff.role_changed"),
        Upcaster::plain_reason("staff.dismissed"),
    ];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            (State::Unknown, Command::Hire(newcomer)) => Ok(vec![hired(newcomer)]),
            (State::Unknown, _) => Err(Rejection::Unknown),
            (State::Working(_) | State::Dismissed(_), Command::Hire(_)) => Err(Rejection::Exists),
            (State::Dismissed(_), Command::Dismiss { .. } | Command::TurnAbsences { .. }) => {
                Ok(Vec::new())
            }
            (State::Dismissed(_), Command::Rehire(rehired)) => Ok(vec![Event::Rehired(rehired)]),
            (State::Dismissed(_), _) => Err(Rejection::Dismissed),
            (State::Working(_), Command::Rehire(_)) => Err(Rejection::WorksHere),
            (State::Working(now), Command::ChangeRole { role, .. }) if now.role == role => {
                Ok(Vec::new())
            }
            (
                State::Working(_),
                Command::ChangeRole {
                    id,
                    role,
                    reason,
                    duties,
                },
            ) => {
                if can_own(role) || duties == Duties::default() {
                    let reason = Personal::new(subject(id), reason);
                    Ok(vec![Event::RoleChanged(RoleChanged { role, reason })])
                } else {
                    Err(Rejection::HasDuties(duties))
                }
            }
            (
                State::Working(now),
                Command::MoveToGroup {
                    id,
                    group_id,
                    reason,
                },
            ) => Ok(unless(
                now.group_id == group_id,
                Event::MovedToGroup(MovedToGroup {
                    group_id,
                    reason: about(id, reason),
                }),
            )),
            (State::Working(now), Command::SetPassword { id, credentials }) => {
                let set = personal(id, credentials);
                Ok(unless(now.profile.has(&set), Event::PasswordSet(set)))
            }
            (State::Working(now), Command::ChangeDetails { id, details }) => {
                let differing = now.profile.differing(id, details);
                Ok(differing.map(Event::DetailsChanged).into_iter().collect())
            }
            (State::Working(_), Command::Dismiss { id, reason, duties }) => {
                if duties == Duties::default() {
                    let reason = Personal::new(subject(id), reason);
                    Ok(vec![Event::Dismissed(Dismissed { reason })])
                } else {
                    Err(Rejection::HasDuties(duties))
                }
            }
            (State::Working(known), Command::MarkAbsent { absence, now }) => {
                absence::mark(&known.absences, absence, now)
            }
            (
                State::Working(known),
                Command::EndAbsence {
                    staff_id,
                    absence_id,
                    reason,
                    now,
                },
            ) => absence::end(&known.absences, staff_id, absence_id, reason, now),
            (State::Working(known), Command::TurnAbsences { now }) => {
                Ok(absence::turn_all(&known.absences, now))
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (_, Event::Hired(hired)) => State::Working(Working {
                role: hired.role,
                group_id: hired.group_id,
                profile: Profile::of(hired),
                absences: Vec::new(),
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
                profile: now.profile.with(set),
                ..now
            }),
            (State::Working(now), Event::DetailsChanged(changed)) => State::Working(Working {
                profile: now.profile.changed_by(changed),
                ..now
            }),
            (State::Working(now), Event::Dismissed(_)) => State::Dismissed(now.profile),
            (State::Dismissed(profile), Event::Rehired(rehired)) => State::Working(Working {
                role: rehired.role,
                group_id: rehired.group_id,
                profile,
                absences: Vec::new(),
            }),
            (State::Working(now), Event::MarkedAbsent(event)) => State::Working(Working {
                absences: absence::marked(now.absences, event),
                ..now
            }),
            (State::Working(now), Event::SubstitutionStarted(event)) => {
                now.with_absence(event.absence_id, Stage::Running)
            }
            (State::Working(now), Event::SubstitutionEnded(event)) => {
                now.with_absence(event.absence_id, Stage::Over)
            }
            (State::Working(now), Event::AbsenceCancelled(event)) => {
                now.with_absence(event.absence_id, Stage::Over)
            }
            (state @ (State::Unknown | State::Working(_)), Event::Rehired(_))
            | (
                state @ (State::Unknown | State::Dismissed(_)),
                Event::RoleChanged(_)
                | Event::MovedToGroup(_)
                | Event::PasswordSet(_)
                | Event::DetailsChanged(_)
                | Event::Dismissed(_)
                | Event::MarkedAbsent(_)
                | Event::SubstitutionStarted(_)
                | Event::SubstitutionEnded(_)
                | Event::AbsenceCancelled(_),
            ) => state,
        }
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::SubstitutionStarted(event) => Some(event.started_at),
            Event::SubstitutionEnded(event) => Some(event.ended_at),
            Event::Hired(_)
            | Event::RoleChanged(_)
            | Event::MovedToGroup(_)
            | Event::PasswordSet(_)
            | Event::DetailsChanged(_)
            | Event::Dismissed(_)
            | Event::Rehired(_)
            | Event::MarkedAbsent(_)
            | Event::AbsenceCancelled(_) => None,
        }
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::RoleChanged(_) | Event::Dismissed(_) => 2,
            Event::Hired(_)
            | Event::MovedToGroup(_)
            | Event::PasswordSet(_)
            | Event::DetailsChanged(_)
            | Event::Rehired(_)
            | Event::MarkedAbsent(_)
            | Event::SubstitutionStarted(_)
            | Event::SubstitutionEnded(_)
            | Event::AbsenceCancelled(_) => 1,
        }
    }

    /// One login each. Who has left keeps it, for whoever comes again; another one frees it.
    fn reservations(event: &Event) -> Vec<Reservation> {
        let (first, login) = match event {
            Event::Hired(hired) => (true, hired.login.as_ref()),
            Event::PasswordSet(set) => (false, Some(&set.login)),
            Event::DetailsChanged(changed) => (false, changed.login.as_ref()),
            Event::RoleChanged(_)
            | Event::MovedToGroup(_)
            | Event::Dismissed(_)
            | Event::Rehired(_)
            | Event::MarkedAbsent(_)
            | Event::SubstitutionStarted(_)
            | Event::SubstitutionEnded(_)
            | Event::AbsenceCancelled(_) => (true, None),
        };
        let Some(login) = login.and_then(Personal::get) else {
            return Vec::new();
        };
        let take = Reservation::Take {
            kind: "login",
            name: login_key(login),
        };
        if first {
            vec![take]
        } else {
            vec![Reservation::ReleaseAll { kind: "login" }, take]
        }
    }
}

impl Working {
    fn with_absence(self, id: AbsenceId, stage: Stage) -> State {
        State::Working(Self {
            absences: absence::at_stage(self.absences, id, stage),
            ..self
        })
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
mod tests;
