//! Who is away, and who acts instead. The clock decides whether somebody does; the events that an
//! absence has begun and ended are written by a timer, or by whoever ends it early.

use std::convert::Infallible;

use accounts_domain::staff::{Command, Event, NewAbsence, StaffMember, absence_faults};
use api::accounts::{
    Absence, EndAbsenceRequest, EndAbsenceResponse, ListAbsencesRequest, ListAbsencesResponse,
    MarkAbsentRequest, MarkAbsentResponse,
};
use chrono::{DateTime, TimeDelta, Utc};
use es::Actor;
use es_postgres::{CommandContext, ExecuteError};
use kit::{AbsenceEntry, AppError, Ctx, Service, Violations, timestamp};
use vocabulary::{AbsenceId, Role, StaffId};

use crate::wire::MAX_TEXT;

pub(super) async fn mark(
    service: &Service,
    ctx: &Ctx,
    req: MarkAbsentRequest,
) -> Result<MarkAbsentResponse, AppError> {
    let mut v = Violations::new();
    let staff_id: Option<StaffId> = v.id("staff_id", &req.staff_id);
    let substitute_id: Option<StaffId> = v.id("substitute_id", &req.substitute_id);
    let from = v.optional_instant("from", req.from.as_ref());
    let until = v.optional_instant("until", req.until.as_ref());
    if req.until.is_none() {
        v.add("until", "must not be empty");
    }
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let from = from.unwrap_or(ctx.now);
    let Some((staff_id, substitute_id)) = staff_id.zip(substitute_id) else {
        return Err(AppError::Invalid(v.into_inner()));
    };
    let substitute = service.known_staff(substitute_id).await?;
    let absence = NewAbsence {
        id: AbsenceId(ctx.new_id()),
        staff_id,
        substitute_id,
        substitute_active: substitute.is_some_and(|entry| !entry.dismissed),
        from,
        // Without an end there is one fault, not two.
        until: until.unwrap_or(from + TimeDelta::days(1)),
        reason,
    };
    if !v.is_empty() {
        for fault in absence_faults(&absence, ctx.now) {
            v.add(&fault.field, fault.description);
        }
        return Err(AppError::Invalid(v.into_inner()));
    }
    check_may_name(service, ctx, staff_id, substitute_id).await?;
    let (id, now) = (absence.id, ctx.now);
    let command = Command::MarkAbsent { absence, now };
    let context = ctx.command();
    let marked = service
        .log
        .execute::<StaffMember>(&context, staff_id.0, command);
    let outcome = marked.await?;
    let recorded = match outcome.events.first() {
        Some(Event::MarkedAbsent(marked)) => marked.absence_id,
        _ => id,
    };
    Ok(MarkAbsentResponse {
        absence_id: recorded.to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn end(
    service: &Service,
    ctx: &Ctx,
    req: EndAbsenceRequest,
) -> Result<EndAbsenceResponse, AppError> {
    let mut v = Violations::new();
    let staff_id: Option<StaffId> = v.id("staff_id", &req.staff_id);
    let absence_id: Option<AbsenceId> = v.id("absence_id", &req.absence_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let (staff_id, absence_id) = v.checked(staff_id.zip(absence_id))?;
    check_reaches(service, ctx, staff_id).await?;
    let command = Command::EndAbsence {
        staff_id,
        absence_id,
        reason,
        now: ctx.now,
    };
    let context = ctx.command();
    let ended = service
        .log
        .execute::<StaffMember>(&context, staff_id.0, command);
    Ok(EndAbsenceResponse {
        recorded: Some(service.recorded(&ended.await?)),
    })
}

pub(super) fn list(ctx: &Ctx, req: &ListAbsencesRequest) -> ListAbsencesResponse {
    let absences = ctx.directory().absences().all().iter();
    let wanted = absences.filter(|absence| req.include_past || ctx.now < absence.until_at);
    ListAbsencesResponse {
        absences: wanted.map(answer).collect(),
    }
}

fn answer(absence: &AbsenceEntry) -> Absence {
    Absence {
        id: absence.id.to_string(),
        staff_id: absence.staff_id.to_string(),
        substitute_id: absence.substitute_id.to_string(),
        from: Some(timestamp(absence.from_at)),
        until: Some(timestamp(absence.until_at)),
    }
}

/// Nobody gives away more than the own rights, and nobody gives away what was lent by who is away:
/// an administrator names anybody for anybody, a head those whom he leads for those whom he leads
/// and who see no more than he does.
async fn check_may_name(
    service: &Service,
    ctx: &Ctx,
    staff_id: StaffId,
    substitute_id: StaffId,
) -> Result<(), AppError> {
    check_reaches(service, ctx, staff_id).await?;
    let directory = service.directory.snapshot();
    let scope = directory.own_scope(&ctx.principal);
    // A head of many groups may be a member of one of them.
    let lent = directory.scope_of(staff_id);
    if scope.includes(substitute_id) && scope.includes_all_of(&lent) {
        Ok(())
    } else {
        Err(out_of_reach())
    }
}

async fn check_reaches(service: &Service, ctx: &Ctx, staff_id: StaffId) -> Result<(), AppError> {
    let absent = service.known_staff(staff_id).await?;
    match ctx.role() {
        Role::Administrator => return Ok(()),
        Role::Head => {}
        Role::Manager | Role::Operator | Role::Analyst => return Err(out_of_reach()),
    }
    let scope = service.directory.snapshot().own_scope(&ctx.principal);
    let absent = absent.filter(|entry| scope.includes(entry.id));
    let absent = absent.ok_or_else(out_of_reach)?;
    if matches!(absent.role, Role::Manager | Role::Head) {
        Ok(())
    } else {
        Err(out_of_reach())
    }
}

fn out_of_reach() -> AppError {
    AppError::forbidden(
        "SUBSTITUTE_OUT_OF_REACH",
        "a substitute can be named only among those whose accounts the caller sees",
    )
}

/// How long after a round that had nothing to say the next one begins.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Says of every absence that it has begun and that it is over. Any number of replicas may do so at
/// once, and as late as they like.
pub(crate) async fn turn_all(service: &Service) -> Result<Infallible, AppError> {
    let mut moved = service.directory.changed();
    loop {
        moved.mark_unchanged();
        let (snapshot, clock) = (service.directory.snapshot(), &service.node.clock);
        let now = clock.now();
        let turns = || {
            let absences = snapshot.absences().all().iter();
            absences.filter_map(|absence| Some((next_turn(absence)?, absence.staff_id)))
        };
        let due: Vec<_> = turns().filter(|(at, _)| *at <= now).collect();
        if due.is_empty() {
            let next = turns().map(|(at, _)| at).min();
            let turned = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = turned => {}
                _ = moved.changed() => {}
            }
            continue;
        }
        let mut turned = false;
        for (_, staff_id) in due {
            let command = Command::TurnAbsences { now };
            let context = context(staff_id, now);
            let log = &service.log;
            match log
                .execute::<StaffMember>(&context, staff_id.0, command)
                .await
            {
                Ok(outcome) => turned |= !outcome.events.is_empty(),
                Err(ExecuteError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        service.catch_up().await?;
        if !turned {
            // What the directory cannot show must not keep us busy.
            let _ = tokio::time::timeout(AGAIN, moved.changed()).await;
        }
    }
}

/// When something is to be said of it next.
fn next_turn(absence: &AbsenceEntry) -> Option<DateTime<Utc>> {
    match (absence.started, absence.ended) {
        (_, true) => None,
        (false, false) => Some(absence.from_at),
        (true, false) => Some(absence.until_at),
    }
}

/// No request id: whether it is so is asked anew each time.
fn context(staff_id: StaffId, now: DateTime<Utc>) -> CommandContext {
    CommandContext {
        request_id: None,
        digest: None,
        actor: Actor::Policy("accounts/absences".to_owned()),
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: staff_id.0,
        causation_id: None,
        traceparent: None,
        now,
        expected_version: None,
    }
}
