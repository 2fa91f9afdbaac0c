//! The read model `tasks`: what was promised, and how each promise stood at any time.
//!
//! `tasks` holds what never changes; `states` one row per version, valid in business time from
//! `valid_from` until `valid_to`. The present is the row without an end, so a question about the
//! past reads the same tables as one about now.

mod queries;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded, Subject};
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use planning_domain::{
    Task,
    task::{Created, Event, Standing},
};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;
use vocabulary::Deadline;

pub(crate) use queries::{
    Filter, Row, add_seen_accounts, count, list, not_done, open_of, open_with_others,
};

pub(crate) struct TasksView;

impl Projection for TasksView {
    const NAME: &'static str = "tasks";
    const SOURCES: &'static [&'static str] = &["planning"];
    // Not by stream: an erasure has one of its own and takes texts out of the others.
    const SCHEMA: &'static str = "
        create table if not exists tasks (
            id uuid primary key,
            external_id text,
            account_id uuid,
            person_id uuid,
            assigned_by uuid,
            kind text not null,
            comment text,             -- null once its subject is erased
            purpose text,
            first_due_text text not null,
            origin_interaction_id uuid,
            created_at timestamptz not null,
            about text[] not null default '{}',   -- whom comment and purpose are about
            erased boolean not null default false
        );
        -- A view from before texts could be erased.
        set local statement_timeout = 0;
        alter table tasks
            add column if not exists about text[] not null default '{}',
            add column if not exists erased boolean not null default false;
        update tasks set about = case
                when origin_interaction_id is not null and person_id is not null
                then array['person:' || person_id]
                else array_remove(array['account:' || account_id, 'person:' || person_id], null)
            end
            where about = '{}' and (account_id is not null or person_id is not null);
        create table if not exists states (
            task_id uuid not null,
            version bigint not null,
            valid_from timestamptz not null,
            valid_to timestamptz not null,
            account_id uuid,          -- never changes; here for the index
            assignee_id uuid not null,
            due_at timestamptz not null,
            due_text text not null,   -- with the offset it was promised in
            state text not null,
            moves int not null,
            moved_after_deadline boolean not null,
            close_reason text,        -- null once the subject of the task is erased, too
            closed_at timestamptz,
            primary key (task_id, version)
        );
        create index if not exists states_assignee on states (assignee_id, due_at, task_id);
        create index if not exists states_account on states (account_id, due_at);
        create index if not exists states_open_assignee on states (assignee_id, due_at, task_id)
            where valid_to = 'infinity' and state = 'open';
        create index if not exists states_open_account on states (account_id)
            where valid_to = 'infinity' and state = 'open';
        create index if not exists states_open on states (due_at, task_id)
            where valid_to = 'infinity' and state = 'open';
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut changes = Changes::new(current_in_tx(tx, events).await?);
        let mut erased = Vec::new();
        for recorded in events {
            if recorded.stream.category == Task::CATEGORY {
                changes.note(recorded, recorded.decode::<Task>()?)?;
            } else if let Some(done) = CarriedOut::read(recorded)? {
                erased.extend(done.subjects());
            }
        }
        changes.write_in_tx(tx).await?;
        // Last: what was planned after the erasure came without words.
        erase_in_tx(tx, erased).await
    }
}

/// How the tables name it; the indexes of open tasks know the first of them.
pub(crate) fn state_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Completed => "completed",
        Standing::Cancelled => "cancelled",
    }
}

/// How one task stands from one event to the next.
#[derive(Debug, Clone, FromRow)]
struct Revision {
    task_id: Uuid,
    version: i64,
    valid_from: DateTime<Utc>,
    /// Unknown of stored rows, and they are only read while they have none.
    #[sqlx(skip)]
    valid_to: Option<DateTime<Utc>>,
    account_id: Option<Uuid>,
    assignee_id: Uuid,
    due_at: DateTime<Utc>,
    due_text: String,
    state: String,
    moves: i32,
    moved_after_deadline: bool,
    close_reason: Option<String>,
    closed_at: Option<DateTime<Utc>>,
}

impl Revision {
    fn first(recorded: &Recorded, created: &Created) -> Self {
        Self {
            task_id: recorded.stream.id,
            version: recorded.version,
            valid_from: recorded.occurred_at,
            valid_to: None,
            account_id: created.account_id.map(Uuid::from),
            assignee_id: created.assignee_id.0,
            due_at: created.due_at.instant(),
            due_text: created.due_at.to_rfc3339(),
            state: state_name(Standing::Open).to_owned(),
            moves: 0,
            moved_after_deadline: false,
            close_reason: None,
            closed_at: None,
        }
    }

    fn next(&self, recorded: &Recorded, event: &Event) -> Self {
        let mut next = Self {
            version: recorded.version,
            // A call that completes a task may have been before the task was last changed.
            valid_from: recorded.occurred_at.max(self.valid_from),
            ..self.clone()
        };
        match event {
            Event::Created(_) => {}
            Event::Reassigned(reassigned) => next.assignee_id = reassigned.to_assignee_id.0,
            Event::Rescheduled(rescheduled) => next.move_to(rescheduled.due_at, recorded),
            Event::Completed(completed) => next.close(Standing::Completed, completed.completed_at),
            Event::Cancelled(cancelled) => {
                next.close(Standing::Cancelled, recorded.occurred_at);
                next.close_reason = cancelled.reason.get().cloned();
            }
        }
        next
    }

    fn move_to(&mut self, due_at: Deadline, recorded: &Recorded) {
        self.moved_after_deadline |= recorded.occurred_at > self.due_at;
        self.moves += 1;
        self.due_at = due_at.instant();
        self.due_text = due_at.to_rfc3339();
    }

    fn close(&mut self, standing: Standing, at: DateTime<Utc>) {
        state_name(standing).clone_into(&mut self.state);
        self.closed_at = Some(at);
    }
}

/// That there was a promise counts.
async fn erase_in_tx(tx: &mut PgConnection, subjects: Vec<String>) -> Result<(), ApplyError> {
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update states set close_reason = null
         where close_reason is not null and task_id in (select id from tasks where about && $1)",
    )
    .bind(&subjects)
    .execute(&mut *tx)
    .await?;
    sqlx::query("update tasks set comment = null, purpose = null, erased = true where about && $1")
        .bind(subjects)
        .execute(tx)
        .await?;
    Ok(())
}

/// The stored present of every task that `events` speak of.
async fn current_in_tx(
    tx: &mut PgConnection,
    events: &[Recorded],
) -> Result<Vec<Revision>, sqlx::Error> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.stream.id).collect();
    sqlx::query_as(
        "select task_id, version, valid_from, account_id, assignee_id, due_at, due_text, state,
                moves, moved_after_deadline, close_reason, closed_at
         from states where task_id = any($1) and valid_to = 'infinity'",
    )
    .bind(ids)
    .fetch_all(tx)
    .await
}

/// What a batch of events changes, folded in memory and written by three statements: an import of
/// thousands of tasks costs no more round trips than one task.
struct Changes {
    stored: HashMap<Uuid, Revision>,
    created: Vec<(Uuid, Created)>,
    revisions: Vec<Revision>,
    /// Index in `revisions` of the newest of each task.
    newest: HashMap<Uuid, usize>,
}

impl Changes {
    fn new(stored: Vec<Revision>) -> Self {
        Self {
            stored: stored.into_iter().map(|row| (row.task_id, row)).collect(),
            created: Vec::new(),
            revisions: Vec::new(),
            newest: HashMap::new(),
        }
    }

    fn note(&mut self, recorded: &Recorded, event: Event) -> Result<(), ApplyError> {
        let id = recorded.stream.id;
        let newest = self.newest.get(&id).copied();
        let next = match newest
            .and_then(|index| self.revisions.get_mut(index))
            .or_else(|| self.stored.get_mut(&id))
        {
            Some(last) => {
                let next = last.next(recorded, &event);
                last.valid_to = Some(next.valid_from);
                next
            }
            None => match &event {
                Event::Created(created) => Revision::first(recorded, created),
                _ => return Err(ApplyError::Poison("the task was never created".to_owned())),
            },
        };
        self.newest.insert(id, self.revisions.len());
        self.revisions.push(next);
        if let Event::Created(created) = event {
            self.created.push((id, created));
        }
        Ok(())
    }

    async fn write_in_tx(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        insert_tasks_in_tx(tx, &self.created).await?;
        end_revisions_in_tx(tx, self.stored.values()).await?;
        insert_revisions_in_tx(tx, &self.revisions).await?;
        Ok(())
    }
}

async fn insert_tasks_in_tx(
    tx: &mut PgConnection,
    tasks: &[(Uuid, Created)],
) -> Result<(), sqlx::Error> {
    if tasks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into tasks (id, external_id, account_id, person_id, assigned_by, kind, comment,
                            purpose, first_due_text, origin_interaction_id, created_at, erased,
                            about)
         select id, external_id, account_id, person_id, assigned_by, kind, comment, purpose,
                first_due_text, origin_interaction_id, created_at, erased,
                string_to_array(about, ';')
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                     $7::text[], $8::text[], $9::text[], $10::uuid[], $11::timestamptz[],
                     $12::boolean[], $13::text[])
              as row (id, external_id, account_id, person_id, assigned_by, kind, comment, purpose,
                      first_due_text, origin_interaction_id, created_at, erased, about)",
    )
    .bind(column(tasks, |(id, _)| *id))
    .bind(column(tasks, |(_, task)| task.external_id.clone()))
    .bind(column(tasks, |(_, task)| task.account_id.map(Uuid::from)))
    .bind(column(tasks, |(_, task)| task.person_id.map(Uuid::from)))
    .bind(column(tasks, |(_, task)| task.assigned_by.map(Uuid::from)))
    .bind(column(tasks, |(_, task)| task.kind.as_str()))
    .bind(column(tasks, |(_, task)| task.comment.get().cloned()))
    .bind(column(tasks, |(_, task)| {
        task.purpose
            .as_ref()
            .and_then(|purpose| purpose.get().cloned())
    }))
    .bind(column(tasks, |(_, task)| task.due_at.to_rfc3339()))
    .bind(column(tasks, |(_, task)| {
        task.origin_interaction_id.map(Uuid::from)
    }))
    .bind(column(tasks, |(_, task)| task.created_at))
    .bind(column(tasks, |(_, task)| task.comment.get().is_none()))
    .bind(column(tasks, |(_, task)| about(task)))
    .execute(tx)
    .await?;
    Ok(())
}

/// Everybody whom the words of a task are about, joined because `unnest` takes lists of lists apart.
fn about(task: &Created) -> String {
    let named = task.person_id.map(|id| Subject::new("person", id.0));
    let about: BTreeSet<_> = task.comment.subject().about().chain(named).collect();
    let about: Vec<_> = about.iter().map(Subject::as_str).collect();
    about.join(";")
}

/// Ends the stored rows that have a successor now.
async fn end_revisions_in_tx(
    tx: &mut PgConnection,
    stored: impl Iterator<Item = &Revision>,
) -> Result<(), sqlx::Error> {
    let ended: Vec<&Revision> = stored.filter(|row| row.valid_to.is_some()).collect();
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update states set valid_to = ended.valid_to
         from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) as ended (id, version, valid_to)
         where task_id = ended.id and states.version = ended.version",
    )
    .bind(column(&ended, |row| row.task_id))
    .bind(column(&ended, |row| row.version))
    .bind(column(&ended, |row| row.valid_to))
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_revisions_in_tx(
    tx: &mut PgConnection,
    rows: &[Revision],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into states (task_id, version, valid_from, valid_to, account_id, assignee_id,
                             due_at, due_text, state, moves, moved_after_deadline, close_reason,
                             closed_at)
         select task_id, version, valid_from, coalesce(valid_to, 'infinity'), account_id,
                assignee_id, due_at, due_text, state, moves, moved, close_reason, closed_at
         from unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::uuid[],
                     $6::uuid[], $7::timestamptz[], $8::text[], $9::text[], $10::int[],
                     $11::boolean[], $12::text[], $13::timestamptz[])
              as row (task_id, version, valid_from, valid_to, account_id, assignee_id, due_at,
                      due_text, state, moves, moved, close_reason, closed_at)",
    )
    .bind(column(rows, |row| row.task_id))
    .bind(column(rows, |row| row.version))
    .bind(column(rows, |row| row.valid_from))
    .bind(column(rows, |row| row.valid_to))
    .bind(column(rows, |row| row.account_id))
    .bind(column(rows, |row| row.assignee_id))
    .bind(column(rows, |row| row.due_at))
    .bind(column(rows, |row| row.due_text.as_str()))
    .bind(column(rows, |row| row.state.as_str()))
    .bind(column(rows, |row| row.moves))
    .bind(column(rows, |row| row.moved_after_deadline))
    .bind(column(rows, |row| row.close_reason.as_deref()))
    .bind(column(rows, |row| row.closed_at))
    .execute(tx)
    .await?;
    Ok(())
}

/// One column of many rows, as `unnest` takes it.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

#[cfg(test)]
mod tests;
