//! A promise: one assignee, one deadline, one thing to do. It is closed, never deleted.

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Upcaster, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{
    AccountId, Deadline, InteractionId, PersonId, StaffId, TaskKind, TransferId, next_step_faults,
};

pub enum Task {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Something is to be done, by somebody, until some time.
    #[serde(rename = "task.created")]
    Created(Created),
    /// A task went to somebody else; its deadline stays.
    #[serde(rename = "task.reassigned")]
    Reassigned(Reassigned),
    /// A task got another deadline.
    #[serde(rename = "task.rescheduled")]
    Rescheduled(Rescheduled),
    /// A task is done.
    #[serde(rename = "task.completed")]
    Completed(Completed),
    /// A task is not to be done any more.
    #[serde(rename = "task.cancelled")]
    Cancelled(Cancelled),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    pub assignee_id: StaffId,
    /// None when a rule planned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_by: Option<StaffId>,
    pub kind: TaskKind,
    pub due_at: Deadline,
    pub comment: Personal<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Personal<String>>,
    /// The contact that promised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_interaction_id: Option<InteractionId>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reassigned {
    pub from_assignee_id: StaffId,
    pub to_assignee_id: StaffId,
    /// Under the key of the comment.
    pub reason: Personal<String>,
    /// The hand-over of accounts that it followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<TransferId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rescheduled {
    pub from_due_at: Deadline,
    pub due_at: Deadline,
    /// Under the key of the comment.
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    pub completed_at: DateTime<Utc>,
    /// The contact by which it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction_id: Option<InteractionId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// Under the key of the comment.
    pub reason: Personal<String>,
}

/// Nothing, until the task is created.
pub type State = Option<Planned>;

#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub account_id: Option<AccountId>,
    pub assignee_id: StaffId,
    pub due_at: Deadline,
    pub first_due_at: Deadline,
    pub moves: u32,
    pub standing: Standing,
    /// Whatever else is said of the task is under its key.
    pub comment: Personal<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    Completed,
    Cancelled,
}

fn evolve(state: State, event: &Event) -> State {
    match event {
        Event::Created(created) => Some(Planned {
            account_id: created.account_id,
            assignee_id: created.assignee_id,
            due_at: created.due_at,
            first_due_at: created.due_at,
            moves: 0,
            standing: Standing::Open,
            comment: created.comment.clone(),
        }),
        Event::Reassigned(reassigned) => state.map(|task| Planned {
            assignee_id: reassigned.to_assignee_id,
            ..task
        }),
        Event::Rescheduled(rescheduled) => state.map(|task| Planned {
            due_at: rescheduled.due_at,
            moves: task.moves.saturating_add(1),
            ..task
        }),
        Event::Completed(_) => state.map(|task| Planned {
            standing: Standing::Completed,
            ..task
        }),
        Event::Cancelled(_) => state.map(|task| Planned {
            standing: Standing::Cancelled,
            ..task
        }),
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Create {
        task: Created,
        /// Whether the assignee works here, as the directory knows it.
        assignee_active: bool,
    },
    /// A task with a past: its deadline may be over, and a task that is done may be of someone
    /// who has left.
    Import {
        task: Created,
        assignee_active: bool,
        completed_at: Option<DateTime<Utc>>,
    },
    Reassign {
        assignee_id: StaffId,
        assignee_active: bool,
        reason: String,
    },
    /// The account went to another owner: a task still open and still of the former one follows.
    HandOver {
        from: StaffId,
        to: StaffId,
        reason: String,
        transfer_id: Option<TransferId>,
    },
    Reschedule {
        due_at: Deadline,
        reason: String,
        now: DateTime<Utc>,
    },
    Complete {
        completed_at: DateTime<Utc>,
        interaction_id: Option<InteractionId>,
    },
    Cancel {
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("task lacks what every task needs")]
    Invalid(Vec<Violation>),
    #[error("task does not exist")]
    Absent,
    #[error("task is completed")]
    Completed,
    #[error("task is cancelled")]
    Cancelled,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Absent => Kind::NotFound,
            Self::Completed | Self::Cancelled => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "TASK_INVALID",
            Self::Absent => "TASK_NOT_FOUND",
            Self::Completed => "TASK_COMPLETED",
            Self::Cancelled => "TASK_CANCELLED",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::Absent | Self::Completed | Self::Cancelled => Vec::new(),
        }
    }
}

impl Aggregate for Task {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "task";

    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster::plain_reason("task.reassigned"),
        Upcaster::plain_reason("task.rescheduled"),
        Upcaster::plain_reason("task.cancelled"),
    ];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Create {
                task,
                assignee_active,
            } => create(state, task, assignee_active),
            Command::Import {
                task,
                assignee_active,
                completed_at,
            } => import(state, task, assignee_active, completed_at),
            Command::Reassign {
                assignee_id,
                assignee_active,
                reason,
            } => reassign(state, assignee_id, assignee_active, reason),
            Command::HandOver {
                from,
                to,
                reason,
                transfer_id,
            } => Ok(hand_over(state, from, to, reason, transfer_id)),
            Command::Reschedule {
                due_at,
                reason,
                now,
            } => reschedule(state, due_at, reason, now),
            Command::Complete {
                completed_at,
                interaction_id,
            } => complete(state, completed_at, interaction_id),
            Command::Cancel { reason } => cancel(state, reason),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::Created(created) => Some(created.created_at),
            Event::Completed(completed) => Some(completed.completed_at),
            Event::Reassigned(_) | Event::Rescheduled(_) | Event::Cancelled(_) => None,
        }
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::Reassigned(_) | Event::Rescheduled(_) | Event::Cancelled(_) => 2,
            Event::Created(_) | Event::Completed(_) => 1,
        }
    }
}

/// Everything wrong with a new task, as far as its facts are known. What is missing altogether
/// (None) is for the caller to name, so that one answer can name all of it.
pub fn creation_faults(
    assignee_active: Option<bool>,
    due_at: Option<Deadline>,
    comment: &str,
    now: DateTime<Utc>,
) -> Vec<Violation> {
    // Without a deadline the one of this instant stands in: it has no faults of its own.
    let due_at = due_at.unwrap_or_else(|| Deadline::at(now.fixed_offset()));
    let rest = next_step_faults(due_at, comment, now)
        .into_iter()
        .map(|(field, description)| Violation::new(field, description));
    inactive(assignee_active).into_iter().chain(rest).collect()
}

/// As [`creation_faults`], for a task with a past.
pub fn import_faults(
    assignee_active: Option<bool>,
    comment: &str,
    created_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
) -> Vec<Violation> {
    let assignee_active = assignee_active.filter(|_| completed_at.is_none());
    let mut violations = creation_faults(assignee_active, None, comment, created_at);
    if completed_at.is_some_and(|completed_at| completed_at < created_at) {
        violations.push(Violation::new(
            "completed_at",
            "must not be before the task was created",
        ));
    }
    violations
}

/// As [`creation_faults`], for another assignee.
pub fn reassignment_faults(assignee_active: Option<bool>, reason: &str) -> Vec<Violation> {
    let inactive = inactive(assignee_active).into_iter();
    inactive.chain(unexplained(reason)).collect()
}

/// As [`creation_faults`], for another deadline.
pub fn move_faults(due_at: Option<Deadline>, reason: &str, now: DateTime<Utc>) -> Vec<Violation> {
    let past = due_at
        .filter(|due_at| due_at.instant() < now)
        .map(|_| Violation::new("due_at", "must not be in the past"));
    past.into_iter().chain(unexplained(reason)).collect()
}

/// As [`creation_faults`], for a task that is not to be done.
pub fn cancellation_faults(reason: &str) -> Vec<Violation> {
    unexplained(reason).into_iter().collect()
}

fn inactive(assignee_active: Option<bool>) -> Option<Violation> {
    (assignee_active == Some(false))
        .then(|| Violation::new("assignee_id", "must be an active member of staff"))
}

fn unexplained(reason: &str) -> Option<Violation> {
    reason
        .trim()
        .is_empty()
        .then(|| Violation::new("reason", "must say why"))
}

/// The id of a task says which one it is: creating it again changes nothing, however long after.
fn create(state: &State, task: Created, assignee_active: bool) -> Result<Vec<Event>, Rejection> {
    if state.is_some() {
        return Ok(Vec::new());
    }
    valid(creation_faults(
        Some(assignee_active),
        Some(task.due_at),
        text(&task.comment),
        task.created_at,
    ))?;
    Ok(vec![Event::Created(task)])
}

fn import(
    state: &State,
    task: Created,
    assignee_active: bool,
    completed_at: Option<DateTime<Utc>>,
) -> Result<Vec<Event>, Rejection> {
    if state.is_some() {
        return Ok(Vec::new());
    }
    valid(import_faults(
        Some(assignee_active),
        text(&task.comment),
        task.created_at,
        completed_at,
    ))?;
    let completed = completed_at.map(|completed_at| {
        Event::Completed(Completed {
            completed_at,
            interaction_id: None,
        })
    });
    Ok([Event::Created(task)]
        .into_iter()
        .chain(completed)
        .collect())
}

fn reassign(
    state: &State,
    assignee_id: StaffId,
    assignee_active: bool,
    reason: String,
) -> Result<Vec<Event>, Rejection> {
    valid(reassignment_faults(Some(assignee_active), &reason))?;
    let task = open(state)?;
    if task.assignee_id == assignee_id {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Reassigned(Reassigned {
        from_assignee_id: task.assignee_id,
        to_assignee_id: assignee_id,
        reason: task.comment.beside(reason),
        transfer_id: None,
    })])
}

fn hand_over(
    state: &State,
    from: StaffId,
    to: StaffId,
    reason: String,
    transfer_id: Option<TransferId>,
) -> Vec<Event> {
    match open(state) {
        Ok(task) if task.assignee_id == from && from != to => {
            vec![Event::Reassigned(Reassigned {
                from_assignee_id: from,
                to_assignee_id: to,
                reason: task.comment.beside(reason),
                transfer_id,
            })]
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn reschedule(
    state: &State,
    due_at: Deadline,
    reason: String,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Rejection> {
    valid(move_faults(Some(due_at), &reason, now))?;
    let task = open(state)?;
    if task.due_at == due_at {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Rescheduled(Rescheduled {
        from_due_at: task.due_at,
        due_at,
        reason: task.comment.beside(reason),
    })])
}

fn complete(
    state: &State,
    completed_at: DateTime<Utc>,
    interaction_id: Option<InteractionId>,
) -> Result<Vec<Event>, Rejection> {
    match open(state) {
        Ok(_) => Ok(vec![Event::Completed(Completed {
            completed_at,
            interaction_id,
        })]),
        Err(Rejection::Completed) => Ok(Vec::new()),
        Err(rejection) => Err(rejection),
    }
}

fn cancel(state: &State, reason: String) -> Result<Vec<Event>, Rejection> {
    valid(cancellation_faults(&reason))?;
    match open(state) {
        Ok(task) => Ok(vec![Event::Cancelled(Cancelled {
            reason: task.comment.beside(reason),
        })]),
        Err(Rejection::Cancelled) => Ok(Vec::new()),
        Err(rejection) => Err(rejection),
    }
}

fn open(state: &State) -> Result<&Planned, Rejection> {
    let task = state.as_ref().ok_or(Rejection::Absent)?;
    match task.standing {
        Standing::Open => Ok(task),
        Standing::Completed => Err(Rejection::Completed),
        Standing::Cancelled => Err(Rejection::Cancelled),
    }
}

fn valid(violations: Vec<Violation>) -> Result<(), Rejection> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Rejection::Invalid(violations))
    }
}

/// What was said before it was erased was said.
fn text(comment: &Personal<String>) -> &str {
    comment.get().map_or("…", String::as_str)
}

#[cfg(test)]
mod tests;
