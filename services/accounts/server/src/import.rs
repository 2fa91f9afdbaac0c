//! Files of rows. Every row has its own fate; everything wrong with it is said at once, under the
//! names of the file's columns. Ids follow from external ids, so repeating a file changes nothing.

pub(crate) mod accounts;
pub(crate) mod deals;
pub(crate) mod facts;
pub(crate) mod orders;
pub(crate) mod staff;

use accounts_domain::{
    import_batch::{self, Fault},
    precision::Precision,
};
use api::common::{self, RowResult, row_result::Outcome};
use chrono::{DateTime, NaiveTime, Utc};
use es::Rejection;
use es_postgres::{ExecuteError, LogError};
use kit::{AppError, Ctx, Violations};
use uuid::Uuid;
use vocabulary::AccountId;

/// As many rows as a request may bring.
const MOST: usize = 1_000;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Created(Uuid),
    Repeated(Uuid),
    Rejected(Vec<Fault>),
}

impl Fate {
    fn result(self, row: i64) -> RowResult {
        let (outcome, id, violations) = match self {
            Self::Created(id) => (Outcome::Created, Some(id), Vec::new()),
            Self::Repeated(id) => (Outcome::Repeated, Some(id), Vec::new()),
            Self::Rejected(violations) => (Outcome::Rejected, None, violations),
        };
        RowResult {
            row,
            outcome: outcome.into(),
            id: id.map_or_else(String::new, |id| id.to_string()),
            violations: violations.iter().map(worded).collect(),
            owner: String::new(),
        }
    }

    fn refused(field: &str, description: impl Into<String>, reason: &str) -> Self {
        Self::Rejected(vec![fault(field.to_owned(), description.into(), reason)])
    }
}

/// What became of a row of a file of companies.
fn result(row: &import_batch::Row, id: Option<AccountId>, owner: Option<&String>) -> RowResult {
    let outcome = match row.outcome {
        import_batch::Outcome::Created => Outcome::Created,
        import_batch::Outcome::Matched => Outcome::Matched,
        import_batch::Outcome::Repeated => Outcome::Repeated,
        import_batch::Outcome::Rejected => Outcome::Rejected,
    };
    RowResult {
        row: row.row,
        outcome: outcome.into(),
        id: id.map_or_else(String::new, |id| id.to_string()),
        violations: row.faults.iter().map(worded).collect(),
        owner: owner.cloned().unwrap_or_default(),
    }
}

fn fault(field: String, description: String, reason: &str) -> Fault {
    Fault {
        field,
        description,
        reason: reason.to_owned(),
    }
}

/// In the language of the caller.
pub(crate) fn worded(fault: &Fault) -> common::Violation {
    common::Violation {
        field: fault.field.clone(),
        description: kit::in_words(fault.description.clone(), &fault.reason),
        reason: fault.reason.clone(),
    }
}

/// What was read of a row, or everything that is wrong with it.
fn row_of<T>(v: Violations, row: Option<T>) -> Result<T, Fate> {
    match (v.into_inner(), row) {
        (faults, Some(row)) if faults.is_empty() => Ok(row),
        (faults, _) => Err(Fate::Rejected(
            faults.into_iter().map(Fault::from).collect(),
        )),
    }
}

/// A file that knows the day only has its midnight.
fn precision(at: DateTime<Utc>, ctx: &Ctx) -> Precision {
    if at.with_timezone(&ctx.zone()).time() == NaiveTime::MIN {
        Precision::Day
    } else {
        Precision::Instant
    }
}

fn check_size(rows: usize) -> Result<(), AppError> {
    if rows > MOST {
        let text = format!("must have at most {MOST} entries");
        return Err(AppError::violation("rows", text));
    }
    Ok(())
}

/// With every field at fault, under one reason.
fn rejected(rejection: &impl Rejection) -> Fate {
    let violations = rejection.violations();
    if violations.is_empty() {
        return Fate::refused("", rejection.to_string(), rejection.reason());
    }
    let faults = violations
        .into_iter()
        .map(|violation| fault(violation.field, violation.description, rejection.reason()));
    Fate::Rejected(faults.collect())
}

/// The fate of a row whose command was refused: its own fault, or a reason to stop.
fn refusal<R: Rejection>(error: ExecuteError<R>, taken: &str) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(rejection) => Ok(rejected(&rejection)),
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
