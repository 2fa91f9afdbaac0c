//! Cards over time: the status of the work with an account, and how it came to it.

use std::collections::{BTreeMap, HashMap};

use accounts_domain::{
    account::{Account, Command},
    catalogue::List,
};
use api::accounts::{
    ChangeAccountStatusRequest, ChangeAccountStatusResponse, GetStatusHistoryRequest,
    GetStatusHistoryResponse, StatusTime, StatusTotal, cards_service_server::CardsService,
};
use chrono::{DateTime, Utc};
use kit::{AppError, Ctx, Service, Violations, timestamp};
use tonic::{Request, Response, Status};
use vocabulary::AccountId;

use crate::{
    accounts::{commands, extras},
    catalogue::Current,
    history,
    views::statuses::{self, Stay},
    wire::{MAX_TEXT, id_text},
};

pub(crate) struct Cards {
    service: Service,
    catalogue: Current,
}

impl Cards {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    async fn change_status(
        &self,
        ctx: Ctx,
        req: ChangeAccountStatusRequest,
    ) -> Result<ChangeAccountStatusResponse, AppError> {
        let known = self.catalogue.get().await?;
        let mut v = Violations::new();
        let id: Option<AccountId> = v.id("account_id", &req.account_id);
        let ctx = ctx.expecting(&mut v, req.expected_version);
        if req.status.trim().is_empty() {
            v.add("status", "must not be empty");
        }
        let to = extras::chosen(&mut v, &known, List::Status, "status", &req.status);
        let reason = v.optional("reason", &req.reason, MAX_TEXT);
        let (id, to) = v.checked(id.zip(to))?;
        let id = commands::check_visible(&self.service, &ctx, id).await?;
        let command = Command::ChangeStatus { id, to, reason };
        let outcome = commands::execute(&self.service, &ctx, id, command).await?;
        Ok(ChangeAccountStatusResponse {
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    async fn status_history(
        &self,
        ctx: &Ctx,
        req: GetStatusHistoryRequest,
    ) -> Result<GetStatusHistoryResponse, AppError> {
        let mut v = Violations::new();
        let id = v.id("account_id", &req.account_id);
        let id = v.checked(id)?;
        let id = self.service.visible_account(ctx, id).await?.id;
        let stays = statuses::history(self.service.pool(), id).await?;
        let totals = totals(&stays, ctx.now);
        let mut reasons = self.reasons(id).await?;
        let times = stays.into_iter().map(|stay| {
            let reason = reasons.remove(&stay.version).unwrap_or_default();
            time(stay, reason, ctx.now)
        });
        Ok(GetStatusHistoryResponse {
            times: times.collect(),
            totals,
        })
    }

    /// Why things were done with an account, by the versions of its events.
    async fn reasons(&self, id: AccountId) -> Result<HashMap<i64, String>, AppError> {
        let events = self.service.log.stream::<Account>(id.0).await?;
        let events = history::decoded(events)?;
        let forgotten = history::is_forgotten(&events);
        let reasons = events.iter().map(|(recorded, event)| {
            let reason = history::reason(event, forgotten);
            (recorded.version, reason)
        });
        Ok(reasons.collect())
    }
}

fn seconds(stay: &Stay, now: DateTime<Utc>) -> i64 {
    (stay.to_at.unwrap_or(now) - stay.from_at).num_seconds()
}

fn time(stay: Stay, reason: String, now: DateTime<Utc>) -> StatusTime {
    StatusTime {
        seconds: seconds(&stay, now),
        status: stay.status,
        from: Some(timestamp(stay.from_at)),
        to: stay.to_at.map(timestamp),
        changed_by: id_text(stay.changed_by),
        reason,
    }
}

/// Longest first.
fn totals(stays: &[Stay], now: DateTime<Utc>) -> Vec<StatusTotal> {
    let mut sums = BTreeMap::<&str, i64>::new();
    for stay in stays {
        *sums.entry(&stay.status).or_default() += seconds(stay, now);
    }
    let mut totals: Vec<_> = sums
        .into_iter()
        .map(|(status, seconds)| StatusTotal {
            status: status.to_owned(),
            seconds,
        })
        .collect();
    totals.sort_by_key(|total| std::cmp::Reverse(total.seconds));
    totals
}

#[tonic::async_trait]
impl CardsService for Cards {
    async fn change_account_status(
        &self,
        request: Request<ChangeAccountStatusRequest>,
    ) -> Result<Response<ChangeAccountStatusResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.change_status(ctx, req).await?))
    }

    async fn get_status_history(
        &self,
        request: Request<GetStatusHistoryRequest>,
    ) -> Result<Response<GetStatusHistoryResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.status_history(&ctx, req).await?))
    }
}
