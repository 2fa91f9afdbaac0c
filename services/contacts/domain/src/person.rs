//! A contact person: somebody at an account who can be talked to.

use es::{Aggregate, Kind, Personal, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Email, PersonId, PhoneNumber};

/// The aggregate; its stream is `person-<PersonId>`.
pub enum Person {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A company got a contact person.
    #[serde(rename = "person.added")]
    Added(Added),
    /// What is known of a contact person changed.
    #[serde(rename = "person.details_changed")]
    DetailsChanged(DetailsChanged),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Added {
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub name: Personal<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_title: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<Personal<Vec<PhoneNumber>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emails: Option<Personal<Vec<Email>>>,
}

/// Only what changed; an empty text or list means that it was taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetailsChanged {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_title: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<Personal<Vec<PhoneNumber>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emails: Option<Personal<Vec<Email>>>,
}

#[derive(Debug, Clone, Default)]
pub struct State {
    card: Option<Card>,
}

#[derive(Debug, Clone)]
struct Card {
    account_id: AccountId,
    /// `None` throughout: erased.
    name: Option<String>,
    job_title: Option<String>,
    phones: Option<Vec<PhoneNumber>>,
    emails: Option<Vec<Email>>,
}

impl State {
    /// `None`: no such person.
    pub fn account_id(&self) -> Option<AccountId> {
        self.card.as_ref().map(|card| card.account_id)
    }

    /// Of what the person can be reached at now, as far as it is not erased.
    pub fn phones(&self) -> &[PhoneNumber] {
        let card = self.card.as_ref();
        card.and_then(|card| card.phones.as_deref())
            .unwrap_or_default()
    }

    /// As [`Self::phones`].
    pub fn emails(&self) -> &[Email] {
        let card = self.card.as_ref();
        card.and_then(|card| card.emails.as_deref())
            .unwrap_or_default()
    }
}

fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::Added(added) => {
            state.card = Some(Card {
                account_id: added.account_id,
                name: added.name.get().cloned(),
                job_title: value_or_empty(added.job_title.as_ref()),
                phones: value_or_empty(added.phones.as_ref()),
                emails: value_or_empty(added.emails.as_ref()),
            });
        }
        Event::DetailsChanged(changed) => {
            if let Some(card) = &mut state.card {
                replace(&mut card.name, changed.name.as_ref());
                replace(&mut card.job_title, changed.job_title.as_ref());
                replace(&mut card.phones, changed.phones.as_ref());
                replace(&mut card.emails, changed.emails.as_ref());
            }
        }
    }
    state
}

/// What was never given is empty; what was given and erased is `None`.
fn value_or_empty<T: Clone + Default>(given: Option<&Personal<T>>) -> Option<T> {
    given.map_or_else(|| Some(T::default()), |personal| personal.get().cloned())
}

fn replace<T: Clone>(current: &mut Option<T>, given: Option<&Personal<T>>) {
    if let Some(personal) = given {
        *current = personal.get().cloned();
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Add(Add),
    ChangeDetails(ChangeDetails),
}

#[derive(Debug, Clone)]
pub struct Add {
    pub id: PersonId,
    pub account_id: AccountId,
    pub external_id: Option<String>,
    pub name: String,
    pub job_title: String,
    pub phones: Vec<PhoneNumber>,
    pub emails: Vec<Email>,
}

/// `None` stays as it is.
#[derive(Debug, Clone)]
pub struct ChangeDetails {
    pub id: PersonId,
    pub name: Option<String>,
    pub job_title: Option<String>,
    pub phones: Option<Vec<PhoneNumber>>,
    pub emails: Option<Vec<Email>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("no such person")]
    Unknown,
    #[error("this person is there already")]
    AlreadyAdded,
    #[error("the external id belongs to a person of another account")]
    ExternalIdTaken,
    #[error("this person was erased")]
    Erased,
    #[error("a person needs a name")]
    Nameless,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::AlreadyAdded | Self::ExternalIdTaken => Kind::AlreadyExists,
            Self::Erased => Kind::FailedPrecondition,
            Self::Nameless => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "PERSON_UNKNOWN",
            Self::AlreadyAdded => "PERSON_EXISTS",
            Self::ExternalIdTaken => "EXTERNAL_ID_TAKEN",
            Self::Erased => "PERSON_ERASED",
            Self::Nameless => "PERSON_NAMELESS",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Nameless => vec![Violation::new("name", "must not be empty")],
            Self::Unknown | Self::AlreadyAdded | Self::ExternalIdTaken | Self::Erased => Vec::new(),
        }
    }
}

impl Aggregate for Person {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "person";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Add(command) => add(state, command),
            Command::ChangeDetails(command) => change_details(state, command),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }
}

fn add(state: &State, command: Add) -> Result<Vec<Event>, Rejection> {
    match state.account_id() {
        Some(account_id) if account_id == command.account_id => Err(Rejection::AlreadyAdded),
        Some(_) => Err(Rejection::ExternalIdTaken),
        None if command.name.is_empty() => Err(Rejection::Nameless),
        None => {
            let subject = Subject::new("person", command.id.0);
            Ok(vec![Event::Added(Added {
                account_id: command.account_id,
                external_id: command.external_id,
                name: Personal::new(subject.clone(), command.name),
                job_title: (!command.job_title.is_empty())
                    .then(|| Personal::new(subject.clone(), command.job_title)),
                phones: (!command.phones.is_empty())
                    .then(|| Personal::new(subject.clone(), command.phones)),
                emails: (!command.emails.is_empty())
                    .then(|| Personal::new(subject, command.emails)),
            })])
        }
    }
}

fn change_details(state: &State, command: ChangeDetails) -> Result<Vec<Event>, Rejection> {
    let card = state.card.as_ref().ok_or(Rejection::Unknown)?;
    if card.name.is_none() {
        return Err(Rejection::Erased);
    }
    if command.name.as_ref().is_some_and(String::is_empty) {
        return Err(Rejection::Nameless);
    }
    let subject = Subject::new("person", command.id.0);
    let changed = DetailsChanged {
        name: difference(&subject, card.name.as_ref(), command.name),
        job_title: difference(&subject, card.job_title.as_ref(), command.job_title),
        phones: difference(&subject, card.phones.as_ref(), command.phones),
        emails: difference(&subject, card.emails.as_ref(), command.emails),
    };
    let nothing = changed.name.is_none()
        && changed.job_title.is_none()
        && changed.phones.is_none()
        && changed.emails.is_none();
    Ok(if nothing {
        Vec::new()
    } else {
        vec![Event::DetailsChanged(changed)]
    })
}

fn difference<T: PartialEq>(
    subject: &Subject,
    current: Option<&T>,
    wanted: Option<T>,
) -> Option<Personal<T>> {
    wanted
        .filter(|wanted| current != Some(wanted))
        .map(|wanted| Personal::new(subject.clone(), wanted))
}

#[cfg(test)]
mod tests {
    use es::{Rejection as _, spec::given};

    use super::*;

    fn ilyin() -> PersonId {
        PersonId::of_external("p-1")
    }

    fn vector() -> AccountId {
        AccountId::of_external("acc-1001")
    }

    fn phone(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap()
    }

    fn add_ilyin() -> Add {
        Add {
            id: ilyin(),
            account_id: vector(),
            external_id: Some("p-1".to_owned()),
            name: "Ильин Константин Петрович".to_owned(),
            job_title: "директор".to_owned(),
            phones: vec![phone("+7 900 000-01-15")],
            emails: Vec::new(),
        }
    }

    fn personal<T>(value: T) -> Personal<T> {
        Personal::new(Subject::new("person", ilyin().0), value)
    }

    fn added() -> Event {
        Event::Added(Added {
            account_id: vector(),
            external_id: Some("p-1".to_owned()),
            name: personal("Ильин Константин Петрович".to_owned()),
            job_title: Some(personal("директор".to_owned())),
            phones: Some(personal(vec![phone("+7 900 000-01-15")])),
            emails: None,
        })
    }

    fn nothing() -> ChangeDetails {
        ChangeDetails {
            id: ilyin(),
            name: None,
            job_title: None,
            phones: None,
            emails: None,
        }
    }

    #[test]
    fn a_person_is_added_once() {
        given::<Person>([])
            .when(Command::Add(add_ilyin()))
            .then([added()]);
        given::<Person>([added()])
            .when(Command::Add(add_ilyin()))
            .then_rejected(Rejection::AlreadyAdded);
        given::<Person>([added()])
            .when(Command::Add(Add {
                account_id: AccountId::of_external("acc-2"),
                ..add_ilyin()
            }))
            .then_rejected(Rejection::ExternalIdTaken);
    }

    #[test]
    fn a_person_has_a_name() {
        given::<Person>([])
            .when(Command::Add(Add {
                name: String::new(),
                ..add_ilyin()
            }))
            .then_rejected(Rejection::Nameless);
        given::<Person>([added()])
            .when(Command::ChangeDetails(ChangeDetails {
                name: Some(String::new()),
                ..nothing()
            }))
            .then_rejected(Rejection::Nameless);
        assert_eq!(Rejection::Nameless.violations()[0].field, "name");
    }

    #[test]
    fn only_what_changed_is_recorded() {
        given::<Person>([added()])
            .when(Command::ChangeDetails(ChangeDetails {
                job_title: Some("директор".to_owned()),
                phones: Some(vec![phone("+7 900 000-01-16")]),
                emails: Some(Vec::new()),
                ..nothing()
            }))
            .then([Event::DetailsChanged(DetailsChanged {
                name: None,
                job_title: None,
                phones: Some(personal(vec![phone("+7 900 000-01-16")])),
                emails: None,
            })]);
        given::<Person>([added()])
            .when(Command::ChangeDetails(nothing()))
            .then_nothing();
    }

    #[test]
    fn phones_can_be_taken_away() {
        given::<Person>([added()])
            .when(Command::ChangeDetails(ChangeDetails {
                phones: Some(Vec::new()),
                ..nothing()
            }))
            .then([Event::DetailsChanged(DetailsChanged {
                name: None,
                job_title: None,
                phones: Some(personal(Vec::new())),
                emails: None,
            })]);
    }

    #[test]
    fn nobody_changes_the_unknown_or_the_erased() {
        given::<Person>([])
            .when(Command::ChangeDetails(nothing()))
            .then_rejected(Rejection::Unknown);
        let erased = Event::Added(Added {
            account_id: vector(),
            external_id: None,
            name: Personal::Erased {
                subject: Subject::new("person", ilyin().0),
            },
            job_title: None,
            phones: None,
            emails: None,
        });
        given::<Person>([erased])
            .when(Command::ChangeDetails(nothing()))
            .then_rejected(Rejection::Erased);
    }
}
