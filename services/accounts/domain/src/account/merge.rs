//! Two records of one company: one is linked to the other and answers with it, until they are told
//! apart again. Nothing is moved, so nothing has to be put back.

use chrono::{DateTime, Utc};
use es::{Personal, Reservation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::AccountId;

use super::{Command, Event, Rejection, ReturnedToPool, State, claim, said};

/// An account that answers with another one.
const MERGED: &str = "merged";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Merged {
    pub merged_id: AccountId,
    pub survivor_id: AccountId,
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unmerged {
    pub survivor_id: AccountId,
    pub reason: Personal<String>,
}

#[derive(Debug, Clone)]
pub struct Merge {
    pub id: AccountId,
    /// Merged into nothing itself; the reservation makes sure.
    pub survivor_id: AccountId,
    /// Whether it has ordered.
    pub survivor_is_client: bool,
    pub reason: String,
    pub now: DateTime<Utc>,
}

/// What is done with a merged account is done with its survivor. What was recorded before is
/// corrected where it stands: an order is cancelled on the account that it was registered on.
pub(super) fn concerns_survivor(command: &Command) -> bool {
    matches!(
        command,
        Command::ChangeDetails { .. }
            | Command::ChangeStatus { .. }
            | Command::AssignOwner { .. }
            | Command::Transfer { .. }
            | Command::ReturnToPool { .. }
            | Command::RegisterOrder(_)
            | Command::Claim { .. }
            | Command::RenewClaim { .. }
            | Command::ReleaseClaim { .. }
            | Command::FirstContact { .. }
    )
}

pub(super) fn merge(now: &State, merge: Merge) -> Result<Vec<Event>, Rejection> {
    if merge.id == merge.survivor_id {
        return Err(Rejection::MergedWithItself);
    }
    if let Some(survivor) = now.merged_into {
        return if survivor == merge.survivor_id {
            Ok(Vec::new())
        } else {
            Err(Rejection::Merged { into: survivor })
        };
    }
    if let Some(claim) = now.claim_at(merge.now) {
        return Err(Rejection::Claimed { until: claim.until });
    }
    if now.client && !merge.survivor_is_client {
        return Err(Rejection::ClientIntoProspect);
    }
    let mut events = claim::expire(now, merge.now);
    events.push(Event::Merged(Merged {
        merged_id: merge.id,
        survivor_id: merge.survivor_id,
        reason: said(now, merge.id, merge.reason),
    }));
    Ok(events)
}

/// Both are again as they were. `owner_left`: the owner of then owns nothing any more, so that the
/// account goes to the pool.
pub(super) fn unmerge(
    now: &State,
    reason: &Personal<String>,
    owner_left: bool,
) -> Result<Vec<Event>, Rejection> {
    let survivor_id = now.merged_into.ok_or(Rejection::NotMerged)?;
    let mut events = vec![Event::Unmerged(Unmerged {
        survivor_id,
        reason: reason.clone(),
    })];
    if let Some(from_owner_id) = now.owner_id.filter(|_| owner_left) {
        events.push(Event::ReturnedToPool(ReturnedToPool {
            from_owner_id,
            reason: reason.clone(),
        }));
    }
    Ok(events)
}

/// A survivor must not be merged itself at this moment: were it merged later, that is a longer
/// chain, but two accounts that were merged with each other would never answer again.
pub(super) fn link(merged: &Merged) -> Vec<Reservation> {
    let name = |id: AccountId| id.to_string();
    vec![
        Reservation::Take {
            kind: MERGED,
            name: name(merged.merged_id),
        },
        Reservation::Vacant {
            kind: MERGED,
            name: name(merged.survivor_id),
        },
    ]
}

pub(super) fn unlink() -> Reservation {
    Reservation::ReleaseAll { kind: MERGED }
}

#[cfg(test)]
mod tests;
