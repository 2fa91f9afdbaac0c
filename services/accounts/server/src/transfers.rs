//! Hand-overs of many accounts. [`plan`] says who gets which and [`worker`] carries it out, in the
//! replica that leads; [`completion`] hears of planning that the tasks have followed.

pub(crate) mod completion;
pub(crate) mod plan;
pub(crate) mod worker;

mod wishes;

use std::time::Duration;

use accounts_domain::{
    account::Rejection,
    transfer::{Command, Event, Kept, Started, State, Transfer},
};
use api::{
    accounts::{
        self as pb, GetTransferRequest, GetTransferResponse, ListTransfersRequest,
        ListTransfersResponse, PlanTransferRequest, PlanTransferResponse, StartTransferRequest,
        StartTransferResponse, TransferFailure, TransferReceiver, TransferState,
        transfers_service_server::TransfersService,
    },
    common,
};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Scope, Service, Violations, fingerprint, timestamp};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, StaffId, TransferId};

use crate::{
    views::{
        open_tasks,
        transfers::{self, Row, Standing},
    },
    wire::{MAX_TEXT, caught_up, id_text},
};

/// In case another replica moves the view without our hearing of it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(crate) struct Transfers {
    service: Service,
}

impl Transfers {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn preview(
        &self,
        ctx: &Ctx,
        req: PlanTransferRequest,
    ) -> Result<PlanTransferResponse, AppError> {
        caught_up(&self.service).await?;
        let wishes = wishes::read(&self.service, Violations::new(), req.plan).await?;
        let id = TransferId(ctx.new_id());
        let plan = plan::settle(&self.service, ctx, id, &wishes, String::new()).await?;
        let mut answer = PlanTransferResponse {
            kept: plan.kept.iter().map(kept).collect(),
            beyond: wishes.beyond,
            ..PlanTransferResponse::default()
        };
        for id in wishes.receivers {
            let moves = plan.moves().filter(|one| one.to == id);
            let accounts: Vec<AccountId> = moves.map(|one| one.account_id).collect();
            let account_ids = accounts.iter().map(ToString::to_string).collect();
            let pool = self.service.pool();
            let luggage = open_tasks::luggage(pool, Some(accounts), None, None, ctx.now).await?;
            answer.receivers.push(TransferReceiver {
                staff_id: id.to_string(),
                accounts: luggage.accounts,
                open_tasks: luggage.open_tasks,
                overdue_tasks: luggage.overdue_tasks,
                account_ids,
            });
        }
        Ok(answer)
    }

    async fn start(
        &self,
        ctx: &Ctx,
        req: StartTransferRequest,
    ) -> Result<StartTransferResponse, AppError> {
        caught_up(&self.service).await?;
        let mut v = Violations::new();
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        let wishes = wishes::read(&self.service, v, req.plan).await?;
        let id = TransferId(ctx.new_id());
        let plan = plan::settle(&self.service, ctx, id, &wishes, reason).await?;
        let begun = begin(&self.service, ctx, id, plan).await?;
        Ok(StartTransferResponse {
            transfer_id: begun.id.map_or_else(String::new, |id| id.to_string()),
            planned: begun.plan.planned() as i64,
            kept: begun.plan.kept.iter().map(kept).collect(),
            recorded: begun.outcome.map(|outcome| self.service.recorded(&outcome)),
        })
    }

    async fn list(
        &self,
        ctx: &Ctx,
        mut req: ListTransfersRequest,
    ) -> Result<ListTransfersResponse, AppError> {
        let mut v = Violations::new();
        let standing = match TransferState::try_from(req.state) {
            Ok(TransferState::Unspecified) => None,
            Ok(TransferState::Moving) => Some(Standing::Moving),
            Ok(TransferState::Confirming) => Some(Standing::Confirming),
            Ok(TransferState::Completed) => Some(Standing::Completed),
            Err(_) => {
                v.add("state", "is not known");
                None
            }
        };
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let staff = ctx.sees().owners();
        let pool = self.service.pool();
        let mut rows = transfers::page(pool, staff, standing, page.after(), page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| row.started_position);
        Ok(ListTransfersResponse {
            transfers: rows.iter().map(transfer).collect(),
            next_page_token,
        })
    }

    async fn get(&self, ctx: &Ctx, id: TransferId) -> Result<GetTransferResponse, AppError> {
        const ABSENT: AppError = AppError::NotFound { what: "transfer" };
        let pool = self.service.pool();
        let row = transfers::find(pool, id).await?.ok_or(ABSENT)?;
        let state = self.service.log.load::<Transfer>(id.0).await?.state;
        let plan = state.plan.as_ref().filter(|plan| sees(ctx.sees(), plan));
        let plan = plan.ok_or(ABSENT)?;
        let tasks_reassigned = match &state.completed {
            Some(completed) => completed.tasks_reassigned as i64,
            None => transfers::followed(pool, id).await?,
        };
        Ok(GetTransferResponse {
            state: standing(&state).into(),
            planned: state.planned() as i64,
            moved: state.moved as i64,
            kept: state.kept.iter().map(kept).collect(),
            tasks_reassigned,
            reason: plan.reason.get().cloned().unwrap_or_default(),
            from_owner_id: plan
                .from_owner_id
                .map_or_else(String::new, |id| id.to_string()),
            started_at: Some(timestamp(row.started_at)),
            completed_at: row.completed_at.map(timestamp),
        })
    }
}

fn transfer(row: &Row) -> pb::Transfer {
    let state = match row.standing() {
        Standing::Moving => TransferState::Moving,
        Standing::Confirming => TransferState::Confirming,
        Standing::Completed => TransferState::Completed,
    };
    pb::Transfer {
        id: row.transfer_id.to_string(),
        state: state.into(),
        planned: row.planned,
        left: row.unmoved,
        from_owner_id: id_text(row.from_owner_id),
        started_at: Some(timestamp(row.started_at)),
        completed_at: row.completed_at.map(timestamp),
    }
}

fn standing(state: &State) -> TransferState {
    match (&state.completed, state.left()) {
        (Some(_), _) => TransferState::Completed,
        (None, 0) => TransferState::Confirming,
        (None, _) => TransferState::Moving,
    }
}

/// Everybody who takes part in it.
fn sees(scope: &Scope, plan: &Started) -> bool {
    let mut parts = plan.parts.iter();
    parts.all(|part| scope.includes(part.from_owner_id) && scope.includes(part.to_owner_id))
}

/// A hand-over that is recorded now, or was when the request came first.
pub(crate) struct Begun {
    /// None: there was nothing to hand over.
    pub(crate) id: Option<TransferId>,
    pub(crate) plan: Started,
    outcome: Option<Outcome<Transfer>>,
}

pub(crate) async fn begin(
    service: &Service,
    ctx: &Ctx,
    fresh: TransferId,
    plan: Started,
) -> Result<Begun, AppError> {
    let command = Command::Start(plan.clone());
    let context = ctx.command();
    let log = &service.log;
    let outcome = log.execute_new::<Transfer>(&context, fresh.0, command);
    let outcome = outcome.await?;
    Ok(match outcome.events.first() {
        Some(Event::Started(recorded)) => Begun {
            id: Some(TransferId(outcome.id)),
            plan: recorded.clone(),
            outcome: Some(outcome),
        },
        _ => Begun {
            id: None,
            plan,
            outcome: None,
        },
    })
}

/// Waits until all accounts of it are dealt with; how long is for the caller to say.
pub(crate) async fn moved(service: &Service, id: TransferId) -> Result<Row, AppError> {
    let mut changed = service.view_changed::<transfers::Transfers>();
    loop {
        changed.mark_unchanged();
        let row = transfers::find(service.pool(), id).await?;
        if let Some(row) = row.filter(|row| row.unmoved == 0) {
            return Ok(row);
        }
        // Neither the time being over nor the end of the process changes what is asked.
        let _ = tokio::time::timeout(LOOK_AGAIN, changed.changed()).await;
    }
}

/// Accounts that hand-overs have still to bring somebody.
pub(crate) async fn to_come(service: &Service, id: StaffId) -> Result<u64, AppError> {
    let mut accounts = 0;
    for transfer_id in transfers::moving(service.pool()).await? {
        let state = service.log.load::<Transfer>(transfer_id).await?.state;
        let rest = state.next(usize::MAX).into_iter();
        accounts += rest.filter(|one| one.to == id).count() as u64;
    }
    Ok(accounts)
}

/// Why an account stays where it is, in words.
pub(crate) fn kept(kept: &Kept) -> TransferFailure {
    let rejections = [
        Rejection::InPool,
        Rejection::OwnerChanged,
        Rejection::Unknown,
    ];
    let reason = kept.reason.as_str();
    let of_rule = rejections.iter().find(|one| {
        use es::Rejection as _;
        one.reason() == reason
    });
    let text = match (of_rule, reason) {
        (Some(rejection), _) => rejection.to_string(),
        (None, plan::HIDDEN) => "not found".to_owned(),
        (None, plan::THERE_ALREADY) => "the account belongs to the new owner already".to_owned(),
        (None, plan::NO_RULE) => "no rule fits the account".to_owned(),
        (None, plan::FOR_ANOTHER) => "the account is planned for somebody else".to_owned(),
        (None, plan::CANNOT_OWN) => "the receiver can own no accounts any more".to_owned(),
        (None, _) => "the account cannot be handed over".to_owned(),
    };
    failure(kept.account_id, &text, reason)
}

pub(crate) fn failure(id: AccountId, description: &str, reason: &str) -> TransferFailure {
    TransferFailure {
        account_id: id.to_string(),
        violation: Some(common::Violation {
            field: "account_ids".to_owned(),
            description: kit::in_words(description.to_owned(), reason),
            reason: reason.to_owned(),
        }),
    }
}

#[tonic::async_trait]
impl TransfersService for Transfers {
    async fn plan_transfer(
        &self,
        request: Request<PlanTransferRequest>,
    ) -> Result<Response<PlanTransferResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.preview(&ctx, req).await?))
    }

    async fn start_transfer(
        &self,
        request: Request<StartTransferRequest>,
    ) -> Result<Response<StartTransferResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.start(&ctx, req).await?))
    }

    async fn list_transfers(
        &self,
        request: Request<ListTransfersRequest>,
    ) -> Result<Response<ListTransfersResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }

    async fn get_transfer(
        &self,
        request: Request<GetTransferRequest>,
    ) -> Result<Response<GetTransferResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let mut v = Violations::new();
        let id = v.id("transfer_id", &req.transfer_id);
        let id = v.checked(id)?;
        Ok(Response::new(self.get(&ctx, id).await?))
    }
}
