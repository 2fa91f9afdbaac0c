//! The open tasks of planning: what somebody who leaves, or an account that goes to another owner,
//! still has to be done for.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, StaffId};

pub(crate) struct OpenTasks;

#[derive(Deserialize)]
struct Created {
    account_id: Option<Uuid>,
    assignee_id: Uuid,
    due_at: Deadline,
}

#[derive(Deserialize)]
struct Reassigned {
    to_assignee_id: Uuid,
}

#[derive(Deserialize)]
struct Rescheduled {
    due_at: Deadline,
}

impl Projection for OpenTasks {
    const NAME: &'static str = "open_tasks";
    const SOURCES: &'static [&'static str] = &["planning"];
    const SCHEMA: &'static str = "
        create table if not exists tasks (
            task_id     uuid primary key,
            account_id  uuid,
            assignee_id uuid not null,
            due_at      timestamptz not null
        );
        create index if not exists tasks_of_assignee on tasks (assignee_id);
        create index if not exists tasks_of_account on tasks (account_id);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        // Made, then changed, then closed: each task passes these in this order, so that a batch
        // needs four statements however long it is.
        let mut created = Vec::new();
        let mut assignees = HashMap::new();
        let mut deadlines = HashMap::new();
        let mut closed = Vec::new();
        for event in events {
            let id = event.stream.id;
            match event.event_type.as_str() {
                "task.created" => created.push((id, event.fields::<Created>()?)),
                "task.reassigned" => {
                    assignees.insert(id, event.fields::<Reassigned>()?.to_assignee_id);
                }
                "task.rescheduled" => {
                    deadlines.insert(id, event.fields::<Rescheduled>()?.due_at.instant());
                }
                "task.completed" | "task.cancelled" => closed.push(id),
                _ => {}
            }
        }
        create_in_tx(tx, &created).await?;
        let change = "update tasks set assignee_id = new.value
                      from unnest($1::uuid[], $2::uuid[]) as new (id, value) where task_id = new.id";
        change_in_tx(tx, change, assignees).await?;
        let change = "update tasks set due_at = new.value
                      from unnest($1::uuid[], $2::timestamptz[]) as new (id, value)
                      where task_id = new.id";
        change_in_tx(tx, change, deadlines).await?;
        close_in_tx(tx, closed).await
    }
}

async fn create_in_tx(tx: &mut PgConnection, tasks: &[(Uuid, Created)]) -> Result<(), ApplyError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let column = tasks.iter();
    sqlx::query(
        "insert into tasks (task_id, account_id, assignee_id, due_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])",
    )
    .bind(column.clone().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(
        column
            .clone()
            .map(|(_, task)| task.account_id)
            .collect::<Vec<_>>(),
    )
    .bind(
        column
            .clone()
            .map(|(_, task)| task.assignee_id)
            .collect::<Vec<_>>(),
    )
    .bind(
        column
            .map(|(_, task)| task.due_at.instant())
            .collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn change_in_tx<T>(
    tx: &mut PgConnection,
    statement: &'static str,
    changed: HashMap<Uuid, T>,
) -> Result<(), ApplyError>
where
    Vec<T>: for<'q> sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send,
{
    if changed.is_empty() {
        return Ok(());
    }
    let (ids, values): (Vec<_>, Vec<_>) = changed.into_iter().unzip();
    sqlx::query(statement)
        .bind(ids)
        .bind(values)
        .execute(tx)
        .await?;
    Ok(())
}

async fn close_in_tx(tx: &mut PgConnection, closed: Vec<Uuid>) -> Result<(), ApplyError> {
    if closed.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from tasks where task_id = any($1)")
        .bind(closed)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn count_of_assignee(pool: &PgPool, id: StaffId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from open_tasks.tasks where assignee_id = $1")
        .bind(id.0)
        .fetch_one(pool)
        .await
}

/// What goes along with accounts to another owner.
#[derive(Debug, FromRow)]
pub(crate) struct Luggage {
    pub(crate) accounts: i64,
    pub(crate) open_tasks: i64,
    pub(crate) overdue_tasks: i64,
}

/// Of these accounts (`None`: of all) that `from` owns (`None`: anybody) and that are among those
/// of `seen_owners` (`None`: all are): the tasks of an owner go along, those of others stay.
pub(crate) async fn luggage(
    pool: &PgPool,
    accounts: Option<Vec<AccountId>>,
    from: Option<StaffId>,
    seen_owners: Option<Vec<Uuid>>,
    now: DateTime<Utc>,
) -> Result<Luggage, sqlx::Error> {
    sqlx::query_as(
        // What was merged into an account is there under its own id still.
        "with recursive record (account_id, owner_id, id) as (
             select account_id, owner_id, account_id from directory.accounts
             where owner_id is not null and merged_into is null
               and ($1::uuid[] is null or account_id = any($1))
               and ($2::uuid is null or owner_id = $2)
               and ($3::uuid[] is null or owner_id = any($3))
             union all
             select r.account_id, r.owner_id, m.account_id
             from record r join directory.accounts m on m.merged_into = r.id
         )
         select count(distinct r.account_id) as accounts, count(t.task_id) as open_tasks,
                count(t.task_id) filter (where t.due_at < $4) as overdue_tasks
         from record r
         left join open_tasks.tasks t on t.account_id = r.id and t.assignee_id = r.owner_id",
    )
    .bind(accounts.map(|ids| ids.into_iter().map(Uuid::from).collect::<Vec<_>>()))
    .bind(from.map(Uuid::from))
    .bind(seen_owners)
    .bind(now)
    .fetch_one(pool)
    .await
}
