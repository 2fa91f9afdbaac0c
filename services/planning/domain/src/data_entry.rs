//! What a manager asks the operator to enter: the one hears what has changed, and may edit personal
//! data only where the office allows it; the other may write it down.

use es::{Aggregate, Kind, Personal, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, PersonId, StaffId};

/// Marker of the aggregate.
pub enum DataEntry {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Something is to be entered on a card.
    #[serde(rename = "data_entry.requested")]
    Requested(Requested),
    /// An operator has entered it.
    #[serde(rename = "data_entry.done")]
    Done(Done),
    /// An operator will not enter it.
    #[serde(rename = "data_entry.declined")]
    Declined(Declined),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    pub requested_by: StaffId,
    pub what: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    pub done_by: StaffId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Declined {
    pub declined_by: StaffId,
    /// Under the key of what was asked for.
    pub reason: Personal<String>,
}

/// Nothing, until it is requested.
pub type State = Option<Asked>;

#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub account_id: AccountId,
    pub what: Personal<String>,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    Done,
    Declined,
}

#[derive(Debug, Clone)]
pub enum Command {
    Request(Requested),
    Complete { by: StaffId },
    Decline { by: StaffId, reason: String },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("data entry lacks what every one needs")]
    Invalid(Vec<Violation>),
    #[error("data entry does not exist")]
    Absent,
    #[error("data entry is done")]
    Done,
    #[error("data entry is declined")]
    Declined,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Absent => Kind::NotFound,
            Self::Done | Self::Declined => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "DATA_ENTRY_INVALID",
            Self::Absent => "DATA_ENTRY_UNKNOWN",
            Self::Done => "DATA_ENTRY_DONE",
            Self::Declined => "DATA_ENTRY_DECLINED",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::Absent | Self::Done | Self::Declined => Vec::new(),
        }
    }
}

impl Aggregate for DataEntry {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "data_entry";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Request(requested) => request(state, requested),
            Command::Complete { by } => match asked(state)?.standing {
                Standing::Open => Ok(vec![Event::Done(Done { done_by: by })]),
                Standing::Done => Ok(Vec::new()),
                Standing::Declined => Err(Rejection::Declined),
            },
            Command::Decline { by, reason } => decline(state, by, reason),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Requested(requested) => Some(Asked {
                account_id: requested.account_id,
                what: requested.what.clone(),
                standing: Standing::Open,
            }),
            Event::Done(_) => closed(state, Standing::Done),
            Event::Declined(_) => closed(state, Standing::Declined),
        }
    }
}

fn closed(state: State, standing: Standing) -> State {
    state.map(|asked| Asked { standing, ..asked })
}

fn asked(state: &State) -> Result<&Asked, Rejection> {
    state.as_ref().ok_or(Rejection::Absent)
}

fn request(state: &State, requested: Requested) -> Result<Vec<Event>, Rejection> {
    if state.is_some() {
        return Ok(Vec::new());
    }
    // What was said before it was erased was said.
    let what = requested.what.get().map_or("…", String::as_str);
    if what.trim().is_empty() {
        let fault = Violation::new("what", "must not be empty");
        return Err(Rejection::Invalid(vec![fault]));
    }
    Ok(vec![Event::Requested(requested)])
}

fn decline(state: &State, by: StaffId, reason: String) -> Result<Vec<Event>, Rejection> {
    if reason.trim().is_empty() {
        let fault = Violation::new("reason", "must say why");
        return Err(Rejection::Invalid(vec![fault]));
    }
    let asked = asked(state)?;
    match asked.standing {
        Standing::Open => Ok(vec![Event::Declined(Declined {
            declined_by: by,
            reason: asked.what.beside(reason),
        })]),
        Standing::Declined => Ok(Vec::new()),
        Standing::Done => Err(Rejection::Done),
    }
}

#[cfg(test)]
mod tests {
    use es::{Subject, spec::given};
    use uuid::Uuid;

    use super::*;

    const PETROV: StaffId = StaffId(Uuid::from_u128(11));
    const BELOVA: StaffId = StaffId(Uuid::from_u128(30));
    const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1001));

    fn wanted(what: &str) -> Requested {
        Requested {
            account_id: ACCOUNT,
            person_id: None,
            requested_by: PETROV,
            what: Personal::new(subject(), what.to_owned()),
        }
    }

    fn subject() -> Subject {
        Subject::new("account", ACCOUNT.0)
    }

    fn requested() -> Event {
        Event::Requested(wanted("Новый телефон"))
    }

    fn done() -> Event {
        Event::Done(Done { done_by: BELOVA })
    }

    fn decline(reason: &str) -> Command {
        Command::Decline {
            by: BELOVA,
            reason: reason.to_owned(),
        }
    }

    fn declined() -> Event {
        Event::Declined(Declined {
            declined_by: BELOVA,
            reason: Personal::new(subject(), "номер чужой".to_owned()),
        })
    }

    #[test]
    fn a_request_says_what_is_to_be_entered() {
        given::<DataEntry>([])
            .when(Command::Request(wanted("Новый телефон")))
            .then([requested()]);
        let refused = DataEntry::decide(&None, Command::Request(wanted("  ")));
        assert!(matches!(refused, Err(Rejection::Invalid(_))));
    }

    #[test]
    fn it_is_done_or_declined_and_never_both() {
        let complete = Command::Complete { by: BELOVA };
        given::<DataEntry>([requested()])
            .when(complete.clone())
            .then([done()]);
        given::<DataEntry>([requested(), done()])
            .when(complete.clone())
            .then_nothing();
        given::<DataEntry>([requested()])
            .when(decline("номер чужой"))
            .then([declined()]);
        let after = |event| DataEntry::fold(&[requested(), event]);
        let refused = DataEntry::decide(&after(declined()), complete.clone());
        assert_eq!(refused, Err(Rejection::Declined));
        let refused = DataEntry::decide(&after(done()), decline("поздно"));
        assert_eq!(refused, Err(Rejection::Done));
        assert_eq!(DataEntry::decide(&None, complete), Err(Rejection::Absent));
    }

    #[test]
    fn what_is_erased_is_declined_without_words() {
        let erased = || Personal::Erased { subject: subject() };
        let requested = Event::Requested(Requested {
            what: erased(),
            ..wanted("")
        });
        given::<DataEntry>([requested])
            .when(decline("номер чужой"))
            .then([Event::Declined(Declined {
                declined_by: BELOVA,
                reason: erased(),
            })]);
    }

    #[test]
    fn declining_needs_a_reason() {
        let refused = DataEntry::decide(&DataEntry::fold(&[requested()]), decline(" "));
        assert!(matches!(refused, Err(Rejection::Invalid(_))));
    }
}
