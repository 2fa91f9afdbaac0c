//! A contact that took place. Append-only: what was said is not unsaid.

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{
    AccountId, Deadline, Direction, GroupId, InteractionKind, NextStep, Outcome, PersonId, StaffId,
    TaskId, TaskKind, next_step_faults,
};

use crate::subject;

/// The aggregate; its stream is `interaction-<InteractionId>`.
pub enum Interaction {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A contact took place: a call, a meeting, a letter.
    #[serde(rename = "interaction.logged")]
    Logged(Box<Logged>),
}

/// One event for the contact, the task it completes and what was promised: all or nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Logged {
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub kind: InteractionKind,
    pub direction: Direction,
    pub outcome: Outcome,
    pub occurred_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u32>,
    pub author_id: StaffId,
    /// The author's group at `occurred_at`: reports never ask for today's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_group_id: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impression: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes_task_id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<PromisedStep>,
}

/// What was promised. Planning makes a task of it, whose id follows from the contact's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromisedStep {
    pub due_at: Deadline,
    pub kind: TaskKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Personal<String>>,
    pub comment: Personal<String>,
}

#[derive(Debug, Clone, Default)]
pub struct State {
    account_id: Option<AccountId>,
}

fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::Logged(logged) => state.account_id = Some(logged.account_id),
    }
    state
}

#[derive(Debug, Clone)]
pub enum Command {
    Log(Box<Log>),
}

#[derive(Debug, Clone)]
pub struct Log {
    pub now: DateTime<Utc>,
    pub account_id: AccountId,
    pub person_id: Option<PersonId>,
    pub external_id: Option<String>,
    pub kind: InteractionKind,
    pub direction: Direction,
    pub outcome: Outcome,
    pub occurred_at: DateTime<Utc>,
    /// 0: unknown.
    pub duration_s: i64,
    pub author_id: StaffId,
    pub author_group_id: Option<GroupId>,
    pub summary: String,
    pub impression: String,
    pub note: String,
    pub completes: Option<CompletedTask>,
    pub next_step: Option<NextStep>,
}

/// The task that is done by the contact, as it is known here at the time of the command.
#[derive(Debug, Clone, Copy)]
pub struct CompletedTask {
    pub id: TaskId,
    pub open: bool,
}

impl Log {
    /// Everything wrong with the input, each fault with its field.
    pub fn faults(&self) -> Vec<Violation> {
        let mut faults = Vec::new();
        if self.occurred_at > self.now {
            faults.push(Violation::new("occurred_at", "must not be in the future"));
        }
        if let Some(fault) = duration_fault(self.duration_s) {
            faults.push(Violation::new("duration_s", fault));
        }
        if let Some(step) = &self.next_step {
            faults.extend(
                next_step_faults(step.due_at, &step.comment, self.now)
                    .into_iter()
                    .map(|(field, fault)| Violation::new(format!("next_step.{field}"), fault)),
            );
        }
        faults
    }
}

/// A day is more than any talk lasts: longer ones are typing errors.
pub fn duration_fault(duration_s: i64) -> Option<&'static str> {
    const DAY_S: i64 = 24 * 60 * 60;
    match duration_s {
        ..0 => Some("must not be negative"),
        0..=DAY_S => None,
        _ => Some("must not be longer than a day"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("this contact cannot be recorded as given")]
    Invalid(Vec<Violation>),
    #[error("this contact is recorded already")]
    AlreadyLogged,
    #[error("the external id belongs to a contact with another account")]
    ExternalIdTaken,
    #[error("the task is closed already")]
    TaskClosed,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::AlreadyLogged | Self::ExternalIdTaken => Kind::AlreadyExists,
            Self::TaskClosed => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INTERACTION_INVALID",
            Self::AlreadyLogged => "INTERACTION_EXISTS",
            Self::ExternalIdTaken => "EXTERNAL_ID_TAKEN",
            Self::TaskClosed => "TASK_CLOSED",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::AlreadyLogged | Self::ExternalIdTaken | Self::TaskClosed => Vec::new(),
        }
    }
}

impl Aggregate for Interaction {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "interaction";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Log(command) => log(state, *command),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::Logged(logged) => Some(logged.occurred_at),
        }
    }
}

fn log(state: &State, command: Log) -> Result<Vec<Event>, Rejection> {
    match state.account_id {
        Some(account_id) if account_id == command.account_id => {
            return Err(Rejection::AlreadyLogged);
        }
        Some(_) => return Err(Rejection::ExternalIdTaken),
        None => {}
    }
    let faults = command.faults();
    if !faults.is_empty() {
        return Err(Rejection::Invalid(faults));
    }
    if command.completes.is_some_and(|task| !task.open) {
        return Err(Rejection::TaskClosed);
    }
    let about = subject(command.person_id, command.account_id);
    let next_step = command.next_step.map(|step| {
        let about = subject(step.person_id.or(command.person_id), command.account_id);
        PromisedStep {
            due_at: step.due_at,
            kind: step.kind,
            person_id: step.person_id,
            purpose: free_text(&about, step.purpose),
            comment: Personal::new(about, step.comment),
        }
    });
    Ok(vec![Event::Logged(Box::new(Logged {
        account_id: command.account_id,
        person_id: command.person_id,
        external_id: command.external_id,
        kind: command.kind,
        direction: command.direction,
        outcome: command.outcome,
        occurred_at: command.occurred_at,
        duration_s: u32::try_from(command.duration_s).ok().filter(|s| *s > 0),
        author_id: command.author_id,
        author_group_id: command.author_group_id,
        summary: free_text(&about, command.summary),
        impression: free_text(&about, command.impression),
        note: free_text(&about, command.note),
        completes_task_id: command.completes.map(|task| task.id),
        next_step,
    }))])
}

fn free_text(about: &Subject, text: String) -> Option<Personal<String>> {
    (!text.is_empty()).then(|| Personal::new(about.clone(), text))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use es::spec::given;
    use vocabulary::InteractionId;

    use super::*;

    fn ten(minute: u32) -> DateTime<Utc> {
        // 10:… of Moscow
        Utc.with_ymd_and_hms(2026, 3, 12, 7, minute, 0).unwrap()
    }

    fn ilyin() -> PersonId {
        PersonId::of_external("p-1")
    }

    fn sokolova() -> PersonId {
        PersonId::of_external("p-2")
    }

    fn promise() -> NextStep {
        NextStep {
            due_at: Deadline::parse("2026-03-16T11:00:00+03:00").unwrap(),
            kind: TaskKind::Call,
            person_id: Some(ilyin()),
            purpose: "Уточнить получение КП".to_owned(),
            comment: "Спросить про сроки оплаты".to_owned(),
        }
    }

    fn call() -> Log {
        Log {
            now: ten(12),
            account_id: AccountId::of_external("acc-1001"),
            person_id: Some(ilyin()),
            external_id: None,
            kind: InteractionKind::Call,
            direction: Direction::Outbound,
            outcome: Outcome::ProposalRequested,
            occurred_at: ten(5),
            duration_s: 380,
            author_id: StaffId::of_external("s-11"),
            author_group_id: Some(GroupId::of_external("A")),
            summary: "Нужны 40 м³ в апреле, просит КП".to_owned(),
            impression: "Спокоен, решает сам".to_owned(),
            note: "Звонить после 11".to_owned(),
            completes: Some(CompletedTask {
                id: TaskId::of_external("T-501"),
                open: true,
            }),
            next_step: Some(promise()),
        }
    }

    fn log(log: Log) -> Command {
        Command::Log(Box::new(log))
    }

    fn logged() -> Logged {
        let personal =
            |text: &str| Personal::new(Subject::new("person", ilyin().0), text.to_owned());
        Logged {
            account_id: AccountId::of_external("acc-1001"),
            person_id: Some(ilyin()),
            external_id: None,
            kind: InteractionKind::Call,
            direction: Direction::Outbound,
            outcome: Outcome::ProposalRequested,
            occurred_at: ten(5),
            duration_s: Some(380),
            author_id: StaffId::of_external("s-11"),
            author_group_id: Some(GroupId::of_external("A")),
            summary: Some(personal("Нужны 40 м³ в апреле, просит КП")),
            impression: Some(personal("Спокоен, решает сам")),
            note: Some(personal("Звонить после 11")),
            completes_task_id: Some(TaskId::of_external("T-501")),
            next_step: Some(PromisedStep {
                due_at: promise().due_at,
                kind: TaskKind::Call,
                person_id: Some(ilyin()),
                purpose: Some(personal("Уточнить получение КП")),
                comment: personal("Спросить про сроки оплаты"),
            }),
        }
    }

    /// S-04: the result, the task it completes and the next step are one event.
    #[test]
    fn a_contact_and_its_promise_are_one_event() {
        given::<Interaction>([])
            .when(log(call()))
            .then([Event::Logged(Box::new(logged()))]);
        assert_eq!(
            Interaction::occurred_at(&Event::Logged(Box::new(logged()))),
            Some(ten(5))
        );
    }

    /// S-04, second part: nothing is recorded when the promise is not complete.
    #[test]
    fn a_promise_without_a_comment_refuses_the_whole_contact() {
        given::<Interaction>([])
            .when(log(Log {
                next_step: Some(NextStep {
                    comment: "  ".to_owned(),
                    due_at: Deadline::parse("2026-03-11T11:00:00+03:00").unwrap(),
                    ..promise()
                }),
                occurred_at: ten(13),
                duration_s: 86_401,
                ..call()
            }))
            .then_rejected(Rejection::Invalid(vec![
                Violation::new("occurred_at", "must not be in the future"),
                Violation::new("duration_s", "must not be longer than a day"),
                Violation::new("next_step.due_at", "must not be in the past"),
                Violation::new("next_step.comment", "must say what to do"),
            ]));
    }

    #[test]
    fn durations_are_between_nothing_and_a_day() {
        for (duration_s, fine) in [(-1, false), (0, true), (86_400, true), (86_401, false)] {
            assert_eq!(duration_fault(duration_s).is_none(), fine, "{duration_s}");
        }
    }

    #[test]
    fn a_closed_task_is_not_completed_again() {
        given::<Interaction>([])
            .when(log(Log {
                completes: Some(CompletedTask {
                    id: TaskId::of_external("T-501"),
                    open: false,
                }),
                ..call()
            }))
            .then_rejected(Rejection::TaskClosed);
    }

    #[test]
    fn a_contact_is_recorded_once() {
        let recorded = || [Event::Logged(Box::new(logged()))];
        given::<Interaction>(recorded())
            .when(log(call()))
            .then_rejected(Rejection::AlreadyLogged);
        given::<Interaction>(recorded())
            .when(log(Log {
                account_id: AccountId::of_external("acc-2"),
                ..call()
            }))
            .then_rejected(Rejection::ExternalIdTaken);
    }

    #[test]
    fn what_is_not_said_is_not_stored() {
        given::<Interaction>([])
            .when(log(Log {
                duration_s: 0,
                summary: String::new(),
                impression: String::new(),
                note: String::new(),
                completes: None,
                next_step: None,
                ..call()
            }))
            .then([Event::Logged(Box::new(Logged {
                duration_s: None,
                summary: None,
                impression: None,
                note: None,
                completes_task_id: None,
                next_step: None,
                ..logged()
            }))]);
    }

    #[test]
    fn text_belongs_to_the_person_named_or_else_to_the_company() {
        let account_id = call().account_id;
        let decided = Interaction::decide(
            &State::default(),
            log(Log {
                person_id: None,
                next_step: Some(NextStep {
                    person_id: Some(sokolova()),
                    ..promise()
                }),
                ..call()
            }),
        );
        let Ok([Event::Logged(logged)]) = decided.as_deref() else {
            panic!("{decided:?}");
        };
        let summary = logged.summary.as_ref().unwrap();
        assert_eq!(summary.subject(), &Subject::new("account", account_id.0));
        let comment = &logged.next_step.as_ref().unwrap().comment;
        assert_eq!(comment.subject(), &Subject::new("person", sokolova().0));
    }

    #[test]
    fn the_task_of_a_promise_is_known_beforehand() {
        let id = InteractionId::of_external("c-1");
        assert_eq!(TaskId::of_next_step(id), TaskId::of_next_step(id));
        assert_ne!(TaskId::of_next_step(id).0, id.0);
    }
}
