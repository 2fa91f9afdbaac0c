//! What can be asked about tasks. A task is seen by those who see its account at that moment,
//! whoever is to do it; one about no account by those who see its assignee.

use api::planning::{
    self, CountNotDoneRequest, CountNotDoneResponse, GetMyDayRequest, GetMyDayResponse,
    GetTaskRequest, GetTaskResponse, ListTasksRequest, ListTasksResponse, NotDone,
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use kit::{AppError, Ctx, Service, Violations, fingerprint, timestamp};
use planning_domain::task::Standing;
use uuid::Uuid;
use vocabulary::{AccountId, GroupId, Period, Role, StaffId, TaskId};

use crate::{
    terms,
    views::{
        self,
        tasks::{Filter, Row},
    },
};

/// Of each part of a day; who has more left undone asks for the list, page by page.
const MAX_DAY: i64 = 500;

pub(crate) async fn task(
    service: &Service,
    ctx: &Ctx,
    request: &GetTaskRequest,
) -> Result<GetTaskResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id::<TaskId>("task_id", &request.task_id);
    v.finish()?;
    let filter = Filter {
        task_id: id.map(Uuid::from),
        visible_to: ctx.sees().owners(),
        now: ctx.now,
        ..Filter::default()
    };
    let mut rows = views::tasks::list(service.pool(), &filter, None, 1).await?;
    let row = rows.pop().ok_or(AppError::NotFound { what: "task" })?;
    Ok(GetTaskResponse {
        task: Some(answer(row, ctx.now)),
    })
}

pub(crate) async fn day(
    service: &Service,
    ctx: &Ctx,
    request: &GetMyDayRequest,
) -> Result<GetMyDayResponse, AppError> {
    let mut v = Violations::new();
    let staff_id = v.optional_id::<StaffId>("staff_id", &request.staff_id);
    let day = match request.day.trim() {
        "" => span(ctx.now.with_timezone(&ctx.zone()).date_naive(), ctx),
        text => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .and_then(|date| span(date, ctx)),
    };
    if day.is_none() {
        v.add("day", "must be a date as in 2026-03-12");
    }
    let (Some((start, end)), true) = (day, v.is_empty()) else {
        return Err(AppError::Invalid(v.into_inner()));
    };
    let staff_id = staff_id.unwrap_or_else(|| ctx.staff_id());
    if !ctx.sees().includes(staff_id) {
        return Err(AppError::NotFound { what: "staff" });
    }

    let part = async |from, to, standing| {
        let filter = Filter {
            visible_to: ctx.sees().owners(),
            assignee_id: Some(staff_id.0),
            now: ctx.now,
            due: Period { from, to: Some(to) },
            standing: Some(standing),
            ..Filter::default()
        };
        let rows = views::tasks::list(service.pool(), &filter, None, MAX_DAY).await?;
        let tasks = rows.into_iter().map(|row| answer(row, ctx.now)).collect();
        Ok::<Vec<_>, AppError>(tasks)
    };
    Ok(GetMyDayResponse {
        overdue: part(None, start, Standing::Open).await?,
        today: part(Some(start), end, Standing::Open).await?,
        done: part(Some(start), end, Standing::Completed).await?,
    })
}

/// From midnight to midnight in the company's time zone.
fn span(date: NaiveDate, ctx: &Ctx) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let midnight = |date: NaiveDate| {
        let local = ctx
            .zone()
            .from_local_datetime(&date.and_time(NaiveTime::MIN));
        Some(local.earliest()?.with_timezone(&Utc))
    };
    Some((
        midnight(date)?,
        midnight(date.checked_add_days(Days::new(1))?)?,
    ))
}

pub(crate) async fn list(
    service: &Service,
    ctx: &Ctx,
    request: &ListTasksRequest,
) -> Result<ListTasksResponse, AppError> {
    let filter = read_filter(service, ctx, request).await?;
    let page = service.page(
        &request.page,
        fingerprint(&ListTasksRequest {
            page: None,
            min_positions: Vec::new(),
            ..request.clone()
        }),
    )?;
    let total = views::tasks::count(service.pool(), &filter).await?;
    let mut rows = views::tasks::list(service.pool(), &filter, page.after(), page.fetch()).await?;
    let next_page_token = page.cut(&mut rows, Row::key);
    let now = filter.as_of.unwrap_or(ctx.now);
    Ok(ListTasksResponse {
        tasks: rows.into_iter().map(|row| answer(row, now)).collect(),
        next_page_token,
        total,
    })
}

async fn read_filter(
    service: &Service,
    ctx: &Ctx,
    request: &ListTasksRequest,
) -> Result<Filter, AppError> {
    let mut v = Violations::new();
    let assignee_id = v.optional_id::<StaffId>("assignee_id", &request.assignee_id);
    let account_id = v.optional_id::<AccountId>("account_id", &request.account_id);
    let mut due = v.period(&request.period, &ctx.zone());
    let as_of = v.optional_instant("as_of", request.as_of.as_ref());
    let kind = terms::kind(request.kind);
    if kind.is_none() && request.kind != 0 {
        v.add("kind", "must be one of the contract's values");
    }
    v.finish()?;

    if request.include_earlier {
        due.from = None;
    }
    if request.only_overdue {
        let now = as_of.unwrap_or(ctx.now);
        due.to = Some(due.to.map_or(now, |to| to.min(now)));
    }
    Ok(Filter {
        task_id: None,
        visible_to: visible_to(service, ctx, account_id).await?,
        assignee_id: assignee_id.map(Uuid::from),
        account_ids: match account_id {
            Some(id) => Some(all_ids(service, id).await?),
            None => None,
        },
        now: ctx.now,
        due,
        standing: (request.only_open || request.only_overdue).then_some(Standing::Open),
        moved_after_deadline: request.moved_after_deadline,
        kind,
        as_of,
    })
}

/// Everything that answers as this account.
pub(crate) async fn all_ids(service: &Service, id: AccountId) -> Result<Vec<Uuid>, AppError> {
    let account = service.directory.account(id).await?;
    let survivor = account.map_or(id, |account| account.id);
    Ok(service.directory.ids_of(survivor).await?)
}

/// Whose tasks and accounts the caller sees. No limit where the list is of an account that the
/// caller sees anyway: then the index of that one is all it takes.
async fn visible_to(
    service: &Service,
    ctx: &Ctx,
    account_id: Option<AccountId>,
) -> Result<Option<Vec<Uuid>>, AppError> {
    if let Some(id) = account_id
        && let Some(account) = service.directory.account(id).await?
        && account.is_visible(ctx.sees(), ctx.now)
    {
        return Ok(None);
    }
    Ok(ctx.sees().owners())
}

pub(crate) async fn not_done(
    service: &Service,
    ctx: &Ctx,
    request: &CountNotDoneRequest,
) -> Result<CountNotDoneResponse, AppError> {
    let mut v = Violations::new();
    let group_id = v.optional_id::<GroupId>("group_id", &request.group_id);
    let mut due = v.period(&request.period, &ctx.zone());
    let as_of = v.optional_instant("as_of", request.as_of.as_ref());
    v.finish()?;
    if request.include_earlier {
        due.from = None;
    }

    let sellers = sellers(ctx, group_id, as_of.unwrap_or(ctx.now));
    let assignees = sellers.iter().map(|id| id.0).collect();
    let counted = views::tasks::not_done(service.pool(), assignees, due, as_of, ctx.now).await?;
    let rows: Vec<_> = sellers
        .iter()
        .map(|id| {
            let row = counted.iter().find(|row| row.assignee_id == id.0);
            NotDone {
                staff_id: id.to_string(),
                open: row.map_or(0, |row| row.open),
                overdue: row.map_or(0, |row| row.overdue),
            }
        })
        .collect();
    Ok(CountNotDoneResponse {
        total: rows.iter().map(|row| row.open).sum(),
        rows,
    })
}

/// Who sells and is seen by the caller, in a lasting order; of a group and those below it, as they
/// were at that time.
fn sellers(ctx: &Ctx, group_id: Option<GroupId>, at: DateTime<Utc>) -> Vec<StaffId> {
    let directory = ctx.directory();
    let groups = group_id.map(|id| directory.subtree(id));
    let mut sellers: Vec<_> = directory
        .active_staff()
        .filter(|staff| matches!(staff.role, Role::Manager | Role::Head))
        .filter(|staff| ctx.sees().includes(staff.id))
        .filter(|staff| {
            groups.as_ref().is_none_or(|groups| {
                let group = directory.group_of(staff.id, at);
                group.is_some_and(|group| groups.contains(&group))
            })
        })
        .collect();
    sellers.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    sellers.into_iter().map(|staff| staff.id).collect()
}

/// As it is told to a caller who asks about `now`.
fn answer(row: Row, now: DateTime<Utc>) -> planning::Task {
    let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
    planning::Task {
        overdue_s: row.overdue(now).num_seconds(),
        id: row.id.to_string(),
        external_id: row.external_id.unwrap_or_default(),
        account_id: id(row.account_id),
        person_id: id(row.person_id),
        assignee_id: row.assignee_id.to_string(),
        assigned_by: id(row.assigned_by),
        kind: terms::kind_number(&row.kind),
        due_at: row.due_text,
        first_due_at: row.first_due_text,
        moves: row.moves,
        comment: row.comment.unwrap_or_default(),
        purpose: row.purpose.unwrap_or_default(),
        state: terms::state_number(&row.state),
        created_at: Some(timestamp(row.created_at)),
        closed_at: row.closed_at.map(timestamp),
        close_reason: row.close_reason.unwrap_or_default(),
        version: row.version,
        origin_interaction_id: id(row.origin_interaction_id),
        erased: row.erased,
    }
}
