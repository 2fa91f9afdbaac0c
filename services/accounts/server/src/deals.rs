//! Deals and pipelines: what can be done with them and what can be asked of them. Handlers read
//! the request and word the answer; commands have a file of their own.

mod commands;
pub(crate) mod words;

use api::accounts::{
    GetDealRequest, GetDealResponse, GetPipelineBoardRequest, GetPipelineBoardResponse,
    ImportDealsRequest, ImportDealsResponse, ListDealsRequest, ListDealsResponse,
    ListPipelinesRequest, ListPipelinesResponse, LoseDealRequest, LoseDealResponse,
    MoveDealStageRequest, MoveDealStageResponse, OpenDealRequest, OpenDealResponse,
    PublishPipelineRequest, PublishPipelineResponse, SetDealFieldsRequest, SetDealFieldsResponse,
    SuspendDealRequest, SuspendDealResponse, WinDealRequest, WinDealResponse,
    deals_service_server::DealsService,
};
use kit::{AppError, Ctx, Service, Violations, fingerprint};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, DealId, PipelineId};

use crate::{
    catalogue::Current,
    import,
    views::{
        deals::{self, PageKey, Wanted},
        pipelines,
    },
};

const MAX_DEALS_PER_STAGE: i64 = 100;
const DEALS_PER_STAGE: i64 = 20;

pub(crate) use commands::visible;

pub(crate) struct Deals {
    service: Service,
    catalogue: Current,
}

impl Deals {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    async fn pipelines(&self) -> Result<ListPipelinesResponse, AppError> {
        let rows = pipelines::all(self.service.pool()).await?;
        Ok(ListPipelinesResponse {
            pipelines: rows.into_iter().map(words::pipeline).collect(),
        })
    }

    async fn get(&self, ctx: &Ctx, req: &GetDealRequest) -> Result<GetDealResponse, AppError> {
        let mut v = Violations::new();
        let id: Option<DealId> = v.id("deal_id", &req.deal_id);
        let id = v.checked(id)?;
        commands::visible(&self.service, ctx, id).await?;
        let pool = self.service.pool();
        let row = deals::find(pool, id).await?;
        // The log is a moment ahead of the view: to this caller it is not there yet.
        let row = row.ok_or(AppError::NotFound { what: "deal" })?;
        let stays = deals::stages_of(pool, id).await?;
        let until = row.closed_at.unwrap_or(ctx.now);
        Ok(GetDealResponse {
            deal: Some(words::deal(row, ctx.now)),
            stages: stays
                .into_iter()
                .map(|stay| words::stay(stay, until))
                .collect(),
        })
    }

    async fn list(
        &self,
        ctx: &Ctx,
        mut req: ListDealsRequest,
    ) -> Result<ListDealsResponse, AppError> {
        let mut v = Violations::new();
        let account_id: Option<AccountId> = v.optional_id("account_id", &req.account_id);
        let mut filter = words::filter(&mut v, &req, ctx);
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        match account_id {
            Some(id) => {
                let account = self.service.visible_account(ctx, id).await?;
                filter.account_ids = Some(self.service.directory.ids_of(account.id).await?);
            }
            None => filter.seen_owners = ctx.sees().owners(),
        }
        let after = page.after::<PageKey>();
        let mut rows = deals::page(self.service.pool(), &filter, after, page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| (row.opened_at, row.deal_id));
        let deals = rows.into_iter().map(|row| words::in_a_list(row, ctx.now));
        Ok(ListDealsResponse {
            deals: deals.collect(),
            next_page_token,
        })
    }

    async fn board(
        &self,
        ctx: &Ctx,
        req: &GetPipelineBoardRequest,
    ) -> Result<GetPipelineBoardResponse, AppError> {
        let mut v = Violations::new();
        let pipeline_id: Option<PipelineId> = v.id("pipeline_id", &req.pipeline_id);
        let owner_id = v.optional_id("owner_id", &req.owner_id);
        if req.deals_per_stage < 0 {
            v.add("deals_per_stage", "must not be negative");
        }
        let pipeline_id = v.checked(pipeline_id)?;
        let rules = commands::rules(&self.service, pipeline_id).await?;
        let wanted = Wanted {
            pipeline_id,
            seen_owners: ctx.sees().owners(),
            owner_id,
            deals_per_stage: match i64::from(req.deals_per_stage) {
                0 => DEALS_PER_STAGE,
                some => some.min(MAX_DEALS_PER_STAGE),
            },
            now: ctx.now,
        };
        let mut columns = deals::board(self.service.pool(), &wanted).await?;
        let in_force = rules.stages.into_iter().map(|stage| stage.name);
        let mut board: Vec<_> = in_force
            .map(|stage| (columns.remove(&stage).unwrap_or_default(), stage))
            .collect();
        let mut former: Vec<_> = columns.into_iter().collect();
        former.sort_by(|(a, _), (b, _)| a.cmp(b));
        board.extend(former.into_iter().map(|(stage, column)| (column, stage)));
        let stages = board.into_iter();
        Ok(GetPipelineBoardResponse {
            stages: stages
                .map(|(column, stage)| words::column(stage, column, ctx.now))
                .collect(),
        })
    }
}

#[tonic::async_trait]
impl DealsService for Deals {
    async fn publish_pipeline(
        &self,
        request: Request<PublishPipelineRequest>,
    ) -> Result<Response<PublishPipelineResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let known = self.catalogue.get().await?;
        let answer = commands::publish_pipeline(&self.service, &known, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn list_pipelines(
        &self,
        request: Request<ListPipelinesRequest>,
    ) -> Result<Response<ListPipelinesResponse>, Status> {
        self.service.query(request).await?;
        Ok(Response::new(self.pipelines().await?))
    }

    async fn open_deal(
        &self,
        request: Request<OpenDealRequest>,
    ) -> Result<Response<OpenDealResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::open(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn set_deal_fields(
        &self,
        request: Request<SetDealFieldsRequest>,
    ) -> Result<Response<SetDealFieldsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::set_fields(&self.service, ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(SetDealFieldsResponse { recorded }))
    }

    async fn move_deal_stage(
        &self,
        request: Request<MoveDealStageRequest>,
    ) -> Result<Response<MoveDealStageResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::move_stage(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(MoveDealStageResponse { recorded }))
    }

    async fn suspend_deal(
        &self,
        request: Request<SuspendDealRequest>,
    ) -> Result<Response<SuspendDealResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::suspend(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(SuspendDealResponse { recorded }))
    }

    async fn win_deal(
        &self,
        request: Request<WinDealRequest>,
    ) -> Result<Response<WinDealResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::win(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(WinDealResponse { recorded }))
    }

    async fn lose_deal(
        &self,
        request: Request<LoseDealRequest>,
    ) -> Result<Response<LoseDealResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::lose(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(LoseDealResponse { recorded }))
    }

    async fn get_deal(
        &self,
        request: Request<GetDealRequest>,
    ) -> Result<Response<GetDealResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.get(&ctx, &req).await?))
    }

    async fn list_deals(
        &self,
        request: Request<ListDealsRequest>,
    ) -> Result<Response<ListDealsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }

    async fn get_pipeline_board(
        &self,
        request: Request<GetPipelineBoardRequest>,
    ) -> Result<Response<GetPipelineBoardResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.board(&ctx, &req).await?))
    }

    async fn import_deals(
        &self,
        request: Request<ImportDealsRequest>,
    ) -> Result<Response<ImportDealsResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let answer = import::deals::run(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }
}
