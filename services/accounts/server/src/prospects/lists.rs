//! Lists of prospects: made, changed, filled and closed.

use accounts_domain::{
    catalogue,
    prospect_list::{Callers, Changed, Command, Created, Criteria, ProspectList},
};
use api::{
    accounts::{
        self as pb, AddToProspectListRequest, ChangeProspectListRequest, CloseProspectListRequest,
        CreateProspectListRequest, CreateProspectListResponse, ListCallers,
        ListProspectListsResponse, RemoveFromProspectListRequest,
    },
    common::Recorded,
};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, ProspectListId, Role};

use crate::{
    accounts::{MAX_PLACE, extras},
    catalogue::Known,
    collation::sort_key,
    owners,
    views::prospect_lists::{self, List},
    wire::{MAX_NAME, MAX_TEXT, caught_up},
};

const MOST: usize = 1_000;
const ABSENT: AppError = AppError::NotFound { what: "list" };

pub(super) async fn create(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: CreateProspectListRequest,
) -> Result<CreateProspectListResponse, AppError> {
    let mut v = Violations::new();
    let name = v.required_line("name", &req.name, MAX_NAME);
    let criteria = req.criteria.map(|text| criteria(&mut v, known, &text));
    let callers = callers(&mut v, ctx, &req.callers.unwrap_or_default());
    v.finish()?;
    let command = Command::Create(Created {
        name,
        criteria,
        callers,
    });
    let context = ctx.command();
    let log = &service.log;
    let outcome = log
        .execute_new::<ProspectList>(&context, ctx.new_id(), command)
        .await?;
    Ok(CreateProspectListResponse {
        list_id: outcome.id.to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn change(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: ChangeProspectListRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("list_id", &req.list_id);
    let name = v.line("name", &req.name, MAX_NAME);
    let changes = Changed {
        name: Some(name).filter(|name| !name.is_empty()),
        criteria: req.criteria.map(|text| criteria(&mut v, known, &text)),
        callers: req.callers.map(|named| callers(&mut v, ctx, &named)),
    };
    let id = v.checked(id)?;
    execute(service, ctx, id, Command::Change(changes)).await
}

pub(super) async fn add(
    service: &Service,
    ctx: &Ctx,
    req: AddToProspectListRequest,
) -> Result<Recorded, AppError> {
    let (id, asked) = members(&req.list_id, &req.account_ids)?;
    caught_up(service).await?;
    let known = service.known_accounts(&asked).await?;
    let mut v = Violations::new();
    let mut account_ids = Vec::with_capacity(asked.len());
    for (index, id) in asked.iter().enumerate() {
        match known.get(id) {
            Some(account) if account.is_visible(ctx.sees(), ctx.now) => {
                account_ids.push(account.id);
            }
            _ => v.add(format!("account_ids[{index}]"), "is not known"),
        }
    }
    v.finish()?;
    execute(service, ctx, id, Command::Add { account_ids }).await
}

pub(super) async fn remove(
    service: &Service,
    ctx: &Ctx,
    req: RemoveFromProspectListRequest,
) -> Result<Recorded, AppError> {
    let (id, account_ids) = members(&req.list_id, &req.account_ids)?;
    execute(service, ctx, id, Command::Remove { account_ids }).await
}

pub(super) async fn close(
    service: &Service,
    ctx: &Ctx,
    req: CloseProspectListRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("list_id", &req.list_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let id = v.checked(id)?;
    execute(service, ctx, id, Command::Close { reason }).await
}

async fn execute(
    service: &Service,
    ctx: &Ctx,
    id: ProspectListId,
    command: Command,
) -> Result<Recorded, AppError> {
    let context = ctx.command();
    let outcome = service
        .log
        .execute::<ProspectList>(&context, id.0, command)
        .await?;
    Ok(service.recorded(&outcome))
}

fn members(
    list_id: &str,
    account_ids: &[String],
) -> Result<(ProspectListId, Vec<AccountId>), AppError> {
    let mut v = Violations::new();
    let id = v.id("list_id", list_id);
    let mut members = Vec::new();
    if account_ids.is_empty() || account_ids.len() > MOST {
        v.add("account_ids", format!("must have 1 to {MOST} entries"));
    } else {
        for (index, text) in account_ids.iter().enumerate() {
            members.extend(v.id::<AccountId>(&format!("account_ids[{index}]"), text));
        }
    }
    Ok((v.checked(id)?, members))
}

fn criteria(v: &mut Violations, known: &Known, text: &pb::ProspectCriteria) -> Criteria {
    v.within("criteria", |v| Criteria {
        city: v.line("city", &text.city, MAX_PLACE),
        region: v.line("region", &text.region, MAX_PLACE),
        kind: v.line("type", &text.r#type, MAX_PLACE),
        industry: v.line("industry", &text.industry, MAX_PLACE),
        project: v.line("project", &text.project, MAX_PLACE),
        source: extras::known(v, known, catalogue::List::Source, "source", &text.source),
    })
}

fn callers(v: &mut Violations, ctx: &Ctx, named: &ListCallers) -> Callers {
    v.within("callers", |v| {
        let mut callers = Callers::default();
        for (index, text) in named.staff_ids.iter().enumerate() {
            let field = format!("staff_ids[{index}]");
            if let Some(id) = v.id(&field, text) {
                if ctx.directory().staff(id).is_some_and(owners::can_own) {
                    callers.staff_ids.push(id);
                } else {
                    v.add(field, owners::NOT_AN_OWNER);
                }
            }
        }
        for (index, text) in named.group_ids.iter().enumerate() {
            let field = format!("group_ids[{index}]");
            if let Some(id) = v.id(&field, text) {
                if ctx.directory().group(id).is_some() {
                    callers.group_ids.push(id);
                } else {
                    v.add(field, "is not a group");
                }
            }
        }
        callers
    })
}

/// Managers know the lists that they call, the others all.
fn may_know(ctx: &Ctx, callers: &Callers) -> bool {
    let directory = ctx.directory();
    let in_group = |group| {
        let mut groups = callers.group_ids.iter();
        groups.any(|named| directory.subtree(*named).contains(&group))
    };
    let is_caller = |id| {
        let group = directory.staff(id).and_then(|entry| entry.group_id);
        callers.staff_ids.contains(&id) || group.is_some_and(in_group)
    };
    (callers.staff_ids.is_empty() && callers.group_ids.is_empty())
        || ctx
            .acts_as()
            .any(|(id, role)| role != Role::Manager || is_caller(id))
}

/// An open list that the caller may call.
pub(super) async fn callable(
    service: &Service,
    ctx: &Ctx,
    id: ProspectListId,
) -> Result<List, AppError> {
    let list = prospect_lists::open(service.pool(), Some(id)).await?.pop();
    list.filter(|list| may_know(ctx, &list.callers))
        .ok_or(ABSENT)
}

pub(super) async fn list(
    service: &Service,
    ctx: &Ctx,
) -> Result<ListProspectListsResponse, AppError> {
    let mut lists = prospect_lists::open(service.pool(), None).await?;
    lists.retain(|list| may_know(ctx, &list.callers));
    lists.sort_by_cached_key(|list| (sort_key(&list.name), list.id));
    Ok(ListProspectListsResponse {
        lists: lists.into_iter().map(answer).collect(),
    })
}

fn answer(list: List) -> pb::ProspectList {
    let callers = list.callers.0;
    pb::ProspectList {
        id: list.id.to_string(),
        name: list.name,
        criteria: list.criteria.map(|criteria| {
            let criteria = criteria.0;
            pb::ProspectCriteria {
                city: criteria.city,
                region: criteria.region,
                r#type: criteria.kind,
                industry: criteria.industry,
                project: criteria.project,
                source: criteria.source,
            }
        }),
        callers: Some(ListCallers {
            staff_ids: callers.staff_ids.iter().map(ToString::to_string).collect(),
            group_ids: callers.group_ids.iter().map(ToString::to_string).collect(),
        }),
        members: list.members,
    }
}
