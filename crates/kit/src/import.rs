//! Files of rows. Every row has its own fate; everything wrong with it is said at once, under the
//! names of the file's columns. Ids follow from external ids, so repeating a file changes nothing.
//!
//! What a row means is the service's: it reads rows into commands, and says how a refusal reads.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use api::common::{self, Position, RowResult, row_result::Outcome};
use chrono::{DateTime, SubsecRound, Utc};
use es::{Aggregate, Rejection, StreamId, Violation};
use es_postgres::{ExecuteError, LogError};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, normalise, parse_instant};

use crate::{AccountEntry, AppError, Ctx, Service, Violations, in_words};

/// As many rows as a request may bring.
const MAX_ROWS: usize = 1_000;
pub const MAX_EXTERNAL_ID: usize = 100;

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Created(Uuid),
    Repeated(Uuid),
    Rejected(Vec<Violation>),
}

impl Fate {
    pub fn refused(field: &str, description: &str, reason: &'static str) -> Self {
        Self::Rejected(vec![Violation::because(reason, field, description)])
    }

    /// The external id is that of something of another account.
    pub fn of_another_account(reason: &'static str) -> Self {
        Self::refused("external_id", "is used for another account", reason)
    }

    /// With every field at fault, under one reason.
    pub fn against(rejection: &impl Rejection) -> Self {
        let mut violations = rejection.violations();
        if violations.is_empty() {
            violations.push(Violation::new("", rejection.to_string()));
        }
        for violation in &mut violations {
            violation.reason = rejection.reason();
        }
        Self::Rejected(violations)
    }

    pub fn result(self, row: i64) -> RowResult {
        let (outcome, id, violations) = match self {
            Self::Created(id) => (Outcome::Created, Some(id), Vec::new()),
            Self::Repeated(id) => (Outcome::Repeated, Some(id), Vec::new()),
            Self::Rejected(violations) => (Outcome::Rejected, None, violations),
        };
        let violations = violations.into_iter().map(|violation| common::Violation {
            field: violation.field,
            description: in_words(violation.description, violation.reason),
            reason: violation.reason.to_owned(),
        });
        RowResult {
            row,
            outcome: outcome.into(),
            id: id.map_or_else(String::new, |id| id.to_string()),
            violations: violations.collect(),
            owner: String::new(),
        }
    }
}

pub fn check_size(rows: usize) -> Result<(), AppError> {
    if rows > MAX_ROWS {
        let text = format!("must have at most {MAX_ROWS} entries");
        return Err(AppError::violation("rows", text));
    }
    Ok(())
}

/// What was read of a row, or everything that is wrong with it.
pub fn row_of<T>(v: Violations, row: Option<T>) -> Result<T, Fate> {
    match (v.into_inner(), row) {
        (faults, Some(row)) if faults.is_empty() => Ok(row),
        (faults, _) => Err(Fate::Rejected(faults)),
    }
}

/// What the outside world calls the thing that a row brings.
pub fn external_id(v: &mut Violations, text: &str) -> String {
    v.required_line("external_id", text, MAX_EXTERNAL_ID)
}

/// When something took place; `None`: the cell is empty, or nobody can read it.
pub fn past(v: &mut Violations, ctx: &Ctx, column: &str, text: &str) -> Option<DateTime<Utc>> {
    if text.trim().is_empty() {
        return None;
    }
    let instant = parse_instant(text, &ctx.zone()).map(|instant| instant.trunc_subsecs(6));
    match instant {
        None => v.add(column, "must be a date, a date and time, or RFC 3339"),
        Some(instant) if instant > ctx.now => v.add(column, "must not be in the future"),
        Some(_) => {}
    }
    instant
}

/// The same where the cell must say it.
pub fn required_past(v: &mut Violations, ctx: &Ctx, column: &str, text: &str) -> DateTime<Utc> {
    if text.trim().is_empty() {
        v.add(column, "must not be empty");
    }
    past(v, ctx, column, text).unwrap_or(ctx.now)
}

/// Those of the accounts named in a file that the caller sees: one query for the whole batch.
pub struct Accounts(HashMap<AccountId, AccountEntry>);

impl Accounts {
    pub async fn visible<'a>(
        service: &Service,
        ctx: &Ctx,
        named: impl Iterator<Item = &'a str>,
    ) -> Result<Self, AppError> {
        let named: HashSet<_> = named.map(normalise).collect();
        let named = named.iter().filter(|external_id| !external_id.is_empty());
        let ids: Vec<_> = named.map(|text| AccountId::of_external(text)).collect();
        let mut known = service.known_accounts(&ids).await?;
        known.retain(|_, account| account.is_visible(ctx.sees(), ctx.now));
        Ok(Self(known))
    }

    /// The account of a row, under the id it is named by, and what answers for it. What is hidden
    /// from the caller and what does not exist read the same.
    pub fn read(&self, v: &mut Violations, text: &str) -> Option<(AccountId, AccountEntry)> {
        let external_id = v.required_line("account", text, MAX_EXTERNAL_ID);
        let id = AccountId::of_external(&external_id);
        let account = self.0.get(&id).map(|account| (id, *account));
        if account.is_none() && !external_id.is_empty() {
            v.add("account", "is not known");
        }
        account
    }
}

/// A row whose stream decides about it.
pub struct New<A: Aggregate> {
    /// Of what the row brings, which is of one stream only.
    pub id: Uuid,
    pub stream: Uuid,
    /// Whose it is, where the log is to say through whom the caller reaches it.
    pub owner: Option<StaffId>,
    pub command: A::Command,
}

/// The fate of the row that brings this id when its command is refused, or a reason to stop:
/// [`refusal`], and what the service has to say of its own.
pub type Refused<A> = fn(Uuid, ExecuteError<<A as Aggregate>::Rejection>) -> Result<Fate, AppError>;

/// As everywhere; `field` is what is taken, or erased.
pub fn refusal<R: Rejection>(error: ExecuteError<R>, field: &str) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(rejection) => Ok(Fate::against(&rejection)),
        ExecuteError::Taken { .. } => Ok(Fate::refused(field, "is used already", "TAKEN")),
        ExecuteError::Log(LogError::Erased { .. }) => {
            Ok(Fate::refused(field, "was erased", "SUBJECT_ERASED"))
        }
        // Something else than this row: what is recorded is recorded, a repetition does the rest.
        error @ (ExecuteError::Stale { .. }
        | ExecuteError::RequestIdReused
        | ExecuteError::Log(_)) => Err(error.into()),
    }
}

/// Takes the rows that have no fate yet. Gives that of each, and the place in the log that was
/// reached.
pub async fn settle<A: Aggregate>(
    service: &Service,
    ctx: &Ctx,
    rows: Vec<(i64, Result<New<A>, Fate>)>,
    dry_run: bool,
    refused: Refused<A>,
) -> Result<(Vec<RowResult>, Position), AppError> {
    let mut new = Vec::with_capacity(rows.len());
    let mut known = Vec::with_capacity(rows.len());
    for (number, row) in rows {
        let fate = match row {
            Ok(row) => {
                new.push(row);
                None
            }
            Err(fate) => Some(fate),
        };
        known.push((number, fate));
    }
    let (fates, reached) = if dry_run {
        let fates = try_out(service, new, refused).await?;
        (fates, *service.log.head().borrow())
    } else {
        write(service, ctx, new, refused).await?
    };
    let mut fates = fates.into_iter();
    let results = known.into_iter().filter_map(|(number, known)| {
        let fate = known.or_else(|| fates.next())?;
        Some(fate.result(number))
    });
    Ok((results.collect(), service.position(reached)))
}

/// The same decisions as the log will make, one after the other: an id counts from the first row
/// that is accepted.
async fn try_out<A: Aggregate>(
    service: &Service,
    rows: Vec<New<A>>,
    refused: Refused<A>,
) -> Result<Vec<Fate>, AppError> {
    let streams: Vec<_> = rows.iter().map(|row| row.stream).collect();
    let mut states = service.log.states::<A>(&streams).await?;
    let mut holders: HashMap<Uuid, Uuid> = HashMap::new();
    let mut fates = Vec::with_capacity(rows.len());
    for row in rows {
        let state = states.entry(row.stream).or_default();
        let holder = holders.get(&row.id).copied();
        let elsewhere = holder.filter(|stream| *stream != row.stream);
        fates.push(match (A::decide(state, row.command), elsewhere) {
            (Ok(events), _) if events.is_empty() => Fate::Repeated(row.id),
            (Ok(_), Some(stream)) => {
                let holder = StreamId::new(A::CATEGORY, stream);
                let kind = A::CATEGORY.to_owned();
                refused(row.id, ExecuteError::Taken { kind, holder })?
            }
            (Ok(events), None) => {
                *state = events.iter().fold(mem::take(state), A::evolve);
                holders.insert(row.id, row.stream);
                Fate::Created(row.id)
            }
            (Err(rejection), _) => refused(row.id, ExecuteError::Rejected(rejection))?,
        });
    }
    Ok(fates)
}

/// Every row goes to the log, which knows best which of them counts. Gives their fates in order,
/// and how far the log has come by them.
pub async fn write<A: Aggregate>(
    service: &Service,
    ctx: &Ctx,
    rows: Vec<New<A>>,
    refused: Refused<A>,
) -> Result<(Vec<Fate>, i64), AppError> {
    let mut reached = *service.log.head().borrow();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let commands = rows.into_iter();
    let commands = commands.map(|row| (ctx.command_about(row.owner), row.stream, row.command));
    let outcomes = service.log.execute_many::<A>(commands.collect()).await;
    let mut fates = Vec::with_capacity(ids.len());
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        fates.push(match outcome {
            // By a row before it, or by somebody else in this moment.
            Ok(outcome) if outcome.events.is_empty() => Fate::Repeated(id),
            Ok(outcome) => {
                reached = reached.max(outcome.position);
                Fate::Created(id)
            }
            Err(error) => refused(id, error)?,
        });
    }
    Ok((fates, reached))
}
