//! Who read which card: recorded before it is shown, and asked about here.

use accounts_domain::reading::{CardView, Viewed, What};
use api::accounts::{
    self as pb, CardPart, ListCardAccessRequest, ListCardAccessResponse, ListUnusualReadingRequest,
    ListUnusualReadingResponse, access_service_server::AccessService,
};
use es_postgres::CommandContext;
use kit::{AppError, Ctx, Service, Violations, fingerprint, timestamp};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use crate::{
    views::access::{self, Opening, UnusualDay, Wanted, what_name},
    wire::id_text,
};

/// Once this is done a kill loses nothing: whoever has seen the card is on record. The stream is a
/// fresh one, so this is one append among all those that are written together.
pub(crate) async fn record(
    service: &Service,
    ctx: &Ctx,
    account_id: AccountId,
    what: What,
) -> Result<(), AppError> {
    let viewed = Viewed { account_id, what };
    let context = CommandContext {
        // That of a command that shows a card is the command's; who asks again is shown it again.
        request_id: None,
        digest: None,
        ..ctx.command()
    };
    let log = &service.log;
    log.execute_new::<CardView>(&context, ctx.new_id(), viewed)
        .await?;
    Ok(())
}

pub(crate) struct Access {
    service: Service,
}

impl Access {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn openings(
        &self,
        ctx: &Ctx,
        mut req: ListCardAccessRequest,
    ) -> Result<ListCardAccessResponse, AppError> {
        let mut v = Violations::new();
        let account_id: Option<AccountId> = v.optional_id("account_id", &req.account_id);
        let staff_id = v.optional_id("staff_id", &req.staff_id);
        let period = v.period(&req.period, &ctx.zone());
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let account_ids = match account_id {
            Some(id) => {
                let visible = self.service.visible_account(ctx, id).await?;
                Some(self.service.directory.ids_of(visible.id).await?)
            }
            None => None,
        };
        let wanted = Wanted {
            staff: seen(ctx, staff_id),
            account_ids,
            period,
        };
        let pool = self.service.pool();
        let mut rows = access::openings(pool, &wanted, page.after(), page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| row.position);
        Ok(ListCardAccessResponse {
            accesses: rows.iter().map(opening).collect(),
            next_page_token,
        })
    }

    async fn unusual(
        &self,
        ctx: &Ctx,
        mut req: ListUnusualReadingRequest,
    ) -> Result<ListUnusualReadingResponse, AppError> {
        let mut v = Violations::new();
        let staff_id = v.optional_id("staff_id", &req.staff_id);
        let period = v.period(&req.period, &ctx.zone());
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let wanted = Wanted {
            staff: seen(ctx, staff_id),
            account_ids: None,
            period,
        };
        let pool = self.service.pool();
        let mut rows = access::unusual_days(pool, &wanted, page.after(), page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| row.position);
        Ok(ListUnusualReadingResponse {
            days: rows.iter().map(unusual_day).collect(),
            next_page_token,
        })
    }
}

/// Those of whom the caller may know what they read: of one whom the caller does not see, nothing.
pub(crate) fn seen(ctx: &Ctx, staff_id: Option<StaffId>) -> Option<Vec<Uuid>> {
    match staff_id {
        None => ctx.sees().owners(),
        Some(id) if ctx.sees().includes(id) => Some(vec![id.0]),
        Some(_) => Some(Vec::new()),
    }
}

fn opening(row: &Opening) -> pb::CardAccess {
    let parts = [
        (What::Card, CardPart::Card),
        (What::Past, CardPart::Past),
        (What::History, CardPart::History),
    ];
    let part = parts
        .into_iter()
        .find(|(what, _)| what_name(*what) == row.what);
    pb::CardAccess {
        staff_id: row.staff_id.to_string(),
        group_id: id_text(row.group_id),
        account_id: row.account_id.to_string(),
        what: part.map_or(CardPart::Unspecified, |(_, part)| part).into(),
        at: Some(timestamp(row.at)),
        position: row.position,
    }
}

fn unusual_day(row: &UnusualDay) -> pb::UnusualDay {
    let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    pb::UnusualDay {
        staff_id: row.staff_id.to_string(),
        day: row.day.to_string(),
        cards: number(row.cards),
        usual: number(row.usual),
        threshold: number(row.threshold),
        noticed_at: Some(timestamp(row.noticed_at)),
    }
}

#[tonic::async_trait]
impl AccessService for Access {
    async fn list_card_access(
        &self,
        request: Request<ListCardAccessRequest>,
    ) -> Result<Response<ListCardAccessResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.openings(&ctx, req).await?))
    }

    async fn list_unusual_reading(
        &self,
        request: Request<ListUnusualReadingRequest>,
    ) -> Result<Response<ListUnusualReadingResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.unusual(&ctx, req).await?))
    }
}
