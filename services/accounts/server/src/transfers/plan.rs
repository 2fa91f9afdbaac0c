//! What of a wish can be done: whose the accounts are now, and which of them the caller sees.

use std::collections::HashMap;

use accounts_domain::{
    account::Rejection,
    transfer::{self, Kept, Part, Started},
};
use es::{Personal, Rejection as _};
use kit::{AppError, Ctx, Scope, Service};
use vocabulary::{AccountId, StaffId, TransferId};

use crate::owners;

pub(crate) const HIDDEN: &str = "NOT_FOUND";
pub(crate) const THERE_ALREADY: &str = "OWNED_BY_RECEIVER";
pub(crate) const NO_RULE: &str = "NO_RULE_FITS";
pub(crate) const FOR_ANOTHER: &str = "PLANNED_FOR_ANOTHER";
pub(crate) const CANNOT_OWN: &str = "RECEIVER_CANNOT_OWN";

/// Who is to get what.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) from: Option<StaffId>,
    /// In the order of the request, each once.
    pub(crate) receivers: Vec<StaffId>,
    pub(crate) gifts: Vec<(AccountId, StaffId)>,
    /// What no rule names.
    pub(crate) left: Vec<AccountId>,
    /// Accounts of the owner that are too many.
    pub(crate) beyond: i64,
}

/// Accounts are given by those who see the former and the new owner.
pub(crate) async fn settle(
    service: &Service,
    ctx: &Ctx,
    id: TransferId,
    wishes: &Wishes,
    reason: String,
) -> Result<Started, AppError> {
    for to in &wishes.receivers {
        owners::check_may_give(service, ctx, *to)?;
    }
    let scope = scope_with(service, ctx, wishes.from)?;
    let ids: Vec<_> = wishes.gifts.iter().map(|(id, _)| *id).collect();
    let known = service.known_accounts(&ids).await?;
    let (mut parts, mut kept) = (Vec::<Part>::new(), Vec::new());
    let mut keep = |account_id, reason: &str| {
        kept.push(Kept {
            account_id,
            reason: reason.to_owned(),
        });
    };
    let mut places: HashMap<(StaffId, StaffId), usize> = HashMap::new();
    let mut planned: HashMap<AccountId, StaffId> = HashMap::new();
    for (asked, to) in &wishes.gifts {
        let account = known.get(asked);
        let account = account.filter(|account| account.is_visible(&scope, ctx.now));
        // A merged record goes with its survivor, each of which is there once.
        let account_id = account.map_or(*asked, |account| account.id);
        if let Some(receiver) = planned.get(&account_id) {
            if receiver != to {
                keep(*asked, FOR_ANOTHER);
            }
            continue;
        }
        planned.insert(account_id, *to);
        match account.map(|account| account.owner_id) {
            None => keep(account_id, HIDDEN),
            Some(None) => keep(account_id, Rejection::InPool.reason()),
            Some(Some(owner)) if owner == *to => keep(account_id, THERE_ALREADY),
            Some(Some(owner)) if wishes.from.is_some_and(|from| from != owner) => {
                keep(account_id, Rejection::OwnerChanged.reason());
            }
            Some(Some(owner)) => {
                let place = *places.entry((owner, *to)).or_insert_with(|| {
                    parts.push(Part {
                        from_owner_id: owner,
                        to_owner_id: *to,
                        account_ids: Vec::new(),
                    });
                    parts.len() - 1
                });
                parts[place].account_ids.push(account_id);
            }
        }
    }
    for account_id in &wishes.left {
        keep(*account_id, NO_RULE);
    }
    Ok(Started {
        from_owner_id: wishes.from,
        reason: Personal::new(transfer::subject(id, &parts), reason),
        parts,
        kept,
    })
}

/// Whose accounts the caller may hand over; the one who is named must be among them.
pub(crate) fn scope_with(
    service: &Service,
    ctx: &Ctx,
    from: Option<StaffId>,
) -> Result<Scope, AppError> {
    // The present directory, not that of the beginning of the call.
    let scope = ctx.sees_by(&service.directory.snapshot());
    if from.is_some_and(|from| !scope.includes(from)) {
        return Err(AppError::forbidden(
            "OWNER_OUT_OF_REACH",
            "only those accounts can be handed over that the caller sees",
        ));
    }
    Ok(scope)
}
