//! The laws, for what became of orders and for documents.

use accounts_domain::{
    document::Document,
    order::{Command, Event, Order, Ordered, Payment, Shipment},
};
use es::Aggregate;
use proptest::{collection::vec, option, prelude::*, sample::select};
use vocabulary::{AccountId, Money, OrderId, PaymentId, ShipmentId};

use crate::{
    deal_laws::version,
    laws::{check, instant, precision, text},
};

const AMOUNT: i64 = 1_000;

proptest! {
    #[test]
    fn orders_obey(commands in vec(command(), 0..20)) {
        check::<Order>(commands);
    }

    #[test]
    fn documents_obey(versions in vec(version(), 0..8)) {
        check::<Document>(versions);
    }

    /// Whatever is paid and given back, in whatever order.
    #[test]
    fn no_order_is_overpaid(commands in vec(command(), 0..40)) {
        let mut history = Vec::new();
        for command in commands {
            history.extend(Order::decide(&Order::fold(&history), command).unwrap_or_default());
            let reversed: Vec<_> = history.iter().filter_map(|event| match event {
                Event::PaymentReversed(reversed) => Some(reversed.payment_id),
                _ => None,
            }).collect();
            let paid: i64 = history.iter().filter_map(|event| match event {
                Event::Paid(paid) if !reversed.contains(&paid.payment_id) => {
                    Some(paid.amount.minor_units)
                }
                _ => None,
            }).sum();
            prop_assert!(paid <= AMOUNT);
        }
    }
}

fn money(minor_units: i64, currency: &str) -> Money {
    Money {
        minor_units,
        currency: currency.to_owned(),
    }
}

fn amount() -> impl Strategy<Value = Money> {
    (0..AMOUNT + 1, select(vec!["RUB", "RUB", "RUB", "EUR"]))
        .prop_map(|(minor_units, currency)| money(minor_units, currency))
}

fn order() -> impl Strategy<Value = Ordered> {
    select(vec![false, false, false, true]).prop_map(|cancelled| Ordered {
        id: OrderId::of_external("o-1"),
        account_id: AccountId::of_external("acc-1001"),
        amount: money(AMOUNT, "RUB"),
        cancelled,
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["1", "2", "3", "4"])
}

fn command() -> impl Strategy<Value = Command> {
    let payment = (name(), amount(), text(), instant(), precision());
    let payment = payment.prop_map(|(name, amount, reference, paid_at, precision)| Payment {
        id: PaymentId::of_external(name),
        external_id: Some(name.to_owned()),
        amount,
        reference,
        note: String::new(),
        paid_at,
        precision,
    });
    let shipment = (name(), option::of(amount()), text(), instant(), precision());
    let shipment = shipment.prop_map(|(name, amount, note, shipped_at, precision)| Shipment {
        id: ShipmentId::of_external(name),
        external_id: None,
        amount,
        quantity: String::new(),
        waybill: name.to_owned(),
        note,
        shipped_at,
        precision,
    });
    prop_oneof![
        3 => (order(), payment).prop_map(|(order, payment)| Command::Pay { order, payment }),
        3 => (order(), shipment).prop_map(|(order, shipment)| Command::Ship { order, shipment }),
        1 => (order(), name(), text(), instant()).prop_map(|(order, name, reason, at)| {
            let id = PaymentId::of_external(name);
            Command::ReversePayment { order, id, reason, at }
        }),
        1 => (order(), name(), text(), instant()).prop_map(|(order, name, reason, at)| {
            let id = ShipmentId::of_external(name);
            Command::ReverseShipment { order, id, reason, at }
        }),
    ]
}
