//! A company: a prospect until its first order, then a client for ever; owned by at most one
//! member of staff, else in the pool, where one at a time may claim it.

pub mod audit;
mod claim;
mod events;
mod merge;
mod rejection;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Personal, Reservation, Upcaster};
use vocabulary::{AccountId, Email, GroupId, Money, OrderId, PhoneNumber, StaffId, TransferId};

pub use claim::{
    Claim, ClaimExpired, ClaimGranted, ClaimNumbersChanged, ClaimReleased, ClaimRenewed, NUMBER,
};
pub use events::{
    CardSealedAnew, ConvertedToClient, Erased, Event, OrderCancelled, OrderRegistered,
    OwnerAssigned, OwnershipTransferred, ProspectRegistered, ReturnedToPool, StatusChanged, Taken,
};
pub use merge::{Merge, Merged, Unmerged};
pub use rejection::Rejection;

use crate::{
    card::{Card, Changes, Details},
    deal,
    import_batch::Origin,
    order,
    precision::Precision,
};

/// Marker of the aggregate.
pub enum Account {}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub registered: bool,
    pub details: Details,
    /// All telephones and addresses that the card has had under its key.
    pub ever: Points,
    pub erased: bool,
    /// `None`: in the pool.
    pub owner_id: Option<StaffId>,
    pub client: bool,
    /// Key of the catalogue.
    pub status: Option<String>,
    pub orders: BTreeMap<OrderId, KnownOrder>,
    pub claim: Option<Claim>,
    /// The one before it.
    pub former_claim: Option<Claim>,
    /// The account that answers for this one.
    pub merged_into: Option<AccountId>,
}

/// Where somebody can be reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    pub phones: Vec<PhoneNumber>,
    pub emails: Vec<Email>,
}

impl Points {
    fn and_of(mut self, details: &Details) -> Self {
        add(&mut self.phones, details.phones.as_ref());
        add(&mut self.emails, details.emails.as_ref());
        self
    }

    fn has_any_of(&self, others: &Self) -> bool {
        self.phones
            .iter()
            .any(|phone| others.phones.contains(phone))
            || self
                .emails
                .iter()
                .any(|email| others.emails.contains(email))
    }
}

fn add<T: Clone + PartialEq>(points: &mut Vec<T>, more: Option<&Personal<Vec<T>>>) {
    let more = more.and_then(Personal::get).into_iter().flatten();
    for point in more {
        if !points.contains(point) {
            points.push(point.clone());
        }
    }
}

/// An order as it was registered, and whether it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrder {
    pub amount: Money,
    pub ordered_at: DateTime<Utc>,
    pub standing: OrderStanding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStanding {
    Stands,
    Cancelled,
}

#[derive(Debug, Clone)]
pub enum Command {
    Register(Registration),
    ChangeDetails {
        id: AccountId,
        changes: Changes,
    },
    /// Takes these from the card and out of its history: they were somebody's who is forgotten.
    Forget {
        id: AccountId,
        points: Points,
    },
    /// The company was a person, who is forgotten.
    Erase {
        stop_list: Vec<String>,
    },
    ChangeStatus {
        id: AccountId,
        to: String,
        reason: String,
    },
    /// Out of the pool.
    AssignOwner {
        to: Owner,
        now: DateTime<Utc>,
    },
    Transfer {
        id: AccountId,
        /// Who is meant to hand over; an account of somebody else stays.
        from: Option<StaffId>,
        to: Owner,
        /// Empty: nobody can read it any more.
        reason: String,
        transfer_id: TransferId,
    },
    ReturnToPool {
        id: AccountId,
        reason: String,
    },
    RegisterOrder(Order),
    CancelOrder {
        id: AccountId,
        order_id: OrderId,
        reason: String,
    },
    Claim {
        by: Owner,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    },
    RenewClaim {
        by: StaffId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    },
    ReleaseClaim {
        /// Whose claim is meant.
        holder: StaffId,
        now: DateTime<Utc>,
    },
    /// Says that a claim is over, if it is.
    ExpireClaim {
        now: DateTime<Utc>,
    },
    /// Somebody has logged an interaction.
    FirstContact {
        by: StaffId,
        logged_at: DateTime<Utc>,
    },
    Merge(Merge),
    Unmerge {
        id: AccountId,
        reason: String,
        owner_left: bool,
    },
}

impl Command {
    /// As it is given to the account that answers for the one it was meant for.
    #[must_use]
    pub fn for_survivor(mut self, survivor: AccountId) -> Self {
        if let Self::ChangeDetails { id, .. }
        | Self::ChangeStatus { id, .. }
        | Self::Transfer { id, .. }
        | Self::ReturnToPool { id, .. } = &mut self
        {
            *id = survivor;
        }
        self
    }
}

#[derive(Debug, Clone)]
pub struct Registration {
    pub id: AccountId,
    pub external_id: Option<String>,
    pub card: Card,
    pub owner: Option<Owner>,
    pub registered_at: DateTime<Utc>,
    pub status: Option<String>,
    /// The row of a file that brought it.
    pub origin: Option<Origin>,
}

/// Somebody and the group that counts what happens with the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub id: StaffId,
    pub group_id: Option<GroupId>,
}

#[derive(Debug, Clone)]
pub struct Order {
    pub id: OrderId,
    pub external_id: Option<String>,
    pub amount: Money,
    pub ordered_at: DateTime<Utc>,
    pub precision: Precision,
    pub taken: Taken,
    /// Who owned the account when it was ordered, and in which group then.
    pub owner: Option<Owner>,
    /// When it is registered, if it is ordered now: refused when the owner is another one by then.
    pub now: Option<DateTime<Utc>>,
}

impl Order {
    /// Whether it is the known one of its id once more. How it came and whose sale it is do not
    /// matter: an order that was taken by phone is in the files of the office later, too.
    pub fn repeats(&self, known: &KnownOrder) -> bool {
        known.standing == OrderStanding::Stands
            && known.amount == self.amount
            && self.precision.fits(self.ordered_at, known.ordered_at)
    }
}

impl Aggregate for Account {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "account";

    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster::plain_reason("account.status_changed"),
        Upcaster::plain_reason("account.ownership_transferred"),
        Upcaster::plain_reason("account.returned_to_pool"),
        Upcaster::plain_reason("account.order_cancelled"),
        Upcaster::plain_reason("account.merged"),
        Upcaster::plain_reason("account.unmerged"),
    ];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        if let Some(into) = state.merged_into
            && merge::concerns_survivor(&command)
        {
            return Err(Rejection::Merged { into });
        }
        match (state.registered, command) {
            (false, Command::Register(registration)) => register(registration),
            (false, _) => Err(Rejection::Unknown),
            (true, Command::Register(_)) => Err(Rejection::Exists),
            (true, Command::ChangeDetails { .. }) if state.erased => Err(Rejection::Erased),
            (true, Command::ChangeDetails { id, changes }) => change_details(state, id, changes),
            (true, Command::Forget { id, points }) => Ok(forget(state, id, &points)),
            (true, Command::Erase { .. }) if state.erased => Ok(Vec::new()),
            (true, Command::Erase { stop_list }) => Ok(vec![Event::Erased(Erased { stop_list })]),
            (true, Command::ChangeStatus { id, to, reason }) => {
                Ok(change_status(state, id, to, reason))
            }
            (true, Command::AssignOwner { to, now }) => claim::assign_owner(state, to, now),
            (
                true,
                Command::Transfer {
                    id,
                    from,
                    to,
                    reason,
                    transfer_id,
                },
            ) => transfer(state, from, to, said(state, id, reason), transfer_id),
            (true, Command::ReturnToPool { id, reason }) => Ok(state
                .owner_id
                .map(|from_owner_id| {
                    Event::ReturnedToPool(ReturnedToPool {
                        from_owner_id,
                        reason: said(state, id, reason),
                    })
                })
                .into_iter()
                .collect()),
            (true, Command::RegisterOrder(order)) => register_order(state, order),
            (
                true,
                Command::CancelOrder {
                    id,
                    order_id,
                    reason,
                },
            ) => match state.orders.get(&order_id).map(|order| order.standing) {
                None => Err(Rejection::OrderUnknown),
                Some(OrderStanding::Cancelled) => Ok(Vec::new()),
                Some(OrderStanding::Stands) => Ok(vec![Event::OrderCancelled(OrderCancelled {
                    order_id,
                    reason: said(state, id, reason),
                })]),
            },
            (true, Command::Claim { by, now, until }) => claim::claim(state, by, now, until),
            (true, Command::RenewClaim { by, now, until }) => claim::renew(state, by, now, until),
            (true, Command::ReleaseClaim { holder, now }) => claim::release(state, holder, now),
            (true, Command::ExpireClaim { now }) => Ok(claim::expire(state, now)),
            (true, Command::FirstContact { by, logged_at }) => {
                Ok(claim::first_contact(state, by, logged_at))
            }
            (true, Command::Merge(command)) => merge::merge(state, command),
            (
                true,
                Command::Unmerge {
                    id,
                    reason,
                    owner_left,
                },
            ) => merge::unmerge(state, &said(state, id, reason), owner_left),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::ProspectRegistered(registered) => State {
                registered: true,
                details: registered.details.clone(),
                ever: Points::default().and_of(&registered.details),
                owner_id: registered.owner_id,
                status: registered.status.clone(),
                ..state
            },
            Event::DetailsChanged(changed) => State {
                details: state.details.changed_by(changed),
                ever: state.ever.and_of(changed),
                ..state
            },
            Event::CardSealedAnew(sealed) => State {
                details: state.details.changed_by(&sealed.details),
                ever: Points::default().and_of(&sealed.details),
                ..state
            },
            Event::Erased(_) => State {
                erased: true,
                ..state
            },
            Event::StatusChanged(changed) => State {
                status: Some(changed.to.clone()),
                ..state
            },
            Event::OwnerAssigned(assigned) => State {
                owner_id: Some(assigned.owner_id),
                ..state
            },
            Event::OwnershipTransferred(transferred) => State {
                owner_id: Some(transferred.to_owner_id),
                ..state
            },
            Event::ReturnedToPool(_) => State {
                owner_id: None,
                ..state
            },
            Event::OrderRegistered(order) => with_order(state, order),
            Event::ConvertedToClient(_) => State {
                client: true,
                ..state
            },
            Event::OrderCancelled(order) => without_order(state, order.order_id),
            Event::ClaimGranted(event) => claim::granted(state, event),
            Event::ClaimRenewed(event) => claim::renewed(state, event),
            Event::ClaimNumbersChanged(_) => state,
            Event::ClaimReleased(event) => claim::ended(state, event.released_at),
            Event::ClaimExpired(event) => claim::ended(state, event.until),
            Event::Merged(event) => State {
                merged_into: Some(event.survivor_id),
                ..state
            },
            Event::Unmerged(_) => State {
                merged_into: None,
                ..state
            },
        }
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::ProspectRegistered(registered) => Some(registered.registered_at),
            Event::OrderRegistered(order) => Some(order.ordered_at),
            Event::ConvertedToClient(converted) => Some(converted.converted_at),
            Event::ClaimReleased(event) => Some(event.released_at),
            Event::ClaimExpired(event) => Some(event.until),
            Event::DetailsChanged(_)
            | Event::CardSealedAnew(_)
            | Event::Erased(_)
            | Event::StatusChanged(_)
            | Event::OwnerAssigned(_)
            | Event::OwnershipTransferred(_)
            | Event::ReturnedToPool(_)
            | Event::OrderCancelled(_)
            | Event::ClaimGranted(_)
            | Event::ClaimRenewed(_)
            | Event::ClaimNumbersChanged(_)
            | Event::Merged(_)
            | Event::Unmerged(_) => None,
        }
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::StatusChanged(_)
            | Event::OwnershipTransferred(_)
            | Event::ReturnedToPool(_)
            | Event::OrderCancelled(_)
            | Event::Merged(_)
            | Event::Unmerged(_) => 2,
            Event::ProspectRegistered(_)
            | Event::DetailsChanged(_)
            | Event::CardSealedAnew(_)
            | Event::Erased(_)
            | Event::OwnerAssigned(_)
            | Event::OrderRegistered(_)
            | Event::ConvertedToClient(_)
            | Event::ClaimGranted(_)
            | Event::ClaimRenewed(_)
            | Event::ClaimNumbersChanged(_)
            | Event::ClaimReleased(_)
            | Event::ClaimExpired(_) => 1,
        }
    }

    /// What the outside world calls one order is one order, on whichever account; so is a telephone
    /// that somebody is about to call.
    fn reservations(event: &Event) -> Vec<Reservation> {
        match event {
            Event::OrderRegistered(order) => order
                .external_id
                .iter()
                .map(|external_id| Reservation::Take {
                    kind: "order",
                    name: external_id.clone(),
                })
                .collect(),
            Event::OrderCancelled(order) => vec![Reservation::Take {
                kind: order::CANCELLED,
                name: order.order_id.to_string(),
            }],
            Event::ClaimGranted(claim) => claim::locks(claim.phones.as_ref()),
            Event::ClaimNumbersChanged(claim) => std::iter::once(claim::unlock())
                .chain(claim::locks(claim.phones.as_ref()))
                .collect(),
            Event::ClaimReleased(_) | Event::ClaimExpired(_) => vec![claim::unlock()],
            Event::Merged(merged) => merge::link(merged),
            Event::Unmerged(_) => vec![merge::unlink()],
            Event::ProspectRegistered(_)
            | Event::DetailsChanged(_)
            | Event::CardSealedAnew(_)
            | Event::Erased(_)
            | Event::StatusChanged(_)
            | Event::OwnerAssigned(_)
            | Event::OwnershipTransferred(_)
            | Event::ReturnedToPool(_)
            | Event::ConvertedToClient(_)
            | Event::ClaimRenewed(_) => Vec::new(),
        }
    }
}

fn with_order(mut state: State, order: &OrderRegistered) -> State {
    let known = KnownOrder {
        amount: order.amount.clone(),
        ordered_at: order.ordered_at,
        standing: OrderStanding::Stands,
    };
    state.orders.insert(order.order_id, known);
    state
}

fn without_order(mut state: State, id: OrderId) -> State {
    if let Some(order) = state.orders.get_mut(&id) {
        order.standing = OrderStanding::Cancelled;
    }
    state
}

fn register(new: Registration) -> Result<Vec<Event>, Rejection> {
    let details = Details::of(new.id, new.card);
    complete(&details)?;
    Ok(vec![Event::ProspectRegistered(ProspectRegistered {
        external_id: new.external_id,
        details,
        owner_id: new.owner.map(|owner| owner.id),
        owner_group_id: new.owner.and_then(|owner| owner.group_id),
        registered_at: new.registered_at,
        status: new.status,
        origin: new.origin,
    })])
}

fn complete(details: &Details) -> Result<(), Rejection> {
    match details.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Rejection::Incomplete(faults)),
    }
}

fn change_details(now: &State, id: AccountId, changes: Changes) -> Result<Vec<Event>, Rejection> {
    let differing = now.details.differing(id, changes);
    if differing.is_empty() {
        return Ok(Vec::new());
    }
    complete(&now.details.clone().changed_by(&differing))?;
    let follows = claim::follow_numbers(now, differing.phones.as_ref());
    let first = Event::DetailsChanged(differing);
    Ok(std::iter::once(first).chain(follows).collect())
}

/// What the card has now and what it had before are under one key, so both go together.
fn forget(now: &State, id: AccountId, points: &Points) -> Vec<Event> {
    if now.erased || !now.ever.has_any_of(points) {
        return Vec::new();
    }
    let details = now.details.sealed_anew(id, &points.phones, &points.emails);
    let follows = claim::follow_numbers(now, details.phones.as_ref());
    let sealed = Event::CardSealedAnew(CardSealedAnew {
        details,
        supersedes: now.details.subject(id),
    });
    std::iter::once(sealed).chain(follows).collect()
}

fn change_status(now: &State, id: AccountId, to: String, reason: String) -> Vec<Event> {
    if now.status.as_ref() == Some(&to) {
        return Vec::new();
    }
    let from = now.status.clone();
    let reason = (!reason.is_empty()).then(|| said(now, id, reason));
    vec![Event::StatusChanged(StatusChanged { from, to, reason })]
}

/// Why something is done with a company. Of one that is forgotten nobody is told why any more, and it
/// is done all the same.
fn said(now: &State, id: AccountId, reason: String) -> Personal<String> {
    let reason = if now.erased { String::new() } else { reason };
    deal::said(id, reason)
}

fn transfer(
    now: &State,
    from: Option<StaffId>,
    to: Owner,
    reason: Personal<String>,
    transfer_id: TransferId,
) -> Result<Vec<Event>, Rejection> {
    let owner = now.owner_id.ok_or(Rejection::InPool)?;
    if owner == to.id {
        return Ok(Vec::new());
    }
    if from.is_some_and(|from| from != owner) {
        return Err(Rejection::OwnerChanged);
    }
    Ok(vec![Event::OwnershipTransferred(OwnershipTransferred {
        from_owner_id: owner,
        to_owner_id: to.id,
        to_owner_group_id: to.group_id,
        reason,
        transfer_id: Some(transfer_id),
    })])
}

/// The first order and the conversion are one decision: nobody ever sees one without the other.
fn register_order(now: &State, order: Order) -> Result<Vec<Event>, Rejection> {
    if let Some(known) = now.orders.get(&order.id) {
        let already = order.repeats(known).then(Vec::new);
        return already.ok_or(Rejection::OrderExists);
    }
    let mut events = match order.now {
        Some(at) => claim::sell(now, order.owner, at)?,
        None => Vec::new(),
    };
    let (order_id, converted_at) = (order.id, order.ordered_at);
    events.push(Event::OrderRegistered(OrderRegistered {
        order_id,
        external_id: order.external_id,
        amount: order.amount,
        ordered_at: order.ordered_at,
        taken: Some(order.taken),
        owner_id: order.owner.map(|owner| owner.id),
        owner_group_id: order.owner.and_then(|owner| owner.group_id),
    }));
    if !now.client {
        events.push(Event::ConvertedToClient(ConvertedToClient {
            order_id,
            converted_at,
        }));
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
