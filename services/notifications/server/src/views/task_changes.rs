//! The read model `task_changes`: what planning said about assignee and deadline of each task,
//! version by version, so that a change knows what was there before it, however late it is
//! looked at.

use chrono::{DateTime, Utc};
use es::{CodecError, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use notifications_domain::reminder::VoidCause;
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, StaffId, TaskId};

pub(crate) struct TaskChanges;

/// What matters of a task's event for whoever is to be reminded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Created(Created),
    Reassigned { to: StaffId },
    Rescheduled { due_at: DateTime<Utc> },
    Ended(VoidCause),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Created {
    account_id: Option<AccountId>,
    assignee_id: StaffId,
    due_at: Deadline,
}

/// A task as of one of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Of the event that made it so: the reminder of a task is named after it.
    pub(crate) version: i64,
    pub(crate) account_id: Option<AccountId>,
    pub(crate) assignee_id: StaffId,
    pub(crate) due_at: DateTime<Utc>,
}

impl Change {
    /// `None`: an event that changes nothing for reminders.
    pub(crate) fn read(event: &Recorded) -> Result<Option<Self>, CodecError> {
        #[derive(Deserialize)]
        struct Reassigned {
            to_assignee_id: StaffId,
        }
        #[derive(Deserialize)]
        struct Rescheduled {
            due_at: Deadline,
        }
        fn fields<T: DeserializeOwned>(event: &Recorded) -> Result<T, CodecError> {
            event.fields()
        }
        Ok(Some(match event.event_type.as_str() {
            "task.created" => Self::Created(fields(event)?),
            "task.reassigned" => Self::Reassigned {
                to: fields::<Reassigned>(event)?.to_assignee_id,
            },
            "task.rescheduled" => Self::Rescheduled {
                due_at: fields::<Rescheduled>(event)?.due_at.instant(),
            },
            "task.completed" => Self::Ended(VoidCause::Completed),
            "task.cancelled" => Self::Ended(VoidCause::Cancelled),
            _ => return Ok(None),
        }))
    }

    /// What this does to a reminder of the task as it was; `None`: there was none.
    pub(crate) fn voids(&self) -> Option<VoidCause> {
        match self {
            Self::Created(_) => None,
            Self::Reassigned { .. } => Some(VoidCause::Reassigned),
            Self::Rescheduled { .. } => Some(VoidCause::Rescheduled),
            Self::Ended(cause) => Some(*cause),
        }
    }

    /// The task after this change, if there is still something to do.
    pub(crate) fn apply(&self, version: i64, before: Option<Task>) -> Option<Task> {
        match (self, before) {
            (Self::Created(created), _) => Some(Task {
                version,
                account_id: created.account_id,
                assignee_id: created.assignee_id,
                due_at: created.due_at.instant(),
            }),
            (Self::Reassigned { to }, Some(task)) => Some(Task {
                version,
                assignee_id: *to,
                ..task
            }),
            (Self::Rescheduled { due_at }, Some(task)) => Some(Task {
                version,
                due_at: *due_at,
                ..task
            }),
            (Self::Ended(_), _) | (_, None) => None,
        }
    }
}

impl Projection for TaskChanges {
    const NAME: &'static str = "task_changes";
    const SOURCES: &'static [&'static str] = &["planning"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists changes (
            task_id uuid not null,
            version bigint not null,
            account_id uuid,
            assignee_id uuid,
            due_at timestamptz,
            primary key (task_id, version)
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut task_ids = Vec::with_capacity(events.len());
        let mut versions = Vec::with_capacity(events.len());
        let mut account_ids: Vec<Option<Uuid>> = Vec::with_capacity(events.len());
        let mut assignee_ids: Vec<Option<Uuid>> = Vec::with_capacity(events.len());
        let mut due_ats = Vec::with_capacity(events.len());
        for event in events {
            let (account_id, assignee_id, due_at) = match Change::read(event)? {
                Some(Change::Created(created)) => (
                    created.account_id.map(Into::into),
                    Some(created.assignee_id.into()),
                    Some(created.due_at.instant()),
                ),
                Some(Change::Reassigned { to }) => (None, Some(to.into()), None),
                Some(Change::Rescheduled { due_at }) => (None, None, Some(due_at)),
                Some(Change::Ended(_)) | None => continue,
            };
            task_ids.push(event.stream.id);
            versions.push(event.version);
            account_ids.push(account_id);
            assignee_ids.push(assignee_id);
            due_ats.push(due_at);
        }
        if task_ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into changes (task_id, version, account_id, assignee_id, due_at)
             select * from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[],
                                  $5::timestamptz[])",
        )
        .bind(task_ids)
        .bind(versions)
        .bind(account_ids)
        .bind(assignee_ids)
        .bind(due_ats)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// The task as it was when the event `version` came to it.
pub(crate) async fn task_before(
    pool: &PgPool,
    task_id: TaskId,
    version: i64,
) -> Result<Option<Task>, sqlx::Error> {
    type Row = (i64, Option<Uuid>, Option<Uuid>, Option<DateTime<Utc>>);
    let rows: Vec<Row> = sqlx::query_as(
        "select version, account_id, assignee_id, due_at from task_changes.changes
         where task_id = $1 and version < $2 order by version",
    )
    .bind(task_id.0)
    .bind(version)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().fold(None, |before: Option<Task>, row| {
        let (version, account_id, assignee_id, due_at) = row;
        // The first row, of the creation, has everything; the later ones what they changed.
        Some(Task {
            version,
            account_id: account_id
                .map(AccountId)
                .or_else(|| before.and_then(|task| task.account_id)),
            assignee_id: assignee_id
                .map(StaffId)
                .or_else(|| before.map(|task| task.assignee_id))?,
            due_at: due_at.or_else(|| before.map(|task| task.due_at))?,
        })
    }))
}

#[cfg(test)]
mod tests {
    use es::{Actor, Metadata, StreamId};
    use serde_json::json;

    use super::*;

    fn event(version: i64, event_type: &str, payload: &serde_json::Value) -> Recorded {
        let at = "2026-03-20T06:50:00Z".parse().unwrap();
        Recorded {
            position: version,
            event_id: Uuid::from_u128(9),
            stream: StreamId::new("task", Uuid::from_u128(1)),
            version,
            event_type: event_type.to_owned(),
            schema_version: 1,
            occurred_at: at,
            recorded_at: at,
            request_id: None,
            metadata: Metadata {
                actor: Actor::System,
                on_behalf_of: None,
                actor_group_id: None,
                correlation_id: Uuid::nil(),
                causation_id: None,
                traceparent: None,
                request_digest: None,
                subjects: Vec::new(),
            }
            .try_into()
            .unwrap(),
            payload: payload.to_string().into_bytes(),
            hash: [0; 32],
        }
    }

    fn read(version: i64, event_type: &str, payload: &serde_json::Value) -> Option<Change> {
        Change::read(&event(version, event_type, payload)).unwrap()
    }

    #[test]
    fn a_task_follows_its_events() {
        let petrov = StaffId::of_external("petrov");
        let smirnova = StaffId::of_external("smirnova");
        let created = read(
            1,
            "task.created",
            &json!({
                "account_id": AccountId::of_external("acc-1001"),
                "assignee_id": petrov,
                "kind": "call",
                "due_at": "2026-03-20T11:00:00+03:00",
                "comment": { "$personal": "account:1", "sealed": "…" },
            }),
        )
        .unwrap();
        let rescheduled = read(
            2,
            "task.rescheduled",
            &json!({ "from_due_at": "2026-03-20T11:00:00+03:00",
                     "due_at": "2026-03-20T12:30:00+03:00", "reason": "занят" }),
        )
        .unwrap();
        let reassigned = read(
            3,
            "task.reassigned",
            &json!({ "from_assignee_id": petrov, "to_assignee_id": smirnova, "reason": "передача" }),
        )
        .unwrap();
        let completed = read(
            4,
            "task.completed",
            &json!({ "completed_at": "2026-03-20" }),
        );

        let task = created.apply(1, None).unwrap();
        assert_eq!(task.account_id, Some(AccountId::of_external("acc-1001")));
        assert_eq!((created.voids(), task.assignee_id), (None, petrov));
        let task = rescheduled.apply(2, Some(task)).unwrap();
        assert_eq!(task.due_at.to_rfc3339(), "2026-03-20T09:30:00+00:00");
        let task = reassigned.apply(3, Some(task)).unwrap();
        assert_eq!((task.version, task.assignee_id), (3, smirnova));
        let completed = completed.unwrap();
        assert_eq!(completed.voids(), Some(VoidCause::Completed));
        assert_eq!(completed.apply(4, Some(task)), None);
    }

    #[test]
    fn other_events_are_not_ours() {
        assert_eq!(read(2, "task.commented", &json!({})), None);
        assert!(Change::read(&event(1, "task.created", &json!({}))).is_err());
    }
}
