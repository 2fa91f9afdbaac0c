//! A small aggregate: a card with notes, a personal name and a unique login.

use es::{Aggregate, Kind, Personal, Rejection, Reservation, Subject, Upcaster};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) enum Card {}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) name: Option<Personal<String>>,
    pub(crate) remark: Option<Personal<String>>,
    pub(crate) login: Option<String>,
    pub(crate) notes: Vec<String>,
    /// Why.
    pub(crate) closed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    #[serde(rename = "card.opened")]
    Opened { name: Personal<String> },
    #[serde(rename = "card.login_given")]
    LoginGiven { login: String },
    #[serde(rename = "card.login_withdrawn")]
    LoginWithdrawn { login: String },
    #[serde(rename = "card.remarked")]
    Remarked { remark: Personal<String> },
    #[serde(rename = "card.noted")]
    Noted { text: String },
    /// Had no reason in its first version.
    #[serde(rename = "card.closed")]
    Closed { reason: String },
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Open {
        id: Uuid,
        name: &'static str,
    },
    GiveLogin(&'static str),
    WithdrawLogin,
    Remark(Personal<String>),
    /// Nothing when it is the last note already.
    Note(String),
    Rename {
        id: Uuid,
        name: &'static str,
        note: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the card is full")]
pub(crate) struct Full;

impl Rejection for Full {
    fn kind(&self) -> Kind {
        Kind::FailedPrecondition
    }

    fn reason(&self) -> &'static str {
        "CARD_FULL"
    }
}

pub(crate) fn subject(id: Uuid) -> Subject {
    Subject::new("person", id)
}

impl Aggregate for Card {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Full;

    const CATEGORY: &'static str = "card";

    const UPCASTERS: &'static [Upcaster] = &[Upcaster {
        event_type: "card.closed",
        from: 1,
        lift: |fields| {
            fields.insert("reason".to_owned(), "not said".into());
        },
    }];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Full> {
        let opened = |id, name: &str| Event::Opened {
            name: Personal::new(subject(id), name.to_owned()),
        };
        Ok(match command {
            Command::Open { .. } if state.name.is_some() => vec![],
            Command::Open { id, name } => vec![opened(id, name)],
            Command::GiveLogin(login) => vec![Event::LoginGiven {
                login: login.to_owned(),
            }],
            Command::WithdrawLogin => state
                .login
                .clone()
                .map(|login| Event::LoginWithdrawn { login })
                .into_iter()
                .collect(),
            Command::Remark(remark) => vec![Event::Remarked { remark }],
            Command::Note(_) if state.notes.len() >= 5_000 => return Err(Full),
            Command::Note(text) if state.notes.last() == Some(&text) => vec![],
            Command::Note(text) => vec![Event::Noted { text }],
            Command::Rename { id, name, note } => vec![
                Event::Noted {
                    text: note.to_owned(),
                },
                opened(id, name),
            ],
        })
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::Opened { name } => state.name = Some(name.clone()),
            Event::Remarked { remark } => state.remark = Some(remark.clone()),
            Event::LoginGiven { login } => state.login = Some(login.clone()),
            Event::LoginWithdrawn { .. } => state.login = None,
            Event::Noted { text } => state.notes.push(text.clone()),
            Event::Closed { reason } => state.closed = Some(reason.clone()),
        }
        state
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::Closed { .. } => 2,
            Event::Opened { .. }
            | Event::LoginGiven { .. }
            | Event::LoginWithdrawn { .. }
            | Event::Remarked { .. }
            | Event::Noted { .. } => 1,
        }
    }

    fn reservations(event: &Event) -> Vec<Reservation> {
        match event {
            Event::LoginGiven { login } => vec![Reservation::Take {
                kind: "login",
                name: login.clone(),
            }],
            Event::LoginWithdrawn { login } => vec![Reservation::Release {
                kind: "login",
                name: login.clone(),
            }],
            Event::Opened { .. }
            | Event::Remarked { .. }
            | Event::Noted { .. }
            | Event::Closed { .. } => vec![],
        }
    }
}
