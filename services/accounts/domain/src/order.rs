//! What became of an order once it was made: what was shipped and what was paid. The order itself is
//! in the stream of its company, which decides about it. These facts have a stream for each order: a
//! company with thousands of orders must not read all of them to record one payment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Reservation, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Money, OrderId, PaymentId, ShipmentId};

use crate::deal;

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

#[derive(Debug, Clone, Copy, PartialEq)]
struct Fact {
    minor_units: i64,
    stands: bool,
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
}

#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub external_id: Option<String>,
    pub amount: Money,
    pub reference: String,
    pub note: String,
    pub paid_at: DateTime<Utc>,
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
    #[error("there is no such payment")]
    PaymentUnknown,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Cancelled => Kind::FailedPrecondition,
            Self::Unfit(_) => Kind::Invalid,
            Self::ShipmentUnknown | Self::PaymentUnknown => Kind::NotFound,
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
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Unfit(violations) => violations.clone(),
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
                let amount = shipped.amount.as_ref();
                let fact = Fact {
                    minor_units: amount.map_or(0, |amount| amount.minor_units),
                    stands: true,
                };
                state.shipments.insert(shipped.shipment_id, fact);
            }
            Event::ShipmentReversed(reversed) => {
                if let Some(fact) = state.shipments.get_mut(&reversed.shipment_id) {
                    fact.stands = false;
                }
            }
            Event::Paid(paid) => {
                let fact = Fact {
                    minor_units: paid.amount.minor_units,
                    stands: true,
                };
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
    if state.shipments.contains_key(&shipment.id) {
        return Ok(Vec::new());
    }
    let amount = shipment.amount;
    check(
        order,
        amount.as_ref(),
        standing(state.shipments.values()),
        OVERSHIPPED,
    )?;
    Ok(vec![Event::Shipped(Shipped {
        shipment_id: shipment.id,
        order_id: order.id,
        account_id: order.account_id,
        external_id: shipment.external_id,
        amount,
        quantity: Some(shipment.quantity).filter(|text| !text.is_empty()),
        waybill: personal(order, shipment.waybill),
        note: personal(order, shipment.note),
        shipped_at: shipment.shipped_at,
    })])
}

fn pay(state: &State, order: &Ordered, payment: Payment) -> Result<Vec<Event>, Rejection> {
    if state.payments.contains_key(&payment.id) {
        return Ok(Vec::new());
    }
    let paid = standing(state.payments.values());
    check(order, Some(&payment.amount), paid, OVERPAID)?;
    Ok(vec![Event::Paid(Paid {
        payment_id: payment.id,
        order_id: order.id,
        account_id: order.account_id,
        external_id: payment.external_id,
        amount: payment.amount,
        reference: personal(order, payment.reference),
        note: personal(order, payment.note),
        paid_at: payment.paid_at,
    })])
}

fn personal(order: &Ordered, text: String) -> Option<Personal<String>> {
    (!text.is_empty()).then(|| Personal::new(deal::subject(order.account_id), text))
}

fn standing<'a>(facts: impl Iterator<Item = &'a Fact>) -> i64 {
    let standing = facts.filter(|fact| fact.stands);
    standing.fold(0, |sum, fact| sum.saturating_add(fact.minor_units))
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
