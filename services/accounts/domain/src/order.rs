//! What became of an order once it was made: what was shipped and what was paid. The order itself is
//! in the stream of its company, which decides about it. These facts have a stream for each order: a
//! company with thousands of orders must not read all of them to record one payment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Reservation, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Money, OrderId, PaymentId, ShipmentId};

use crate::{deal, precision::Precision};

/// Marker of the aggregate.
pub enum Order {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Goods of an order left.
    #[serde(rename = "order.shipped")]
    Shipped(Shipped),
    /// A shipment came back, or was recorded by mistake.
    #[serde(rename = "order.shipment_reversed")]
    ShipmentReversed(ShipmentReversed),
    /// Money for an order came in.
    #[serde(rename = "order.paid")]
    Paid(Paid),
    /// A payment was returned, or was recorded by mistake.
    #[serde(rename = "order.payment_reversed")]
    PaymentReversed(PaymentReversed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shipped {
    pub shipment_id: ShipmentId,
    pub order_id: OrderId,
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// As people write it: `12 т`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waybill: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Personal<String>>,
    pub shipped_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShipmentReversed {
    pub shipment_id: ShipmentId,
    pub order_id: OrderId,
    pub account_id: AccountId,
    /// Absent: said of a company that was forgotten already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
    pub reversed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Paid {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub amount: Money,
    /// Of the bank: the number of the payment order, its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Personal<String>>,
    pub paid_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentReversed {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub account_id: AccountId,
    /// Absent: said of a company that was forgotten already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
    pub reversed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    shipments: BTreeMap<ShipmentId, Fact>,
    payments: BTreeMap<PaymentId, Fact>,
}

/// What was shipped or paid under one id.
#[derive(Debug, Clone, PartialEq)]
struct Fact {
    amount: Option<Money>,
    quantity: Option<String>,
    /// Of the waybill or of the bank.
    reference: Option<Personal<String>>,
    note: Option<Personal<String>>,
    at: DateTime<Utc>,
    stands: bool,
}

impl Fact {
    fn of_shipment(shipped: &Shipped) -> Self {
        Self {
            amount: shipped.amount.clone(),
            quantity: shipped.quantity.clone(),
            reference: shipped.waybill.clone(),
            note: shipped.note.clone(),
            at: shipped.shipped_at,
            stands: true,
        }
    }

    fn of_payment(paid: &Paid) -> Self {
        Self {
            amount: Some(paid.amount.clone()),
            quantity: None,
            reference: paid.reference.clone(),
            note: paid.note.clone(),
            at: paid.paid_at,
            stands: true,
        }
    }

    /// Whether `again` is this once more: what it does not say is no other content.
    fn is_repeated_by(&self, again: &Self, precision: Precision) -> bool {
        self.stands
            && precision.fits(again.at, self.at)
            && says_no_other(again.amount.as_ref(), self.amount.as_ref())
            && says_no_other(again.quantity.as_ref(), self.quantity.as_ref())
            && has_no_other(again.reference.as_ref(), self.reference.as_ref())
            && has_no_other(again.note.as_ref(), self.note.as_ref())
    }
}

fn says_no_other<T: PartialEq>(again: Option<&T>, recorded: Option<&T>) -> bool {
    again.is_none() || again == recorded
}

/// What is erased cannot be compared any more.
fn has_no_other(again: Option<&Personal<String>>, recorded: Option<&Personal<String>>) -> bool {
    let again = again.and_then(Personal::get);
    match recorded {
        Some(Personal::Erased { .. }) => true,
        Some(Personal::Known { value, .. }) => says_no_other(again, Some(value)),
        None => again.is_none(),
    }
}

/// The order as its company has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    pub id: OrderId,
    pub account_id: AccountId,
    pub amount: Money,
    pub cancelled: bool,
}

/// Goods as they come in: empty where nothing is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Shipment {
    pub id: ShipmentId,
    pub external_id: Option<String>,
    pub amount: Option<Money>,
    pub quantity: String,
    pub waybill: String,
    pub note: String,
    pub shipped_at: DateTime<Utc>,
    pub precision: Precision,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub external_id: Option<String>,
    pub amount: Money,
    pub reference: String,
    pub note: String,
    pub paid_at: DateTime<Utc>,
    pub precision: Precision,
}

/// Never the texts: they would end up in a log file.
impl std::fmt::Debug for Shipment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shipment({})", self.id)
    }
}

impl std::fmt::Debug for Payment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payment({})", self.id)
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Ship {
        order: Ordered,
        shipment: Shipment,
    },
    Pay {
        order: Ordered,
        payment: Payment,
    },
    /// Also of a cancelled order: that is when goods and money go back. Without words when they
    /// cannot be kept any more.
    ReverseShipment {
        order: Ordered,
        id: ShipmentId,
        reason: String,
        at: DateTime<Utc>,
    },
    ReversePayment {
        order: Ordered,
        id: PaymentId,
        reason: String,
        at: DateTime<Utc>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the order is cancelled")]
    Cancelled,
    #[error("this does not fit the order")]
    Unfit(Vec<Violation>),
    #[error("there is no such shipment")]
    ShipmentUnknown,
    #[error("a shipment with this external id is recorded otherwise, or reversed")]
    ShipmentExists,
    #[error("there is no such payment")]
    PaymentUnknown,
    #[error("a payment with this external id is recorded otherwise, or reversed")]
    PaymentExists,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Cancelled => Kind::FailedPrecondition,
            Self::Unfit(_) => Kind::Invalid,
            Self::ShipmentUnknown | Self::PaymentUnknown => Kind::NotFound,
            Self::ShipmentExists | Self::PaymentExists => Kind::AlreadyExists,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Cancelled => "ORDER_CANCELLED",
            Self::Unfit(violations) => violations
                .first()
                .map_or(Violation::INVALID, |violation| violation.reason),
            Self::ShipmentUnknown => "SHIPMENT_UNKNOWN",
            Self::PaymentUnknown => "PAYMENT_UNKNOWN",
            Self::ShipmentExists => "SHIPMENT_EXISTS",
            Self::PaymentExists => "PAYMENT_EXISTS",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Unfit(violations) => violations.clone(),
            Self::ShipmentExists | Self::PaymentExists => {
                let text = "is recorded otherwise, or reversed";
                vec![Violation::because(self.reason(), "external_id", text)]
            }
            Self::Cancelled | Self::ShipmentUnknown | Self::PaymentUnknown => Vec::new(),
        }
    }
}

/// Held by the account of a cancelled order, so that nothing is shipped or paid in the very moment
/// in which it is cancelled.
pub const CANCELLED: &str = "cancelled_order";

impl Aggregate for Order {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "order";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Ship { order, shipment } => ship(state, &order, shipment),
            Command::Pay { order, payment } => pay(state, &order, payment),
            Command::ReverseShipment {
                order,
                id,
                reason,
                at,
            } => {
                let fact = state.shipments.get(&id).ok_or(Rejection::ShipmentUnknown)?;
                let reversed = Event::ShipmentReversed(ShipmentReversed {
                    shipment_id: id,
                    order_id: order.id,
                    account_id: order.account_id,
                    reason: personal(&order, reason),
                    reversed_at: at,
                });
                Ok(if fact.stands {
                    vec![reversed]
                } else {
                    Vec::new()
                })
            }
            Command::ReversePayment {
                order,
                id,
                reason,
                at,
            } => {
                let fact = state.payments.get(&id).ok_or(Rejection::PaymentUnknown)?;
                let reversed = Event::PaymentReversed(PaymentReversed {
                    payment_id: id,
                    order_id: order.id,
                    account_id: order.account_id,
                    reason: personal(&order, reason),
                    reversed_at: at,
                });
                Ok(if fact.stands {
                    vec![reversed]
                } else {
                    Vec::new()
                })
            }
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::Shipped(shipped) => {
                let fact = Fact::of_shipment(shipped);
                state.shipments.insert(shipped.shipment_id, fact);
            }
            Event::ShipmentReversed(reversed) => {
                if let Some(fact) = state.shipments.get_mut(&reversed.shipment_id) {
                    fact.stands = false;
                }
            }
            Event::Paid(paid) => {
                let fact = Fact::of_payment(paid);
                state.payments.insert(paid.payment_id, fact);
            }
            Event::PaymentReversed(reversed) => {
                if let Some(fact) = state.payments.get_mut(&reversed.payment_id) {
                    fact.stands = false;
                }
            }
        }
        state
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        Some(match event {
            Event::Shipped(shipped) => shipped.shipped_at,
            Event::ShipmentReversed(reversed) => reversed.reversed_at,
            Event::Paid(paid) => paid.paid_at,
            Event::PaymentReversed(reversed) => reversed.reversed_at,
        })
    }

    /// What the outside world calls one payment is one payment, of whichever order.
    fn reservations(event: &Event) -> Vec<Reservation> {
        let stands = |order: OrderId| Reservation::Vacant {
            kind: CANCELLED,
            name: order.to_string(),
        };
        match event {
            Event::Shipped(shipped) => shipped
                .external_id
                .iter()
                .map(|name| Reservation::Take {
                    kind: "shipment",
                    name: name.clone(),
                })
                .chain([stands(shipped.order_id)])
                .collect(),
            Event::Paid(paid) => paid
                .external_id
                .iter()
                .map(|name| Reservation::Take {
                    kind: "payment",
                    name: name.clone(),
                })
                .chain([stands(paid.order_id)])
                .collect(),
            Event::ShipmentReversed(_) | Event::PaymentReversed(_) => Vec::new(),
        }
    }
}

fn ship(state: &State, order: &Ordered, shipment: Shipment) -> Result<Vec<Event>, Rejection> {
    let precision = shipment.precision;
    let shipped = Shipped {
        shipment_id: shipment.id,
        order_id: order.id,
        account_id: order.account_id,
        external_id: shipment.external_id,
        amount: shipment.amount,
        quantity: Some(shipment.quantity).filter(|text| !text.is_empty()),
        waybill: personal(order, shipment.waybill),
        note: personal(order, shipment.note),
        shipped_at: shipment.shipped_at,
    };
    if let Some(fact) = state.shipments.get(&shipped.shipment_id) {
        let already = fact.is_repeated_by(&Fact::of_shipment(&shipped), precision);
        return already.then(Vec::new).ok_or(Rejection::ShipmentExists);
    }
    let so_far = standing(state.shipments.values());
    check(order, shipped.amount.as_ref(), so_far, OVERSHIPPED)?;
    Ok(vec![Event::Shipped(shipped)])
}

fn pay(state: &State, order: &Ordered, payment: Payment) -> Result<Vec<Event>, Rejection> {
    let precision = payment.precision;
    let paid = Paid {
        payment_id: payment.id,
        order_id: order.id,
        account_id: order.account_id,
        external_id: payment.external_id,
        amount: payment.amount,
        reference: personal(order, payment.reference),
        note: personal(order, payment.note),
        paid_at: payment.paid_at,
    };
    if let Some(fact) = state.payments.get(&paid.payment_id) {
        let already = fact.is_repeated_by(&Fact::of_payment(&paid), precision);
        return already.then(Vec::new).ok_or(Rejection::PaymentExists);
    }
    let so_far = standing(state.payments.values());
    check(order, Some(&paid.amount), so_far, OVERPAID)?;
    Ok(vec![Event::Paid(paid)])
}

fn personal(order: &Ordered, text: String) -> Option<Personal<String>> {
    (!text.is_empty()).then(|| Personal::new(deal::subject(order.account_id), text))
}

fn standing<'a>(facts: impl Iterator<Item = &'a Fact>) -> i64 {
    let standing = facts.filter(|fact| fact.stands);
    let amounts = standing.filter_map(|fact| fact.amount.as_ref());
    amounts.fold(0, |sum, amount| sum.saturating_add(amount.minor_units))
}

type Excess = (&'static str, &'static str);
const OVERPAID: Excess = ("OVERPAID", "is more than what is left to pay");
const OVERSHIPPED: Excess = ("OVERSHIPPED", "is more than what is left to ship");

/// In the currency of the order, and no more than it comes to.
fn check(
    order: &Ordered,
    amount: Option<&Money>,
    so_far: i64,
    (reason, excess): Excess,
) -> Result<(), Rejection> {
    if order.cancelled {
        return Err(Rejection::Cancelled);
    }
    let Some(amount) = amount else {
        return Ok(());
    };
    let fault = if amount.currency != order.amount.currency {
        let text = "must be the currency of the order";
        Violation::because("OTHER_CURRENCY", "amount.currency", text)
    } else if amount.minor_units == 0 {
        Violation::new("amount", "must not be zero")
    } else if amount.minor_units > order.amount.minor_units.saturating_sub(so_far) {
        Violation::because(reason, "amount", excess)
    } else {
        return Ok(());
    };
    Err(Rejection::Unfit(vec![fault]))
}

#[cfg(test)]
mod tests;
