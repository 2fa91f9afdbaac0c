//! Companies: what can be done with them and what can be asked of them. Handlers read the request
//! and word the answer; what takes more than that has a file of its own.

mod cards;
pub(crate) mod commands;
pub(crate) mod extras;
pub(crate) mod persons;
pub(crate) mod transfer;

use accounts_domain::{catalogue::List, reading::What};
use api::accounts::{
    self as pb, AssignOwnerRequest, AssignOwnerResponse, CancelOrderRequest, CancelOrderResponse,
    ChangeAccountDetailsRequest, ChangeAccountDetailsResponse, GetAccountRequest,
    GetAccountResponse, GetOwnershipHistoryRequest, GetOwnershipHistoryResponse,
    ImportAccountsRequest, ImportAccountsResponse, ImportOrdersRequest, ImportOrdersResponse,
    Lifecycle, ListAccountsRequest, ListAccountsResponse, PreviewTransferRequest,
    PreviewTransferResponse, RegisterOrderRequest, RegisterOrderResponse, RegisterProspectRequest,
    RegisterProspectResponse, ReturnToPoolRequest, ReturnToPoolResponse, TransferAccountsRequest,
    TransferAccountsResponse, accounts_service_server::AccountsService,
};
use kit::{AccountEntry, AppError, Ctx, Service, Violations, fingerprint, timestamp};
use tonic::{Request, Response, Status};
use vocabulary::AccountId;

use crate::{
    access,
    catalogue::{Current, Known},
    import,
    views::{
        companies::{self, Filter, PageKey},
        imports, orders, ownership, statuses,
    },
    wire::{self, MAX_NAME},
};

pub(crate) use cards::{MAX_PLACE, phone_or_email};

pub(crate) struct Accounts {
    service: Service,
    catalogue: Current,
}

impl Accounts {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    async fn get(&self, ctx: &Ctx, visible: AccountEntry) -> Result<GetAccountResponse, AppError> {
        let (pool, id) = (self.service.pool(), visible.id);
        let company = companies::find(pool, id)
            .await?
            // Owners are known a moment earlier than cards: to this caller it is not there yet.
            .ok_or(AppError::NotFound { what: "account" })?;
        let ids = self.service.directory.ids_of(id).await?;
        let orders = orders::of_account(pool, &ids).await?;
        let links = extras::seen_links(&self.service, ctx, &company.extras.links).await?;
        let since = statuses::since(pool, id).await?;
        let origin = company.import_id.zip(company.import_row);
        let mut account = wire::account(company, orders);
        account.status_since = since.map(timestamp);
        account.claim = visible.claim_at(ctx.now).map(|claim| pb::Claim {
            account_id: id.to_string(),
            holder_id: claim.holder_id.to_string(),
            until: Some(timestamp(claim.until)),
        });
        if let Some((import_id, row)) = origin {
            account.origin = Some(pb::ImportOrigin {
                file: imports::name_of(pool, import_id).await?.unwrap_or_default(),
                import_id: import_id.to_string(),
                row,
            });
        }
        let merged = companies::of_ids(pool, ids.get(1..).unwrap_or_default(), None).await?;
        account.merged_ids = merged
            .iter()
            .map(|one| one.account_id.to_string())
            .collect();
        account.merged_cards = merged.into_iter().map(wire::card).collect();
        let card = account.card.get_or_insert_default();
        card.links = links;
        Ok(GetAccountResponse {
            account: Some(account),
        })
    }

    async fn list(
        &self,
        ctx: &Ctx,
        mut req: ListAccountsRequest,
    ) -> Result<ListAccountsResponse, AppError> {
        let known = self.catalogue.get().await?;
        let mut v = Violations::new();
        let mut filter = filter(&mut v, ctx, &known, &req);
        v.finish()?;
        persons::find(&self.service, &mut filter, "contact_person", &req).await?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let pool = self.service.pool();
        let after = page.after::<PageKey>();
        let mut rows = companies::page(pool, &filter, after, page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| (row.name_sort.clone(), row.account_id));
        let total = if req.count {
            companies::count(pool, &filter).await?
        } else {
            0
        };
        let accounts = rows.into_iter().map(|row| wire::account(row, Vec::new()));
        Ok(ListAccountsResponse {
            accounts: accounts.collect(),
            next_page_token,
            total,
        })
    }

    async fn history(
        &self,
        ctx: &Ctx,
        id: AccountId,
    ) -> Result<GetOwnershipHistoryResponse, AppError> {
        let id = self.service.visible_account(ctx, id).await?.id;
        let spans = ownership::history(self.service.pool(), id).await?;
        Ok(GetOwnershipHistoryResponse {
            ownerships: spans.iter().map(wire::ownership).collect(),
        })
    }
}

/// What a list is filtered by, and everything that is wrong with it.
pub(crate) fn filter(
    v: &mut Violations,
    ctx: &Ctx,
    known: &Known,
    req: &ListAccountsRequest,
) -> Filter {
    let client = match Lifecycle::try_from(req.lifecycle) {
        Ok(Lifecycle::Unspecified) => None,
        Ok(Lifecycle::Prospect) => Some(false),
        Ok(Lifecycle::Client) => Some(true),
        Err(_) => {
            v.add("lifecycle", "must be prospect or client");
            None
        }
    };
    let owner = v.optional_id("owner_id", &req.owner_id);
    if owner.is_some() && req.in_pool {
        v.add("in_pool", "cannot be asked for together with an owner");
    }
    Filter {
        seen_owners: ctx.sees().owners(),
        client,
        query: v.optional("query", &req.query, MAX_NAME),
        owner,
        in_pool: req.in_pool,
        city: v.optional("city", &req.city, MAX_PLACE),
        region: v.optional("region", &req.region, MAX_PLACE),
        kind: v.optional("type", &req.r#type, MAX_PLACE),
        status: extras::known(v, known, List::Status, "status", &req.status),
        source: extras::known(v, known, List::Source, "source", &req.source),
        extras: extras::wanted(v, known, req),
        address: v.optional("address", &req.address, MAX_NAME),
        project: v.optional("project", &req.project, MAX_NAME),
        last_outcome: v.optional_term("last_outcome", &req.last_outcome),
        contact_person: v.optional("contact_person", &req.contact_person, MAX_NAME),
        of_persons: None,
    }
}

fn account_id(field: &str, text: &str) -> Result<AccountId, AppError> {
    let mut v = Violations::new();
    let id = v.id(field, text);
    v.checked(id)
}

#[tonic::async_trait]
impl AccountsService for Accounts {
    async fn register_prospect(
        &self,
        request: Request<RegisterProspectRequest>,
    ) -> Result<Response<RegisterProspectResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        let answer = commands::register_prospect(&self.service, &known, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn change_account_details(
        &self,
        request: Request<ChangeAccountDetailsRequest>,
    ) -> Result<Response<ChangeAccountDetailsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        let answer = commands::change_details(&self.service, &known, ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn assign_owner(
        &self,
        request: Request<AssignOwnerRequest>,
    ) -> Result<Response<AssignOwnerResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::assign_owner(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn transfer_accounts(
        &self,
        request: Request<TransferAccountsRequest>,
    ) -> Result<Response<TransferAccountsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = transfer::run(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn preview_transfer(
        &self,
        request: Request<PreviewTransferRequest>,
    ) -> Result<Response<PreviewTransferResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let answer = transfer::preview(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn return_to_pool(
        &self,
        request: Request<ReturnToPoolRequest>,
    ) -> Result<Response<ReturnToPoolResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::return_to_pool(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn register_order(
        &self,
        request: Request<RegisterOrderRequest>,
    ) -> Result<Response<RegisterOrderResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::register_order(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<CancelOrderResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::cancel_order(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let id = account_id("account_id", &req.account_id)?;
        let visible = self.service.visible_account(&ctx, id).await?;
        // Both at once: that it is recorded costs the reader next to nothing.
        let recorded = access::record(&self.service, &ctx, visible.id, What::Card);
        let (answer, ()) = tokio::try_join!(self.get(&ctx, visible), recorded)?;
        Ok(Response::new(answer))
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }

    async fn get_ownership_history(
        &self,
        request: Request<GetOwnershipHistoryRequest>,
    ) -> Result<Response<GetOwnershipHistoryResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let id = account_id("account_id", &req.account_id)?;
        Ok(Response::new(self.history(&ctx, id).await?))
    }

    async fn import_accounts(
        &self,
        request: Request<ImportAccountsRequest>,
    ) -> Result<Response<ImportAccountsResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let known = self.catalogue.get().await?;
        let answer = import::accounts::run(&self.service, &known, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn import_orders(
        &self,
        request: Request<ImportOrdersRequest>,
    ) -> Result<Response<ImportOrdersResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let answer = import::orders::run(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }
}
