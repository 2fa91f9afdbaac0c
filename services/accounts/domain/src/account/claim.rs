//! The claim on a prospect of the pool: for a while one member of staff alone speaks with it, on
//! whichever card its numbers are written.

use chrono::{DateTime, Utc};
use es::{Personal, Reservation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupId, PhoneNumber, StaffId};

use super::{Event, Owner, OwnerAssigned, Rejection, State};

/// A number under a claim, as other cards must not claim it.
pub const NUMBER: &str = "phone";

type Decision = Result<Vec<Event>, Rejection>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimGranted {
    pub holder_id: StaffId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_group_id: Option<GroupId>,
    /// From then on it is over, whether anybody has said so or not.
    pub until: DateTime<Utc>,
    /// What is claimed with the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<Personal<Vec<PhoneNumber>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimRenewed {
    pub holder_id: StaffId,
    pub until: DateTime<Utc>,
}

/// The card was corrected while it was claimed: these are the numbers that the claim locks now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimNumbersChanged {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<Personal<Vec<PhoneNumber>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimReleased {
    pub holder_id: StaffId,
    pub released_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimExpired {
    pub holder_id: StaffId,
    /// When it was over: earlier than when somebody noticed.
    pub until: DateTime<Utc>,
}

/// A claim, also when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub holder: Owner,
    pub until: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

impl Claim {
    fn holds_at(&self, at: DateTime<Utc>) -> bool {
        at < self.until && self.ended_at.is_none_or(|ended_at| at < ended_at)
    }
}

impl State {
    /// The claim that holds at this time.
    pub fn claim_at(&self, at: DateTime<Utc>) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| claim.holds_at(at))
    }

    fn open_claim(&self) -> Option<&Claim> {
        self.claim.as_ref().filter(|claim| claim.ended_at.is_none())
    }
}

pub(super) fn claim(now: &State, by: Owner, at: DateTime<Utc>, until: DateTime<Utc>) -> Decision {
    if now.erased {
        return Err(Rejection::Erased);
    }
    if now.owner_id.is_some() {
        return Err(Rejection::AlreadyOwned);
    }
    if let Some(claim) = now.claim_at(at) {
        // Also to the holder, who does not get it a second time but renews it.
        return Err(Rejection::Claimed { until: claim.until });
    }
    let mut events = expire(now, at);
    events.push(Event::ClaimGranted(ClaimGranted {
        holder_id: by.id,
        holder_group_id: by.group_id,
        until,
        phones: now.details.phones.clone(),
    }));
    Ok(events)
}

pub(super) fn renew(now: &State, by: StaffId, at: DateTime<Utc>, until: DateTime<Utc>) -> Decision {
    match now.claim_at(at) {
        None => Err(Rejection::ClaimOver),
        Some(claim) if claim.holder.id != by => Err(Rejection::Claimed { until: claim.until }),
        Some(claim) if until <= claim.until => Ok(Vec::new()),
        Some(_) => Ok(vec![Event::ClaimRenewed(ClaimRenewed {
            holder_id: by,
            until,
        })]),
    }
}

/// `holder`: whose claim is meant; another one's stays.
pub(super) fn release(now: &State, holder: StaffId, at: DateTime<Utc>) -> Decision {
    match now.claim_at(at) {
        Some(claim) if claim.holder.id != holder => Err(Rejection::Claimed { until: claim.until }),
        Some(_) => Ok(vec![released(holder, at)]),
        None => Ok(expire(now, at)),
    }
}

/// Nothing while the claim holds. Anybody may say that it is over, as often as they like.
pub(super) fn expire(now: &State, at: DateTime<Utc>) -> Vec<Event> {
    now.open_claim()
        .filter(|claim| claim.until <= at)
        .map(|claim| {
            Event::ClaimExpired(ClaimExpired {
                holder_id: claim.holder.id,
                until: claim.until,
            })
        })
        .into_iter()
        .collect()
}

/// Somebody else than the holder is refused; the holder needs no claim once it is owned.
pub(super) fn assign_owner(now: &State, to: Owner, at: DateTime<Utc>) -> Decision {
    match (now.owner_id, now.claim_at(at)) {
        (Some(owner), _) if owner == to.id => Ok(Vec::new()),
        (Some(_), _) => Err(Rejection::AlreadyOwned),
        (None, Some(claim)) if claim.holder.id != to.id => {
            Err(Rejection::Claimed { until: claim.until })
        }
        (None, _) => Ok(owned_by(now, to, at)),
    }
}

/// Whose sale it is owns the company: the holder of a claim from now on.
pub(super) fn sell(now: &State, by: Option<Owner>, at: DateTime<Utc>) -> Decision {
    let holder = now.claim_at(at).map(|claim| claim.holder);
    match (now.owner_id, by) {
        (owner, by) if owner == by.map(|by| by.id) => Ok(Vec::new()),
        (None, Some(by)) if holder.is_some_and(|holder| holder.id == by.id) => {
            Ok(owned_by(now, by, at))
        }
        _ => Err(Rejection::OwnerChanged),
    }
}

/// The holder has spoken with the prospect in time, and owns it from then on: also when it is heard
/// of only after the claim was over and somebody else had the next one, which ends.
pub(super) fn first_contact(now: &State, by: StaffId, logged_at: DateTime<Utc>) -> Vec<Event> {
    let claims = [&now.claim, &now.former_claim].into_iter().flatten();
    let mut theirs = claims.filter(|claim| claim.holder.id == by && claim.holds_at(logged_at));
    match theirs.next() {
        Some(claim) if now.owner_id.is_none() => owned_by(now, claim.holder, logged_at),
        _ => Vec::new(),
    }
}

fn owned_by(now: &State, to: Owner, at: DateTime<Utc>) -> Vec<Event> {
    let mut events = expire(now, at);
    if let Some(claim) = now.open_claim()
        && events.is_empty()
    {
        events.push(released(claim.holder.id, at));
    }
    events.push(Event::OwnerAssigned(OwnerAssigned {
        owner_id: to.id,
        owner_group_id: to.group_id,
    }));
    events
}

fn released(holder_id: StaffId, released_at: DateTime<Utc>) -> Event {
    Event::ClaimReleased(ClaimReleased {
        holder_id,
        released_at,
    })
}

/// What a correction of the card means for its claim.
pub(super) fn follow_numbers(
    now: &State,
    phones: Option<&Personal<Vec<PhoneNumber>>>,
) -> Option<Event> {
    now.open_claim().and(phones).map(|phones| {
        Event::ClaimNumbersChanged(ClaimNumbersChanged {
            phones: Some(phones.clone()),
        })
    })
}

pub(super) fn granted(mut state: State, event: &ClaimGranted) -> State {
    state.former_claim = state.claim.take();
    state.claim = Some(Claim {
        holder: Owner {
            id: event.holder_id,
            group_id: event.holder_group_id,
        },
        until: event.until,
        ended_at: None,
    });
    state
}

pub(super) fn renewed(mut state: State, event: &ClaimRenewed) -> State {
    if let Some(claim) = &mut state.claim {
        claim.until = event.until;
    }
    state
}

pub(super) fn ended(mut state: State, at: DateTime<Utc>) -> State {
    if let Some(claim) = &mut state.claim {
        claim.ended_at = Some(at);
    }
    state
}

/// The numbers that a claim locks from now on, and no others.
pub(super) fn locks(phones: Option<&Personal<Vec<PhoneNumber>>>) -> Vec<Reservation> {
    let phones = phones.and_then(Personal::get).into_iter().flatten();
    phones
        .map(|phone| Reservation::Take {
            kind: NUMBER,
            name: phone.to_string(),
        })
        .collect()
}

/// Whatever they were: the card may have been corrected, or nobody may read it any more.
pub(super) fn unlock() -> Reservation {
    Reservation::ReleaseAll { kind: NUMBER }
}

#[cfg(test)]
mod tests;
