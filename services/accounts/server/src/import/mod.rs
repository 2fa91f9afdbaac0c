//! Files of rows. Every row has its own fate; everything wrong with it is said at once, under the
//! names of the file's columns. Ids follow from external ids, so repeating a file changes nothing.

pub(crate) mod accounts;
pub(crate) mod orders;
pub(crate) mod staff;

use api::common::{self, RowResult, row_result::Outcome};
use es::{Rejection, Violation};
use es_postgres::{ExecuteError, LogError};
use kit::{AppError, Violations};
use uuid::Uuid;

/// As many rows as a request may bring.
const MOST: usize = 1_000;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Created(Uuid),
    /// `None`: there is one, but the caller does not see it.
    Matched(Option<Uuid>),
    Repeated(Uuid),
    Rejected(Vec<common::Violation>),
}

impl Fate {
    fn result(self, row: i64) -> RowResult {
        let (outcome, id, violations) = match self {
            Self::Created(id) => (Outcome::Created, Some(id), Vec::new()),
            Self::Matched(id) => (Outcome::Matched, id, Vec::new()),
            Self::Repeated(id) => (Outcome::Repeated, Some(id), Vec::new()),
            Self::Rejected(violations) => (Outcome::Rejected, None, violations),
        };
        RowResult {
            row,
            outcome: outcome.into(),
            id: id.map_or_else(String::new, |id| id.to_string()),
            violations,
        }
    }

    fn rejected(violations: Vec<Violation>) -> Self {
        let faults = violations
            .into_iter()
            .map(|violation| fault(violation.field, violation.description, violation.reason));
        Self::Rejected(faults.collect())
    }

    fn refused(field: &str, description: impl Into<String>, reason: &str) -> Self {
        Self::Rejected(vec![fault(field.to_owned(), description.into(), reason)])
    }
}

fn fault(field: String, description: String, reason: &str) -> common::Violation {
    common::Violation {
        field,
        description: kit::in_words(description, reason),
        reason: reason.to_owned(),
    }
}

/// What was read of a row, or everything that is wrong with it.
fn row_of<T>(v: Violations, row: Option<T>) -> Result<T, Fate> {
    match (v.into_inner(), row) {
        (faults, Some(row)) if faults.is_empty() => Ok(row),
        (faults, _) => Err(Fate::rejected(faults)),
    }
}

fn check_size(rows: usize) -> Result<(), AppError> {
    if rows > MOST {
        let text = format!("must have at most {MOST} entries");
        return Err(AppError::violation("rows", text));
    }
    Ok(())
}

/// The fate of a row whose command was refused: its own fault, or a reason to stop.
fn refusal<R: Rejection>(error: ExecuteError<R>, taken: &str) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(rejection) => {
            Ok(Fate::refused("", rejection.to_string(), rejection.reason()))
        }
        ExecuteError::Taken { .. } => Ok(Fate::refused(taken, "is used already", "TAKEN")),
        ExecuteError::Log(LogError::Erased { .. }) => {
            Ok(Fate::refused(taken, "was erased", "SUBJECT_ERASED"))
        }
        // Something else than this row: what is recorded is recorded, a repetition does the rest.
        error @ (ExecuteError::Stale { .. }
        | ExecuteError::RequestIdReused
        | ExecuteError::Log(_)) => Err(error.into()),
    }
}
