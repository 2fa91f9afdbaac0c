//! Staff and groups as lists show them, and what the built-in login needs.

use accounts_domain::{
    group::{self, SalesGroup},
    staff::{self, DetailsChanged, Hired, PasswordSet, StaffMember, login_key},
};
use chrono::NaiveDate;
use es::{Aggregate, Personal, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::StaffId;

pub(crate) struct People;

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Person {
    pub(crate) staff_id: Uuid,
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) extension: Option<String>,
    pub(crate) hired_on: NaiveDate,
    pub(crate) dismissed: bool,
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Group {
    #[sqlx(rename = "group_id")]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) head_id: Option<Uuid>,
}

/// Never shown, not even in `Debug`.
#[derive(sqlx::FromRow)]
pub(crate) struct Credentials {
    pub(crate) staff_id: Uuid,
    pub(crate) password_hash: Option<String>,
}

impl Projection for People {
    const NAME: &'static str = "people";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists staff (
            staff_id uuid primary key,
            external_id text not null,
            name text not null,
            role text not null,
            group_id uuid,
            extension text,
            hired_on date not null,
            dismissed boolean not null default false,
            login_key text,
            password_hash text
        );
        create index if not exists staff_by_login on staff (login_key);
        create table if not exists groups (
            group_id uuid primary key,
            name text not null,
            parent_id uuid,
            head_id uuid
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for event in events {
            let id = event.stream.id;
            match event.stream.category.as_str() {
                StaffMember::CATEGORY => {
                    staff_in_tx(tx, id, event.decode::<StaffMember>()?).await?;
                }
                SalesGroup::CATEGORY => {
                    group_in_tx(tx, id, event.decode::<SalesGroup>()?).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

async fn staff_in_tx(
    tx: &mut PgConnection,
    id: Uuid,
    event: staff::Event,
) -> Result<(), ApplyError> {
    match event {
        staff::Event::Hired(hired) => hired_in_tx(tx, id, hired).await?,
        staff::Event::RoleChanged(changed) => {
            sqlx::query("update staff set role = $2 where staff_id = $1")
                .bind(id)
                .bind(changed.role.as_str())
                .execute(tx)
                .await?;
        }
        staff::Event::MovedToGroup(moved) => {
            sqlx::query("update staff set group_id = $2 where staff_id = $1")
                .bind(id)
                .bind(moved.group_id.map(|group| group.0))
                .execute(tx)
                .await?;
        }
        staff::Event::PasswordSet(PasswordSet {
            login,
            password_hash,
        }) => {
            sqlx::query("update staff set login_key = $2, password_hash = $3 where staff_id = $1")
                .bind(id)
                .bind(login.get().map(|login| login_key(login)))
                .bind(password_hash.into_inner())
                .execute(tx)
                .await?;
        }
        staff::Event::DetailsChanged(changed) => details_in_tx(tx, id, changed).await?,
        // Who is away is in the directory that every service has.
        staff::Event::MarkedAbsent(_)
        | staff::Event::SubstitutionStarted(_)
        | staff::Event::SubstitutionEnded(_)
        | staff::Event::AbsenceCancelled(_) => {}
        staff::Event::Dismissed(_) => {
            sqlx::query("update staff set dismissed = true where staff_id = $1")
                .bind(id)
                .execute(tx)
                .await?;
        }
        staff::Event::Rehired(rehired) => {
            sqlx::query(
                "update staff set role = $2, group_id = $3, hired_on = $4, dismissed = false
                 where staff_id = $1",
            )
            .bind(id)
            .bind(rehired.role.as_str())
            .bind(rehired.group_id.map(|group| group.0))
            .bind(rehired.hired_on)
            .execute(tx)
            .await?;
        }
    }
    Ok(())
}

async fn hired_in_tx(tx: &mut PgConnection, id: Uuid, hired: Hired) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into staff (staff_id, external_id, name, role, group_id, extension, hired_on,
                            login_key, password_hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(hired.external_id)
    .bind(hired.name.into_inner().unwrap_or_default())
    .bind(hired.role.as_str())
    .bind(hired.group_id.map(|group| group.0))
    .bind(hired.extension)
    .bind(hired.hired_on)
    .bind(
        hired
            .login
            .as_ref()
            .and_then(Personal::get)
            .map(|login| login_key(login)),
    )
    .bind(hired.password_hash.and_then(Personal::into_inner))
    .execute(tx)
    .await?;
    Ok(())
}

async fn details_in_tx(
    tx: &mut PgConnection,
    id: Uuid,
    changed: DetailsChanged,
) -> Result<(), sqlx::Error> {
    let login = changed.login.as_ref().and_then(Personal::get);
    sqlx::query(
        "update staff set name = coalesce($2, name), login_key = coalesce($4, login_key),
         extension = case when $3 is null then extension else nullif($3, '') end
         where staff_id = $1",
    )
    .bind(id)
    .bind(changed.name.and_then(Personal::into_inner))
    .bind(changed.extension)
    .bind(login.map(|login| login_key(login)))
    .execute(tx)
    .await?;
    Ok(())
}

async fn group_in_tx(
    tx: &mut PgConnection,
    id: Uuid,
    event: group::Event,
) -> Result<(), ApplyError> {
    match event {
        group::Event::Formed(formed) => {
            sqlx::query("insert into groups (group_id, name, parent_id) values ($1, $2, $3)")
                .bind(id)
                .bind(formed.name)
                .bind(formed.parent_id.map(|parent| parent.0))
                .execute(tx)
                .await?;
        }
        group::Event::HeadAppointed(appointed) => {
            sqlx::query("update groups set head_id = $2 where group_id = $1")
                .bind(id)
                .bind(appointed.head_id.0)
                .execute(tx)
                .await?;
        }
        group::Event::Renamed(renamed) => {
            sqlx::query("update groups set name = $2 where group_id = $1")
                .bind(id)
                .bind(renamed.name)
                .execute(tx)
                .await?;
        }
        group::Event::Moved(moved) => {
            sqlx::query("update groups set parent_id = $2 where group_id = $1")
                .bind(id)
                .bind(moved.parent_id.map(|parent| parent.0))
                .execute(tx)
                .await?;
        }
    }
    Ok(())
}

/// Everybody, in no order.
pub(crate) async fn staff(
    pool: &PgPool,
    include_dismissed: bool,
) -> Result<Vec<Person>, sqlx::Error> {
    sqlx::query_as(
        "select staff_id, external_id, name, role, group_id, extension, hired_on, dismissed
         from people.staff where $1 or not dismissed",
    )
    .bind(include_dismissed)
    .fetch_all(pool)
    .await
}

/// All groups, in no order.
pub(crate) async fn groups(pool: &PgPool) -> Result<Vec<Group>, sqlx::Error> {
    sqlx::query_as("select group_id, name, parent_id, head_id from people.groups")
        .fetch_all(pool)
        .await
}

/// The names of these.
pub(crate) async fn names_of(
    pool: &PgPool,
    ids: &[StaffId],
) -> Result<Vec<(StaffId, String)>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select staff_id, name from people.staff where staff_id = any($1)")
            .bind(ids)
            .fetch_all(pool)
            .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|(id, name)| (StaffId(id), name)).collect())
}

/// What the password of a login is checked against; `None` when nobody who works here has it.
pub(crate) async fn credentials(
    pool: &PgPool,
    login: &str,
) -> Result<Option<Credentials>, sqlx::Error> {
    sqlx::query_as(
        "select staff_id, password_hash from people.staff where login_key = $1 and not dismissed",
    )
    .bind(login_key(login))
    .fetch_optional(pool)
    .await
}

/// Which of these logins somebody has.
pub(crate) async fn taken_logins(
    pool: &PgPool,
    login_keys: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select login_key from people.staff where login_key = any($1)")
        .bind(login_keys)
        .fetch_all(pool)
        .await
}
