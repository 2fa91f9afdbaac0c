use chrono::{DateTime, FixedOffset, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PersonId, TaskKind, normalise};

/// A point in time with the offset it was promised in: `2026-03-12T10:00:00+03:00`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Deadline(DateTime<FixedOffset>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a date with time and offset as in 2026-03-12T10:00:00+03:00")]
pub struct InvalidDeadline;

impl Deadline {
    /// Refuses a date without a time and a time without an offset: a promise has both.
    pub fn parse(text: &str) -> Result<Self, InvalidDeadline> {
        let instant = DateTime::parse_from_rfc3339(text.trim()).ok();
        let instant = instant.filter(crate::is_of_our_time);
        instant.map(Self).ok_or(InvalidDeadline)
    }

    pub fn at(instant: DateTime<FixedOffset>) -> Self {
        Self(instant)
    }

    pub fn instant(self) -> DateTime<Utc> {
        self.0.with_timezone(&Utc)
    }

    pub fn to_rfc3339(self) -> String {
        self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)
    }
}

/// What a contact promises. Complete or not there at all: [`next_step_faults`] is the one rule for
/// the contact that names it and for the task it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    pub due_at: Deadline,
    pub kind: TaskKind,
    pub person_id: Option<PersonId>,
    pub purpose: String,
    pub comment: String,
}

/// Every fault of a deadline and a comment that should make a task, as (field, what is wrong).
/// `now` is when the promise is made.
pub fn next_step_faults(
    due_at: Deadline,
    comment: &str,
    now: DateTime<Utc>,
) -> Vec<(&'static str, &'static str)> {
    let mut faults = Vec::new();
    if due_at.instant() < now {
        faults.push(("due_at", "must not be in the past"));
    }
    if normalise(comment).is_empty() {
        faults.push(("comment", "must say what to do"));
    }
    faults
}
