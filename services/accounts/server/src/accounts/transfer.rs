//! The hand-over of many companies. Each one is a command of its own under an id that follows from
//! the request's, so a hand-over that broke off goes on where it stopped, and a repeated one adds
//! nothing.

use std::collections::{HashMap, HashSet};

use accounts_domain::account::{Account, Command};
use api::{
    accounts::{TransferAccountsRequest, TransferAccountsResponse, TransferFailure},
    common,
};
use es::Rejection;
use es_postgres::{CommandContext, ExecuteError};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, StaffId};

use crate::{
    owners,
    views::{companies, ownership},
    wire::{MAX_TEXT, caught_up, checked},
};

const MOST: usize = 1_000;

/// What the request asks for.
struct HandOver {
    /// None named: those of `from`.
    accounts: Vec<AccountId>,
    from: Option<StaffId>,
    to: StaffId,
    reason: String,
}

pub(super) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: TransferAccountsRequest,
) -> Result<TransferAccountsResponse, AppError> {
    caught_up(service).await?;
    let hand_over = read(service, &req).await?;
    owners::check_may_give(service, ctx, hand_over.to)?;
    // The present directory, not that of the beginning of the call.
    let scope = service.directory.snapshot().scope(&ctx.principal);
    if hand_over.from.is_some_and(|from| !scope.includes(from)) {
        return Err(AppError::forbidden(
            "OWNER_OUT_OF_REACH",
            "only those accounts can be handed over that the caller sees",
        ));
    }

    let context = CommandContext {
        causation_id: ctx.command().request_id,
        ..ctx.command()
    };
    let moved = moved_before(service, &context, &hand_over).await?;
    let chosen = chosen(service, &hand_over, &moved).await?;
    let known = service.known_accounts(&chosen).await?;
    // A merged record answers with its survivor.
    let survivor = |id: AccountId| known.get(&id).map_or(id, |account| account.id);
    let chosen: Vec<_> = chosen.into_iter().map(survivor).collect();
    let known: HashMap<_, _> = known
        .into_values()
        .map(|account| (account.id, account))
        .collect();
    let (visible, hidden): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|id| {
        let visible = |owner| scope.includes_owner(owner);
        moved.contains(id)
            || known
                .get(id)
                .is_some_and(|account| visible(account.owner_id))
    });

    let to = owners::owner_at(service, hand_over.to, ctx.now);
    let commands = visible.iter().map(|id| {
        let command = Command::Transfer {
            from: hand_over.from,
            to,
            reason: hand_over.reason.clone(),
        };
        (context.derive(&id.to_string()), id.0, command)
    });
    let outcomes = service
        .log
        .execute_many::<Account>(commands.collect())
        .await;

    let mut answer = TransferAccountsResponse {
        failures: hidden
            .into_iter()
            .map(|id| failure(id, "not found", "NOT_FOUND"))
            .collect(),
        ..TransferAccountsResponse::default()
    };
    let mut reached = *service.log.head().borrow();
    for (id, outcome) in visible.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => {
                answer.transferred += 1;
                reached = reached.max(outcome.position);
            }
            Err(ExecuteError::Rejected(rejection)) => {
                let text = rejection.to_string();
                answer.failures.push(failure(id, &text, rejection.reason()));
            }
            // Not this account's fault: what is done is done, and a repetition does the rest.
            Err(error) => return Err(error.into()),
        }
    }
    answer.position = Some(service.position(reached));
    caught_up(service).await?;
    if let Some(from) = hand_over.from {
        answer.remaining = companies::count_of_owner(service.pool(), from).await?;
    }
    Ok(answer)
}

async fn read(service: &Service, req: &TransferAccountsRequest) -> Result<HandOver, AppError> {
    let mut v = Violations::new();
    let mut accounts = Vec::new();
    let mut seen = HashSet::new();
    if req.account_ids.len() > MOST {
        v.add("account_ids", format!("must have at most {MOST} entries"));
    } else {
        for (index, text) in req.account_ids.iter().enumerate() {
            let id: Option<AccountId> = v.id(&format!("account_ids[{index}]"), text);
            accounts.extend(id.filter(|id| seen.insert(*id)));
        }
    }
    let from: Option<StaffId> = if req.account_ids.is_empty() {
        v.id("from_owner_id", &req.from_owner_id)
    } else {
        v.optional_id("from_owner_id", &req.from_owner_id)
    };
    if let Some(id) = from
        && service.known_staff(id).await?.is_none()
    {
        v.add("from_owner_id", "is not a member of staff");
    }
    let named = v.id("to_owner_id", &req.to_owner_id);
    let to = owners::candidate(service, &mut v, "to_owner_id", named).await?;
    if to.is_some() && from == to {
        v.add("to_owner_id", "must be another one than from_owner_id");
    }
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let to = checked(v, to)?;
    Ok(HandOver {
        accounts,
        from,
        to,
        reason,
    })
}

/// What this very request has moved already, if it was sent before.
async fn moved_before(
    service: &Service,
    context: &CommandContext,
    hand_over: &HandOver,
) -> Result<HashSet<AccountId>, AppError> {
    let Some(request_id) = context.causation_id else {
        return Ok(HashSet::new());
    };
    let moved = ownership::moved_by(service.pool(), request_id).await?;
    let fits = moved.iter().all(|(account, to)| {
        let named = hand_over.accounts.is_empty() || hand_over.accounts.contains(account);
        named && *to == hand_over.to
    });
    if !fits {
        return Err(AppError::RequestIdReused);
    }
    Ok(moved.into_iter().map(|(account, _)| account).collect())
}

/// The accounts that are named; else those moved before and then others of the owner.
async fn chosen(
    service: &Service,
    hand_over: &HandOver,
    moved: &HashSet<AccountId>,
) -> Result<Vec<AccountId>, AppError> {
    let (true, Some(from)) = (hand_over.accounts.is_empty(), hand_over.from) else {
        return Ok(hand_over.accounts.clone());
    };
    let mut chosen: Vec<_> = moved.iter().copied().collect();
    let room = MOST.saturating_sub(chosen.len()) as i64;
    let others = companies::of_owner(service.pool(), from, room).await?;
    chosen.extend(others.into_iter().filter(|id| !moved.contains(id)));
    Ok(chosen)
}

fn failure(id: AccountId, description: &str, reason: &str) -> TransferFailure {
    TransferFailure {
        account_id: id.to_string(),
        violation: Some(common::Violation {
            field: "account_ids".to_owned(),
            description: description.to_owned(),
            reason: reason.to_owned(),
        }),
    }
}
