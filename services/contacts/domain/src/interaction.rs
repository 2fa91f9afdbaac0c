//! A contact that took place. Append-only: what was said is not unsaid. Only its texts can be put
//! in other words, when they are about several people and one of these is to be erased.

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{
    AccountId, Deadline, Direction, GroupId, InteractionId, InteractionKind, NextStep, Outcome,
    PersonId, StaffId, TaskId, TaskKind, derived_id, next_step_faults,
};

/// The aggregate; its stream is `interaction-<InteractionId>`.
pub enum Interaction {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A contact took place: a call, a meeting, a letter.
    #[serde(rename = "interaction.logged")]
    Logged(Box<Logged>),
    /// The words of a contact were replaced by others, about fewer people.
    #[serde(rename = "interaction.redacted")]
    Redacted(Box<Redacted>),
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
    /// Others whom the texts speak of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentioned_person_ids: Vec<PersonId>,
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

impl Logged {
    /// Whom the texts are about; nobody: the company.
    pub fn people(&self) -> Vec<PersonId> {
        let stepped = self.next_step.as_ref().and_then(|step| step.person_id);
        people(self.person_id, stepped, &self.mentioned_person_ids)
    }
}

/// They take the place of all that were there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Redacted {
    pub about_person_ids: Vec<PersonId>,
    #[serde(flatten)]
    pub texts: Texts,
}

/// All the words of a contact, those of its next step included. Each is about the same people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Texts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impression: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Personal<String>>,
}

impl Texts {
    pub fn of(logged: &Logged) -> Self {
        let step = logged.next_step.as_ref();
        Self {
            summary: logged.summary.clone(),
            impression: logged.impression.clone(),
            note: logged.note.clone(),
            purpose: step.and_then(|step| step.purpose.clone()),
            comment: step.map(|step| step.comment.clone()),
        }
    }

    pub fn each(&self) -> impl Iterator<Item = &Personal<String>> {
        [
            &self.summary,
            &self.impression,
            &self.note,
            &self.purpose,
            &self.comment,
        ]
        .into_iter()
        .flatten()
    }
}

#[derive(Debug, Clone, Default)]
pub struct State {
    account_id: Option<AccountId>,
    people: Vec<PersonId>,
    texts: Texts,
    /// How often the texts were put in other words.
    redactions: u32,
}

impl State {
    /// `None`: there was no such contact.
    pub fn account_id(&self) -> Option<AccountId> {
        self.account_id
    }
}

fn evolve(mut state: State, event: &Event) -> State {
    match event {
        Event::Logged(logged) => {
            state.account_id = Some(logged.account_id);
            state.people = logged.people();
            state.texts = Texts::of(logged);
        }
        Event::Redacted(redacted) => {
            state.people.clone_from(&redacted.about_person_ids);
            state.texts = redacted.texts.clone();
            state.redactions = state.redactions.saturating_add(1);
        }
    }
    state
}

#[derive(Debug, Clone)]
pub enum Command {
    Log(Box<Log>),
    Redact(Box<Redact>),
}

/// Other words, about fewer people. What is empty is taken away.
#[derive(Debug, Clone)]
pub struct Redact {
    pub id: InteractionId,
    /// Those of the persons whom the new words are about.
    pub about: Vec<PersonId>,
    pub summary: String,
    pub impression: String,
    pub note: String,
    pub purpose: String,
    pub comment: String,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub id: InteractionId,
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
    /// Others whom the texts speak of.
    pub mentioned: Vec<PersonId>,
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
    #[error("there was no such contact")]
    Unknown,
    #[error("the texts of this contact are erased")]
    Erased,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::AlreadyLogged | Self::ExternalIdTaken => Kind::AlreadyExists,
            Self::TaskClosed | Self::Erased => Kind::FailedPrecondition,
            Self::Unknown => Kind::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INTERACTION_INVALID",
            Self::AlreadyLogged => "INTERACTION_EXISTS",
            Self::ExternalIdTaken => "EXTERNAL_ID_TAKEN",
            Self::TaskClosed => "TASK_CLOSED",
            Self::Unknown => "INTERACTION_UNKNOWN",
            Self::Erased => "INTERACTION_ERASED",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::AlreadyLogged
            | Self::ExternalIdTaken
            | Self::TaskClosed
            | Self::Unknown
            | Self::Erased => Vec::new(),
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
            Command::Redact(command) => redact(state, &command),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::Logged(logged) => Some(logged.occurred_at),
            Event::Redacted(_) => None,
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
    let stepped = command.next_step.as_ref().and_then(|step| step.person_id);
    let people = people(command.person_id, stepped, &command.mentioned);
    let about = about(command.id, 0, &people, command.account_id);
    let next_step = command.next_step.map(|step| PromisedStep {
        due_at: step.due_at,
        kind: step.kind,
        person_id: step.person_id,
        purpose: free_text(&about, step.purpose),
        comment: Personal::new(about.clone(), step.comment),
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
        mentioned_person_ids: command.mentioned,
        completes_task_id: command.completes.map(|task| task.id),
        next_step,
    }))])
}

/// The old words stay under their own key, which goes with the first of the people they are about.
fn redact(state: &State, command: &Redact) -> Result<Vec<Event>, Rejection> {
    let account_id = state.account_id.ok_or(Rejection::Unknown)?;
    if state.texts.each().any(|text| text.get().is_none()) {
        return Err(Rejection::Erased);
    }
    let people = people(None, None, &command.about);
    if people.is_empty() || people.iter().any(|person| !state.people.contains(person)) {
        let fault = "must be persons whom the texts are about";
        let fault = Violation::new("about_person_ids", fault);
        return Err(Rejection::Invalid(vec![fault]));
    }
    let under = |redaction| {
        let about = about(command.id, redaction, &people, account_id);
        Texts {
            summary: free_text(&about, command.summary.clone()),
            impression: free_text(&about, command.impression.clone()),
            note: free_text(&about, command.note.clone()),
            purpose: free_text(&about, command.purpose.clone()),
            comment: free_text(&about, command.comment.clone()),
        }
    };
    if people == state.people && under(state.redactions) == state.texts {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Redacted(Box::new(Redacted {
        texts: under(state.redactions + 1),
        about_person_ids: people,
    }))])
}

/// Each once, in an order that does not depend on who is named where.
fn people(
    person: Option<PersonId>,
    stepped: Option<PersonId>,
    mentioned: &[PersonId],
) -> Vec<PersonId> {
    let named = person.into_iter().chain(stepped);
    let mut people: Vec<_> = named.chain(mentioned.iter().copied()).collect();
    people.sort_unstable();
    people.dedup();
    people
}

/// Whose key closes the words: the person's they are about; the company's when they are about
/// nobody in particular; one of their own when they are about several.
fn about(id: InteractionId, redaction: u32, people: &[PersonId], account_id: AccountId) -> Subject {
    let text = match redaction {
        0 => derived_id("text", &id.to_string()),
        redaction => derived_id("text", &format!("{id}/{redaction}")),
    };
    let people = people.iter().map(|person| Subject::new("person", person.0));
    Subject::of_text(text, people.collect(), || {
        Subject::new("account", account_id.0)
    })
}

fn free_text(about: &Subject, text: String) -> Option<Personal<String>> {
    (!text.is_empty()).then(|| Personal::new(about.clone(), text))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use es::spec::given;

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

    fn call_id() -> InteractionId {
        InteractionId::of_external("c-1")
    }

    fn call() -> Log {
        Log {
            id: call_id(),
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
            mentioned: Vec::new(),
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
            mentioned_person_ids: Vec::new(),
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

    fn person(id: PersonId) -> Subject {
        Subject::new("person", id.0)
    }

    /// Whom each text of a contact is about.
    fn subject_of(call: Log) -> Subject {
        let decided = Interaction::decide(&State::default(), log(call));
        let Ok([Event::Logged(logged)]) = decided.as_deref() else {
            panic!("{decided:?}");
        };
        let texts = Texts::of(logged);
        let subject = texts.each().next().unwrap().subject();
        assert!(texts.each().all(|text| text.subject() == subject));
        subject.clone()
    }

    #[test]
    fn words_belong_to_the_people_they_are_about_or_else_to_the_company() {
        let nobody = Log {
            person_id: None,
            next_step: None,
            ..call()
        };
        let company = Subject::new("account", call().account_id.0);
        assert_eq!(subject_of(nobody.clone()), company);
        assert_eq!(subject_of(call()), person(ilyin()));
        let promised = Log {
            next_step: Some(NextStep {
                person_id: Some(sokolova()),
                ..promise()
            }),
            ..nobody
        };
        assert_eq!(subject_of(promised.clone()), person(sokolova()));

        let both = [
            Log {
                person_id: Some(ilyin()),
                ..promised
            },
            Log {
                mentioned: vec![ilyin(), sokolova()],
                ..call()
            },
        ];
        for both in both {
            let subject = subject_of(both);
            let mut people = vec![person(ilyin()), person(sokolova())];
            people.sort();
            assert!(subject.is_shared());
            assert_eq!(subject.about().collect::<Vec<_>>(), people);
        }
    }

    fn about_both() -> Event {
        let call = Log {
            mentioned: vec![sokolova()],
            ..call()
        };
        let decided = Interaction::decide(&State::default(), log(call));
        decided.unwrap().remove(0)
    }

    fn without_sokolova() -> Redact {
        Redact {
            id: call_id(),
            about: vec![ilyin()],
            summary: "Нужны 40 м³ в апреле".to_owned(),
            impression: "Спокоен".to_owned(),
            note: String::new(),
            purpose: String::new(),
            comment: "Спросить про сроки оплаты".to_owned(),
        }
    }

    fn redact(redact: Redact) -> Command {
        Command::Redact(Box::new(redact))
    }

    #[test]
    fn words_about_several_can_be_put_otherwise_about_fewer() {
        let text = |text: &str| Some(Personal::new(person(ilyin()), text.to_owned()));
        let redacted = Event::Redacted(Box::new(Redacted {
            about_person_ids: vec![ilyin()],
            texts: Texts {
                summary: text("Нужны 40 м³ в апреле"),
                impression: text("Спокоен"),
                note: None,
                purpose: None,
                comment: text("Спросить про сроки оплаты"),
            },
        }));
        given::<Interaction>([about_both()])
            .when(redact(without_sokolova()))
            .then([redacted.clone()]);
        given::<Interaction>([about_both(), redacted])
            .when(redact(without_sokolova()))
            .then_nothing();
    }

    #[test]
    fn words_put_otherwise_about_several_have_another_key_of_their_own() {
        let both = Redact {
            about: vec![ilyin(), sokolova()],
            ..without_sokolova()
        };
        let state = Interaction::fold(&[about_both()]);
        let old = state.texts.each().next().unwrap().subject().clone();
        let events = Interaction::decide(&state, redact(both.clone())).unwrap();
        let [Event::Redacted(redacted)] = &events[..] else {
            panic!("{events:?}");
        };
        let new = redacted.texts.each().next().unwrap().subject();
        assert!(new.is_shared() && *new != old);
        given::<Interaction>([about_both()].into_iter().chain(events))
            .when(redact(both))
            .then_nothing();
    }

    #[test]
    fn nobody_puts_words_into_the_mouths_of_strangers_or_of_the_erased() {
        let refused = |about| {
            let command = redact(Redact {
                about,
                ..without_sokolova()
            });
            Interaction::decide(&Interaction::fold(&[about_both()]), command)
        };
        for about in [vec![PersonId::of_external("p-3")], vec![]] {
            assert!(matches!(refused(about), Err(Rejection::Invalid(_))));
        }
        given::<Interaction>([])
            .when(redact(without_sokolova()))
            .then_rejected(Rejection::Unknown);
        let Event::Logged(mut erased) = about_both() else {
            panic!("logged");
        };
        let subject = person(ilyin());
        erased.summary = Some(Personal::Erased { subject });
        given::<Interaction>([Event::Logged(erased)])
            .when(redact(without_sokolova()))
            .then_rejected(Rejection::Erased);
    }

    #[test]
    fn the_task_of_a_promise_is_known_beforehand() {
        let id = InteractionId::of_external("c-1");
        assert_eq!(TaskId::of_next_step(id), TaskId::of_next_step(id));
        assert_ne!(TaskId::of_next_step(id).0, id.0);
    }
}
