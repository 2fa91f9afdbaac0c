use es::spec::given;

use super::*;

fn at(day: u32) -> DateTime<Utc> {
    format!("2026-05-{day:02}T11:00:00Z").parse().unwrap()
}

fn rub(minor_units: i64) -> Money {
    Money::try_new(minor_units, "RUB").unwrap()
}

fn order() -> Ordered {
    Ordered {
        id: OrderId::of_external("З-0001"),
        account_id: AccountId::of_external("acc-1001"),
        amount: rub(18_000_000),
        cancelled: false,
    }
}

fn cancelled() -> Ordered {
    Ordered {
        cancelled: true,
        ..order()
    }
}

fn payment(external_id: &str, minor_units: i64) -> Payment {
    Payment {
        id: PaymentId::of_external(external_id),
        external_id: Some(external_id.to_owned()),
        amount: rub(minor_units),
        reference: "п/п 77".to_owned(),
        note: String::new(),
        paid_at: at(6),
        precision: Precision::Instant,
    }
}

fn pay(payment: Payment) -> Command {
    Command::Pay {
        order: order(),
        payment,
    }
}

fn paid(payment: &Payment) -> Event {
    Event::Paid(Paid {
        payment_id: payment.id,
        order_id: order().id,
        account_id: order().account_id,
        external_id: payment.external_id.clone(),
        amount: payment.amount.clone(),
        reference: Some(Personal::new(
            deal::subject(order().account_id),
            payment.reference.clone(),
        )),
        note: None,
        paid_at: payment.paid_at,
    })
}

fn reverse(external_id: &str) -> Command {
    Command::ReversePayment {
        order: cancelled(),
        id: PaymentId::of_external(external_id),
        reason: "возврат".to_owned(),
        at: at(9),
    }
}

fn reversed(external_id: &str) -> Event {
    Event::PaymentReversed(PaymentReversed {
        payment_id: PaymentId::of_external(external_id),
        order_id: order().id,
        account_id: order().account_id,
        reason: Some(Personal::new(
            deal::subject(order().account_id),
            "возврат".to_owned(),
        )),
        reversed_at: at(9),
    })
}

fn unfit(reason: &'static str, field: &str, text: &str) -> Rejection {
    Rejection::Unfit(vec![Violation::because(reason, field, text)])
}

#[test]
fn an_order_is_paid_in_parts_and_never_twice() {
    let (first, rest) = (payment("П-1", 8_000_000), payment("П-2", 10_000_000));
    given::<Order>([])
        .when(pay(first.clone()))
        .then([paid(&first)]);
    given::<Order>([paid(&first)])
        .when(pay(first.clone()))
        .then_nothing();
    given::<Order>([paid(&first)])
        .when(pay(rest.clone()))
        .then([paid(&rest)]);
    given::<Order>([paid(&first)])
        .when(pay(payment("П-2", 10_000_001)))
        .then_rejected(unfit(
            "OVERPAID",
            "amount",
            "is more than what is left to pay",
        ));
}

#[test]
fn another_payment_under_a_known_number_is_refused() {
    let first = payment("П-1", 8_000_000);
    let Event::Paid(known) = paid(&first) else {
        unreachable!("a payment")
    };
    let forgotten = Event::Paid(Paid {
        reference: Some(Personal::Erased {
            subject: deal::subject(order().account_id),
        }),
        ..known
    });
    let wordless = Payment {
        reference: String::new(),
        paid_at: at(9),
        precision: Precision::Unsaid,
        ..first.clone()
    };
    for (recorded, same) in [
        (paid(&first), wordless),
        (forgotten, first.clone()),
        (
            paid(&first),
            Payment {
                paid_at: at(6) - chrono::TimeDelta::hours(14),
                precision: Precision::Day,
                ..first.clone()
            },
        ),
    ] {
        given::<Order>([recorded]).when(pay(same)).then_nothing();
    }
    for other in [
        payment("П-1", 8_000_001),
        Payment {
            reference: "п/п 78".to_owned(),
            ..first.clone()
        },
        Payment {
            note: "частично".to_owned(),
            ..first.clone()
        },
        Payment {
            paid_at: at(5),
            ..first.clone()
        },
    ] {
        given::<Order>([paid(&first)])
            .when(pay(other))
            .then_rejected(Rejection::PaymentExists);
    }
}

#[test]
fn money_is_that_of_the_order() {
    let foreign = Payment {
        amount: Money::try_new(1, "EUR").unwrap(),
        ..payment("П-1", 0)
    };
    given::<Order>([]).when(pay(foreign)).then_rejected(unfit(
        "OTHER_CURRENCY",
        "amount.currency",
        "must be the currency of the order",
    ));
    given::<Order>([])
        .when(pay(payment("П-1", 0)))
        .then_rejected(unfit(Violation::INVALID, "amount", "must not be zero"));
    given::<Order>([])
        .when(Command::Pay {
            order: cancelled(),
            payment: payment("П-1", 1),
        })
        .then_rejected(Rejection::Cancelled);
}

#[test]
fn a_reversed_payment_counts_no_more() {
    let (first, again) = (payment("П-1", 18_000_000), payment("П-2", 18_000_000));
    given::<Order>([paid(&first)])
        .when(reverse("П-1"))
        .then([reversed("П-1")]);
    given::<Order>([paid(&first), reversed("П-1")])
        .when(reverse("П-1"))
        .then_nothing();
    given::<Order>([paid(&first), reversed("П-1")])
        .when(pay(again.clone()))
        .then([paid(&again)]);
    // What was reversed does not come back by repeating it.
    given::<Order>([paid(&first), reversed("П-1")])
        .when(pay(first))
        .then_rejected(Rejection::PaymentExists);
    given::<Order>([])
        .when(reverse("П-1"))
        .then_rejected(Rejection::PaymentUnknown);
}

#[test]
fn money_goes_back_without_words_too() {
    let first = payment("П-1", 18_000_000);
    let wordless = Command::ReversePayment {
        order: order(),
        id: first.id,
        reason: String::new(),
        at: at(9),
    };
    let reversed = Event::PaymentReversed(PaymentReversed {
        payment_id: first.id,
        order_id: order().id,
        account_id: order().account_id,
        reason: None,
        reversed_at: at(9),
    });
    given::<Order>([paid(&first)])
        .when(wordless)
        .then([reversed]);
}

#[test]
fn goods_may_leave_without_an_amount() {
    let shipment = |id: &str, amount| Shipment {
        id: ShipmentId::of_external(id),
        external_id: None,
        amount,
        quantity: "12 т".to_owned(),
        waybill: String::new(),
        note: String::new(),
        shipped_at: at(6),
        precision: Precision::Instant,
    };
    let ship = |shipment| Command::Ship {
        order: order(),
        shipment,
    };
    let shipped = |id: &str, amount| {
        Event::Shipped(Shipped {
            shipment_id: ShipmentId::of_external(id),
            order_id: order().id,
            account_id: order().account_id,
            external_id: None,
            amount,
            quantity: Some("12 т".to_owned()),
            waybill: None,
            note: None,
            shipped_at: at(6),
        })
    };
    given::<Order>([shipped("О-1", Some(rub(18_000_000)))])
        .when(ship(shipment("О-2", None)))
        .then([shipped("О-2", None)]);
    let first = || shipped("О-1", Some(rub(9_000_000)));
    for same in [None, Some(rub(9_000_000))] {
        given::<Order>([first()])
            .when(ship(shipment("О-1", same)))
            .then_nothing();
    }
    given::<Order>([first()])
        .when(ship(shipment("О-1", Some(rub(1)))))
        .then_rejected(Rejection::ShipmentExists);
    given::<Order>([shipped("О-1", Some(rub(18_000_000)))])
        .when(ship(shipment("О-2", Some(rub(1)))))
        .then_rejected(unfit(
            "OVERSHIPPED",
            "amount",
            "is more than what is left to ship",
        ));
}
