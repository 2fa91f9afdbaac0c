//! `PlanningService`: the commands here, the questions in [`questions`], imports in [`import`].

use api::planning::{
    CancelTaskRequest, CancelTaskResponse, CompleteTaskRequest, CompleteTaskResponse,
    CountNotDoneRequest, CountNotDoneResponse, CreateTaskRequest, CreateTaskResponse,
    GetMyDayRequest, GetMyDayResponse, GetTaskRequest, GetTaskResponse, ImportTasksRequest,
    ImportTasksResponse, ListAccountsWithoutNextStepRequest, ListAccountsWithoutNextStepResponse,
    ListTasksRequest, ListTasksResponse, ReassignTaskRequest, ReassignTaskResponse,
    RescheduleTaskRequest, RescheduleTaskResponse, planning_service_server::PlanningService,
};
use es::{Personal, Subject, Violation};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations};
use planning_domain::{
    Task,
    task::{
        Command, Created, Planned, cancellation_faults, creation_faults, move_faults,
        reassignment_faults,
    },
};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, PersonId, StaffId, TaskId};

use crate::{forgotten, import, questions, terms};

pub(crate) const MAX_TEXT: usize = 10_000;
const MAX_LINE: usize = 500;
const MAX_REASON: usize = 1_000;

pub(crate) struct Planning {
    service: Service,
}

#[tonic::async_trait]
impl PlanningService for Planning {
    async fn create_task(
        &self,
        request: Request<CreateTaskRequest>,
    ) -> Result<Response<CreateTaskResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.create(&ctx, &request).await?;
        Ok(Response::new(CreateTaskResponse {
            task_id: outcome.id.to_string(),
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn complete_task(
        &self,
        request: Request<CompleteTaskRequest>,
    ) -> Result<Response<CompleteTaskResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.complete(&ctx, &request).await?;
        Ok(Response::new(CompleteTaskResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn reschedule_task(
        &self,
        request: Request<RescheduleTaskRequest>,
    ) -> Result<Response<RescheduleTaskResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.reschedule(ctx, &request).await?;
        Ok(Response::new(RescheduleTaskResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn cancel_task(
        &self,
        request: Request<CancelTaskRequest>,
    ) -> Result<Response<CancelTaskResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.cancel(&ctx, &request).await?;
        Ok(Response::new(CancelTaskResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn reassign_task(
        &self,
        request: Request<ReassignTaskRequest>,
    ) -> Result<Response<ReassignTaskResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.reassign(&ctx, &request).await?;
        Ok(Response::new(ReassignTaskResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = questions::task(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }

    async fn get_my_day(
        &self,
        request: Request<GetMyDayRequest>,
    ) -> Result<Response<GetMyDayResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = questions::day(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = questions::list(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }

    async fn count_not_done(
        &self,
        request: Request<CountNotDoneRequest>,
    ) -> Result<Response<CountNotDoneResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = questions::not_done(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }

    async fn list_accounts_without_next_step(
        &self,
        request: Request<ListAccountsWithoutNextStepRequest>,
    ) -> Result<Response<ListAccountsWithoutNextStepResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = forgotten::list(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }

    async fn import_tasks(
        &self,
        request: Request<ImportTasksRequest>,
    ) -> Result<Response<ImportTasksResponse>, Status> {
        let (ctx, request) = self.service.plain(request).await?;
        let answer = import::run(&self.service, &ctx, &request).await?;
        Ok(Response::new(answer))
    }
}

impl Planning {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    async fn create(
        &self,
        ctx: &Ctx,
        request: &CreateTaskRequest,
    ) -> Result<Outcome<Task>, AppError> {
        let mut v = Violations::new();
        let assignee_id = v.id::<StaffId>("assignee_id", &request.assignee_id);
        let due_at = v.deadline("due_at", &request.due_at);
        let kind = terms::kind(request.kind);
        if kind.is_none() {
            v.add("kind", "must be one of the contract's values");
        }
        let comment = v.optional("comment", &request.comment, MAX_TEXT);
        let account_id = self.own_account(ctx, &mut v, &request.account_id).await?;
        let person_id = v.optional_id("person_id", &request.person_id);
        let purpose = v.optional("purpose", &request.purpose, MAX_LINE);

        let active = self.is_active(assignee_id).await?;
        let (Some(assignee_id), Some(due_at), Some(kind), Some(true), true) =
            (assignee_id, due_at, kind, active, v.is_empty())
        else {
            return Err(all(v, creation_faults(active, due_at, &comment, ctx.now)));
        };
        self.may_plan_for(ctx, assignee_id)?;
        self.sees(ctx, assignee_id, account_id).await?;

        let subject = subject(person_id, account_id, assignee_id);
        let task = Created {
            external_id: None,
            account_id,
            person_id,
            assignee_id,
            assigned_by: ctx.staff(),
            kind,
            due_at,
            comment: Personal::new(subject.clone(), comment),
            purpose: (!purpose.is_empty()).then(|| Personal::new(subject, purpose)),
            origin_interaction_id: None,
            created_at: ctx.now,
        };
        let command = Command::Create {
            task,
            assignee_active: true,
        };
        let log = &self.service.log;
        Ok(log
            .execute_new(&ctx.command(), ctx.new_id(), command)
            .await?)
    }

    async fn complete(
        &self,
        ctx: &Ctx,
        request: &CompleteTaskRequest,
    ) -> Result<Outcome<Task>, AppError> {
        let mut v = Violations::new();
        let id = v.id::<TaskId>("task_id", &request.task_id);
        let completed_at = v.past_instant("completed_at", request.completed_at.as_ref(), ctx.now);
        let (Some(id), true) = (id, v.is_empty()) else {
            return Err(all(v, Vec::new()));
        };
        let command = Command::Complete {
            completed_at,
            interaction_id: None,
        };
        self.change(ctx, id, command).await
    }

    async fn reschedule(
        &self,
        ctx: Ctx,
        request: &RescheduleTaskRequest,
    ) -> Result<Outcome<Task>, AppError> {
        let mut v = Violations::new();
        let ctx = ctx.expecting(&mut v, request.expected_version);
        let id = v.id::<TaskId>("task_id", &request.task_id);
        let due_at = v.deadline("due_at", &request.due_at);
        let reason = v.optional("reason", &request.reason, MAX_REASON);
        let (Some(id), Some(due_at), true) = (id, due_at, v.is_empty()) else {
            return Err(all(v, move_faults(due_at, &reason, ctx.now)));
        };
        let command = Command::Reschedule {
            due_at,
            reason,
            now: ctx.now,
        };
        self.change(&ctx, id, command).await
    }

    async fn cancel(
        &self,
        ctx: &Ctx,
        request: &CancelTaskRequest,
    ) -> Result<Outcome<Task>, AppError> {
        let mut v = Violations::new();
        let id = v.id::<TaskId>("task_id", &request.task_id);
        let reason = v.optional("reason", &request.reason, MAX_REASON);
        let (Some(id), true) = (id, v.is_empty()) else {
            return Err(all(v, cancellation_faults(&reason)));
        };
        self.change(ctx, id, Command::Cancel { reason }).await
    }

    async fn reassign(
        &self,
        ctx: &Ctx,
        request: &ReassignTaskRequest,
    ) -> Result<Outcome<Task>, AppError> {
        let mut v = Violations::new();
        let id = v.id::<TaskId>("task_id", &request.task_id);
        let assignee_id = v.id::<StaffId>("assignee_id", &request.assignee_id);
        let reason = v.optional("reason", &request.reason, MAX_REASON);
        let active = self.is_active(assignee_id).await?;
        let (Some(id), Some(assignee_id), Some(true), true) =
            (id, assignee_id, active, v.is_empty())
        else {
            return Err(all(v, reassignment_faults(active, &reason)));
        };
        let task = self.changeable(ctx, id).await?;
        self.may_plan_for(ctx, assignee_id)?;
        self.sees(ctx, assignee_id, task.account_id).await?;
        let command = Command::Reassign {
            assignee_id,
            assignee_active: true,
            reason,
        };
        let log = &self.service.log;
        Ok(log.execute(&ctx.command(), id.0, command).await?)
    }

    async fn change(
        &self,
        ctx: &Ctx,
        id: TaskId,
        command: Command,
    ) -> Result<Outcome<Task>, AppError> {
        self.changeable(ctx, id).await?;
        let log = &self.service.log;
        Ok(log.execute(&ctx.command(), id.0, command).await?)
    }

    /// The caller sees the task and plans for its assignee. Asked of the log: a task can be
    /// changed before the view has it.
    async fn changeable(&self, ctx: &Ctx, id: TaskId) -> Result<Planned, AppError> {
        const ABSENT: AppError = AppError::NotFound { what: "task" };
        let loaded = self.service.log.load::<Task>(id.0).await?;
        let task = loaded.state.ok_or(ABSENT)?;
        let visible = match task.account_id {
            Some(account_id) => self.seen_account(ctx, account_id).await?.is_some(),
            None => ctx.sees().includes(task.assignee_id),
        };
        if !visible {
            return Err(ABSENT);
        }
        self.may_plan_for(ctx, task.assignee_id)?;
        Ok(task)
    }

    /// Who does not see the account of a task would never read it; a substitute would only for a
    /// while, and plans for whoever is away. One whose the account became a moment ago sees it.
    async fn sees(
        &self,
        ctx: &Ctx,
        assignee_id: StaffId,
        account_id: Option<AccountId>,
    ) -> Result<(), AppError> {
        let Some(id) = account_id else { return Ok(()) };
        let directory = &self.service.directory;
        let sees = async || {
            let account = directory.account(id).await?;
            let scope = directory.snapshot().scope_of(assignee_id);
            Ok::<_, AppError>(account.is_some_and(|known| known.is_visible(&scope, ctx.now)))
        };
        if sees().await? {
            return Ok(());
        }
        self.service.catch_up().await?;
        let mut v = Violations::new();
        if !sees().await? {
            v.add("assignee_id", "must see the account");
        }
        v.finish()
    }

    /// The account a task is about, if one is named: the caller must see it.
    async fn own_account(
        &self,
        ctx: &Ctx,
        v: &mut Violations,
        text: &str,
    ) -> Result<Option<AccountId>, AppError> {
        let Some(id) = v.optional_id::<AccountId>("account_id", text) else {
            return Ok(None);
        };
        let account = self.seen_account(ctx, id).await?;
        if account.is_none() {
            v.add("account_id", "is not known");
        }
        Ok(account)
    }

    /// The account that answers, if the caller sees it.
    async fn seen_account(&self, ctx: &Ctx, id: AccountId) -> Result<Option<AccountId>, AppError> {
        let seen = self.service.seen_account(ctx, id).await?;
        Ok(seen.map(|account| account.id))
    }

    async fn is_active(&self, id: Option<StaffId>) -> Result<Option<bool>, AppError> {
        let Some(id) = id else { return Ok(None) };
        let staff = self.service.known_staff(id).await?;
        Ok(Some(staff.is_some_and(|staff| !staff.dismissed)))
    }

    /// A manager plans for oneself, a head also for the groups below, an administrator for anybody.
    fn may_plan_for(&self, ctx: &Ctx, assignee_id: StaffId) -> Result<(), AppError> {
        // Not the caller's own snapshot: the assignee may have been hired since.
        let directory = self.service.directory.snapshot();
        if ctx.may_plan_for(&directory, assignee_id) {
            ctx.about(assignee_id);
            Ok(())
        } else {
            Err(AppError::forbidden(
                "MAY_NOT_PLAN_FOR",
                "may not plan for this member of staff",
            ))
        }
    }
}

/// Whose key the words of a task are under: the person's they are about, else the company's, else
/// that of whose task it is.
pub(crate) fn subject(
    person_id: Option<PersonId>,
    account_id: Option<AccountId>,
    assignee_id: StaffId,
) -> Subject {
    match (person_id, account_id) {
        (Some(person), _) => Subject::new("person", person.0),
        (None, Some(account)) => Subject::new("account", account.0),
        (None, None) => Subject::new("staff", assignee_id.0),
    }
}

/// What cannot be read together with what is against the rules, in one answer.
fn all(mut v: Violations, faults: Vec<Violation>) -> AppError {
    for fault in faults {
        v.add(&fault.field, fault.description);
    }
    AppError::Invalid(v.into_inner())
}
