use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use chrono::{DateTime, NaiveDate, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool, Row};
use tracing::warn;
use uuid::Uuid;
use vocabulary::{AccountId, GroupId, Role, StaffId};

use super::{
    AccountEntry, ClaimEntry, LONGEST_CHAIN, absences,
    snapshot::{GroupEntry, Membership, Snapshot, StaffEntry},
};

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
struct Rehired {
    role: String,
    group_id: Option<Uuid>,
    hired_on: Option<NaiveDate>,
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
struct Renamed {
    name: String,
}

#[derive(Deserialize)]
struct Moved {
    parent_id: Option<Uuid>,
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

#[derive(Deserialize)]
struct Claimed {
    holder_id: Uuid,
    until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Merged {
    survivor_id: Uuid,
}

/// Who owns an account since which position; nobody: it is in the pool.
struct Owner {
    owner_id: Option<Uuid>,
    since: i64,
}

/// What a batch says last of each account.
#[derive(Default)]
struct Accounts {
    owners: BTreeMap<Uuid, Owner>,
    claims: BTreeMap<Uuid, Option<Claimed>>,
    merges: BTreeMap<Uuid, Option<Uuid>>,
}

impl Projection for DirectoryView {
    const NAME: &'static str = "directory";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const PERSONAL: bool = false;
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
        alter table accounts add column if not exists claim_holder_id uuid;
        alter table accounts add column if not exists claimed_until timestamptz;
        alter table accounts add column if not exists merged_into uuid;
        create index if not exists accounts_of_claim_holder on accounts (claim_holder_id)
            where claim_holder_id is not null;
        create index if not exists accounts_merged on accounts (merged_into)
            where merged_into is not null;
        create table if not exists absences (
            absence_id uuid primary key,
            staff_id uuid not null,
            substitute_id uuid not null,
            from_at timestamptz not null,
            until_at timestamptz not null,
            started boolean not null default false,
            ended boolean not null default false
        );
        create index if not exists absences_of_staff on absences (staff_id);
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
        let mut accounts = Accounts::default();
        let mut revision = None;
        for event in events {
            if event.stream.category == "account" {
                accounts.note(event)?;
            } else if staff_in_tx(tx, event).await?
                || absences::apply_in_tx(tx, event).await?
                || group_in_tx(tx, event).await?
            {
                revision = Some(event.position);
            }
        }
        owners_in_tx(tx, accounts.owners).await?;
        claims_in_tx(tx, accounts.claims).await?;
        merges_in_tx(tx, accounts.merges).await?;
        if let Some(position) = revision {
            sqlx::query("update revision set position = greatest(position, $1)")
                .bind(position)
                .execute(tx)
                .await?;
        }
        Ok(())
    }
}

impl Accounts {
    fn note(&mut self, event: &Recorded) -> Result<(), ApplyError> {
        let id = event.stream.id;
        if let Some(owner) = owner_after(event)? {
            self.owners.insert(id, owner);
        }
        match event.event_type.as_str() {
            "account.claim_granted" | "account.claim_renewed" => {
                self.claims.insert(id, Some(event.fields()?));
            }
            "account.claim_released" | "account.claim_expired" => {
                self.claims.insert(id, None);
            }
            "account.merged" => {
                let Merged { survivor_id } = event.fields()?;
                self.merges.insert(id, Some(survivor_id));
            }
            "account.unmerged" => {
                self.merges.insert(id, None);
            }
            _ => {}
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
async fn owners_in_tx(
    tx: &mut PgConnection,
    owners: BTreeMap<Uuid, Owner>,
) -> Result<(), ApplyError> {
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

async fn claims_in_tx(
    tx: &mut PgConnection,
    claims: BTreeMap<Uuid, Option<Claimed>>,
) -> Result<(), ApplyError> {
    if claims.is_empty() {
        return Ok(());
    }
    let (ids, claims): (Vec<_>, Vec<_>) = claims.into_iter().unzip();
    let (holders, ends): (Vec<_>, Vec<_>) = claims
        .into_iter()
        .map(|claim| claim.map(|claim| (claim.holder_id, claim.until)).unzip())
        .unzip();
    sqlx::query(
        "update accounts set claim_holder_id = new.holder_id, claimed_until = new.until
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as new (id, holder_id, until)
         where account_id = new.id",
    )
    .bind(ids)
    .bind(holders)
    .bind(ends)
    .execute(tx)
    .await?;
    Ok(())
}

async fn merges_in_tx(
    tx: &mut PgConnection,
    merges: BTreeMap<Uuid, Option<Uuid>>,
) -> Result<(), ApplyError> {
    if merges.is_empty() {
        return Ok(());
    }
    let (ids, survivors): (Vec<_>, Vec<_>) = merges.into_iter().unzip();
    sqlx::query(
        "update accounts set merged_into = new.survivor_id
         from unnest($1::uuid[], $2::uuid[]) as new (id, survivor_id) where account_id = new.id",
    )
    .bind(ids)
    .bind(survivors)
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
            absences::end_all_in_tx(tx, event).await?;
            sqlx::query("update staff set dismissed = true where staff_id = $1").bind(id)
        }
        "staff.rehired" => {
            let rehired: Rehired = event.fields()?;
            membership_in_tx(tx, event, rehired.group_id).await?;
            sqlx::query(
                "update staff set role = $2, group_id = $3, hired_on = $4, dismissed = false
                 where staff_id = $1",
            )
            .bind(id)
            .bind(rehired.role)
            .bind(rehired.group_id)
            .bind(rehired.hired_on)
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
        "group.renamed" => sqlx::query("update groups set name = $2 where group_id = $1")
            .bind(id)
            .bind(event.fields::<Renamed>()?.name),
        "group.moved" => sqlx::query("update groups set parent_id = $2 where group_id = $1")
            .bind(id)
            .bind(event.fields::<Moved>()?.parent_id),
        _ => return Ok(false),
    };
    query.execute(tx).await?;
    Ok(true)
}

/// Accounts as stored, each with the one that it was merged into.
pub(super) async fn accounts(
    pool: &PgPool,
    ids: &[Uuid],
) -> Result<HashMap<AccountId, (AccountEntry, Option<AccountId>)>, sqlx::Error> {
    type Row = (
        Uuid,
        Option<Uuid>,
        Option<Uuid>,
        Option<DateTime<Utc>>,
        Option<Uuid>,
    );
    let rows: Vec<Row> = sqlx::query_as(
        "select account_id, owner_id, claim_holder_id, claimed_until, merged_into
         from directory.accounts where account_id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let rows = rows
        .into_iter()
        .map(|(id, owner_id, holder_id, until, merged_into)| {
            let entry = AccountEntry {
                id: AccountId(id),
                owner_id: owner_id.map(StaffId),
                claim: holder_id.zip(until).map(|(holder_id, until)| ClaimEntry {
                    holder_id: StaffId(holder_id),
                    until,
                }),
            };
            (entry.id, (entry, merged_into.map(AccountId)))
        });
    Ok(rows.collect())
}

/// An account and all that were merged into it, the nearest first.
pub(super) async fn ids_of(pool: &PgPool, id: AccountId) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "with recursive link (id, length) as (
             select $1, 1
             union all
             select account_id, length + 1 from link join directory.accounts on merged_into = id
             where length < $2
         )
         select id from link order by length, id",
    )
    .bind(id.0)
    .bind(LONGEST_CHAIN as i32)
    .fetch_all(pool)
    .await
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
    let absences = absences::load(&mut tx).await?;
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
    )
    .with_absences(absences))
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
