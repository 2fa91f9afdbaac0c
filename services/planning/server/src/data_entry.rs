//! `DataEntryService`: managers ask, operators enter.

use std::collections::HashMap;

use api::planning::{
    self as pb, CompleteDataEntryRequest, CompleteDataEntryResponse, DataEntryState,
    DeclineDataEntryRequest, DeclineDataEntryResponse, ListDataEntryRequestsRequest,
    ListDataEntryRequestsResponse, RequestDataEntryRequest, RequestDataEntryResponse,
    data_entry_service_server::DataEntryService,
};
use es::Personal;
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations, fingerprint, timestamp};
use planning_domain::{
    DataEntry,
    data_entry::{Command, Requested, Standing},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{AccountId, PersonId, StaffId};

use crate::{
    planning::subject,
    questions::all_ids,
    views::{
        self,
        data_entry::{Filter, Row, state_name},
    },
};

const MAX_TEXT: usize = 2_000;
const MAX_REASON: usize = 1_000;
const ABSENT: AppError = AppError::NotFound { what: "data entry" };

pub(crate) struct Handlers {
    service: Service,
}

impl Handlers {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn request(
        &self,
        ctx: &Ctx,
        req: &RequestDataEntryRequest,
    ) -> Result<RequestDataEntryResponse, AppError> {
        let mut v = Violations::new();
        let account_id = v.id::<AccountId>("account_id", &req.account_id);
        let person_id = v.optional_id::<PersonId>("person_id", &req.person_id);
        let what = v.required("what", &req.what, MAX_TEXT);
        let account_id = v.checked(account_id)?;
        let account_id = self.service.visible_account(ctx, account_id).await?.id;
        let requested_by = ctx.staff_id();
        let about = subject(person_id, Some(account_id), requested_by);
        let command = Command::Request(Requested {
            account_id,
            person_id,
            requested_by,
            what: Personal::new(about, what),
        });
        let log = &self.service.log;
        let outcome = log
            .execute_new::<DataEntry>(&ctx.command(), ctx.new_id(), command)
            .await?;
        Ok(RequestDataEntryResponse {
            data_entry_id: outcome.id.to_string(),
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    /// Whoever may close requests sees all accounts: the contract lets nobody else come here.
    async fn close(
        &self,
        ctx: &Ctx,
        id: Option<Uuid>,
        command: Command,
    ) -> Result<Outcome<DataEntry>, AppError> {
        let id = id.ok_or(ABSENT)?;
        let state = self.service.log.load::<DataEntry>(id).await?.state;
        let asked = state.ok_or(ABSENT)?;
        self.service.visible_account(ctx, asked.account_id).await?;
        let log = &self.service.log;
        Ok(log
            .execute::<DataEntry>(&ctx.command(), id, command)
            .await?)
    }

    async fn list(
        &self,
        ctx: &Ctx,
        req: ListDataEntryRequestsRequest,
    ) -> Result<ListDataEntryRequestsResponse, AppError> {
        let mut v = Violations::new();
        let standing = match DataEntryState::try_from(req.state) {
            Ok(DataEntryState::Unspecified | DataEntryState::Open) => Standing::Open,
            Ok(DataEntryState::Done) => Standing::Done,
            Ok(DataEntryState::Declined) => Standing::Declined,
            Err(_) => {
                v.add("state", "must be one of the contract's values");
                Standing::Open
            }
        };
        let account_id = v.optional_id::<AccountId>("account_id", &req.account_id);
        let requested_by = v.optional_id::<StaffId>("requested_by", &req.requested_by);
        v.finish()?;
        let page = self.service.page(
            &req.page,
            fingerprint(&ListDataEntryRequestsRequest {
                page: None,
                min_positions: Vec::new(),
                ..req.clone()
            }),
        )?;
        let filter = Filter {
            standing,
            visible_to: ctx.sees().owners(),
            now: ctx.now,
            account_ids: match account_id {
                Some(id) => Some(all_ids(&self.service, id).await?),
                None => None,
            },
            requested_by: requested_by.map(Uuid::from),
        };
        let pool = self.service.pool();
        let total = views::data_entry::count(pool, &filter).await?;
        let mut rows = views::data_entry::list(pool, &filter, page.after(), page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, Row::key);
        let accounts: HashMap<Uuid, AccountId> = rows
            .iter()
            .map(|row| (row.id, AccountId(row.account_id)))
            .collect();
        let accounts = self.service.directory.answering(accounts).await?;
        let requests = rows.into_iter().map(|row| {
            let account = accounts.get(&row.id).map(|account| account.0);
            answer(account.unwrap_or(row.account_id), row)
        });
        Ok(ListDataEntryRequestsResponse {
            requests: requests.collect(),
            next_page_token,
            total,
        })
    }
}

fn answer(account_id: Uuid, row: Row) -> pb::DataEntryRequest {
    let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
    let states = [
        (Standing::Open, DataEntryState::Open),
        (Standing::Done, DataEntryState::Done),
        (Standing::Declined, DataEntryState::Declined),
    ];
    let state = states
        .into_iter()
        .find(|(standing, _)| state_name(*standing) == row.state);
    pb::DataEntryRequest {
        id: row.id.to_string(),
        account_id: account_id.to_string(),
        person_id: id(row.person_id),
        erased: row.what.is_none(),
        what: row.what.unwrap_or_default(),
        requested_by: row.requested_by.to_string(),
        requested_at: Some(timestamp(row.requested_at)),
        state: state
            .map_or(DataEntryState::Unspecified, |(_, state)| state)
            .into(),
        closed_by: id(row.closed_by),
        closed_at: row.closed_at.map(timestamp),
        reason: row.reason.unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl DataEntryService for Handlers {
    async fn request_data_entry(
        &self,
        request: Request<RequestDataEntryRequest>,
    ) -> Result<Response<RequestDataEntryResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.request(&ctx, &req).await?))
    }

    async fn complete_data_entry(
        &self,
        request: Request<CompleteDataEntryRequest>,
    ) -> Result<Response<CompleteDataEntryResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id::<Uuid>("data_entry_id", &req.data_entry_id);
        v.finish()?;
        let by = ctx.staff_id();
        let outcome = self.close(&ctx, id, Command::Complete { by }).await?;
        Ok(Response::new(CompleteDataEntryResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn decline_data_entry(
        &self,
        request: Request<DeclineDataEntryRequest>,
    ) -> Result<Response<DeclineDataEntryResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id::<Uuid>("data_entry_id", &req.data_entry_id);
        let reason = v.required("reason", &req.reason, MAX_REASON);
        v.finish()?;
        let by = ctx.staff_id();
        let command = Command::Decline { by, reason };
        let outcome = self.close(&ctx, id, command).await?;
        Ok(Response::new(DeclineDataEntryResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_data_entry_requests(
        &self,
        request: Request<ListDataEntryRequestsRequest>,
    ) -> Result<Response<ListDataEntryRequestsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }
}
