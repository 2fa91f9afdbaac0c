use std::{collections::BTreeMap, str::FromStr};

use chrono::NaiveDate;
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool, Row};
use tracing::warn;
use uuid::Uuid;
use vocabulary::{GroupId, Role, StaffId};

use super::snapshot::{GroupEntry, Membership, Snapshot, StaffEntry};

/// Staff, groups and owners as every service keeps them for itself, from the events of accounts.
pub(crate) struct DirectoryView;

#[derive(Deserialize)]
struct Hiring {
    external_id: String,
    role: String,
    group_id: Option<Uuid>,
    hired_on: Option<NaiveDate>,
}

#[derive(Deserialize)]
struct RoleChanged {
    role: String,
}

#[derive(Deserialize)]
struct MovedToGroup {
    group_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Formed {
    name: String,
    parent_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct HeadAppointed {
    head_id: Uuid,
}

#[derive(Deserialize)]
struct Registered {
    owner_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct OwnerAssigned {
    owner_id: Uuid,
}

#[derive(Deserialize)]
struct Transferred {
    to_owner_id: Uuid,
}

/// Who owns an account since which position; nobody: it is in the pool.
struct Owner {
    owner_id: Option<Uuid>,
    since: i64,
}

/// The last owner of each account in a batch.
type Owners = BTreeMap<Uuid, Owner>;

impl Projection for DirectoryView {
    const NAME: &'static str = "directory";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists staff (
            staff_id uuid primary key,
            external_id text not null,
            role text not null,
            group_id uuid,
            hired_on date,
            dismissed boolean not null default false
        );
        create table if not exists memberships (
            staff_id uuid not null,
            position bigint not null,
            from_at timestamptz not null,
            group_id uuid,
            primary key (staff_id, position)
        );
        create table if not exists groups (
            group_id uuid primary key,
            name text not null,
            parent_id uuid,
            head_id uuid
        );
        create table if not exists accounts (
            account_id uuid primary key,
            owner_id uuid,
            since_position bigint not null
        );
        create index if not exists accounts_of_owner on accounts (owner_id);
        -- The last change of staff or groups: who keeps them in memory reloads when it moves.
        create table if not exists revision (
            single boolean primary key default true check (single),
            position bigint not null
        );
        insert into revision (position) values (0) on conflict do nothing;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut owners = Owners::new();
        let mut revision = None;
        for event in events {
            if event.stream.category == "account" {
                if let Some(owner) = owner_after(event)? {
                    owners.insert(event.stream.id, owner);
                }
            } else if staff_in_tx(tx, event).await? || group_in_tx(tx, event).await? {
                revision = Some(event.position);
            }
        }
        owners_in_tx(tx, owners).await?;
        if let Some(position) = revision {
            sqlx::query("update revision set position = greatest(position, $1)")
                .bind(position)
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}

/// Whose the account is after this event, if the event says so.
fn owner_after(event: &Recorded) -> Result<Option<Owner>, ApplyError> {
    let owner_id = match event.event_type.as_str() {
        "account.prospect_registered" => event.fields::<Registered>()?.owner_id,
        "account.owner_assigned" => Some(event.fields::<OwnerAssigned>()?.owner_id),
        "account.ownership_transferred" => Some(event.fields::<Transferred>()?.to_owner_id),
        "account.returned_to_pool" => None,
        _ => return Ok(None),
    };
    Ok(Some(Owner {
        owner_id,
        since: event.position,
    }))
}

/// One statement for the whole batch: a directory of 45,000 accounts is imported at once.
async fn owners_in_tx(tx: &mut PgConnection, owners: Owners) -> Result<(), ApplyError> {
    if owners.is_empty() {
        return Ok(());
    }
    let owner_ids: Vec<_> = owners.values().map(|owner| owner.owner_id).collect();
    let positions: Vec<_> = owners.values().map(|owner| owner.since).collect();
    let ids: Vec<_> = owners.into_keys().collect();
    sqlx::query(
        "insert into accounts (account_id, owner_id, since_position)
         select * from unnest($1::uuid[], $2::uuid[], $3::bigint[])
         on conflict (account_id) do update
         set owner_id = excluded.owner_id, since_position = excluded.since_position",
    )
    .bind(ids)
    .bind(owner_ids)
    .bind(positions)
    .execute(tx)
    .await?;
    Ok(())
}

/// True when the event changed what is kept in memory.
async fn staff_in_tx(tx: &mut PgConnection, event: &Recorded) -> Result<bool, ApplyError> {
    let id = event.stream.id;
    let query = match event.event_type.as_str() {
        "staff.hired" => {
            let hired: Hiring = event.fields()?;
            membership_in_tx(tx, event, hired.group_id).await?;
            sqlx::query(
                "insert into staff (staff_id, external_id, role, group_id, hired_on)
                 values ($1, $2, $3, $4, $5)
                 on conflict (staff_id) do update set external_id = excluded.external_id,
                 role = excluded.role, group_id = excluded.group_id, hired_on = excluded.hired_on",
            )
            .bind(id)
            .bind(hired.external_id)
            .bind(hired.role)
            .bind(hired.group_id)
            .bind(hired.hired_on)
        }
        "staff.role_changed" => sqlx::query("update staff set role = $2 where staff_id = $1")
            .bind(id)
            .bind(event.fields::<RoleChanged>()?.role),
        "staff.moved_to_group" => {
            let group_id = event.fields::<MovedToGroup>()?.group_id;
            membership_in_tx(tx, event, group_id).await?;
            sqlx::query("update staff set group_id = $2 where staff_id = $1")
                .bind(id)
                .bind(group_id)
        }
        "staff.dismissed" => {
            sqlx::query("update staff set dismissed = true where staff_id = $1").bind(id)
        }
        _ => return Ok(false),
    };
    query.execute(tx).await?;
    Ok(true)
}

async fn membership_in_tx(
    tx: &mut PgConnection,
    event: &Recorded,
    group_id: Option<Uuid>,
) -> Result<(), ApplyError> {
    sqlx::query(
        "insert into memberships (staff_id, position, from_at, group_id)
         values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(event.stream.id)
    .bind(event.position)
    .bind(event.occurred_at)
    .bind(group_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// True when the event changed what is kept in memory.
async fn group_in_tx(tx: &mut PgConnection, event: &Recorded) -> Result<bool, ApplyError> {
    let id = event.stream.id;
    let query = match event.event_type.as_str() {
        "group.formed" => {
            let formed: Formed = event.fields()?;
            sqlx::query(
                "insert into groups (group_id, name, parent_id) values ($1, $2, $3)
                 on conflict (group_id) do update
                 set name = excluded.name, parent_id = excluded.parent_id",
            )
            .bind(id)
            .bind(formed.name)
            .bind(formed.parent_id)
        }
        "group.head_appointed" => sqlx::query("update groups set head_id = $2 where group_id = $1")
            .bind(id)
            .bind(event.fields::<HeadAppointed>()?.head_id),
        _ => return Ok(false),
    };
    query.execute(tx).await?;
    Ok(true)
}

/// Changes whenever staff or groups do: position, and which table it is in, for another version of
/// the view has another one.
pub(crate) type Revision = (i64, i64);

pub(super) async fn revision(pool: &PgPool) -> Result<Revision, sqlx::Error> {
    sqlx::query_as("select position, tableoid::bigint from directory.revision")
        .fetch_one(pool)
        .await
}

/// Staff and groups as stored now.
pub(super) async fn load(pool: &PgPool) -> Result<Snapshot, sqlx::Error> {
    let mut tx = pool
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let staff = sqlx::query(
        "select staff_id, external_id, role, group_id, hired_on, dismissed from directory.staff",
    )
    .fetch_all(&mut *tx)
    .await?;
    let groups = sqlx::query("select group_id, name, parent_id, head_id from directory.groups")
        .fetch_all(&mut *tx)
        .await?;
    let memberships = sqlx::query(
        "select staff_id, from_at, group_id from directory.memberships order by from_at, position",
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;

    let staff = staff.iter().filter_map(|row| staff_entry(row).transpose());
    Ok(Snapshot::new(
        staff.collect::<Result<_, _>>()?,
        groups
            .iter()
            .map(|row| {
                Ok(GroupEntry {
                    id: GroupId(row.try_get("group_id")?),
                    name: row.try_get("name")?,
                    parent_id: row.try_get::<Option<_>, _>("parent_id")?.map(GroupId),
                    head_id: row.try_get::<Option<_>, _>("head_id")?.map(StaffId),
                })
            })
            .collect::<Result<_, sqlx::Error>>()?,
        memberships
            .iter()
            .map(|row| {
                Ok(Membership {
                    staff_id: StaffId(row.try_get("staff_id")?),
                    from_at: row.try_get("from_at")?,
                    group_id: row.try_get::<Option<_>, _>("group_id")?.map(GroupId),
                })
            })
            .collect::<Result<_, sqlx::Error>>()?,
    ))
}

/// `None` for a role that a newer version knows and this one does not: it gets no rights here.
fn staff_entry(row: &sqlx::postgres::PgRow) -> Result<Option<StaffEntry>, sqlx::Error> {
    let id = StaffId(row.try_get("staff_id")?);
    let Ok(role) = Role::from_str(row.try_get("role")?) else {
        warn!(staff.id = %id, "staff {id} has a role that is not known here");
        return Ok(None);
    };
    Ok(Some(StaffEntry {
        id,
        external_id: row.try_get("external_id")?,
        role,
        group_id: row.try_get::<Option<_>, _>("group_id")?.map(GroupId),
        hired_on: row.try_get("hired_on")?,
        dismissed: row.try_get("dismissed")?,
    }))
}
