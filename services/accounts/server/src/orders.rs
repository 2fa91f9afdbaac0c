//! What became of orders: what can be recorded and what can be asked. Handlers read the request and
//! word the answer; commands have a file of their own.

mod commands;
pub(crate) mod words;

use api::accounts::{
    GetOrderRequest, GetOrderResponse, ImportPaymentsRequest, ImportPaymentsResponse,
    ImportShipmentsRequest, ImportShipmentsResponse, ListOrdersRequest, ListOrdersResponse,
    PaymentState, RecordPaymentRequest, RecordPaymentResponse, RecordShipmentRequest,
    RecordShipmentResponse, ReversePaymentRequest, ReversePaymentResponse, ReverseShipmentRequest,
    ReverseShipmentResponse, orders_service_server::OrdersService,
};
pub(crate) use commands::cancelled;
use kit::{AppError, Ctx, Service, Violations, fingerprint};
use tonic::{Request, Response, Status};
use vocabulary::AccountId;

use crate::{
    import,
    views::orders::{self, PageKey, Wanted},
};

pub(crate) struct Orders {
    service: Service,
}

impl Orders {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn get(&self, ctx: &Ctx, req: &GetOrderRequest) -> Result<GetOrderResponse, AppError> {
        let mut v = Violations::new();
        let id = v.id("order_id", &req.order_id);
        let id = v.checked(id)?;
        let order = commands::visible(&self.service, ctx, id).await?;
        let pool = self.service.pool();
        let shipments = orders::shipments_of(pool, id).await?;
        let payments = orders::payments_of(pool, id).await?;
        Ok(GetOrderResponse {
            standing: Some(words::standing(order)),
            shipments: shipments.into_iter().map(words::shipment).collect(),
            payments: payments.into_iter().map(words::payment).collect(),
        })
    }

    async fn list(
        &self,
        ctx: &Ctx,
        mut req: ListOrdersRequest,
    ) -> Result<ListOrdersResponse, AppError> {
        let mut v = Violations::new();
        let account_id: Option<AccountId> = v.optional_id("account_id", &req.account_id);
        let period = v.period(&req.period, &ctx.zone());
        let paid = match PaymentState::try_from(req.payment) {
            Ok(PaymentState::Unspecified) => None,
            Ok(PaymentState::Paid) => Some(true),
            Ok(PaymentState::Unpaid) => Some(false),
            Err(_) => {
                v.add("payment", "must be paid or unpaid");
                None
            }
        };
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let (account_ids, seen_owners) = match account_id {
            Some(id) => {
                let account = self.service.visible_account(ctx, id).await?;
                let ids = self.service.directory.ids_of(account.id).await?;
                (Some(ids), None)
            }
            None => (None, ctx.sees().owners()),
        };
        let wanted = Wanted {
            account_ids,
            seen_owners,
            period,
            paid,
        };
        let after = page.after::<PageKey>();
        let mut rows = orders::page(self.service.pool(), &wanted, after, page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| (row.ordered_at, row.order_id));
        Ok(ListOrdersResponse {
            orders: rows.into_iter().map(words::standing).collect(),
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl OrdersService for Orders {
    async fn record_shipment(
        &self,
        request: Request<RecordShipmentRequest>,
    ) -> Result<Response<RecordShipmentResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::record_shipment(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn reverse_shipment(
        &self,
        request: Request<ReverseShipmentRequest>,
    ) -> Result<Response<ReverseShipmentResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::reverse_shipment(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(ReverseShipmentResponse { recorded }))
    }

    async fn record_payment(
        &self,
        request: Request<RecordPaymentRequest>,
    ) -> Result<Response<RecordPaymentResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let answer = commands::record_payment(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn reverse_payment(
        &self,
        request: Request<ReversePaymentRequest>,
    ) -> Result<Response<ReversePaymentResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let recorded = commands::reverse_payment(&self.service, &ctx, req).await?;
        let recorded = Some(recorded);
        Ok(Response::new(ReversePaymentResponse { recorded }))
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.get(&ctx, &req).await?))
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }

    async fn import_shipments(
        &self,
        request: Request<ImportShipmentsRequest>,
    ) -> Result<Response<ImportShipmentsResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let answer = import::facts::shipments(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }

    async fn import_payments(
        &self,
        request: Request<ImportPaymentsRequest>,
    ) -> Result<Response<ImportPaymentsResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let answer = import::facts::payments(&self.service, &ctx, req).await?;
        Ok(Response::new(answer))
    }
}
