//! The rule that keeps reminders in step with tasks: a task has one reminder for its assignee; a
//! change of the task voids it and schedules another.
//!
//! May run any number of times for the same event: the reminder's id follows from the event, and
//! whatever came later has the last word.

use std::time::Duration;

use api::common::Position;
use es::{Actor, Recorded};
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kill_point::kill_point;
use kit::{AppError, Service};
use notifications_domain::{
    Reminder,
    reminder::{Command, fire_at, reminder_id},
};
use uuid::Uuid;
use vocabulary::{ReminderId, TaskId};

use crate::views::{
    self,
    task_changes::{Change, Task},
};

pub(crate) struct TaskReminders {
    pub(crate) service: Service,
}

/// The view of past changes follows the same log and is hardly ever behind.
const PATIENCE: Duration = Duration::from_secs(5);

impl Reaction for TaskReminders {
    const NAME: &'static str = "task_reminders";
    const SOURCES: &'static [&'static str] = &["planning"];
    const EVENTS: &'static [&'static str] = &[
        "task.created",
        "task.reassigned",
        "task.rescheduled",
        "task.completed",
        "task.cancelled",
    ];

    async fn react(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Some(change) = Change::read(event)? else {
            return Ok(());
        };
        let task_id = TaskId(event.stream.id);
        let before = match change {
            Change::Created(_) => None,
            Change::Reassigned { .. } | Change::Rescheduled { .. } | Change::Ended(_) => {
                Some(self.before(source, event).await?)
            }
        };
        if let (Some(cause), Some(task)) = (change.voids(), before) {
            let old = reminder_id(task_id, task.version);
            self.tell(event, "void", old, Command::Void { cause })
                .await?;
            kill_point!("task_reminders.voided");
        }
        // What counts is when the deadline became known, not when we get round to it: an outage
        // of ours makes reminders late and loses none.
        if let Some(task) = change.apply(event.version, before)
            && let Some(fire_at) = fire_at(task.due_at, event.recorded_at)
        {
            let schedule = Command::Schedule {
                task_id,
                account_id: task.account_id,
                staff_id: task.assignee_id,
                due_at: task.due_at,
                fire_at,
            };
            let new = reminder_id(task_id, task.version);
            self.tell(event, "schedule", new, schedule).await?;
        }
        Ok(())
    }
}

impl TaskReminders {
    async fn before(&self, source: &str, event: &Recorded) -> Result<Task, ApplyError> {
        let pool = self.service.pool();
        let known = Position {
            service: source.to_owned(),
            position: event.position,
        };
        self.service.views.reached(&[known], PATIENCE).await?;
        views::task_changes::task_before(pool, TaskId(event.stream.id), event.version)
            .await?
            .ok_or_else(|| ApplyError::Poison("the beginning of the task is unknown".to_owned()))
    }

    async fn tell(
        &self,
        event: &Recorded,
        purpose: &str,
        id: ReminderId,
        command: Command,
    ) -> Result<(), ApplyError> {
        let context = CommandContext {
            request_id: Some(Uuid::new_v5(&event.event_id, purpose.as_bytes())),
            digest: None,
            actor: Actor::Policy(format!("notifications/{}", Self::NAME)),
            on_behalf_of: None,
            actor_group_id: None,
            correlation_id: event.metadata.correlation_id,
            causation_id: Some(event.event_id),
            traceparent: event.metadata.traceparent.clone(),
            now: self.service.node.clock.now(),
            expected_version: None,
        };
        let told = self
            .service
            .log
            .execute::<Reminder>(&context, id.0, command);
        told.await.map_err(AppError::from)?;
        Ok(())
    }
}
