//! Groups and the tree in which they stand.

use accounts_domain::group::{self, Command, SalesGroup};
use api::accounts::{
    FormGroupRequest, FormGroupResponse, MoveGroupRequest, MoveGroupResponse, RenameGroupRequest,
    RenameGroupResponse,
};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Snapshot, Violations};
use sqlx::{Postgres, Transaction};
use vocabulary::GroupId;

use crate::wire::{MAX_NAME, MAX_TEXT};

pub(super) async fn form(
    service: &Service,
    ctx: &Ctx,
    req: FormGroupRequest,
) -> Result<FormGroupResponse, AppError> {
    let mut v = Violations::new();
    let name = v.required_line("name", &req.name, MAX_NAME);
    let parent_id = v.optional_id("parent_id", &req.parent_id);
    check(service, &mut v, "parent_id", parent_id).await?;
    v.finish()?;
    // A group may have given up the name a moment ago.
    service.catch_up().await?;
    let id = named(&service.directory.snapshot(), &name);
    let outcome = execute(service, ctx, id, Command::Form { name, parent_id }).await?;
    Ok(FormGroupResponse {
        group_id: outcome.id.to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn rename(
    service: &Service,
    ctx: &Ctx,
    req: RenameGroupRequest,
) -> Result<RenameGroupResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("group_id", &req.group_id);
    let name = v.required_line("name", &req.name, MAX_NAME);
    let id = v.checked(id)?;
    let outcome = execute(service, ctx, id, Command::Rename { name }).await?;
    Ok(RenameGroupResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn move_below(
    service: &Service,
    ctx: &Ctx,
    req: MoveGroupRequest,
) -> Result<MoveGroupResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("group_id", &req.group_id);
    let parent_id = v.optional_id("parent_id", &req.parent_id);
    check(service, &mut v, "parent_id", parent_id).await?;
    let reason = v.optional("reason", &req.reason, MAX_TEXT);
    let id = v.checked(id)?;
    let alone = alone(service).await?;
    let moved = moved(service, ctx, id, parent_id, reason).await;
    // Before the answer, whatever it is: the next move may follow at once.
    alone.rollback().await?;
    Ok(MoveGroupResponse {
        recorded: Some(service.recorded(&moved?)),
    })
}

async fn moved(
    service: &Service,
    ctx: &Ctx,
    id: GroupId,
    parent_id: Option<GroupId>,
    reason: String,
) -> Result<Outcome<SalesGroup>, AppError> {
    let above = upwards(service, parent_id).await?;
    let command = Command::Move {
        id,
        parent_id,
        above,
        reason,
    };
    execute(service, ctx, id, command).await
}

/// Asks the log itself, because the group may have been formed a moment ago.
pub(super) async fn check(
    service: &Service,
    v: &mut Violations,
    field: &str,
    id: Option<GroupId>,
) -> Result<(), AppError> {
    let Some(id) = id else { return Ok(()) };
    if !service.log.load::<SalesGroup>(id.0).await?.state.formed {
        v.add(field, "is not a group");
    }
    Ok(())
}

/// The group of this name; where there is none, the id that a new one gets.
pub(crate) fn named(directory: &Snapshot, name: &str) -> GroupId {
    let key = group::name_key(name);
    let mut groups = directory.groups();
    if let Some(known) = groups.find(|group| group::name_key(&group.name) == key) {
        return known.id;
    }
    let mut id = group::id_of(name);
    // One that had the name keeps the id.
    while directory.group(id).is_some() {
        id = group::id_after(id);
    }
    id
}

/// One group moves at a time, whichever replica moves it: two moves that do not know of each other
/// could close a circle. As long as the transaction, which does nothing else.
async fn alone(service: &Service) -> Result<Transaction<'static, Postgres>, AppError> {
    let mut tx = service.pool().begin().await?;
    let alone =
        sqlx::query_scalar("select pg_try_advisory_xact_lock(hashtextextended('group moves', 0))");
    if alone.fetch_one(&mut *tx).await? {
        Ok(tx)
    } else {
        let what = "another group is being moved";
        Err(AppError::Unavailable(what.to_owned()))
    }
}

/// A group and every one above it, as the log has them now.
async fn upwards(service: &Service, from: Option<GroupId>) -> Result<Vec<GroupId>, AppError> {
    let mut above = Vec::new();
    let mut next = from;
    while let Some(id) = next.filter(|id| !above.contains(id)) {
        above.push(id);
        let group = service.log.load::<SalesGroup>(id.0).await?;
        next = group.state.parent_id;
    }
    Ok(above)
}

async fn execute(
    service: &Service,
    ctx: &Ctx,
    id: GroupId,
    command: Command,
) -> Result<Outcome<SalesGroup>, AppError> {
    let context = ctx.command();
    let outcome = service
        .log
        .execute::<SalesGroup>(&context, id.0, command)
        .await?;
    Ok(outcome)
}
