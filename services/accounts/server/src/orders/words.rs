//! Between the messages of the contract and what is known of orders.

use accounts_domain::{account::Taken, precision::Precision};
use api::{accounts as pb, common::Money};
use kit::timestamp;
use prost_types::Timestamp;

use crate::{
    views::orders::{OrderRow, PaymentRow, ShipmentRow},
    wire::id_text,
};

/// How an order came; what nobody says is other.
pub(crate) fn taken(channel: i32) -> Option<Taken> {
    match pb::OrderChannel::try_from(channel) {
        Ok(pb::OrderChannel::Phone) => Some(Taken::Phone),
        Ok(pb::OrderChannel::Import) => Some(Taken::Import),
        Ok(pb::OrderChannel::Other | pb::OrderChannel::Unspecified) => Some(Taken::Other),
        Err(_) => None,
    }
}

/// A program that says when means it to the instant.
pub(crate) fn precision(given: Option<&Timestamp>) -> Precision {
    given.map_or(Precision::Unsaid, |_| Precision::Instant)
}

pub(crate) fn order(order: OrderRow) -> pb::Order {
    let channel = match order.taken {
        None => pb::OrderChannel::Unspecified,
        Some(Taken::Phone) => pb::OrderChannel::Phone,
        Some(Taken::Import) => pb::OrderChannel::Import,
        Some(Taken::Other) => pb::OrderChannel::Other,
    };
    pb::Order {
        id: order.order_id.to_string(),
        external_id: order.external_id.unwrap_or_default(),
        amount: Some(Money {
            minor_units: order.minor_units,
            currency: order.currency,
        }),
        ordered_at: Some(timestamp(order.ordered_at)),
        owner_id: id_text(order.owner_id),
        cancelled: order.cancelled,
        channel: channel.into(),
    }
}

pub(super) fn standing(row: OrderRow) -> pb::OrderStanding {
    let money = |minor_units| {
        Some(Money {
            minor_units,
            currency: row.currency.clone(),
        })
    };
    let outstanding = if row.cancelled {
        0
    } else {
        row.minor_units - row.paid
    };
    pb::OrderStanding {
        account_id: row.account_id.to_string(),
        shipped: money(row.shipped),
        paid: money(row.paid),
        outstanding: money(outstanding),
        order: Some(order(row)),
    }
}

pub(super) fn shipment(row: ShipmentRow) -> pb::Shipment {
    let amount = row.minor_units.zip(row.currency);
    pb::Shipment {
        id: row.shipment_id.to_string(),
        external_id: row.external_id.unwrap_or_default(),
        shipped_at: Some(timestamp(row.shipped_at)),
        amount: amount.map(|(minor_units, currency)| Money {
            minor_units,
            currency,
        }),
        quantity: row.quantity,
        waybill: row.waybill,
        note: row.note,
        reversed_at: row.reversed_at.map(timestamp),
        reversal_reason: row.reversal_reason.unwrap_or_default(),
    }
}

pub(super) fn payment(row: PaymentRow) -> pb::Payment {
    pb::Payment {
        id: row.payment_id.to_string(),
        external_id: row.external_id.unwrap_or_default(),
        paid_at: Some(timestamp(row.paid_at)),
        amount: Some(Money {
            minor_units: row.minor_units,
            currency: row.currency,
        }),
        reference: row.reference,
        note: row.note,
        reversed_at: row.reversed_at.map(timestamp),
        reversal_reason: row.reversal_reason.unwrap_or_default(),
    }
}
