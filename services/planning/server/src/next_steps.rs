//! A contact completes the task it was planned by and promises the next one (`domain.md`,
//! invariant 5): the interaction names both, and both follow from it exactly once, because their
//! ids do.

use chrono::{DateTime, Utc};
use es::{Personal, Recorded};
use es_postgres::{
    CommandContext, Outcome,
    projection::{ApplyError, Reaction},
};
use kill_point::kill_point;
use kit::{Principal, Service};
use planning_domain::{
    Task,
    task::{Command, Created, Planned},
};
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, InteractionId, PersonId, StaffId, TaskId, TaskKind};

use crate::{hand_over, policy};

pub(crate) struct NextSteps {
    service: Service,
}

/// What we read of `interaction.logged`.
#[derive(Deserialize)]
struct Logged {
    account_id: AccountId,
    person_id: Option<PersonId>,
    author_id: StaffId,
    occurred_at: DateTime<Utc>,
    completes_task_id: Option<TaskId>,
    next_step: Option<NextStep>,
}

#[derive(Deserialize)]
struct Completes {
    completes_task_id: Option<TaskId>,
}

#[derive(Deserialize)]
struct NextStep {
    due_at: Deadline,
    kind: TaskKind,
    person_id: Option<PersonId>,
    purpose: Option<Personal<String>>,
    comment: Personal<String>,
}

impl Reaction for NextSteps {
    const NAME: &'static str = "next-steps";
    const SOURCES: &'static [&'static str] = &["contacts"];

    /// A promise may be kept by an interaction right behind it.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let promised = TaskId::of_next_step(InteractionId(event.stream.id));
        let logged = event.fields::<Completes>().ok();
        let completed = logged.and_then(|logged| logged.completes_task_id);
        [Some(promised), completed]
            .into_iter()
            .flatten()
            .map(|id| id.0)
            .chain([event.stream.id])
            .collect()
    }

    async fn react(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if event.event_type != "interaction.logged" {
            return Ok(());
        }
        let mut logged: Logged = event.fields()?;
        let now = self.service.node.clock.now();
        let context = policy::context(Self::NAME, event, Some(logged.author_id), now);
        if let Some(task_id) = logged.completes_task_id {
            self.complete(&context, event, &logged, task_id).await?;
            kill_point!("next_steps.task_completed");
        }
        if logged.next_step.is_some() {
            // On the bus the comment is sealed; contacts opens it as long as there is a key. What is
            // erased by now makes a task without words.
            let opened = self.service.opened_event(source, event.position).await?;
            logged = opened.fields()?;
        }
        if let Some(step) = logged.next_step.take() {
            self.plan(&context, event, &logged, step).await?;
        }
        Ok(())
    }
}

impl NextSteps {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    async fn complete(
        &self,
        context: &CommandContext,
        event: &Recorded,
        logged: &Logged,
        id: TaskId,
    ) -> Result<(), ApplyError> {
        let interaction_id = InteractionId(event.stream.id);
        let task = self.service.log.load::<Task>(id.0).await?.state;
        let theirs = match &task {
            Some(task) => self.may_complete(logged, task).await?,
            None => false,
        };
        if !theirs {
            warn!(
                task.id = %id,
                interaction.id = %interaction_id,
                "interaction {interaction_id} completes task {id}, which is not its author's",
            );
            return Ok(());
        }
        let command = Command::Complete {
            completed_at: logged.occurred_at,
            interaction_id: Some(interaction_id),
        };
        let outcome = self
            .service
            .log
            .execute::<Task>(&context.derive("complete"), id.0, command)
            .await;
        if let Err(rejection) = policy::settled(outcome)? {
            warn!(
                task.id = %id,
                interaction.id = %interaction_id,
                "task {id} is not completed by interaction {interaction_id}: {rejection}",
            );
        }
        Ok(())
    }

    async fn plan(
        &self,
        context: &CommandContext,
        event: &Recorded,
        logged: &Logged,
        step: NextStep,
    ) -> Result<(), ApplyError> {
        let interaction_id = InteractionId(event.stream.id);
        let id = TaskId::of_next_step(interaction_id);
        let assignee_id = self.responsible(logged).await?;
        let assignee = self.service.known_staff(assignee_id).await?;
        let command = Command::Create {
            assignee_active: assignee.is_some_and(|staff| !staff.dismissed),
            task: Created {
                external_id: None,
                account_id: Some(logged.account_id),
                person_id: step.person_id.or(logged.person_id),
                assignee_id,
                assigned_by: Some(logged.author_id),
                kind: step.kind,
                due_at: step.due_at,
                comment: step.comment,
                purpose: step.purpose,
                origin_interaction_id: Some(interaction_id),
                // The promise was checked and made then, however late it arrives here.
                created_at: event.recorded_at,
            },
        };
        let outcome = self
            .service
            .log
            .execute::<Task>(&context.derive("next-step"), id.0, command)
            .await;
        match policy::settled(outcome)? {
            Ok(created) => self.follow_owner(context, logged, &created).await,
            Err(rejection) => {
                warn!(
                    interaction.id = %interaction_id,
                    account.id = %logged.account_id,
                    "next step of interaction {interaction_id} is not planned: {rejection}",
                );
                Ok(())
            }
        }
    }

    /// The account may have gone to another owner while the task was being made, unseen by the
    /// rule that hands tasks over.
    async fn follow_owner(
        &self,
        context: &CommandContext,
        logged: &Logged,
        created: &Outcome<Task>,
    ) -> Result<(), ApplyError> {
        let to = self.responsible(logged).await?;
        let Some(from) = created.state.as_ref().map(|task| task.assignee_id) else {
            return Ok(());
        };
        if to == from {
            return Ok(());
        }
        let command = Command::HandOver {
            from,
            to,
            reason: hand_over::REASON.to_owned(),
        };
        let outcome = self
            .service
            .log
            .execute::<Task>(&context.derive("follow-owner"), created.id, command)
            .await;
        policy::settled(outcome)?.ok();
        Ok(())
    }

    /// The author; or, when the account was handed over or the author dismissed before the promise
    /// arrived here, the present owner.
    async fn responsible(&self, logged: &Logged) -> Result<StaffId, ApplyError> {
        let author_id = logged.author_id;
        let account = self.service.known_account(logged.account_id).await?;
        let Some(owner_id) = account.and_then(|account| account.owner_id) else {
            return Ok(author_id);
        };
        let sees_account = match self.principal(author_id).await? {
            Some(author) => {
                let scope = self.service.directory.snapshot().scope(&author);
                scope.includes(owner_id)
            }
            None => false,
        };
        Ok(if sees_account { author_id } else { owner_id })
    }

    async fn may_complete(&self, logged: &Logged, task: &Planned) -> Result<bool, ApplyError> {
        if task.account_id == Some(logged.account_id) || task.assignee_id == logged.author_id {
            return Ok(true);
        }
        let author = self.principal(logged.author_id).await?;
        let snapshot = self.service.directory.snapshot();
        Ok(author.is_some_and(|author| snapshot.may_plan_for(&author, task.assignee_id)))
    }

    /// Somebody as a caller would be; `None` for who does not work here.
    async fn principal(&self, id: StaffId) -> Result<Option<Principal>, ApplyError> {
        let staff = self.service.known_staff(id).await?;
        Ok(staff
            .filter(|staff| !staff.dismissed)
            .map(|staff| Principal::Staff {
                id,
                role: staff.role,
                group_id: staff.group_id,
            }))
    }
}
