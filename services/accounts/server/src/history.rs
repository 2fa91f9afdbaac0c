//! The past of accounts: their streams, read up to a moment.

use std::collections::{BTreeSet, HashMap, HashSet};

use accounts_domain::{
    account::{self, Account, Event, OrderStanding, audit},
    deal::Deal,
    reading::What,
};
use api::accounts::{
    self as pb, CountAccountsRequest, CountAccountsResponse, GetAccountHistoryRequest,
    GetAccountHistoryResponse, GetAccountStateRequest, GetAccountStateResponse,
    history_service_server::HistoryService,
};
use chrono::{DateTime, Utc};
use es::{Aggregate, Personal, Recorded};
use es_postgres::LogError;
use kit::{AppError, Ctx, Service, Violations, fingerprint, timestamp};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{AccountId, OrderId, Role, StaffId};

use crate::{
    access,
    accounts::extras,
    deals::words,
    views::{
        companies::Company,
        deals::{self, DealRow},
        orders, past,
    },
    wire::{self, MAX_NAME, id_text},
};

pub(crate) struct History {
    service: Service,
}

/// What had happened by the one time and was known by the other.
#[derive(Clone, Copy)]
struct Moment {
    as_of: DateTime<Utc>,
    as_recorded_at: DateTime<Utc>,
}

impl Moment {
    fn read(
        v: &mut Violations,
        as_of: Option<&Timestamp>,
        as_recorded_at: Option<&Timestamp>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            as_of: v.past_instant("as_of", as_of, now),
            as_recorded_at: v.past_instant("as_recorded_at", as_recorded_at, now),
        }
    }

    fn holds(&self, recorded: &Recorded) -> bool {
        recorded.occurred_at <= self.as_of && recorded.recorded_at <= self.as_recorded_at
    }
}

/// A record as it was.
struct Then {
    company: Company,
    state: account::State,
    status_since: Option<DateTime<Utc>>,
}

impl History {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn state(
        &self,
        ctx: &Ctx,
        req: GetAccountStateRequest,
    ) -> Result<GetAccountStateResponse, AppError> {
        let mut v = Violations::new();
        let asked: Option<AccountId> = v.id("account_id", &req.account_id);
        let (as_of, known) = (req.as_of.as_ref(), req.as_recorded_at.as_ref());
        let moment = Moment::read(&mut v, as_of, known, ctx.now);
        let asked = v.checked(asked)?;
        let visible = self.service.visible_account(ctx, asked).await?;
        access::record(&self.service, ctx, visible.id, What::Past).await?;
        let (mut family, mut forgotten) = (HashMap::new(), HashSet::new());
        // Only records that answer with this account today: the others may be hidden from the caller.
        for id in self.service.directory.ids_of(visible.id).await? {
            let events = decoded(self.service.log.stream::<Account>(id).await?)?;
            forgotten.extend(is_forgotten(&events).then_some(id));
            family.extend(then(id, &events, moment).map(|then| (id, then)));
        }
        let answering = |mut id: Uuid| {
            // Each step leads to another record, so there are no more steps than records.
            for _ in 0..family.len() {
                let into = family.get(&id).and_then(|then| then.company.merged_into);
                match into.filter(|into| family.contains_key(into)) {
                    Some(into) => id = into,
                    None => break,
                }
            }
            id
        };
        let id = answering(asked.0);
        let Some(then) = family.get(&id) else {
            return Ok(GetAccountStateResponse::default());
        };
        let mut ids: Vec<_> = family.keys().copied().collect();
        ids.retain(|other| answering(*other) == id);
        ids.sort_by_key(|other| (*other != id, *other));

        let mut orders = orders::of_account(self.service.pool(), &ids).await?;
        let standing = |order| {
            let of_all = ids.iter().filter_map(|id| family.get(id));
            let mut found = of_all.filter_map(|then| then.state.orders.get(&OrderId(order)));
            found.next().map(|order| order.standing)
        };
        orders.retain(|order| standing(order.order_id).is_some());
        for order in &mut orders {
            order.cancelled = standing(order.order_id) == Some(OrderStanding::Cancelled);
        }
        let links = extras::seen_links(&self.service, ctx, &then.company.extras.links).await?;
        let mut account = wire::account(then.company.clone(), orders);
        account.card.get_or_insert_default().links = links;
        account.status_since = then.status_since.map(timestamp);
        account.claim = then.state.claim_at(moment.as_of).map(|claim| pb::Claim {
            account_id: id.to_string(),
            holder_id: claim.holder.id.to_string(),
            until: Some(timestamp(claim.until)),
        });
        account.merged_ids = ids.iter().skip(1).map(ToString::to_string).collect();
        let owner = then.state.owner_id;
        let group = owner.and_then(|owner| {
            let at = moment.as_of.min(moment.as_recorded_at);
            self.service.directory.snapshot().group_of(owner, at)
        });
        // As everywhere: operators do not see deals.
        let sees_deals = ctx.acts_as().any(|(_, role)| role != Role::Operator);
        let deals = if sees_deals {
            self.deals(&ids, &forgotten, moment).await?
        } else {
            Vec::new()
        };
        Ok(GetAccountStateResponse {
            account: Some(account),
            owner_group_id: id_text(group.map(Uuid::from)),
            deals,
        })
    }

    /// Oldest first.
    async fn deals(
        &self,
        ids: &[Uuid],
        forgotten: &HashSet<Uuid>,
        moment: Moment,
    ) -> Result<Vec<pb::Deal>, AppError> {
        let mut rows = Vec::new();
        for deal_id in deals::ids_of_accounts(self.service.pool(), ids).await? {
            let events = self.service.log.stream::<Deal>(deal_id).await?;
            let mut row = None;
            for recorded in events.iter().filter(|event| moment.holds(event)) {
                row = DealRow::after(
                    row,
                    &recorded.decode::<Deal>().map_err(LogError::from)?,
                    recorded,
                );
            }
            rows.extend(row);
        }
        for row in &mut rows {
            // Of before reasons were sealed, it can still be read.
            if forgotten.contains(&row.account_id) {
                row.lost_reason = None;
            }
        }
        rows.sort_by_key(|row| (row.opened_at, row.deal_id));
        let rows = rows.into_iter();
        Ok(rows.map(|row| words::deal(row, moment.as_of)).collect())
    }

    async fn changes(
        &self,
        ctx: &Ctx,
        mut req: GetAccountHistoryRequest,
    ) -> Result<GetAccountHistoryResponse, AppError> {
        let mut v = Violations::new();
        let id: Option<AccountId> = v.id("account_id", &req.account_id);
        let field = v.line("field", &req.field, MAX_NAME);
        let id = v.checked(id)?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let visible = self.service.visible_account(ctx, id).await?;
        access::record(&self.service, ctx, visible.id, What::History).await?;
        let mut records = Vec::new();
        for id in self.service.directory.ids_of(visible.id).await? {
            let events = self.service.log.stream::<Account>(id).await?;
            records.push(decoded(events)?);
        }
        let linked = records.iter().flatten();
        let linked = linked.flat_map(|(_, event)| audit::linked(event)).collect();
        let seen = extras::visible(&self.service, ctx, linked).await?;
        let mut changes = Vec::new();
        for events in &records {
            changes.extend(told(events, &seen));
        }
        changes.retain(|(_, change)| field.is_empty() || change.field == field);
        changes.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        if let Some(after) = page.after::<Key>() {
            changes.retain(|(key, _)| *key < after);
        }
        changes.truncate(page.fetch() as usize);
        let next_page_token = page.cut(&mut changes, |(key, _)| *key);
        Ok(GetAccountHistoryResponse {
            changes: changes.into_iter().map(|(_, change)| change).collect(),
            next_page_token,
        })
    }

    async fn count(
        &self,
        ctx: &Ctx,
        req: CountAccountsRequest,
    ) -> Result<CountAccountsResponse, AppError> {
        let mut v = Violations::new();
        let (as_of, known) = (req.as_of.as_ref(), req.as_recorded_at.as_ref());
        let moment = Moment::read(&mut v, as_of, known, ctx.now);
        let owner_id: Option<StaffId> = v.optional_id("owner_id", &req.owner_id);
        v.finish()?;
        let moment = past::Moment {
            as_of: moment.as_of,
            as_recorded_at: moment.as_recorded_at,
            owner_id: owner_id.map(Uuid::from),
            seen_owners: ctx.sees().owners(),
            now: ctx.now,
        };
        let (prospects, clients) = past::count(self.service.pool(), moment).await?;
        Ok(CountAccountsResponse { prospects, clients })
    }
}

/// `None`: there was none yet.
fn then(id: Uuid, events: &[(Recorded, Event)], moment: Moment) -> Option<Then> {
    let mut then = Then {
        company: Company::new(id),
        state: account::State::default(),
        status_since: None,
    };
    for (recorded, event) in events.iter().filter(|(event, _)| moment.holds(event)) {
        let before = then.company.status.clone();
        then.company.apply(event, recorded.version);
        then.state = Account::evolve(then.state, event);
        if then.company.status != before {
            then.status_since = Some(recorded.occurred_at);
        }
    }
    then.state.registered.then_some(then)
}

/// Place of a change in all histories: the event, and which of its changes.
type Key = (i64, usize);

pub(crate) fn decoded(events: Vec<Recorded>) -> Result<Vec<(Recorded, Event)>, AppError> {
    let events = events.into_iter().map(|recorded| {
        let event = recorded.decode::<Account>().map_err(LogError::from)?;
        Ok((recorded, event))
    });
    events.collect()
}

/// Whether the company was a person, who is forgotten by now.
pub(crate) fn is_forgotten(events: &[(Recorded, Event)]) -> bool {
    let mut events = events.iter();
    events.any(|(_, event)| matches!(event, Event::Erased(_)))
}

/// Why it happened, as far as it is told: of who is forgotten no more, though what is from before
/// reasons were sealed can still be read.
pub(crate) fn reason(event: &Event, forgotten: bool) -> String {
    let reason = event.reason().filter(|_| !forgotten);
    reason.and_then(Personal::get).cloned().unwrap_or_default()
}

fn told(events: &[(Recorded, Event)], seen: &BTreeSet<AccountId>) -> Vec<(Key, pb::FieldChange)> {
    let forgotten = is_forgotten(events);
    let mut told = Vec::new();
    let mut before = account::State::default();
    for (recorded, event) in events {
        let after = Account::evolve(before.clone(), event);
        let changes = audit::changes(&before, event, &after, seen).into_iter();
        let reason = reason(event, forgotten);
        for (index, change) in changes.enumerate() {
            let key = (recorded.position, index);
            told.push((key, worded(recorded, change, reason.clone())));
        }
        before = after;
    }
    told
}

fn worded(recorded: &Recorded, change: audit::Change, reason: String) -> pb::FieldChange {
    pb::FieldChange {
        account_id: recorded.stream.id.to_string(),
        field: change.field,
        old: Some(shown(change.old)),
        new: Some(shown(change.new)),
        changed_by: id_text(recorded.metadata.actor.staff()),
        reason,
        occurred_at: Some(timestamp(recorded.occurred_at)),
        recorded_at: Some(timestamp(recorded.recorded_at)),
        position: recorded.position,
    }
}

fn shown(shown: audit::Shown) -> pb::Shown {
    match shown {
        audit::Shown::Text(text) => pb::Shown {
            text,
            ..pb::Shown::default()
        },
        audit::Shown::Unknown => pb::Shown {
            unknown: true,
            ..pb::Shown::default()
        },
        audit::Shown::Erased => pb::Shown {
            erased: true,
            ..pb::Shown::default()
        },
    }
}

#[tonic::async_trait]
impl HistoryService for History {
    async fn get_account_state(
        &self,
        request: Request<GetAccountStateRequest>,
    ) -> Result<Response<GetAccountStateResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.state(&ctx, req).await?))
    }

    async fn get_account_history(
        &self,
        request: Request<GetAccountHistoryRequest>,
    ) -> Result<Response<GetAccountHistoryResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.changes(&ctx, req).await?))
    }

    async fn count_accounts(
        &self,
        request: Request<CountAccountsRequest>,
    ) -> Result<Response<CountAccountsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.count(&ctx, req).await?))
    }
}
