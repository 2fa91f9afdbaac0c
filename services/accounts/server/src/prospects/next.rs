//! The next prospect of a list, claimed for the caller.

use accounts_domain::{account::Account, reading::What};
use api::accounts::{NextProspectRequest, NextProspectResponse};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations};
use uuid::Uuid;
use vocabulary::AccountId;

use super::{lists, until};
use crate::{
    access,
    catalogue::Known,
    claims::{self, Refusal},
    views::{
        companies,
        prospect_lists::{self, Among, Wanted},
    },
    wire::{self, caught_up},
};

/// So many are looked at in one go: others claim from the same list.
const AT_ONCE: i64 = 20;

pub(super) async fn run(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: NextProspectRequest,
) -> Result<NextProspectResponse, AppError> {
    let mut v = Violations::new();
    let list_id = v.id("list_id", &req.list_id);
    let list_id = v.checked(list_id)?;
    if ctx.directory().absences().is_away(ctx.staff_id(), ctx.now) {
        return Err(AppError::precondition(
            "STAFF_AWAY",
            "who is away is given no prospects",
        ));
    }
    caught_up(service).await?;
    let list = lists::callable(service, ctx, list_id).await?;
    let closed = known.state.closed_statuses();
    let mut taken: Vec<Uuid> = Vec::new();
    loop {
        let wanted = Wanted {
            among: Among::List {
                list: &list,
                closed: &closed,
            },
            now: ctx.now,
            quiet_since: ctx.now - service.node.config.prospects.rest,
            except: &taken,
        };
        let candidates = prospect_lists::next(service.pool(), &wanted, AT_ONCE).await?;
        if candidates.is_empty() {
            // A request that took the last one, and whose answer was lost, is answered again.
            return match service.log.answered(&ctx.command()).await? {
                Some(first) => answer(service, ctx, &first).await,
                None => Ok(NextProspectResponse::default()),
            };
        }
        for id in candidates {
            match claims::grant(service, ctx, id).await {
                Ok(outcome) => return answer(service, ctx, &outcome).await,
                // Somebody was faster.
                Err(Refusal::Rejected(_) | Refusal::PhoneClaimed { .. } | Refusal::PhoneOwned) => {
                    taken.push(id.0);
                }
                Err(refusal) => return Err(refusal.worded(ctx)),
            }
        }
    }
}

async fn answer(
    service: &Service,
    ctx: &Ctx,
    outcome: &Outcome<Account>,
) -> Result<NextProspectResponse, AppError> {
    // The card as it is once it is claimed, also to whoever asks again.
    caught_up(service).await?;
    let id = AccountId(outcome.id);
    // Who asks again may have lost it since.
    let company = match service.seen_account(ctx, id).await? {
        Some(_) => companies::find(service.pool(), id).await?,
        None => None,
    };
    if company.is_some() {
        access::record(service, ctx, id, What::Card).await?;
    }
    Ok(NextProspectResponse {
        account: company.map(|company| wire::account(company, Vec::new())),
        until: until(outcome),
        recorded: Some(service.recorded(outcome)),
    })
}
