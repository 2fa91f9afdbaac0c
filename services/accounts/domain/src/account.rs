//! A company: a prospect until its first order, then a client for ever; owned by at most one
//! member of staff, else in the pool.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Reservation, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Email, GroupId, Money, OrderId, PhoneNumber, StaffId};

use crate::card::{Card, Changes, Details};

/// Marker of the aggregate.
pub enum Account {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A company came into the base.
    #[serde(rename = "account.prospect_registered")]
    ProspectRegistered(ProspectRegistered),
    /// What is known of a company changed.
    #[serde(rename = "account.details_changed")]
    DetailsChanged(Details),
    /// What was known of a company before can be read no more; this is what is known from here on.
    #[serde(rename = "account.card_sealed_anew")]
    CardSealedAnew(CardSealedAnew),
    /// The personal data of a company that is a person was erased.
    #[serde(rename = "account.erased")]
    Erased(Erased),
    /// A company came out of the pool.
    #[serde(rename = "account.owner_assigned")]
    OwnerAssigned(OwnerAssigned),
    /// A company went from one owner to another.
    #[serde(rename = "account.ownership_transferred")]
    OwnershipTransferred(OwnershipTransferred),
    /// A company lost its owner.
    #[serde(rename = "account.returned_to_pool")]
    ReturnedToPool(ReturnedToPool),
    /// A company ordered.
    #[serde(rename = "account.order_registered")]
    OrderRegistered(OrderRegistered),
    /// The first order made a prospect a client: once, for ever.
    #[serde(rename = "account.converted_to_client")]
    ConvertedToClient(ConvertedToClient),
    /// An order came to nothing; the company stays a client.
    #[serde(rename = "account.order_cancelled")]
    OrderCancelled(OrderCancelled),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProspectRegistered {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(flatten)]
    pub details: Details,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
    pub registered_at: DateTime<Utc>,
}

/// The whole card, when something in its history is to be forgotten: from here on it is under
/// another key, and nobody can read what was there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CardSealedAnew {
    #[serde(flatten)]
    pub details: Details,
    /// Whose key is destroyed.
    pub supersedes: Subject,
}

/// The company was a person, who is forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// Fingerprints of telephones and addresses, which are not to be entered again.
    pub stop_list: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerAssigned {
    pub owner_id: StaffId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnershipTransferred {
    pub from_owner_id: StaffId,
    pub to_owner_id: StaffId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_owner_group_id: Option<GroupId>,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnedToPool {
    pub from_owner_id: StaffId,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRegistered {
    pub order_id: OrderId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub amount: Money,
    pub ordered_at: DateTime<Utc>,
    /// Whose sale it is, for ever, whoever owns the account later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConvertedToClient {
    pub order_id: OrderId,
    /// When that order was made: an order of the past converts in the past.
    pub converted_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    pub order_id: OrderId,
    pub reason: String,
}

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
    pub orders: BTreeMap<OrderId, OrderStanding>,
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
    /// Out of the pool.
    AssignOwner {
        to: Owner,
    },
    Transfer {
        /// Who is meant to hand over; an account of somebody else stays.
        from: Option<StaffId>,
        to: Owner,
        reason: String,
    },
    ReturnToPool {
        reason: String,
    },
    RegisterOrder(Order),
    CancelOrder {
        order_id: OrderId,
        reason: String,
    },
}

#[derive(Debug, Clone)]
pub struct Registration {
    pub id: AccountId,
    pub external_id: Option<String>,
    pub card: Card,
    pub owner: Option<Owner>,
    pub registered_at: DateTime<Utc>,
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
    /// Who owned the account when it was ordered, and in which group then.
    pub owner: Option<Owner>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such account")]
    Unknown,
    #[error("an account with this external id is there already")]
    Exists,
    #[error("the card lacks what every card has")]
    Incomplete(Vec<Violation>),
    #[error("the account is in the pool and has no owner")]
    InPool,
    #[error("the account has an owner already")]
    AlreadyOwned,
    #[error("the account belongs to somebody else by now")]
    OwnerChanged,
    #[error("there is no such order")]
    OrderUnknown,
    #[error("the personal data of this account was erased")]
    Erased,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::OrderUnknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
            Self::Incomplete(_) => Kind::Invalid,
            Self::InPool | Self::AlreadyOwned | Self::OwnerChanged | Self::Erased => {
                Kind::FailedPrecondition
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "ACCOUNT_UNKNOWN",
            Self::Exists => "ACCOUNT_EXISTS",
            Self::Incomplete(_) => "ACCOUNT_INCOMPLETE",
            Self::InPool => "ACCOUNT_IN_POOL",
            Self::AlreadyOwned => "ALREADY_OWNED",
            Self::OwnerChanged => "OWNER_CHANGED",
            Self::OrderUnknown => "ORDER_UNKNOWN",
            Self::Erased => "ACCOUNT_ERASED",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Incomplete(violations) => violations.clone(),
            Self::Unknown
            | Self::Exists
            | Self::InPool
            | Self::AlreadyOwned
            | Self::OwnerChanged
            | Self::OrderUnknown
            | Self::Erased => Vec::new(),
        }
    }
}

impl Aggregate for Account {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "account";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state.registered, command) {
            (false, Command::Register(registration)) => register(registration),
            (false, _) => Err(Rejection::Unknown),
            (true, Command::Register(_)) => Err(Rejection::Exists),
            (true, Command::ChangeDetails { .. }) if state.erased => Err(Rejection::Erased),
            (true, Command::ChangeDetails { id, changes }) => change_details(state, id, changes),
            (true, Command::Forget { id, points }) => Ok(forget(state, id, &points)),
            (true, Command::Erase { .. }) if state.erased => Ok(Vec::new()),
            (true, Command::Erase { stop_list }) => Ok(vec![Event::Erased(Erased { stop_list })]),
            (true, Command::AssignOwner { to }) => match state.owner_id {
                None => Ok(vec![Event::OwnerAssigned(OwnerAssigned {
                    owner_id: to.id,
                    owner_group_id: to.group_id,
                })]),
                Some(owner) if owner == to.id => Ok(Vec::new()),
                Some(_) => Err(Rejection::AlreadyOwned),
            },
            (true, Command::Transfer { from, to, reason }) => transfer(state, from, to, reason),
            (true, Command::ReturnToPool { reason }) => Ok(state
                .owner_id
                .map(|from_owner_id| {
                    Event::ReturnedToPool(ReturnedToPool {
                        from_owner_id,
                        reason,
                    })
                })
                .into_iter()
                .collect()),
            (true, Command::RegisterOrder(order)) => Ok(register_order(state, order)),
            (true, Command::CancelOrder { order_id, reason }) => {
                match state.orders.get(&order_id) {
                    None => Err(Rejection::OrderUnknown),
                    Some(OrderStanding::Cancelled) => Ok(Vec::new()),
                    Some(OrderStanding::Stands) => {
                        Ok(vec![Event::OrderCancelled(OrderCancelled {
                            order_id,
                            reason,
                        })])
                    }
                }
            }
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::ProspectRegistered(registered) => State {
                registered: true,
                details: registered.details.clone(),
                ever: Points::default().and_of(&registered.details),
                owner_id: registered.owner_id,
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
            Event::OrderRegistered(order) => {
                with_order(state, order.order_id, OrderStanding::Stands)
            }
            Event::ConvertedToClient(_) => State {
                client: true,
                ..state
            },
            Event::OrderCancelled(order) => {
                with_order(state, order.order_id, OrderStanding::Cancelled)
            }
        }
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::ProspectRegistered(registered) => Some(registered.registered_at),
            Event::OrderRegistered(order) => Some(order.ordered_at),
            Event::ConvertedToClient(converted) => Some(converted.converted_at),
            Event::DetailsChanged(_)
            | Event::CardSealedAnew(_)
            | Event::Erased(_)
            | Event::OwnerAssigned(_)
            | Event::OwnershipTransferred(_)
            | Event::ReturnedToPool(_)
            | Event::OrderCancelled(_) => None,
        }
    }

    /// What the outside world calls one order is one order, on whichever account.
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
            Event::ProspectRegistered(_)
            | Event::DetailsChanged(_)
            | Event::CardSealedAnew(_)
            | Event::Erased(_)
            | Event::OwnerAssigned(_)
            | Event::OwnershipTransferred(_)
            | Event::ReturnedToPool(_)
            | Event::ConvertedToClient(_)
            | Event::OrderCancelled(_) => Vec::new(),
        }
    }
}

fn with_order(mut state: State, id: OrderId, standing: OrderStanding) -> State {
    state.orders.insert(id, standing);
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
    Ok(vec![Event::DetailsChanged(differing)])
}

/// What the card has now and what it had before are under one key, so both go together.
fn forget(now: &State, id: AccountId, points: &Points) -> Vec<Event> {
    if now.erased || !now.ever.has_any_of(points) {
        return Vec::new();
    }
    vec![Event::CardSealedAnew(CardSealedAnew {
        details: now.details.sealed_anew(id, &points.phones, &points.emails),
        supersedes: now.details.subject(id),
    })]
}

fn transfer(
    now: &State,
    from: Option<StaffId>,
    to: Owner,
    reason: String,
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
    })])
}

/// The first order and the conversion are one decision: nobody ever sees one without the other.
fn register_order(now: &State, order: Order) -> Vec<Event> {
    if now.orders.contains_key(&order.id) {
        return Vec::new();
    }
    let (order_id, converted_at) = (order.id, order.ordered_at);
    let mut events = vec![Event::OrderRegistered(OrderRegistered {
        order_id,
        external_id: order.external_id,
        amount: order.amount,
        ordered_at: order.ordered_at,
        owner_id: order.owner.map(|owner| owner.id),
        owner_group_id: order.owner.and_then(|owner| owner.group_id),
    })];
    if !now.client {
        events.push(Event::ConvertedToClient(ConvertedToClient {
            order_id,
            converted_at,
        }));
    }
    events
}

#[cfg(test)]
mod tests;
