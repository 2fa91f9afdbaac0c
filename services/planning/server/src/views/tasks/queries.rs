//! Questions to the read model `tasks`.

use chrono::{DateTime, TimeDelta, Utc};
use kit::add_sees_account;
use planning_domain::task::Standing;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;
use vocabulary::{Period, TaskKind};

use super::state_name;

/// A task as it stood at the time of the question.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) account_id: Option<Uuid>,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) assignee_id: Uuid,
    pub(crate) assigned_by: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) due_text: String,
    pub(crate) first_due_text: String,
    pub(crate) moves: i32,
    pub(crate) comment: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) state: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) close_reason: Option<String>,
    pub(crate) version: i64,
    pub(crate) origin_interaction_id: Option<Uuid>,
    pub(crate) erased: bool,
}

impl Row {
    pub(crate) fn key(&self) -> Key {
        Key {
            due_at: self.due_at,
            id: self.id,
        }
    }

    /// Past the deadline at `now`, or when it was closed.
    pub(crate) fn overdue(&self, now: DateTime<Utc>) -> TimeDelta {
        (self.closed_at.unwrap_or(now) - self.due_at).max(TimeDelta::zero())
    }
}

/// The place of a task in a list: by deadline.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Key {
    due_at: DateTime<Utc>,
    id: Uuid,
}

/// Which tasks are meant; what is absent lets everything pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) task_id: Option<Uuid>,
    /// About an account of one of these, or about none and assigned to one of them.
    pub(crate) visible_to: Option<Vec<Uuid>>,
    pub(crate) assignee_id: Option<Uuid>,
    /// All ids of one account.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    /// When it is asked: a claim shows an account only as long as it lasts.
    pub(crate) now: DateTime<Utc>,
    /// By deadline.
    pub(crate) due: Period,
    pub(crate) standing: Option<Standing>,
    pub(crate) moved_after_deadline: bool,
    pub(crate) kind: Option<TaskKind>,
    /// Absent: as it is now.
    pub(crate) as_of: Option<DateTime<Utc>>,
}

impl Filter {
    fn add_to(&self, sql: &mut QueryBuilder<Postgres>) {
        add_time(sql, self.as_of);
        if let Some(standing) = self.standing {
            add_standing(sql, standing);
        }
        add_period(sql, self.due);
        if let Some(id) = self.task_id {
            sql.push(" and s.task_id = ").push_bind(id);
        }
        if let Some(id) = self.assignee_id {
            sql.push(" and s.assignee_id = ").push_bind(id);
        }
        match self.account_ids.as_deref() {
            None => {}
            // Equality keeps the order of the index, `any` does not.
            Some([id]) => {
                sql.push(" and s.account_id = ").push_bind(*id);
            }
            Some(ids) => {
                sql.push(" and s.account_id = any(")
                    .push_bind(ids.to_vec())
                    .push(")");
            }
        }
        if self.moved_after_deadline {
            sql.push(" and s.moved_after_deadline");
        }
        if let Some(kind) = self.kind {
            sql.push(" and exists (select from tasks.tasks k where k.id = s.task_id and k.kind = ")
                .push_bind(kind.as_str())
                .push(")");
        }
        if let Some(staff) = &self.visible_to {
            self.add_visible(sql, staff);
        }
    }

    fn add_visible(&self, sql: &mut QueryBuilder<Postgres>, staff: &[Uuid]) {
        sql.push(" and (s.account_id is null and s.assignee_id = any(")
            .push_bind(staff.to_vec())
            .push(") or ");
        if self.task_id.is_some() || self.assignee_id.is_some() {
            add_sees_account(sql, "s.account_id", staff, self.now);
        } else {
            // An array on both sides of the `or`, so that each side can use its index.
            sql.push("s.account_id = any(array(");
            add_seen_accounts(sql, staff, self.now);
            sql.push("))");
        }
        sql.push(")");
    }
}

/// The accounts that these own or have claimed, and what was merged into them.
pub(crate) fn add_seen_accounts(
    sql: &mut QueryBuilder<Postgres>,
    staff: &[Uuid],
    now: DateTime<Utc>,
) {
    sql.push(
        "with recursive seen as (
             select account_id from directory.accounts
             where merged_into is null and owner_id = any(",
    )
    .push_bind(staff.to_vec())
    .push(
        ") union all
             select account_id from directory.accounts
             where merged_into is null and claim_holder_id = any(",
    )
    .push_bind(staff.to_vec())
    .push(") and claimed_until > ")
    .push_bind(now)
    .push(
        " union all
             select merged.account_id from seen
             join directory.accounts merged on merged.merged_into = seen.account_id
         )
         select account_id from seen",
    );
}

fn add_time(sql: &mut QueryBuilder<Postgres>, as_of: Option<DateTime<Utc>>) {
    match as_of {
        None => sql.push(" where s.valid_to = 'infinity'"),
        Some(at) => sql
            .push(" where s.valid_from <= ")
            .push_bind(at)
            .push(" and s.valid_to > ")
            .push_bind(at),
    };
}

/// Spelled out, not bound: the indexes of open tasks are partial.
fn add_standing(sql: &mut QueryBuilder<Postgres>, standing: Standing) {
    sql.push(" and s.state = '")
        .push(state_name(standing))
        .push("'");
}

fn add_period(sql: &mut QueryBuilder<Postgres>, due: Period) {
    if let Some(from) = due.from {
        sql.push(" and s.due_at >= ").push_bind(from);
    }
    if let Some(to) = due.to {
        sql.push(" and s.due_at < ").push_bind(to);
    }
}

/// The oldest deadlines first.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Key>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut sql = QueryBuilder::new(
        "select t.id, t.external_id, t.account_id, t.person_id, s.assignee_id, t.assigned_by,
                t.kind, s.due_at, s.due_text, t.first_due_text, s.moves, t.comment, t.purpose,
                s.state, t.created_at, s.closed_at, s.close_reason, s.version,
                t.origin_interaction_id, t.erased
         from tasks.states s join tasks.tasks t on t.id = s.task_id",
    );
    filter.add_to(&mut sql);
    if let Some(Key { due_at, id }) = after {
        sql.push(" and (s.due_at, s.task_id) > (")
            .push_bind(due_at)
            .push(", ")
            .push_bind(id)
            .push(")");
    }
    sql.push(" order by s.due_at, s.task_id limit ")
        .push_bind(limit);
    sql.build_query_as().fetch_all(pool).await
}

/// How many pass.
pub(crate) async fn count(pool: &PgPool, filter: &Filter) -> Result<i64, sqlx::Error> {
    let mut sql = QueryBuilder::new("select count(*) from tasks.states s");
    filter.add_to(&mut sql);
    sql.build_query_scalar().fetch_one(pool).await
}

/// Open tasks of one person, and how many of them are past their deadline.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct NotDone {
    pub(crate) assignee_id: Uuid,
    pub(crate) open: i64,
    pub(crate) overdue: i64,
}

/// Not done, per assignee who has any; overdue at `as_of`, or else at `now`.
pub(crate) async fn not_done(
    pool: &PgPool,
    assignees: Vec<Uuid>,
    due: Period,
    as_of: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Vec<NotDone>, sqlx::Error> {
    let mut sql = QueryBuilder::new(
        "select s.assignee_id, count(*) as open, count(*) filter (where s.due_at < ",
    );
    sql.push_bind(as_of.unwrap_or(now))
        .push(") as overdue from tasks.states s");
    add_time(&mut sql, as_of);
    add_standing(&mut sql, Standing::Open);
    add_period(&mut sql, due);
    sql.push(" and s.assignee_id = any(")
        .push_bind(assignees)
        .push(") group by s.assignee_id");
    sql.build_query_as().fetch_all(pool).await
}

/// What is open about accounts and not with their owners: task, assignee and owner.
pub(crate) async fn open_with_others(
    pool: &PgPool,
) -> Result<Vec<(Uuid, Uuid, Uuid)>, sqlx::Error> {
    sqlx::query_as(
        "select task_id, assignee_id, owner_id
         from tasks.states join directory.accounts using (account_id)
         where valid_to = 'infinity' and state = 'open' and owner_id <> assignee_id
           and merged_into is null
         order by due_at, task_id",
    )
    .fetch_all(pool)
    .await
}

/// What is open about an account, under all its ids: task and assignee.
pub(crate) async fn open_of(
    pool: &PgPool,
    account_ids: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    sqlx::query_as(
        "select task_id, assignee_id from tasks.states
         where valid_to = 'infinity' and state = 'open' and account_id = any($1)
         order by due_at, task_id",
    )
    .bind(account_ids)
    .fetch_all(pool)
    .await
}
