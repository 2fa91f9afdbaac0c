//! Prospects for many owners at once: planned whole, then given one by one.

use std::collections::{HashMap, HashSet};

use accounts_domain::{
    account::{Account, Command, Rejection},
    distribution::{Command as Plan, Distribution, Event, Planned, Seat, Share, Way, deal},
};
use api::accounts::{
    DistributeProspectsRequest, DistributeProspectsResponse, DistributionShare, DistributionWay,
    TransferFailure,
};
use es::Rejection as _;
use es_postgres::ExecuteError;
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, ProspectListId, StaffId};

use super::lists;
use crate::{
    catalogue::Known,
    owners,
    transfers::failure,
    views::{
        companies,
        prospect_lists::{self, Among, Wanted},
    },
    wire::caught_up,
};

const MOST: i64 = 1_000;
const MOST_STAFF: usize = 200;

struct Order {
    list_id: Option<ProspectListId>,
    named: Vec<AccountId>,
    limit: i64,
    staff: Vec<StaffId>,
    way: Way,
    capacity: Option<u64>,
}

/// Somebody who was named, and why he or she gets nothing.
struct Candidate {
    seat: Seat,
    skipped: &'static str,
}

pub(super) async fn run(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: DistributeProspectsRequest,
) -> Result<DistributeProspectsResponse, AppError> {
    let order = read(&req)?;
    caught_up(service).await?;
    let mut candidates = candidates(service, ctx, &order).await?;
    let (prospects, mut failures) = prospects(service, known, ctx, &order).await?;
    let seats: Vec<_> = candidates
        .iter()
        .filter(|candidate| candidate.skipped.is_empty())
        .map(|candidate| candidate.seat)
        .collect();
    let (shares, left) = deal(prospects, &seats, order.way);
    let mut answer = DistributeProspectsResponse {
        left: left.len() as i64,
        ..DistributeProspectsResponse::default()
    };
    let mut given = counts(&shares);
    if !req.preview {
        let planned = Planned {
            list_id: order.list_id,
            shares,
        };
        let context = ctx.command();
        let outcome = service
            .log
            .execute_new::<Distribution>(&context, ctx.new_id(), Plan::Plan(planned))
            .await?;
        // A repeated request goes on with what it had planned.
        if outcome.repeated {
            failures.clear();
        }
        let Some(Event::Planned(planned)) = outcome.events.into_iter().next() else {
            return Err(AppError::Internal(
                "a distribution without a plan".to_owned(),
            ));
        };
        // Who was given something is full by now, and had room when it was planned.
        for candidate in &mut candidates {
            let mut shares = planned.shares.iter();
            if shares.any(|share| share.staff_id == candidate.seat.staff_id) {
                candidate.skipped = "";
            }
        }
        let (counted, refused, reached) = carry_out(service, ctx, &planned).await?;
        given = counted;
        failures.extend(refused);
        answer.position = Some(service.position(reached.max(outcome.position)));
    }
    answer.given = given.values().sum();
    answer.shares = candidates
        .iter()
        .map(|candidate| DistributionShare {
            staff_id: candidate.seat.staff_id.to_string(),
            given: given.get(&candidate.seat.staff_id).copied().unwrap_or(0),
            owned_before: if req.preview {
                i64::try_from(candidate.seat.load).unwrap_or(i64::MAX)
            } else {
                0
            },
            skipped: candidate.skipped.to_owned(),
        })
        .collect();
    answer.failures = failures;
    Ok(answer)
}

fn counts(shares: &[Share]) -> HashMap<StaffId, i64> {
    shares
        .iter()
        .map(|share| (share.staff_id, share.account_ids.len() as i64))
        .collect()
}

fn read(req: &DistributeProspectsRequest) -> Result<Order, AppError> {
    let mut v = Violations::new();
    let list_id = v.optional_id("list_id", &req.list_id);
    let mut named = Vec::new();
    if req.account_ids.len() as i64 > MOST {
        v.add("account_ids", format!("must have at most {MOST} entries"));
    } else {
        let mut seen = HashSet::new();
        for (index, text) in req.account_ids.iter().enumerate() {
            let id: Option<AccountId> = v.id(&format!("account_ids[{index}]"), text);
            named.extend(id.filter(|id| seen.insert(*id)));
        }
    }
    if req.list_id.trim().is_empty() == req.account_ids.is_empty() {
        v.add("list_id", "must be given, or account_ids, and not both");
    }
    let limit = i64::from(req.limit);
    if !(0..=MOST).contains(&limit) {
        v.add("limit", format!("must be a number from 0 to {MOST}"));
    }
    let mut staff = Vec::new();
    if req.staff_ids.is_empty() || req.staff_ids.len() > MOST_STAFF {
        v.add("staff_ids", format!("must have 1 to {MOST_STAFF} entries"));
    } else {
        for (index, text) in req.staff_ids.iter().enumerate() {
            let id = v.id::<StaffId>(&format!("staff_ids[{index}]"), text);
            staff.extend(id.filter(|id| !staff.contains(id)));
        }
    }
    let way = match DistributionWay::try_from(req.way) {
        Ok(DistributionWay::Unspecified | DistributionWay::RoundRobin) => Some(Way::RoundRobin),
        Ok(DistributionWay::ByLoad) => Some(Way::ByLoad),
        Err(_) => {
            v.add("way", "must be one of the contract's values");
            None
        }
    };
    if req.capacity < 0 {
        v.add("capacity", "must not be negative");
    }
    let way = v.checked(way)?;
    Ok(Order {
        list_id,
        named,
        limit: if limit == 0 { MOST } else { limit },
        staff,
        way,
        capacity: (req.capacity > 0).then_some(req.capacity.unsigned_abs()),
    })
}

async fn candidates(
    service: &Service,
    ctx: &Ctx,
    order: &Order,
) -> Result<Vec<Candidate>, AppError> {
    let mut v = Violations::new();
    for (index, id) in order.staff.iter().enumerate() {
        if service.known_staff(*id).await?.is_none() {
            v.add(format!("staff_ids[{index}]"), "is not a member of staff");
        }
    }
    v.finish()?;
    for id in &order.staff {
        owners::check_may_give(service, ctx, *id)?;
    }
    let ids: Vec<_> = order.staff.iter().map(|id| id.0).collect();
    let loads = companies::counts_of_owners(service.pool(), &ids).await?;
    let directory = service.directory.snapshot();
    let candidates = order.staff.iter().map(|id| {
        let seat = Seat {
            staff_id: *id,
            load: loads.get(id).copied().unwrap_or(0),
            capacity: order.capacity,
        };
        let skipped = match directory.staff(*id) {
            Some(entry) if entry.dismissed => "STAFF_DISMISSED",
            Some(entry) if !owners::can_own(entry) => "NOT_A_SELLER",
            Some(_) if directory.absences().is_away(*id, ctx.now) => "STAFF_AWAY",
            _ if seat.capacity.is_some_and(|capacity| seat.load >= capacity) => "HAS_ENOUGH",
            _ => "",
        };
        Candidate { seat, skipped }
    });
    Ok(candidates.collect())
}

/// What can be given, in order, and what was named and cannot.
async fn prospects(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    order: &Order,
) -> Result<(Vec<AccountId>, Vec<TransferFailure>), AppError> {
    let callable = async |among, limit| {
        let wanted = Wanted {
            among,
            now: ctx.now,
            quiet_since: ctx.now,
            except: &[],
        };
        let found = prospect_lists::next(service.pool(), &wanted, limit).await?;
        companies::one_of_each_phone(service.pool(), found).await
    };
    if let Some(id) = order.list_id {
        let list = lists::callable(service, ctx, id).await?;
        let closed = known.state.closed_statuses();
        let among = Among::List {
            list: &list,
            closed: &closed,
        };
        return Ok((callable(among, order.limit).await?, Vec::new()));
    }
    let known = service.known_accounts(&order.named).await?;
    let (mut free, mut failures) = (Vec::new(), Vec::new());
    for id in &order.named {
        let account = known
            .get(id)
            .filter(|account| account.is_visible(ctx.sees(), ctx.now));
        match account {
            None => failures.push(failure(*id, "not found", "NOT_FOUND")),
            Some(account) if account.owner_id.is_some() => {
                let rejection = Rejection::AlreadyOwned;
                failures.push(failure(*id, &rejection.to_string(), rejection.reason()));
            }
            Some(account) => match account.claim_at(ctx.now) {
                Some(claim) => {
                    let rejection = Rejection::Claimed { until: claim.until };
                    failures.push(failure(*id, &rejection.to_string(), rejection.reason()));
                }
                None => free.push(account.id),
            },
        }
    }
    let named: Vec<_> = free.iter().map(|id| id.0).collect();
    let callable: HashSet<_> = callable(Among::Named(&named), MOST)
        .await?
        .into_iter()
        .collect();
    free.retain(|id| {
        let fine = callable.contains(id);
        if !fine {
            let description = "another company with this phone is somebody's, or named before";
            failures.push(failure(*id, description, "PHONE_OWNED"));
        }
        fine
    });
    Ok((free, failures))
}

type Given = (HashMap<StaffId, i64>, Vec<TransferFailure>, i64);

/// Each prospect is a command of its own under an id that follows from the request's: what is
/// given already is not given again.
async fn carry_out(service: &Service, ctx: &Ctx, planned: &Planned) -> Result<Given, AppError> {
    let context = ctx.command();
    let directory = service.directory.snapshot();
    // Somebody may have been dismissed since it was planned.
    let can_own = |id| directory.staff(id).is_some_and(owners::can_own);
    let (gifts, nobodys): (Vec<(AccountId, StaffId)>, Vec<_>) = planned
        .shares
        .iter()
        .flat_map(|share| share.account_ids.iter().map(|id| (*id, share.staff_id)))
        .partition(|(_, staff_id)| can_own(*staff_id));
    let commands = gifts.iter().map(|(id, staff_id)| {
        let command = Command::AssignOwner {
            to: owners::owner_at(service, *staff_id, ctx.now),
            now: ctx.now,
        };
        (context.derive(&id.to_string()), id.0, command)
    });
    let outcomes = service
        .log
        .execute_many::<Account>(commands.collect())
        .await;
    let mut given = HashMap::new();
    let mut failures: Vec<_> = nobodys
        .into_iter()
        .map(|(id, _)| failure(id, owners::NOT_AN_OWNER, "NOT_A_SELLER"))
        .collect();
    let mut reached = 0;
    for ((id, staff_id), outcome) in gifts.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => {
                *given.entry(staff_id).or_insert(0) += 1;
                reached = reached.max(outcome.position);
            }
            Err(ExecuteError::Rejected(rejection)) => {
                failures.push(failure(id, &rejection.to_string(), rejection.reason()));
            }
            // Not this prospect's fault: what is done is done, and a repetition does the rest.
            Err(error) => return Err(error.into()),
        }
    }
    Ok((given, failures, reached))
}
