//! Files of tasks, batch by batch.

use std::sync::Arc;

use api::planning::{ImportTasksRequest, ImportTasksResponse, TaskRow};
use es::{Personal, Violation};
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Snapshot, Violations,
    import::{
        Accounts, Fate, MAX_EXTERNAL_ID, New, check_size, external_id, past, refusal, settle,
    },
};
use planning_domain::{
    Task,
    task::{Command, Created, Rejection, import_faults},
};
use uuid::Uuid;
use vocabulary::{Deadline, StaffId, TaskId, normalise, parse_instant};

use crate::planning::{MAX_TEXT, subject};

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    request: &ImportTasksRequest,
) -> Result<ImportTasksResponse, AppError> {
    check_size(request.rows.len())?;
    let named = request.rows.iter().map(|row| row.account.as_str());
    let reader = Reader {
        ctx,
        accounts: Accounts::visible(service, ctx, named).await?,
        directory: directory(service, &request.rows).await?,
    };
    let rows = request.rows.iter();
    let rows: Vec<_> = rows.map(|row| (row.row, reader.read(row))).collect();
    let (results, position) = settle::<Task>(service, ctx, rows, request.dry_run, refused).await?;
    Ok(ImportTasksResponse {
        results,
        position: Some(position),
    })
}

fn refused(_: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(Rejection::Invalid(faults)) => Ok(Fate::Rejected(columns(faults))),
        error => refusal(error, "account"),
    }
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

/// What the rows of one batch are checked against.
struct Reader<'a> {
    ctx: &'a Ctx,
    accounts: Accounts,
    directory: Arc<Snapshot>,
}

impl Reader<'_> {
    fn read(&self, row: &TaskRow) -> Result<New<Task>, Fate> {
        let ctx = self.ctx;
        let mut v = Violations::new();
        let external_id = external_id(&mut v, &row.external_id);
        let account_id = match row.account.trim() {
            "" => None,
            text => self.accounts.read(&mut v, text).map(|(id, _)| id),
        };
        let (assignee_id, assignee_active) = self.assignee(&mut v, &row.assignee);
        let kind = v.term("kind", &row.kind);
        let due_at = self.due_at(&mut v, &row.due_at);
        let comment = v.optional("comment", &row.comment, MAX_TEXT);
        let completed_at = past(&mut v, ctx, "completed_at", &row.completed_at);
        // Without a date of its own, what is done was planned before it was done.
        let created_at = past(&mut v, ctx, "created_at", &row.created_at)
            .unwrap_or_else(|| completed_at.map_or(ctx.now, |done| done.min(ctx.now)));

        let (Some(kind), Some(due_at), Some(assignee_active), true) =
            (kind, due_at, assignee_active, v.is_empty())
        else {
            let mut faults = v.into_inner();
            let task = import_faults(assignee_active, &comment, created_at, completed_at);
            faults.extend(columns(task));
            return Err(Fate::Rejected(faults));
        };
        if !ctx.may_plan_for(&self.directory, assignee_id) {
            return Err(Fate::refused(
                "assignee",
                "may not plan for this member of staff",
                "MAY_NOT_PLAN_FOR",
            ));
        }
        let id = TaskId::of_external(&external_id).0;
        Ok(New {
            id,
            stream: id,
            owner: Some(assignee_id),
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
}

/// Under the columns of the file, where the rules speak of the id that one stands for.
fn columns(mut faults: Vec<Violation>) -> Vec<Violation> {
    for fault in &mut faults {
        if fault.field == "assignee_id" {
            "assignee".clone_into(&mut fault.field);
        }
    }
    faults
}
