//! From the request to the one decision that records a contact, the task it completes and the
//! next step.

use api::contacts::{LogInteractionRequest, NextStep as NextStepRequest};
use contacts_domain::interaction::{CompletedTask, Log, duration_fault};
use kit::{AccountEntry, AppError, Ctx, Service, Violations};
use uuid::Uuid;
use vocabulary::{
    AccountId, Deadline, Direction, InteractionId, NextStep, PersonId, TaskId, TaskKind,
    next_step_faults,
};

use crate::{erasure, terms, views};

pub(crate) const MAX_TEXT: usize = 10_000;
pub(crate) const MAX_LINE: usize = 500;

/// Reads the request and checks it against what is known here. Every fault is named at once; only
/// an account that the caller does not see ends it before.
///
/// What was right the first time and is wrong by now (a deadline that has passed, a task closed by
/// this very contact) is left to the domain, so that a repeated request gets its first answer.
pub(crate) async fn read(
    service: &Service,
    ctx: &Ctx,
    request: &LogInteractionRequest,
) -> Result<Log, AppError> {
    let mut v = Violations::new();
    let account_id = v.id::<AccountId>("account_id", &request.account_id);
    let person_id = v.optional_id::<PersonId>("person_id", &request.person_id);
    let named = &request.mentioned_person_ids;
    let mentioned = erasure::ids(&mut v, "mentioned_person_ids", named);
    let kind = v.parsed("kind", terms::kind(request.kind));
    let direction = match request.direction {
        0 => Some(Direction::Outbound),
        number => v.parsed("direction", terms::direction(number)),
    };
    let outcome = v.parsed("outcome", terms::outcome(request.outcome));
    let occurred_at = v.past_instant("occurred_at", request.occurred_at.as_ref(), ctx.now);
    if let Some(fault) = duration_fault(request.duration_s) {
        v.add("duration_s", fault);
    }
    let summary = v.optional("summary", &request.summary, MAX_TEXT);
    let impression = v.optional("impression", &request.impression, MAX_TEXT);
    let note = v.optional("note", &request.note, MAX_TEXT);
    let task_id = v.optional_id::<TaskId>("completes_task_id", &request.completes_task_id);
    let next_step = match &request.next_step {
        Some(step) => v.within("next_step", |v| read_next_step(v, step)),
        None => None,
    };

    let mut completes = None;
    let account = match account_id {
        Some(id) => Some(service.visible_account(ctx, id).await?),
        None => None,
    };
    let account_id = account.map(|account| account.id);
    if let Some(account) = account {
        let promised_to = next_step.as_ref().and_then(|step| step.person_id);
        let named = [
            ("person_id", person_id.as_slice()),
            ("next_step.person_id", promised_to.as_slice()),
            ("mentioned_person_ids", &mentioned),
        ];
        check_persons(service, &mut v, account.id, named).await?;
        if let Some(task_id) = task_id {
            let ids = service.directory.ids_of(account.id).await?;
            completes = find_task(service, ctx, &mut v, &ids, task_id).await?;
        }
        check_claim(ctx, &account)?;
    }
    if !v.is_empty() {
        if let Some(step) = &request.next_step {
            v.within("next_step", |v| check_next_step(v, ctx, step));
        }
        v.finish()?;
    }
    let (Some(account_id), Some(kind), Some(direction), Some(outcome)) =
        (account_id, kind, direction, outcome)
    else {
        return Err(AppError::Internal(
            "a missing field went unnoticed".to_owned(),
        ));
    };
    let author_id = ctx.staff_id();
    Ok(Log {
        id: InteractionId(ctx.new_id()),
        now: ctx.now,
        account_id,
        person_id,
        external_id: None,
        kind,
        direction,
        outcome,
        occurred_at,
        duration_s: request.duration_s,
        author_id,
        author_group_id: ctx.directory().group_of(author_id, occurred_at),
        summary,
        impression,
        note,
        mentioned,
        completes,
        next_step,
    })
}

fn read_next_step(v: &mut Violations, step: &NextStepRequest) -> Option<NextStep> {
    let due_at = v.deadline("due_at", &step.due_at);
    let kind = v.term::<TaskKind>("kind", &step.kind);
    let person_id = v.optional_id("person_id", &step.person_id);
    let purpose = v.optional("purpose", &step.purpose, MAX_LINE);
    let comment = v.optional("comment", &step.comment, MAX_TEXT);
    Some(NextStep {
        due_at: due_at?,
        kind: kind?,
        person_id,
        purpose,
        comment,
    })
}

/// The domain's own rule, to be named beside the other faults.
fn check_next_step(v: &mut Violations, ctx: &Ctx, step: &NextStepRequest) {
    // An unreadable deadline is named already; a blank comment beside it must be, too.
    let now = Deadline::at(ctx.now.fixed_offset());
    let due_at = Deadline::parse(&step.due_at).unwrap_or(now);
    for (field, fault) in next_step_faults(due_at, &step.comment, ctx.now) {
        v.add(field, fault);
    }
}

/// While somebody has claimed it, nobody else speaks with it.
fn check_claim(ctx: &Ctx, account: &AccountEntry) -> Result<(), AppError> {
    match account.claim_at(ctx.now) {
        Some(claim) if !ctx.is(claim.holder_id) => Err(AppError::precondition(
            "CLAIMED",
            "somebody else has claimed this account",
        )),
        _ => Ok(()),
    }
}

async fn check_persons(
    service: &Service,
    v: &mut Violations,
    account_id: AccountId,
    named: [(&str, &[PersonId]); 3],
) -> Result<(), AppError> {
    let ids = named.iter().flat_map(|(_, ids)| *ids);
    let ids: Vec<_> = ids.copied().map(Uuid::from).collect();
    let known = views::persons::accounts_of(service, &ids).await?;
    for (field, ids) in named {
        if ids.iter().any(|id| known.get(&id.0) != Some(&account_id)) {
            v.add(field, "is not a person of this account");
        }
    }
    Ok(())
}

/// A task of this account, or one without an account of somebody whom the caller sees. One that was
/// made a moment ago is known too.
async fn find_task(
    service: &Service,
    ctx: &Ctx,
    v: &mut Violations,
    accounts: &[Uuid],
    id: TaskId,
) -> Result<Option<CompletedTask>, AppError> {
    let mut known = views::tasks::find(service.pool(), id).await?;
    if known.is_none() {
        service.catch_up_with("planning").await?;
        known = views::tasks::find(service.pool(), id).await?;
    }
    let task = known.filter(|task| match task.account_id {
        Some(of_account) => accounts.contains(&of_account.0),
        None => ctx.sees().includes(task.assignee_id),
    });
    if task.is_none() {
        v.add("completes_task_id", "is not a task of this account");
    }
    Ok(task.map(|task| CompletedTask {
        id,
        open: task.open,
    }))
}
