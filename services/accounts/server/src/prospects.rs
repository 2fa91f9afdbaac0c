//! The pool: claims, lists, who comes next, and who is given what.

mod distribution;
mod lists;
mod next;

use accounts_domain::account::{Account, Command, Rejection};
use api::accounts::{
    AddToProspectListRequest, AddToProspectListResponse, ChangeProspectListRequest,
    ChangeProspectListResponse, Claim, ClaimProspectRequest, ClaimProspectResponse,
    CloseProspectListRequest, CloseProspectListResponse, CreateProspectListRequest,
    CreateProspectListResponse, DistributeProspectsRequest, DistributeProspectsResponse,
    ListClaimsRequest, ListClaimsResponse, ListProspectListsRequest, ListProspectListsResponse,
    NextProspectRequest, NextProspectResponse, ReleaseClaimRequest, ReleaseClaimResponse,
    RemoveFromProspectListRequest, RemoveFromProspectListResponse, RenewClaimRequest,
    RenewClaimResponse, prospects_service_server::ProspectsService,
};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations, timestamp};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, StaffId};

use crate::{
    catalogue::Current,
    claims::{self, Refusal},
    views::claims::{Row, held},
    wire::caught_up,
};

const ABSENT: AppError = AppError::NotFound { what: "account" };

pub(crate) struct Prospects {
    service: Service,
    catalogue: Current,
}

impl Prospects {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    /// The log decides, and nobody waits for a view before: a prospect may be wanted by many at once.
    async fn claim(&self, ctx: &Ctx, id: AccountId) -> Result<Outcome<Account>, AppError> {
        self.check_free_or_seen(ctx, id).await?;
        let claimed = claims::grant(&self.service, ctx, id).await;
        if let Err(Refusal::Rejected(rejection)) = &claimed
            && !matches!(rejection, Rejection::Claimed { .. })
        {
            // Somebody may own it since a moment ago.
            caught_up(&self.service).await?;
            self.check_free_or_seen(ctx, id).await?;
        }
        claimed.map_err(|refusal| refusal.worded(ctx))
    }

    /// What is owned by somebody whom the caller does not see is not there.
    async fn check_free_or_seen(&self, ctx: &Ctx, id: AccountId) -> Result<(), AppError> {
        let account = self.service.known_account(id).await?.ok_or(ABSENT)?;
        let owner = account.owner_id;
        if owner.is_some() && !ctx.sees().includes_owner(owner) {
            return Err(ABSENT);
        }
        Ok(())
    }

    /// The account, and whose claim on it the caller means: the present one, or one that is over.
    async fn claimed(&self, ctx: &Ctx, id: AccountId) -> Result<(AccountId, StaffId), AppError> {
        caught_up(&self.service).await?;
        let account = self.service.known_account(id).await?.ok_or(ABSENT)?;
        match account.claim_at(ctx.now) {
            Some(claim) if ctx.sees().includes(claim.holder_id) => {
                ctx.about(claim.holder_id);
                Ok((account.id, claim.holder_id))
            }
            None if account.owner_id.is_none() => Ok((account.id, ctx.staff_id())),
            _ if account.is_visible(ctx.sees(), ctx.now) => Ok((account.id, ctx.staff_id())),
            _ => Err(ABSENT),
        }
    }

    async fn execute(
        &self,
        ctx: &Ctx,
        id: AccountId,
        command: Command,
    ) -> Result<Outcome<Account>, AppError> {
        let context = ctx.command();
        let executed = self.service.log.execute::<Account>(&context, id.0, command);
        executed.await.map_err(|error| claims::worded(ctx, error))
    }
}

fn account_id(text: &str) -> Result<AccountId, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", text);
    v.checked(id)
}

/// When the claim of an outcome ends.
fn until(outcome: &Outcome<Account>) -> Option<prost_types::Timestamp> {
    let claim = outcome.state.claim.as_ref();
    claim.map(|claim| timestamp(claim.until))
}

fn claim(row: Row) -> Claim {
    Claim {
        account_id: row.account_id.to_string(),
        holder_id: row.holder_id.to_string(),
        until: Some(timestamp(row.until)),
    }
}

#[tonic::async_trait]
impl ProspectsService for Prospects {
    async fn claim_prospect(
        &self,
        request: Request<ClaimProspectRequest>,
    ) -> Result<Response<ClaimProspectResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let outcome = self.claim(&ctx, account_id(&req.account_id)?).await?;
        Ok(Response::new(ClaimProspectResponse {
            until: until(&outcome),
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn renew_claim(
        &self,
        request: Request<RenewClaimRequest>,
    ) -> Result<Response<RenewClaimResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let (id, holder) = self.claimed(&ctx, account_id(&req.account_id)?).await?;
        let by = Some(holder).filter(|holder| ctx.is(*holder));
        let command = Command::RenewClaim {
            by: by.unwrap_or_else(|| ctx.staff_id()),
            now: ctx.now,
            until: ctx.now + self.service.node.config.prospects.claim,
        };
        let outcome = self.execute(&ctx, id, command).await?;
        Ok(Response::new(RenewClaimResponse {
            until: until(&outcome),
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn release_claim(
        &self,
        request: Request<ReleaseClaimRequest>,
    ) -> Result<Response<ReleaseClaimResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let (id, holder) = self.claimed(&ctx, account_id(&req.account_id)?).await?;
        let now = ctx.now;
        let command = Command::ReleaseClaim { holder, now };
        let outcome = self.execute(&ctx, id, command).await?;
        Ok(Response::new(ReleaseClaimResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_claims(
        &self,
        request: Request<ListClaimsRequest>,
    ) -> Result<Response<ListClaimsResponse>, Status> {
        let (ctx, _) = self.service.query(request).await?;
        let rows = held(self.service.pool(), ctx.sees().owners(), ctx.now).await;
        let claims = rows.map_err(AppError::from)?.into_iter().map(claim);
        Ok(Response::new(ListClaimsResponse {
            claims: claims.collect(),
        }))
    }

    async fn next_prospect(
        &self,
        request: Request<NextProspectRequest>,
    ) -> Result<Response<NextProspectResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        Ok(Response::new(
            next::run(&self.service, &known, &ctx, req).await?,
        ))
    }

    async fn create_prospect_list(
        &self,
        request: Request<CreateProspectListRequest>,
    ) -> Result<Response<CreateProspectListResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        let answer = lists::create(&self.service, &known, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn change_prospect_list(
        &self,
        request: Request<ChangeProspectListRequest>,
    ) -> Result<Response<ChangeProspectListResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        let recorded = lists::change(&self.service, &known, &ctx, req).await?;
        Ok(Response::new(ChangeProspectListResponse {
            recorded: Some(recorded),
        }))
    }

    async fn add_to_prospect_list(
        &self,
        request: Request<AddToProspectListRequest>,
    ) -> Result<Response<AddToProspectListResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = lists::add(&self.service, &ctx, req).await?;
        Ok(Response::new(AddToProspectListResponse {
            recorded: Some(recorded),
        }))
    }

    async fn remove_from_prospect_list(
        &self,
        request: Request<RemoveFromProspectListRequest>,
    ) -> Result<Response<RemoveFromProspectListResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = lists::remove(&self.service, &ctx, req).await?;
        Ok(Response::new(RemoveFromProspectListResponse {
            recorded: Some(recorded),
        }))
    }

    async fn close_prospect_list(
        &self,
        request: Request<CloseProspectListRequest>,
    ) -> Result<Response<CloseProspectListResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = lists::close(&self.service, &ctx, req).await?;
        Ok(Response::new(CloseProspectListResponse {
            recorded: Some(recorded),
        }))
    }

    async fn list_prospect_lists(
        &self,
        request: Request<ListProspectListsRequest>,
    ) -> Result<Response<ListProspectListsResponse>, Status> {
        let (ctx, _) = self.service.query(request).await?;
        Ok(Response::new(lists::list(&self.service, &ctx).await?))
    }

    async fn distribute_prospects(
        &self,
        request: Request<DistributeProspectsRequest>,
    ) -> Result<Response<DistributeProspectsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        Ok(Response::new(
            distribution::run(&self.service, &known, &ctx, req).await?,
        ))
    }
}
