//! A contact completes the task it was planned by and promises the next one. The interaction names
//! both, and both follow from it exactly once, however often it is delivered, because their ids do.

use chrono::{DateTime, Utc};
use es::{Personal, Recorded};
use es_postgres::{
    CommandContext, Outcome,
    projection::{ApplyError, Reaction},
};
use kill_point::kill_point;
use kit::{Principal, Service, reaction};
use planning_domain::{
    Task,
    task::{Command, Created, Planned},
};
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, InteractionId, PersonId, StaffId, TaskId, TaskKind};

use crate::hand_over;

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
    const EVENTS: &'static [&'static str] = &["interaction.logged"];

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
        let mut logged: Logged = event.fields()?;
        let context = CommandContext {
            on_behalf_of: Some(logged.author_id.0),
            ..reaction::context::<Self>(&self.service, event)
        };
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
            Some(task) => self.may_complete(event, logged, task).await?,
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
        if let Err(rejection) = reaction::settled(outcome)? {
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
        // Who spoke for somebody away has promised for that one.
        let promised_by = event.metadata.on_behalf_of.map(StaffId);
        let promised_by = promised_by.unwrap_or(logged.author_id);
        let assignee_id = self.responsible(logged.account_id, promised_by).await?;
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
        match reaction::settled(outcome)? {
            Ok(created) => {
                let to = self.responsible(logged.account_id, promised_by).await?;
                self.follow_owner(context, to, &created).await
            }
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
        to: StaffId,
        created: &Outcome<Task>,
    ) -> Result<(), ApplyError> {
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
            transfer_id: None,
        };
        let outcome = self
            .service
            .log
            .execute::<Task>(&context.derive("follow-owner"), created.id, command)
            .await;
        reaction::settled(outcome)?.ok();
        Ok(())
    }

    /// Who has promised it; or, when the account was handed over or that one dismissed before the
    /// promise arrived here, the present owner.
    async fn responsible(
        &self,
        account_id: AccountId,
        promised_by: StaffId,
    ) -> Result<StaffId, ApplyError> {
        let account = self.service.known_account(account_id).await?;
        let Some(owner_id) = account.and_then(|account| account.owner_id) else {
            return Ok(promised_by);
        };
        let sees_account = match self.principal(promised_by).await? {
            Some(promised_by) => {
                let scope = self.service.directory.snapshot().own_scope(&promised_by);
                scope.includes(owner_id)
            }
            None => false,
        };
        Ok(if sees_account { promised_by } else { owner_id })
    }

    async fn may_complete(
        &self,
        event: &Recorded,
        logged: &Logged,
        task: &Planned,
    ) -> Result<bool, ApplyError> {
        // All records that were merged are one account.
        let ids = self.service.directory.ids_of(logged.account_id).await?;
        let here = task.account_id.is_some_and(|id| ids.contains(&id.0));
        if here || task.assignee_id == logged.author_id {
            return Ok(true);
        }
        let (author, assignee, at) = (logged.author_id, task.assignee_id, event.recorded_at);
        if self.may_plan_for(author, assignee, at).await? {
            return Ok(true);
        }
        // Of an absence that was marked a moment before, the directory may not know yet.
        self.service.catch_up().await?;
        self.may_plan_for(author, assignee, at).await
    }

    async fn may_plan_for(
        &self,
        author: StaffId,
        assignee: StaffId,
        at: DateTime<Utc>,
    ) -> Result<bool, ApplyError> {
        let author = self.principal(author).await?;
        let snapshot = self.service.directory.snapshot();
        Ok(author.is_some_and(|author| snapshot.may_plan_for(&author, assignee, at)))
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
