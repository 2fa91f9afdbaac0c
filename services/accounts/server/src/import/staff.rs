//! A staff file: groups are formed as needed, people hired, heads appointed.

use std::collections::{BTreeMap, HashMap, HashSet};

use accounts_domain::{
    group::{self, SalesGroup},
    staff::{Command, Newcomer, Rejection, StaffMember, login_key},
};
use api::accounts::{ImportStaffRequest, ImportStaffResponse, StaffRow};
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Snapshot, Violations,
    import::{Fate, New, check_size, external_id, refusal, row_of, write},
};
use uuid::Uuid;
use vocabulary::{GroupId, Role, StaffId};

use crate::{
    staff::{MAX_EXTENSION, MAX_LOGIN, groups, make_head},
    views::people,
    wire::{self, MAX_ID, MAX_NAME, caught_up},
};

/// A row without a fault of its own.
struct Row {
    newcomer: Newcomer,
    group: Option<(GroupId, String)>,
    head: Option<StaffId>,
}

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: ImportStaffRequest,
) -> Result<ImportStaffResponse, AppError> {
    check_size(req.rows.len())?;
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let mut rows: Vec<_> = req
        .rows
        .iter()
        .map(|row| read(ctx, &directory, row))
        .collect();
    check_logins(service, &directory, &mut rows).await?;
    check_heads(&directory, &mut rows);

    let mut seen = HashSet::new();
    let mut fates: Vec<_> = rows
        .iter()
        .map(|row| match row {
            Ok(row) => {
                let id = row.newcomer.id;
                let first = seen.insert(id) && directory.staff(id).is_none();
                if first {
                    Fate::Created(id.0)
                } else {
                    Fate::Repeated(id.0)
                }
            }
            Err(fate) => fate.clone(),
        })
        .collect();
    if !req.dry_run {
        record(service, ctx, &directory, rows, &mut fates).await?;
    }
    let results = req.rows.iter().zip(fates);
    Ok(ImportStaffResponse {
        results: results.map(|(row, fate)| fate.result(row.row)).collect(),
        position: Some(service.position(*service.log.head().borrow())),
    })
}

fn read(ctx: &Ctx, directory: &Snapshot, row: &StaffRow) -> Result<Row, Fate> {
    let mut v = Violations::new();
    let external_id = external_id(&mut v, &row.external_id);
    let name = v.required_line("name", &row.name, MAX_NAME);
    let role = v.term::<Role>("role", &row.role);
    let group = filled(v.line("group", &row.group, MAX_NAME));
    let head = filled(v.line("head", &row.head, MAX_ID));
    if head.is_some() && group.is_none() {
        v.add("head", "needs a group");
    }
    let login = filled(v.line("login", &row.login, MAX_LOGIN));
    let extension = filled(v.line("extension", &row.extension, MAX_EXTENSION));
    let hired_on = wire::date(&mut v, "hired_on", &row.hired_on, ctx);
    let group = group.map(|name| (groups::named(directory, &name), name));
    let row = role.map(|role| Row {
        newcomer: Newcomer {
            id: StaffId::of_external(&external_id),
            external_id,
            name,
            role,
            group_id: group.as_ref().map(|(id, _)| *id),
            extension,
            hired_on,
            login,
            password_hash: None,
        },
        group,
        head: head.map(|head| StaffId::of_external(&head)),
    });
    row_of(v, row)
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A login belongs to one person: of this file, or of the staff.
async fn check_logins(
    service: &Service,
    directory: &Snapshot,
    rows: &mut [Result<Row, Fate>],
) -> Result<(), AppError> {
    let key = |row: &Row| row.newcomer.login.as_deref().map(login_key);
    let keys: Vec<_> = rows.iter().flatten().filter_map(key).collect();
    let taken = people::taken_logins(service.pool(), &keys).await?;
    let mut holders: HashMap<String, Option<StaffId>> =
        taken.into_iter().map(|key| (key, None)).collect();
    for slot in rows {
        let Ok(row) = &*slot else { continue };
        let (id, Some(key)) = (row.newcomer.id, key(row)) else {
            continue;
        };
        // A repeated row changes nothing, so it takes nothing either.
        if directory.staff(id).is_none() && *holders.entry(key).or_insert(Some(id)) != Some(id) {
            *slot = Err(Fate::refused("login", "is used already", "TAKEN"));
        }
    }
    Ok(())
}

/// A head works here or comes with the file, and a group has one. A row that falls may be the head
/// of others, so this goes on until nothing falls any more.
fn check_heads(directory: &Snapshot, rows: &mut [Result<Row, Fate>]) {
    loop {
        let coming: HashSet<_> = rows.iter().flatten().map(|row| row.newcomer.id).collect();
        let mut heads: HashMap<GroupId, StaffId> = HashMap::new();
        let mut fell = false;
        for slot in &mut *rows {
            let Ok(row) = &*slot else { continue };
            let (Some(head), Some((group, _))) = (row.head, &row.group) else {
                continue;
            };
            let known = directory.staff(head);
            let works_here = match known {
                Some(entry) => !entry.dismissed,
                None => coming.contains(&head),
            };
            let new = directory.staff(row.newcomer.id).is_none();
            let appointed = directory.group(*group).and_then(|group| group.head_id);
            let first = *heads
                .entry(*group)
                .or_insert_with(|| appointed.unwrap_or(head));
            let fault = if !works_here {
                "is not a member of staff"
            } else if new && first != head {
                "is another one than the head that the group has"
            } else {
                continue;
            };
            *slot = Err(Fate::refused("head", fault, "INVALID"));
            fell = true;
        }
        if !fell {
            return;
        }
    }
}

/// Groups before their people, people before they lead. Each step is idempotent, so that a file
/// that broke off is simply imported again.
async fn record(
    service: &Service,
    ctx: &Ctx,
    directory: &Snapshot,
    rows: Vec<Result<Row, Fate>>,
    fates: &mut [Fate],
) -> Result<(), AppError> {
    let (mut coming, mut hires) = (Vec::new(), Vec::new());
    let mut formed = HashSet::new();
    let mut heads = BTreeMap::new();
    for (row, fate) in rows.into_iter().zip(fates) {
        let Ok(row) = row else { continue };
        let comes = matches!(fate, Fate::Created(_));
        if let Some((id, name)) = row.group {
            let known = directory.group(id);
            // One that a repeated row names and nobody knows was renamed since.
            if known.is_none() && comes && formed.insert(id) {
                form(service, ctx, id, name).await?;
            }
            let led = known.is_some_and(|group| group.head_id.is_some());
            let there = known.is_some() || formed.contains(&id);
            if let Some(head) = row.head.filter(|_| there && !led) {
                heads.entry(id).or_insert(head);
            }
        }
        if comes {
            let id = row.newcomer.id.0;
            coming.push(fate);
            hires.push(New {
                id,
                stream: id,
                owner: None,
                command: Command::Hire(row.newcomer),
            });
        }
    }
    let (written, _) = write::<StaffMember>(service, ctx, hires, refused).await?;
    for (fate, written) in coming.into_iter().zip(written) {
        *fate = written;
    }
    for (group, head) in heads {
        let command = group::Command::AppointHead {
            head_id: head,
            reason: String::new(),
        };
        let context = ctx.command();
        let appointed = service
            .log
            .execute::<SalesGroup>(&context, group.0, command);
        appointed.await?;
        make_head(service, ctx, head, "").await?;
    }
    Ok(())
}

fn refused(id: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        // Somebody imported the same row in this moment.
        ExecuteError::Rejected(Rejection::Exists) => Ok(Fate::Repeated(id)),
        error => refusal(error, "login"),
    }
}

async fn form(service: &Service, ctx: &Ctx, id: GroupId, name: String) -> Result<(), AppError> {
    let command = group::Command::Form {
        name,
        parent_id: None,
    };
    let context = ctx.command();
    let formed = service.log.execute::<SalesGroup>(&context, id.0, command);
    match formed.await {
        Ok(_) | Err(ExecuteError::Rejected(group::Rejection::Exists)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
