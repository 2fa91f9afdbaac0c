//! Files of rows.

pub(crate) mod accounts;
pub(crate) mod deals;
pub(crate) mod facts;
pub(crate) mod orders;
pub(crate) mod staff;

use accounts_domain::{
    import_batch::{Fault, Outcome},
    precision::Precision,
};
use api::common::{self, row_result};
use chrono::{DateTime, NaiveTime, Utc};
use kit::Ctx;

/// Of a row of a file of companies.
pub(crate) fn outcome(outcome: Outcome) -> row_result::Outcome {
    match outcome {
        Outcome::Created => row_result::Outcome::Created,
        Outcome::Matched => row_result::Outcome::Matched,
        Outcome::Repeated => row_result::Outcome::Repeated,
        Outcome::Rejected => row_result::Outcome::Rejected,
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

/// A file that knows the day only has its midnight.
fn precision(at: DateTime<Utc>, ctx: &Ctx) -> Precision {
    if at.with_timezone(&ctx.zone()).time() == NaiveTime::MIN {
        Precision::Day
    } else {
        Precision::Instant
    }
}
