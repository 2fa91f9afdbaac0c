//! The hand-over of up to a thousand accounts to one new owner, answered when they are moved. It is a
//! transfer like any other ([`crate::transfers`]).

use accounts_domain::transfer::{State, Transfer};
use api::accounts::{
    PreviewTransferRequest, PreviewTransferResponse, TransferAccountsRequest,
    TransferAccountsResponse,
};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, StaffId, TransferId};

use crate::{
    owners,
    transfers::{
        begin, kept, moved,
        plan::{self, Wishes, scope_with},
    },
    views::{
        companies::{self, Order},
        open_tasks,
    },
    wire::{MAX_TEXT, caught_up},
};

const MOST: usize = 1_000;

pub(super) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: TransferAccountsRequest,
) -> Result<TransferAccountsResponse, AppError> {
    caught_up(service).await?;
    let (wishes, reason) = read(service, &req).await?;
    let id = TransferId(ctx.new_id());
    let plan = plan::settle(service, ctx, id, &wishes, reason).await?;
    let begun = begin(service, ctx, id, plan).await?;
    // Of what was recorded, so that a repeated request gets the same answer.
    let (state, reached) = if let Some(id) = begun.id {
        let row = moved(service, id).await?;
        let state = service.log.load::<Transfer>(id.0).await?.state;
        (state, row.reached)
    } else {
        let state = State {
            kept: begun.plan.kept,
            ..State::default()
        };
        (state, *service.log.head().borrow())
    };
    caught_up(service).await?;
    let (there, failed): (Vec<_>, Vec<_>) = state
        .kept
        .iter()
        .partition(|kept| kept.reason == plan::THERE_ALREADY);
    let remaining = match wishes.from {
        Some(from) => companies::count_of_owner(service.pool(), from).await?,
        None => 0,
    };
    Ok(TransferAccountsResponse {
        transferred: state.moved as i64 + there.len() as i64,
        failures: failed.into_iter().map(kept).collect(),
        remaining,
        position: Some(service.position(reached)),
        transfer_id: begun.id.map_or_else(String::new, |id| id.to_string()),
    })
}

/// What a hand-over would move, as far as the caller sees it.
pub(super) async fn preview(
    service: &Service,
    ctx: &Ctx,
    req: PreviewTransferRequest,
) -> Result<PreviewTransferResponse, AppError> {
    caught_up(service).await?;
    let mut v = Violations::new();
    let (named, from) = read_which(service, &mut v, &req.account_ids, &req.from_owner_id).await?;
    v.finish()?;
    let scope = scope_with(service, ctx, from)?;
    let known = service.known_accounts(&named).await?;
    // A merged record goes with its survivor.
    let survivors = named.iter().map(|id| match known.get(id) {
        Some(account) if account.is_visible(&scope, ctx.now) => account.id,
        _ => *id,
    });
    let accounts = Some(survivors.collect()).filter(|_| !named.is_empty());
    let pool = service.pool();
    let luggage = open_tasks::luggage(pool, accounts, from, scope.owners(), ctx.now).await?;
    Ok(PreviewTransferResponse {
        accounts: luggage.accounts,
        open_tasks: luggage.open_tasks,
        overdue_tasks: luggage.overdue_tasks,
    })
}

async fn read(
    service: &Service,
    req: &TransferAccountsRequest,
) -> Result<(Wishes, String), AppError> {
    let mut v = Violations::new();
    let (mut accounts, from) =
        read_which(service, &mut v, &req.account_ids, &req.from_owner_id).await?;
    let named = v.id("to_owner_id", &req.to_owner_id);
    let to = owners::candidate(service, &mut v, "to_owner_id", named).await?;
    if to.is_some() && from == to {
        v.add("to_owner_id", "must be another one than from_owner_id");
    }
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let to = v.checked(to)?;
    if let (true, Some(from)) = (accounts.is_empty(), from) {
        let owned = companies::of_owner(service.pool(), from, Order::Name, MOST as i64).await?;
        accounts.extend(owned.into_iter().map(|(id, _)| id));
    }
    let wishes = Wishes {
        from,
        receivers: vec![to],
        gifts: accounts.into_iter().map(|id| (id, to)).collect(),
        ..Wishes::default()
    };
    Ok((wishes, reason))
}

/// The accounts that are named, and who hands over.
async fn read_which(
    service: &Service,
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
    Ok((named, from))
}
