//! The tasks of planning, as far as a contact can complete them.

use std::collections::HashMap;

use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, TaskId};

pub(crate) struct TasksView;

#[derive(Deserialize)]
struct Created {
    account_id: Option<Uuid>,
    assignee_id: Uuid,
}

#[derive(Deserialize)]
struct Reassigned {
    to_assignee_id: Uuid,
}

impl Projection for TasksView {
    const NAME: &'static str = "tasks";
    const SOURCES: &'static [&'static str] = &["planning"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists tasks (
            task_id     uuid primary key,
            account_id  uuid,
            assignee_id uuid not null,
            open        boolean not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        // Made, then handed over, then closed: each task passes these in this order, so that a
        // batch needs three statements however long it is.
        let (mut ids, mut accounts, mut assignees) = (Vec::new(), Vec::new(), Vec::new());
        let mut reassigned = HashMap::new();
        let mut closed = Vec::new();
        for event in events {
            let id = event.stream.id;
            match event.event_type.as_str() {
                "task.created" => {
                    let created: Created = event.fields()?;
                    ids.push(id);
                    accounts.push(created.account_id);
                    assignees.push(created.assignee_id);
                }
                "task.reassigned" => {
                    let Reassigned { to_assignee_id } = event.fields()?;
                    reassigned.insert(id, to_assignee_id);
                }
                "task.completed" | "task.cancelled" => closed.push(id),
                _ => {}
            }
        }
        create(tx, ids, accounts, assignees).await?;
        reassign(tx, reassigned).await?;
        close(tx, closed).await
    }
}

async fn create(
    tx: &mut PgConnection,
    ids: Vec<Uuid>,
    accounts: Vec<Option<Uuid>>,
    assignees: Vec<Uuid>,
) -> Result<(), ApplyError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into tasks (task_id, account_id, assignee_id, open)
         select *, true from unnest($1::uuid[], $2::uuid[], $3::uuid[])",
    )
    .bind(ids)
    .bind(accounts)
    .bind(assignees)
    .execute(tx)
    .await?;
    Ok(())
}

async fn reassign(
    tx: &mut PgConnection,
    reassigned: HashMap<Uuid, Uuid>,
) -> Result<(), ApplyError> {
    if reassigned.is_empty() {
        return Ok(());
    }
    let (ids, assignees): (Vec<_>, Vec<_>) = reassigned.into_iter().unzip();
    sqlx::query(
        "update tasks set assignee_id = new.assignee_id
         from unnest($1::uuid[], $2::uuid[]) as new (task_id, assignee_id)
         where tasks.task_id = new.task_id",
    )
    .bind(ids)
    .bind(assignees)
    .execute(tx)
    .await?;
    Ok(())
}

async fn close(tx: &mut PgConnection, ids: Vec<Uuid>) -> Result<(), ApplyError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query("update tasks set open = false where task_id = any($1)")
        .bind(ids)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) struct Task {
    pub(crate) account_id: Option<AccountId>,
    pub(crate) assignee_id: StaffId,
    pub(crate) open: bool,
}

pub(crate) async fn find(pool: &PgPool, id: TaskId) -> Result<Option<Task>, sqlx::Error> {
    let row: Option<(Option<Uuid>, Uuid, bool)> =
        sqlx::query_as("select account_id, assignee_id, open from tasks.tasks where task_id = $1")
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|(account_id, assignee_id, open)| Task {
        account_id: account_id.map(AccountId),
        assignee_id: StaffId(assignee_id),
        open,
    }))
}
