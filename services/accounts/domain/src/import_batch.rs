//! What became of the rows of an imported file, as many of them as one request brought. Kept for
//! ever: the same file gets the same report again, and an order can be traced to its row. Only what
//! was refused can be taken later, once what was missing is there.

use std::collections::BTreeMap;

use es::{Aggregate, Never, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{AccountId, ImportId, StaffId, derived_id};

/// Marker of the aggregate.
pub enum ImportBatch {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Rows of a file were taken, or refused.
    #[serde(rename = "import_batch.recorded")]
    Recorded(Batch),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// Follows from the bytes of the file.
    pub import_id: ImportId,
    /// What the importer calls it.
    pub file: String,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// As the file numbers it.
    pub row: i64,
    pub outcome: Outcome,
    /// The company that the row means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Who owned it then, where it was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It brought a company.
    Created,
    /// The company was there before the file.
    Matched,
    /// A row before it means the same company.
    Repeated,
    Rejected,
}

/// What is wrong with a row; never the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    pub field: String,
    pub description: String,
    pub reason: String,
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self {
            field: violation.field,
            description: violation.description,
            reason: violation.reason.to_owned(),
        }
    }
}

/// Where a company came from: a row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    pub import_id: ImportId,
    pub row: i64,
}

/// The batch of a file that begins with this row.
pub fn id(import_id: ImportId, first_row: i64) -> Uuid {
    derived_id(ImportBatch::CATEGORY, &format!("{import_id}/{first_row}"))
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// By their numbers.
    pub rows: BTreeMap<i64, Row>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Record(Batch),
}

impl Aggregate for ImportBatch {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "import_batch";

    /// The first report of a row stands, unless it was refused and is not any more.
    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Never> {
        let Command::Record(mut batch) = command;
        batch.rows.retain(|row| is_news(state, row));
        Ok(if batch.rows.is_empty() {
            Vec::new()
        } else {
            vec![Event::Recorded(batch)]
        })
    }

    fn evolve(mut state: State, event: &Event) -> State {
        let Event::Recorded(batch) = event;
        for row in &batch.rows {
            if is_news(&state, row) {
                state.rows.insert(row.row, row.clone());
            }
        }
        state
    }
}

fn is_news(state: &State, row: &Row) -> bool {
    state
        .rows
        .get(&row.row)
        .is_none_or(|known| known.outcome == Outcome::Rejected && row.outcome != Outcome::Rejected)
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn batch(outcome: Outcome) -> Batch {
        Batch {
            import_id: ImportId::of_external("3f"),
            file: "справочник.csv".to_owned(),
            rows: vec![Row {
                row: 2,
                outcome,
                account_id: Some(AccountId::of_external("a-1")),
                owner_id: None,
                faults: Vec::new(),
            }],
        }
    }

    #[test]
    fn the_first_report_stands() {
        let first = Event::Recorded(batch(Outcome::Created));
        given::<ImportBatch>([])
            .when(Command::Record(batch(Outcome::Created)))
            .then([first.clone()]);
        for later in [Outcome::Repeated, Outcome::Rejected] {
            given::<ImportBatch>([first.clone()])
                .when(Command::Record(batch(later)))
                .then_nothing();
        }
    }

    #[test]
    fn what_was_refused_can_be_taken_later() {
        let refused = Event::Recorded(batch(Outcome::Rejected));
        let taken = Event::Recorded(batch(Outcome::Created));
        given::<ImportBatch>([refused.clone()])
            .when(Command::Record(batch(Outcome::Rejected)))
            .then_nothing();
        given::<ImportBatch>([refused.clone()])
            .when(Command::Record(batch(Outcome::Created)))
            .then([taken.clone()]);
        given::<ImportBatch>([refused, taken])
            .when(Command::Record(batch(Outcome::Rejected)))
            .then_nothing();
    }
}
