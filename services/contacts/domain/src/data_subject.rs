//! Somebody about whom data is kept, and who is to be forgotten. It takes two: one passes the demand
//! on, another one confirms it.

use es::{Aggregate, Kind, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, ErasureGround, PersonId, StaffId};

/// The aggregate; its stream is `data_subject-<PersonId>`.
pub enum DataSubject {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody passed on that the personal data of a person must be erased.
    #[serde(rename = "data_subject.erasure_requested")]
    ErasureRequested(ErasureRequested),
    /// Somebody else confirmed it: whoever has a copy of this person's data destroys it now.
    #[serde(rename = "data_subject.erased")]
    Erased(Erased),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureRequested {
    /// Where the person is.
    pub account_id: AccountId,
    /// The company is the person: its card goes, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_account: bool,
    pub ground: ErasureGround,
    pub requested_by: StaffId,
}

/// Every service destroys what it has, and says so in its own log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// Where the person is.
    pub account_id: AccountId,
    /// Whose keys are destroyed.
    pub subjects: Vec<Subject>,
    /// Fingerprints of the telephones and addresses, which are not to be entered again.
    pub stop_list: Vec<String>,
    pub requested_by: StaffId,
    pub confirmed_by: StaffId,
}

#[derive(Debug, Clone, Default)]
pub enum State {
    #[default]
    Untouched,
    Requested(ErasureRequested),
    Erased(Erased),
}

#[derive(Debug, Clone)]
pub enum Command {
    Request(ErasureRequested),
    Confirm {
        id: PersonId,
        by: StaffId,
        /// Of what the person can be reached at now.
        stop_list: Vec<String>,
        /// All records of the company where the person is.
        records: Vec<AccountId>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("nobody has asked for the erasure of this person")]
    NotRequested,
    #[error("somebody else than who asked for it must confirm it")]
    SecondPersonNeeded,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotRequested => Kind::FailedPrecondition,
            Self::SecondPersonNeeded => Kind::Forbidden,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotRequested => "ERASURE_NOT_REQUESTED",
            Self::SecondPersonNeeded => "SECOND_PERSON_NEEDED",
        }
    }
}

impl Aggregate for DataSubject {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "data_subject";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            // Once is for ever.
            (State::Erased(_), _) => Ok(Vec::new()),
            (State::Requested(before), Command::Request(request)) if same(before, &request) => {
                Ok(Vec::new())
            }
            (State::Untouched | State::Requested(_), Command::Request(request)) => {
                Ok(vec![Event::ErasureRequested(request)])
            }
            (State::Untouched, Command::Confirm { .. }) => Err(Rejection::NotRequested),
            (State::Requested(request), Command::Confirm { by, .. })
                if by == request.requested_by =>
            {
                Err(Rejection::SecondPersonNeeded)
            }
            (
                State::Requested(request),
                Command::Confirm {
                    id,
                    by,
                    stop_list,
                    records,
                },
            ) => Ok(vec![Event::Erased(Erased {
                account_id: request.account_id,
                subjects: subjects(id, request, &records),
                stop_list,
                requested_by: request.requested_by,
                confirmed_by: by,
            })]),
        }
    }

    fn evolve(_state: State, event: &Event) -> State {
        match event {
            Event::ErasureRequested(request) => State::Requested(request.clone()),
            Event::Erased(erased) => State::Erased(erased.clone()),
        }
    }
}

/// Whoever asks for it: a second demand for the same is none.
fn same(before: &ErasureRequested, now: &ErasureRequested) -> bool {
    (before.with_account, before.ground) == (now.with_account, now.ground)
}

fn subjects(id: PersonId, request: &ErasureRequested, records: &[AccountId]) -> Vec<Subject> {
    let own = request.account_id;
    let others = records.iter().copied().filter(|record| *record != own);
    let accounts = std::iter::once(own).chain(others);
    let accounts = accounts.filter(|_| request.with_account);
    std::iter::once(Subject::new("person", id.0))
        .chain(accounts.map(|account| Subject::new("account", account.0)))
        .collect()
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn ilyin() -> PersonId {
        PersonId::of_external("p-1")
    }

    fn vector() -> AccountId {
        AccountId::of_external("acc-1001")
    }

    fn operator() -> StaffId {
        StaffId::of_external("s-30")
    }

    fn administrator() -> StaffId {
        StaffId::of_external("s-02")
    }

    fn request() -> ErasureRequested {
        ErasureRequested {
            account_id: vector(),
            with_account: false,
            ground: ErasureGround::Demand,
            requested_by: operator(),
        }
    }

    fn requested() -> Event {
        Event::ErasureRequested(request())
    }

    fn confirm(by: StaffId) -> Command {
        Command::Confirm {
            id: ilyin(),
            by,
            stop_list: vec!["ab".to_owned()],
            records: vec![AccountId::of_external("acc-1002"), vector()],
        }
    }

    fn erased(subjects: Vec<Subject>) -> Event {
        Event::Erased(Erased {
            account_id: vector(),
            subjects,
            stop_list: vec!["ab".to_owned()],
            requested_by: operator(),
            confirmed_by: administrator(),
        })
    }

    fn person() -> Subject {
        Subject::new("person", ilyin().0)
    }

    #[test]
    fn one_asks_and_another_one_confirms() {
        given::<DataSubject>([])
            .when(Command::Request(request()))
            .then([requested()]);
        given::<DataSubject>([requested()])
            .when(confirm(administrator()))
            .then([erased(vec![person()])]);
        given::<DataSubject>([requested()])
            .when(confirm(operator()))
            .then_rejected(Rejection::SecondPersonNeeded);
        given::<DataSubject>([])
            .when(confirm(administrator()))
            .then_rejected(Rejection::NotRequested);
    }

    #[test]
    fn a_company_that_is_the_person_goes_with_the_person() {
        let with_account = ErasureRequested {
            with_account: true,
            ..request()
        };
        given::<DataSubject>([requested()])
            .when(Command::Request(with_account.clone()))
            .then([Event::ErasureRequested(with_account.clone())]);
        let account = |id: AccountId| Subject::new("account", id.0);
        let merged = AccountId::of_external("acc-1002");
        given::<DataSubject>([requested(), Event::ErasureRequested(with_account)])
            .when(confirm(administrator()))
            .then([erased(vec![person(), account(vector()), account(merged)])]);
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let again = ErasureRequested {
            requested_by: administrator(),
            ..request()
        };
        given::<DataSubject>([requested()])
            .when(Command::Request(again.clone()))
            .then_nothing();
        let history = || [requested(), erased(vec![person()])];
        given::<DataSubject>(history())
            .when(Command::Request(again))
            .then_nothing();
        given::<DataSubject>(history())
            .when(confirm(operator()))
            .then_nothing();
    }
}
