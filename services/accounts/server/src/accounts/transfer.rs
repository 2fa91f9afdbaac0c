//! The hand-over of many companies. Each one is a command of its own under an id that follows from
//! the request's, so a hand-over that broke off goes on where it stopped, and a repeated one adds
//! nothing.

use std::collections::HashSet;

use accounts_domain::account::{Account, Command};
use api::{
    accounts::{
        PreviewTransferRequest, PreviewTransferResponse, TransferAccountsRequest,
        TransferAccountsResponse, TransferFailure,
    },
    common,
};
use es::Rejection;
use es_postgres::{CommandContext, ExecuteError};
use kill_point::kill_point;
use kit::{AppError, Ctx, Scope, Service, Violations};
use vocabulary::{AccountId, StaffId};

use crate::{
    owners,
    views::{companies, open_tasks, ownership},
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
    let hand_over = read(service, ctx, &req).await?;
    owners::check_may_give(service, ctx, hand_over.to)?;
    let scope = scope_with(service, ctx, hand_over.from)?;

    let context = CommandContext {
        causation_id: ctx.command().request_id,
        ..ctx.command()
    };
    let moved = moved_before(service, &context, &hand_over).await?;
    let chosen = chosen(service, &hand_over, &moved).await?;
    let known = service.known_accounts(&chosen).await?;
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
    kill_point!("transfer.accounts_moved");

    let mut answer = TransferAccountsResponse {
        failures: hidden
            .into_iter()
            .map(|id| failure(id, "not found", "NOT_FOUND"))
            .collect(),
        ..TransferAccountsResponse::default()
    };
    let mut reached = None;
    for (id, outcome) in visible.into_iter().zip(outcomes) {
        match outcome {
            Ok(outcome) => {
                answer.transferred += 1;
                reached = reached.max(Some(outcome.position));
            }
            Err(ExecuteError::Rejected(rejection)) => {
                let text = rejection.to_string();
                answer.failures.push(failure(id, &text, rejection.reason()));
            }
            // Not this account's fault: what is done is done, and a repetition does the rest.
            Err(error) => return Err(error.into()),
        }
    }
    // Of what was recorded, so that a repeated request gets the same answer.
    let reached = reached.unwrap_or_else(|| *service.log.head().borrow());
    answer.position = Some(service.position(reached));
    caught_up(service).await?;
    if let Some(from) = hand_over.from {
        answer.remaining = companies::count_of_owner(service.pool(), from).await?;
    }
    Ok(answer)
}

/// What a hand-over would move, as far as the caller sees it.
pub(super) async fn preview(
    service: &Service,
    ctx: &Ctx,
    req: PreviewTransferRequest,
) -> Result<PreviewTransferResponse, AppError> {
    caught_up(service).await?;
    let mut v = Violations::new();
    let (accounts, from) =
        read_which(service, ctx, &mut v, &req.account_ids, &req.from_owner_id).await?;
    v.finish()?;
    let scope = scope_with(service, ctx, from)?;
    let accounts = Some(accounts).filter(|named| !named.is_empty());
    let pool = service.pool();
    let luggage = open_tasks::luggage(pool, accounts, from, scope.owners(), ctx.now).await?;
    Ok(PreviewTransferResponse {
        accounts: luggage.accounts,
        open_tasks: luggage.open_tasks,
        overdue_tasks: luggage.overdue_tasks,
    })
}

/// Whose accounts the caller may hand over; the one who is named must be among them.
fn scope_with(service: &Service, ctx: &Ctx, from: Option<StaffId>) -> Result<Scope, AppError> {
    // The present directory, not that of the beginning of the call.
    let scope = service.directory.snapshot().scope(&ctx.principal);
    if from.is_some_and(|from| !scope.includes(from)) {
        return Err(AppError::forbidden(
            "OWNER_OUT_OF_REACH",
            "only those accounts can be handed over that the caller sees",
        ));
    }
    Ok(scope)
}

async fn read(
    service: &Service,
    ctx: &Ctx,
    req: &TransferAccountsRequest,
) -> Result<HandOver, AppError> {
    let mut v = Violations::new();
    let (accounts, from) =
        read_which(service, ctx, &mut v, &req.account_ids, &req.from_owner_id).await?;
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

/// The accounts that are named, each once, and who hands over.
async fn read_which(
    service: &Service,
    ctx: &Ctx,
    v: &mut Violations,
    account_ids: &[String],
    from_owner_id: &str,
) -> Result<(Vec<AccountId>, Option<StaffId>), AppError> {
    let mut named = Vec::new();
    if account_ids.len() > MOST {
        v.add("account_ids", format!("must have at most {MOST} entries"));
    } else {
        for (index, text) in account_ids.iter().enumerate() {
            let id: Option<AccountId> = v.id(&format!("account_ids[{index}]"), text);
            named.extend(id);
        }
    }
    let accounts = survivors(service, ctx, named).await?;
    let from: Option<StaffId> = if account_ids.is_empty() {
        v.id("from_owner_id", from_owner_id)
    } else {
        v.optional_id("from_owner_id", from_owner_id)
    };
    if let Some(id) = from
        && service.known_staff(id).await?.is_none()
    {
        v.add("from_owner_id", "is not a member of staff");
    }
    Ok((accounts, from))
}

/// A merged record goes with its survivor, each of which is there once.
async fn survivors(
    service: &Service,
    ctx: &Ctx,
    named: Vec<AccountId>,
) -> Result<Vec<AccountId>, AppError> {
    let mut known = service.known_accounts(&named).await?;
    known.retain(|_, account| account.is_visible(ctx.sees(), ctx.now));
    let survivors = named
        .into_iter()
        .map(|id| known.get(&id).map_or(id, |account| account.id));
    let mut seen = HashSet::new();
    Ok(survivors.filter(|id| seen.insert(*id)).collect())
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

pub(crate) fn failure(id: AccountId, description: &str, reason: &str) -> TransferFailure {
    TransferFailure {
        account_id: id.to_string(),
        violation: Some(common::Violation {
            field: "account_ids".to_owned(),
            description: kit::in_words(description.to_owned(), reason),
            reason: reason.to_owned(),
        }),
    }
}
