//! Files of tasks, batch by batch. Every row has its own fate, and ids follow from external ids,
//! so repeating a batch changes nothing.

use std::{collections::HashSet, sync::Arc};

use api::{
    common::{RowResult, Violation as RowViolation, row_result::Outcome},
    planning::{ImportTasksRequest, ImportTasksResponse, TaskRow},
};
use chrono::{DateTime, SubsecRound, Utc};
use es::{Aggregate, Personal, Rejection as _, Violation};
use es_postgres::{ExecuteError, LogError};
use kit::{AppError, Ctx, Service, Snapshot, Violations};
use planning_domain::{
    Task,
    task::{Command, Created, State, import_faults},
};
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, StaffId, TaskId, normalise, parse_instant};

use crate::{
    planning::{MAX_TEXT, subject},
    views,
};

const MAX_ROWS: usize = 1_000;
const MAX_EXTERNAL_ID: usize = 200;

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    request: &ImportTasksRequest,
) -> Result<ImportTasksResponse, AppError> {
    if request.rows.len() > MAX_ROWS {
        return Err(AppError::violation(
            "rows",
            format!("must be at most {MAX_ROWS}"),
        ));
    }
    let reader = Reader {
        ctx,
        accounts: visible_accounts(service, ctx, &request.rows).await?,
        directory: directory(service, &request.rows).await?,
    };
    let rows: Vec<_> = request
        .rows
        .iter()
        .map(|row| (row.row, reader.read(row)))
        .collect();
    let (results, position) = if request.dry_run {
        foresee(service, rows).await?
    } else {
        record(service, ctx, rows).await?
    };
    Ok(ImportTasksResponse {
        results,
        position: Some(service.position(position)),
    })
}

/// Those of the accounts named in a file that the caller sees: one query for the whole batch.
async fn visible_accounts(
    service: &Service,
    ctx: &Ctx,
    rows: &[TaskRow],
) -> Result<HashSet<AccountId>, AppError> {
    let ids: HashSet<_> = rows
        .iter()
        .map(|row| normalise(&row.account))
        .filter(|external_id| !external_id.is_empty())
        .map(|external_id| AccountId::of_external(&external_id))
        .collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let known = service.known_accounts(&ids).await?;
    Ok(known
        .into_iter()
        .filter(|(_, account)| account.is_visible(ctx.sees(), ctx.now))
        .map(|(id, _)| id)
        .collect())
}

/// Staff, those hired a moment ago included.
async fn directory(service: &Service, rows: &[TaskRow]) -> Result<Arc<Snapshot>, AppError> {
    let directory = service.directory.snapshot();
    let known = |row: &TaskRow| directory.staff(assignee(&row.assignee)).is_some();
    if !rows.iter().all(known) {
        service.catch_up().await?;
    }
    Ok(service.directory.snapshot())
}

fn assignee(external_id: &str) -> StaffId {
    StaffId::of_external(&normalise(external_id))
}

struct Ready {
    id: TaskId,
    assignee_id: StaffId,
    command: Command,
}

/// What is to be recorded, or everything that is wrong.
type Row = (i64, Result<Ready, Vec<Violation>>);

/// What the rows of one batch are checked against.
struct Reader<'a> {
    ctx: &'a Ctx,
    accounts: HashSet<AccountId>,
    directory: Arc<Snapshot>,
}

impl Reader<'_> {
    fn read(&self, row: &TaskRow) -> Result<Ready, Vec<Violation>> {
        let ctx = self.ctx;
        let mut v = Violations::new();
        let external_id = v.required_line("external_id", &row.external_id, MAX_EXTERNAL_ID);
        let account_id = self.account(&mut v, &row.account);
        let (assignee_id, assignee_active) = self.assignee(&mut v, &row.assignee);
        let kind = v.term("kind", &row.kind);
        let due_at = self.due_at(&mut v, &row.due_at);
        let comment = v.optional("comment", &row.comment, MAX_TEXT);
        let completed_at = self.instant(&mut v, "completed_at", &row.completed_at);
        // Without a date of its own, what is done was planned before it was done.
        let created_at = self
            .instant(&mut v, "created_at", &row.created_at)
            .unwrap_or_else(|| completed_at.map_or(ctx.now, |done| done.min(ctx.now)));

        let (Some(kind), Some(due_at), Some(assignee_active), true) =
            (kind, due_at, assignee_active, v.is_empty())
        else {
            let faults = import_faults(assignee_active, &comment, created_at, completed_at);
            return Err(v.into_inner().into_iter().chain(faults).collect());
        };
        if !ctx.may_plan_for(&self.directory, assignee_id) {
            return Err(vec![Violation::because(
                "MAY_NOT_PLAN_FOR",
                "assignee",
                "may not plan for this member of staff",
            )]);
        }
        Ok(Ready {
            id: TaskId::of_external(&external_id),
            assignee_id,
            command: Command::Import {
                task: Created {
                    external_id: Some(external_id),
                    account_id,
                    person_id: None,
                    assignee_id,
                    assigned_by: ctx.staff(),
                    kind,
                    due_at,
                    comment: Personal::new(subject(None, account_id, assignee_id), comment),
                    purpose: None,
                    origin_interaction_id: None,
                    created_at,
                },
                assignee_active,
                completed_at,
            },
        })
    }

    /// What is hidden from the caller and what does not exist read the same.
    fn account(&self, v: &mut Violations, external_id: &str) -> Option<AccountId> {
        let external_id = v.line("account", external_id, MAX_EXTERNAL_ID);
        if external_id.is_empty() {
            return None;
        }
        let id = Some(AccountId::of_external(&external_id)).filter(|id| self.accounts.contains(id));
        if id.is_none() {
            v.add("account", "is not known");
        }
        id
    }

    /// Who it is, and whether active; that is absent when the row is at fault.
    fn assignee(&self, v: &mut Violations, external_id: &str) -> (StaffId, Option<bool>) {
        let external_id = v.required_line("assignee", external_id, MAX_EXTERNAL_ID);
        let id = assignee(&external_id);
        let active = self.directory.staff(id).map(|staff| !staff.dismissed);
        if active.is_none() && !external_id.is_empty() {
            v.add("assignee", "is not known");
        }
        (id, active)
    }

    /// A date and time of the company, or RFC 3339; a date alone is no deadline.
    fn due_at(&self, v: &mut Violations, text: &str) -> Option<Deadline> {
        let zone = self.ctx.zone();
        let due_at = Deadline::parse(text).ok().or_else(|| {
            let instant = parse_instant(text, &zone).filter(|_| text.contains(':'))?;
            Some(Deadline::at(instant.with_timezone(&zone).fixed_offset()))
        });
        if due_at.is_none() {
            v.add("due_at", "must be a date and time, or RFC 3339");
        }
        due_at
    }

    /// An instant that may be empty but not in the future.
    fn instant(&self, v: &mut Violations, field: &str, text: &str) -> Option<DateTime<Utc>> {
        if text.trim().is_empty() {
            return None;
        }
        let instant = parse_instant(text, &self.ctx.zone()).map(|instant| instant.trunc_subsecs(6));
        match instant {
            None => v.add(field, "must be a date, a date and time, or RFC 3339"),
            Some(instant) if instant > self.ctx.now => v.add(field, "must not be in the future"),
            Some(_) => {}
        }
        instant
    }
}

/// Records what can be recorded: the fate of each row, and the position that was reached.
async fn record(
    service: &Service,
    ctx: &Ctx,
    rows: Vec<Row>,
) -> Result<(Vec<RowResult>, i64), AppError> {
    let mut results = Vec::with_capacity(rows.len());
    let mut commands = Vec::with_capacity(rows.len());
    let mut commanded = Vec::with_capacity(rows.len());
    for (index, (number, read)) in rows.into_iter().enumerate() {
        results.push(match read {
            Ok(ready) => {
                commanded.push(index);
                let context = ctx.command_about(Some(ready.assignee_id));
                commands.push((context, ready.id.0, ready.command));
                accepted(number, Outcome::Created, ready.id.0)
            }
            Err(refused) => rejected(number, refused),
        });
    }
    let mut position = *service.log.head().borrow();
    let outcomes = service.log.execute_many::<Task>(commands).await;
    for (index, outcome) in commanded.into_iter().zip(outcomes) {
        let result: &mut RowResult = &mut results[index];
        match outcome {
            Ok(outcome) if outcome.events.is_empty() => {
                result.outcome = Outcome::Repeated.into();
            }
            Ok(outcome) => position = position.max(outcome.position),
            Err(ExecuteError::Rejected(rejection)) => {
                *result = rejected(result.row, rejection.violations());
            }
            Err(ExecuteError::Log(LogError::Erased { .. })) => {
                let violation = Violation::because("SUBJECT_ERASED", "account", "was erased");
                *result = rejected(result.row, vec![violation]);
            }
            // Not the row's fault: the caller sends the batch again.
            Err(error) => return Err(error.into()),
        }
    }
    Ok((results, position))
}

/// What [`record`] would answer, as far as the view tells.
async fn foresee(service: &Service, rows: Vec<Row>) -> Result<(Vec<RowResult>, i64), AppError> {
    let ids: Vec<Uuid> = rows
        .iter()
        .filter_map(|(_, read)| read.as_ref().ok())
        .map(|ready| ready.id.0)
        .collect();
    let mut known: HashSet<_> = views::tasks::known(service.pool(), &ids)
        .await?
        .into_iter()
        .collect();
    let results = rows.into_iter().map(|(number, read)| match read {
        Err(refused) => rejected(number, refused),
        Ok(ready) if known.contains(&ready.id.0) => accepted(number, Outcome::Repeated, ready.id.0),
        Ok(ready) => match Task::decide(&State::default(), ready.command) {
            Ok(_) => {
                known.insert(ready.id.0);
                accepted(number, Outcome::Created, ready.id.0)
            }
            Err(rejection) => rejected(number, rejection.violations()),
        },
    });
    Ok((results.collect(), *service.log.head().borrow()))
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
        field: column(violation.field),
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

/// The column of the file, where the rules speak of the id it stands for.
fn column(field: String) -> String {
    if field == "assignee_id" {
        "assignee".to_owned()
    } else {
        field
    }
}
