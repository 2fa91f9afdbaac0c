//! Files of persons and of past contacts, batch by batch. Every row has its own fate, and ids
//! follow from external ids, so repeating a batch changes nothing.

mod interactions;
mod persons;

use std::collections::{HashMap, HashSet, hash_map::Entry};

use api::common::{RowResult, Violation as RowViolation, row_result::Outcome};
use es::{Aggregate, Rejection, Violation};
use es_postgres::{ExecuteError, LogError};
use kit::{AccountEntry, AppError, Ctx, Service, Violations};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, normalise};

pub(crate) use interactions::interactions;
pub(crate) use persons::persons;

const MAX_ROWS: usize = 1_000;
const MAX_EXTERNAL_ID: usize = 200;

/// A row of the file: a command, or everything that is wrong with it.
struct Row<C> {
    number: i64,
    read: Result<Ready<C>, Vec<Violation>>,
}

struct Ready<C> {
    id: Uuid,
    account_id: AccountId,
    command: C,
}

/// The fate of each row, and the position in the log that the import reached.
struct Imported {
    results: Vec<RowResult>,
    position: i64,
}

/// Which of the accounts named in a file the caller sees, and what answers for each: one query for
/// the whole batch.
struct Accounts(HashMap<AccountId, AccountEntry>);

impl Accounts {
    async fn visible<'a>(
        service: &Service,
        ctx: &Ctx,
        external_ids: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Self, AppError> {
        if external_ids.len() > MAX_ROWS {
            return Err(AppError::violation(
                "rows",
                format!("must be at most {MAX_ROWS}"),
            ));
        }
        let ids: HashSet<_> = external_ids
            .map(|external_id| AccountId::of_external(&normalise(external_id)))
            .collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let mut known = service.known_accounts(&ids).await?;
        known.retain(|_, account| account.is_visible(ctx.sees(), ctx.now));
        Ok(Self(known))
    }

    /// The account of a row. What is hidden from the caller and what does not exist read the same.
    fn read(&self, v: &mut Violations, external_id: &str) -> Option<AccountId> {
        let external_id = v.required_line("account", external_id, MAX_EXTERNAL_ID);
        if external_id.is_empty() {
            return None;
        }
        let id = Some(AccountId::of_external(&external_id)).filter(|id| self.0.contains_key(id));
        if id.is_none() {
            v.add("account", "is not known");
        }
        id
    }

    /// The one that answers for the account of a row.
    fn answering(&self, id: AccountId) -> Option<AccountId> {
        self.0.get(&id).map(|account| account.id)
    }

    /// Whose it is, now or while a claim holds.
    fn holder(&self, ctx: &Ctx, id: AccountId) -> Option<StaffId> {
        let answering = || self.0.values().find(|account| account.id == id);
        self.0.get(&id).or_else(answering)?.holder_at(ctx.now)
    }
}

/// Records what can be recorded. `repeated` is how the aggregate says that it has the row already.
async fn record<A: Aggregate>(
    service: &Service,
    ctx: &Ctx,
    accounts: &Accounts,
    rows: Vec<Row<A::Command>>,
    repeated: &A::Rejection,
) -> Result<Imported, AppError> {
    let mut results = Vec::with_capacity(rows.len());
    let mut commands = Vec::with_capacity(rows.len());
    let mut commanded = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        results.push(match row.read {
            Ok(ready) => {
                commanded.push(index);
                let context = ctx.command_about(accounts.holder(ctx, ready.account_id));
                commands.push((context, ready.id, ready.command));
                accepted(row.number, Outcome::Created, ready.id)
            }
            Err(violations) => rejected(row.number, violations),
        });
    }
    let mut position = *service.log.head().borrow();
    let outcomes = service.log.execute_many::<A>(commands).await;
    for (index, outcome) in commanded.into_iter().zip(outcomes) {
        let result: &mut RowResult = &mut results[index];
        match outcome {
            Ok(outcome) => position = position.max(outcome.position),
            Err(ExecuteError::Rejected(rejection)) if rejection == *repeated => {
                result.outcome = Outcome::Repeated.into();
            }
            Err(ExecuteError::Rejected(rejection)) => {
                *result = rejected(result.row, against_the_rules(&rejection));
            }
            Err(ExecuteError::Log(LogError::Erased { .. })) => {
                let violation = Violation::because(ERASED, "person", "was erased");
                *result = rejected(result.row, vec![violation]);
            }
            // Not the row's fault: the caller sends the batch again.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Imported { results, position })
}

/// What [`record`] would answer, as far as the view tells: `known` has the ids that are taken and
/// the account of each.
fn foresee<C>(
    service: &Service,
    rows: Vec<Row<C>>,
    mut known: HashMap<Uuid, AccountId>,
    taken: &impl Rejection,
) -> Imported {
    let results = rows.into_iter().map(|row| match row.read {
        Err(violations) => rejected(row.number, violations),
        Ok(ready) => match known.entry(ready.id) {
            Entry::Vacant(free) => {
                free.insert(ready.account_id);
                accepted(row.number, Outcome::Created, ready.id)
            }
            Entry::Occupied(there) if *there.get() == ready.account_id => {
                accepted(row.number, Outcome::Repeated, ready.id)
            }
            Entry::Occupied(_) => rejected(row.number, against_the_rules(taken)),
        },
    });
    Imported {
        results: results.collect(),
        position: *service.log.head().borrow(),
    }
}

/// Ids of the rows that can be taken.
fn ids<C>(rows: &[Row<C>]) -> Vec<Uuid> {
    let ready = rows.iter().filter_map(|row| row.read.as_ref().ok());
    ready.map(|ready| ready.id).collect()
}

/// The same as everywhere where somebody erased is spoken of.
const ERASED: &str = "SUBJECT_ERASED";

/// What a rejection says of the row, under its own tag.
fn against_the_rules(rejection: &impl Rejection) -> Vec<Violation> {
    let reason = rejection.reason();
    let mut violations = rejection.violations();
    if violations.is_empty() {
        violations.push(Violation::new("external_id", rejection.to_string()));
    }
    for violation in &mut violations {
        violation.reason = reason;
    }
    violations
}

fn accepted(row: i64, outcome: Outcome, id: Uuid) -> RowResult {
    RowResult {
        row,
        outcome: outcome.into(),
        id: id.to_string(),
        violations: Vec::new(),
        owner: String::new(),
    }
}

fn rejected(row: i64, violations: Vec<Violation>) -> RowResult {
    let violations = violations.into_iter().map(|violation| RowViolation {
        field: violation.field,
        description: kit::in_words(violation.description, violation.reason),
        reason: violation.reason.to_owned(),
    });
    RowResult {
        row,
        outcome: Outcome::Rejected.into(),
        id: String::new(),
        violations: violations.collect(),
        owner: String::new(),
    }
}
