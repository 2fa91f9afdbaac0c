//! Orders and what becomes of them: shipped, paid, given back; by hand and from files.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CancelOrderRequest, GetAccountRequest, GetOrderRequest, GetOrderResponse,
        ImportOrdersRequest, ImportPaymentsRequest, ListOrdersRequest, OrderChannel, OrderRow,
        OrderStanding, PaymentRow, PaymentState, RecordPaymentRequest, RecordShipmentRequest,
        RegisterOrderRequest, ReversePaymentRequest, ReverseShipmentRequest,
    },
    common::{Money, PageRequest, Period, RowResult, row_result::Outcome},
    log::ReadEventsRequest,
};
use tests::{
    background::{Background, fields, import, instant, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};

const NOW: &str = "2026-05-12T09:00:00+03:00";
const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1001,ООО «Вектор»,+7 900 000-01-15,s-12
acc-1002,ООО «Гамма»,+7 900 000-01-16,s-12
acc-1003,ЗАО «Дельта»,+7 900 000-01-17,s-21
";

fn rub(minor_units: i64) -> Money {
    Money {
        minor_units,
        currency: "RUB".to_owned(),
    }
}

fn order(account_id: &str, external_id: &str, minor_units: i64, at: &str) -> RegisterOrderRequest {
    RegisterOrderRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        external_id: external_id.to_owned(),
        amount: Some(rub(minor_units)),
        ordered_at: Some(instant(at)),
        channel: OrderChannel::Phone.into(),
    }
}

async fn register(client: &Client, request: RegisterOrderRequest) -> Result<String, Status> {
    let answer = client.accounts().register_order(request).await?;
    Ok(answer.into_inner().order_id)
}

fn payment(order_id: &str, external_id: &str, minor_units: i64) -> RecordPaymentRequest {
    RecordPaymentRequest {
        request_id: request_id(),
        order_id: order_id.to_owned(),
        external_id: external_id.to_owned(),
        amount: Some(rub(minor_units)),
        reference: "п/п 77".to_owned(),
        ..RecordPaymentRequest::default()
    }
}

async fn pay(client: &Client, request: RecordPaymentRequest) -> Result<String, Status> {
    let answer = client.orders().record_payment(request).await?;
    Ok(answer.into_inner().payment_id)
}

async fn get(office: &Background, client: &Client, id: &str) -> anyhow::Result<GetOrderResponse> {
    let request = GetOrderRequest {
        order_id: id.to_owned(),
        min_positions: vec![office.head("accounts").await?],
    };
    Ok(client.orders().get_order(request).await?.into_inner())
}

/// Shipped, paid, outstanding.
fn sums(standing: Option<&OrderStanding>) -> [i64; 3] {
    let units = |money: Option<&Money>| money.map_or(-1, |money| money.minor_units);
    standing.map_or([-1; 3], |one| {
        [&one.shipped, &one.paid, &one.outstanding].map(|money| units(money.as_ref()))
    })
}

/// The external ids of a list, page by page.
async fn listed(client: &Client, request: ListOrdersRequest) -> Result<Vec<String>, Status> {
    let mut found = Vec::new();
    let mut page = PageRequest {
        size: 2,
        ..PageRequest::default()
    };
    loop {
        let request = ListOrdersRequest {
            page: Some(page.clone()),
            ..request.clone()
        };
        let answer = client.orders().list_orders(request).await?.into_inner();
        let orders = answer.orders.into_iter().filter_map(|one| one.order);
        found.extend(orders.map(|one| one.external_id));
        page.token = answer.next_page_token;
        if page.token.is_empty() {
            return Ok(found);
        }
    }
}

/// T-022: an order taken by phone is shipped and paid in parts, and what is wrong is put right by
/// further facts.
#[tokio::test]
async fn an_order_is_shipped_and_paid() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-01", "accounts", ACCOUNTS)?;
    let smirnova = office.client("s-12")?;
    let account = office.account("acc-1001").await?;
    let made = order(&account, "З-0001", 18_000_000, "2026-05-05T14:00:00+03:00");
    let id = register(&smirnova, made).await?;

    let first = pay(&smirnova, payment(&id, "П-1", 8_000_000)).await?;
    // The same again is the same, under its external id and under its request id.
    ensure!(pay(&smirnova, payment(&id, "П-1", 8_000_000)).await? == first);
    let nameless = payment(&id, "", 2_000_000);
    let second = pay(&smirnova, nameless.clone()).await?;
    ensure!(pay(&smirnova, nameless).await? == second);
    let shipment = RecordShipmentRequest {
        request_id: request_id(),
        order_id: id.clone(),
        amount: Some(rub(9_000_000)),
        quantity: "12 т".to_owned(),
        waybill: "ТН-15".to_owned(),
        note: "на объект".to_owned(),
        shipped_at: Some(instant("2026-05-06T10:00:00+03:00")),
        ..RecordShipmentRequest::default()
    };
    let answer = smirnova.orders().record_shipment(shipment.clone()).await?;
    let shipment_id = answer.into_inner().shipment_id;
    let standing = get(&office, &smirnova, &id).await?;
    ensure!(sums(standing.standing.as_ref()) == [9_000_000, 10_000_000, 8_000_000]);
    ensure!(standing.payments.len() == 2 && standing.shipments.len() == 1);
    ensure!(standing.shipments[0].waybill == "ТН-15" && standing.shipments[0].note == "на объект");
    let taken = standing
        .standing
        .and_then(|one| one.order)
        .context("an order")?;
    ensure!(taken.channel() == OrderChannel::Phone && taken.external_id == "З-0001");

    // More than is left, another currency, nothing at all; of goods likewise.
    let refused = pay(&smirnova, payment(&id, "П-3", 8_000_001)).await;
    let refused = refused.err().context("overpaid")?;
    ensure!(reason(&refused) == "OVERPAID" && fields(&refused) == ["amount"]);
    let mut foreign = payment(&id, "П-3", 1);
    foreign.amount = Some(Money {
        currency: "EUR".to_owned(),
        ..rub(1)
    });
    let refused = pay(&smirnova, foreign).await.err().context("in euros")?;
    ensure!(reason(&refused) == "OTHER_CURRENCY" && fields(&refused) == ["amount.currency"]);
    let again = RecordShipmentRequest {
        request_id: request_id(),
        amount: Some(rub(9_000_001)),
        ..shipment.clone()
    };
    let refused = smirnova.orders().record_shipment(again).await;
    let refused = refused.err().context("overshipped")?;
    ensure!(reason(&refused) == "OVERSHIPPED" && fields(&refused) == ["amount"]);
    let nothing = RecordShipmentRequest {
        order_id: id.clone(),
        ..RecordShipmentRequest::default()
    };
    let refused = smirnova.orders().record_shipment(nothing).await;
    ensure!(fields(&refused.err().context("nothing")?) == ["amount"]);

    // The bank sent one payment back, and the goods were faulty.
    let back = ReversePaymentRequest {
        request_id: request_id(),
        order_id: id.clone(),
        payment_id: first.clone(),
        reason: "возврат банка".to_owned(),
        ..ReversePaymentRequest::default()
    };
    smirnova.orders().reverse_payment(back.clone()).await?;
    smirnova.orders().reverse_payment(back).await?;
    let back = ReverseShipmentRequest {
        request_id: request_id(),
        order_id: id.clone(),
        shipment_id: shipment_id.clone(),
        reason: "брак".to_owned(),
        ..ReverseShipmentRequest::default()
    };
    smirnova.orders().reverse_shipment(back).await?;
    let standing = get(&office, &smirnova, &id).await?;
    ensure!(sums(standing.standing.as_ref()) == [0, 2_000_000, 16_000_000]);
    ensure!(standing.payments.len() == 2, "nothing is taken out");
    let reversed = standing.payments.iter().find(|one| one.id == first);
    ensure!(reversed.context("the first")?.reversal_reason == "возврат банка");
    let none = ReversePaymentRequest {
        request_id: request_id(),
        order_id: id.clone(),
        payment_id: request_id(),
        reason: "ошибка".to_owned(),
        ..ReversePaymentRequest::default()
    };
    let refused = smirnova.orders().reverse_payment(none).await;
    ensure!(refused.err().context("no such payment")?.code() == Code::NotFound);

    // Nothing more for a cancelled order, but the money goes back.
    let cancel = CancelOrderRequest {
        request_id: request_id(),
        account_id: account,
        order_id: id.clone(),
        reason: "передумали".to_owned(),
    };
    smirnova.accounts().cancel_order(cancel).await?;
    let refused = pay(&smirnova, payment(&id, "П-4", 1)).await;
    ensure!(reason(&refused.err().context("paid")?) == "ORDER_CANCELLED");
    let again = RecordShipmentRequest {
        request_id: request_id(),
        ..shipment
    };
    let refused = smirnova.orders().record_shipment(again).await;
    ensure!(reason(&refused.err().context("shipped")?) == "ORDER_CANCELLED");
    let back = ReversePaymentRequest {
        request_id: request_id(),
        order_id: id.clone(),
        payment_id: second,
        reason: "заказ отменён".to_owned(),
        ..ReversePaymentRequest::default()
    };
    smirnova.orders().reverse_payment(back).await?;
    let standing = get(&office, &smirnova, &id).await?;
    ensure!(sums(standing.standing.as_ref()) == [0, 0, 0]);

    // A stranger's order is not there.
    let nikitin = office.client("s-21")?;
    let request = GetOrderRequest {
        order_id: id.clone(),
        ..GetOrderRequest::default()
    };
    let refused = nikitin.orders().get_order(request).await;
    ensure!(refused.err().context("seen")?.code() == Code::NotFound);
    let refused = pay(&nikitin, payment(&id, "П-5", 1)).await;
    ensure!(refused.err().context("paid")?.code() == Code::NotFound);
    Ok(())
}

/// T-022: orders and payments from files, in whichever order and however often.
#[tokio::test]
async fn payments_come_from_files() -> anyhow::Result<()> {
    const ORDERS: &str = "external_id,account,amount,currency,ordered_at
З-1,acc-1001,1000.00,RUB,2026-05-04
З-2,acc-1001,2000.00,RUB,2026-05-05
З-3,acc-1002,3000.00,RUB,2026-05-06
З-4,acc-1003,4000.00,RUB,2026-05-07
З-5,acc-1003,5000.00,USD,2026-05-08
";
    const PAYMENTS: &str = "external_id,order,amount,currency,paid_at,reference
П-1,З-1,\"600,00\",,2026-05-06,п/п 1
П-2,З-1,400.00,RUB,2026-05-07,п/п 2
П-3,З-2,2000.00,RUB,2026-05-08,п/п 3
П-4,З-5,10.00,,2026-05-09,п/п 4
";
    const SHIPMENTS: &str = "external_id,order,shipped_at,amount,quantity,waybill
О-1,З-1,2026-05-06,1000.00,10 т,ТН-1
О-2,З-3,2026-05-07,,5 т,ТН-2
";
    let office = Background::start(NOW).await?;
    import(&office.office, "s-01", "accounts", ACCOUNTS)?;
    import(&office.office, "s-01", "orders", ORDERS)?;
    let admin = office.client("s-01")?;
    let before = office.head("accounts").await?;
    let row = |row, external_id: &str, order: &str, amount: &str| PaymentRow {
        row,
        external_id: external_id.to_owned(),
        order: order.to_owned(),
        amount: amount.to_owned(),
        paid_at: "2026-05-09".to_owned(),
        ..PaymentRow::default()
    };
    // Each of these has its own fate, and a dry run says the same and records nothing.
    let mut request = ImportPaymentsRequest {
        rows: vec![
            row(1, "П-10", "З-4", "1500,00"),
            row(2, "П-10", "З-4", "1500.00"),
            row(3, "П-10", "З-2", "1.00"),
            row(4, "П-11", "З-4", "2500.01"),
            row(5, "П-12", "З-9", "1.00"),
            PaymentRow {
                currency: "EUR".to_owned(),
                ..row(6, "П-13", "З-4", "1.00")
            },
            row(7, "П-14", "З-4", "1.005"),
            row(8, "П-15", "З-4", "2500.00"),
        ],
        dry_run: true,
    };
    let mut said = Vec::new();
    for dry_run in [true, false] {
        ensure!(
            office.head("accounts").await? == before,
            "a dry run records"
        );
        request.dry_run = dry_run;
        let answer = admin.orders().import_payments(request.clone()).await?;
        said.push(told(&answer.into_inner().results));
    }
    let expected = [
        (1, Outcome::Created, ""),
        (2, Outcome::Repeated, ""),
        (3, Outcome::Rejected, "external_id TAKEN"),
        (4, Outcome::Rejected, "amount OVERPAID"),
        (5, Outcome::Rejected, "order INVALID"),
        (6, Outcome::Rejected, "amount.currency OTHER_CURRENCY"),
        (7, Outcome::Rejected, "amount INVALID"),
        (8, Outcome::Created, ""),
    ];
    let expected = expected.map(|(row, outcome, fault)| (row, outcome, fault.to_owned()));
    ensure!(said == [expected.clone(), expected], "{said:?}");

    import(&office.office, "s-01", "shipments", SHIPMENTS)?;
    import(&office.office, "s-01", "payments", PAYMENTS)?;
    let recorded = office.head("accounts").await?;
    import(&office.office, "s-01", "payments", PAYMENTS)?;
    import(&office.office, "s-01", "shipments", SHIPMENTS)?;
    ensure!(office.head("accounts").await? == recorded, "twice is once");

    let min_positions = vec![recorded];
    let all = ListOrdersRequest {
        min_positions,
        ..ListOrdersRequest::default()
    };
    ensure!(listed(&admin, all.clone()).await? == ["З-5", "З-4", "З-3", "З-2", "З-1"]);
    let paid = |payment: PaymentState| ListOrdersRequest {
        payment: payment.into(),
        ..all.clone()
    };
    ensure!(listed(&admin, paid(PaymentState::Paid)).await? == ["З-4", "З-2", "З-1"]);
    ensure!(listed(&admin, paid(PaymentState::Unpaid)).await? == ["З-5", "З-3"]);
    let smirnova = office.client("s-12")?;
    ensure!(listed(&smirnova, all.clone()).await? == ["З-3", "З-2", "З-1"]);
    ensure!(listed(&smirnova, paid(PaymentState::Unpaid)).await? == ["З-3"]);
    let of_account = ListOrdersRequest {
        account_id: office.account("acc-1001").await?,
        period: Some(Period {
            from: "2026-05-05".to_owned(),
            to: "2026-05-06".to_owned(),
        }),
        ..all.clone()
    };
    ensure!(listed(&smirnova, of_account.clone()).await? == ["З-2"]);
    let nikitin = office.client("s-21")?;
    let hidden = listed(&nikitin, of_account).await.err();
    ensure!(hidden.context("seen")?.code() == Code::NotFound);

    // The card knows how they came.
    let request = GetAccountRequest {
        account_id: office.account("acc-1003").await?,
        ..GetAccountRequest::default()
    };
    let card = nikitin.accounts().get_account(request).await?.into_inner();
    let orders = card.account.context("a card")?.orders;
    ensure!(orders.len() == 2);
    ensure!(
        orders
            .iter()
            .all(|one| one.channel() == OrderChannel::Import)
    );
    Ok(())
}

/// Row, outcome, and what the first fault is about.
fn told(results: &[RowResult]) -> Vec<(i64, Outcome, String)> {
    let fate = |result: &RowResult| {
        let fault = result.violations.first();
        let fault = fault.map(|one| format!("{} {}", one.field, one.reason));
        (result.row, result.outcome(), fault.unwrap_or_default())
    };
    results.iter().map(fate).collect()
}

/// T-022: under a known external id the same is the same, and nothing else is taken for it: neither
/// by hand nor from a file, and not what was cancelled or reversed.
#[tokio::test]
async fn a_known_number_is_no_other_order() -> anyhow::Result<()> {
    const DAY: &str = "2026-05-05T14:00:00+03:00";
    let office = Background::start(NOW).await?;
    import(&office.office, "s-01", "accounts", ACCOUNTS)?;
    let smirnova = office.client("s-12")?;
    let account = office.account("acc-1001").await?;
    let wrong = || order(&account, "З-0001", 81_000_000, DAY);
    let id = register(&smirnova, wrong()).await?;
    let standing = order(&account, "З-0002", 100, DAY);
    let other_id = register(&smirnova, standing.clone()).await?;
    let paid = pay(&smirnova, payment(&other_id, "П-1", 60)).await?;
    let shipment = RecordShipmentRequest {
        order_id: other_id.clone(),
        external_id: "О-1".to_owned(),
        quantity: "12 т".to_owned(),
        waybill: "ТН-15".to_owned(),
        shipped_at: Some(instant(DAY)),
        ..RecordShipmentRequest::default()
    };
    let ship = async |shipment: RecordShipmentRequest| {
        let request = RecordShipmentRequest {
            request_id: request_id(),
            ..shipment
        };
        let answer = smirnova.orders().record_shipment(request).await?;
        Ok::<_, Status>(answer.into_inner().shipment_id)
    };
    let shipped = ship(shipment.clone()).await?;

    let before = office.head("accounts").await?;
    ensure!(register(&smirnova, wrong()).await? == id);
    let undated = RegisterOrderRequest {
        ordered_at: None,
        channel: OrderChannel::Other.into(),
        ..wrong()
    };
    ensure!(register(&smirnova, undated).await? == id);
    ensure!(pay(&smirnova, payment(&other_id, "П-1", 60)).await? == paid);
    ensure!(ship(shipment.clone()).await? == shipped);

    // Another sum, another day, another waybill.
    let exists = |refused: Result<String, Status>| -> anyhow::Result<String> {
        let refused = refused.err().context("it was taken")?;
        ensure!(refused.code() == Code::AlreadyExists, "{refused:?}");
        Ok(reason(&refused))
    };
    let right = || order(&account, "З-0001", 18_000_000, DAY);
    ensure!(exists(register(&smirnova, right()).await)? == "ORDER_EXISTS");
    let later = order(&account, "З-0001", 81_000_000, "2026-05-06T14:00:00+03:00");
    ensure!(exists(register(&smirnova, later).await)? == "ORDER_EXISTS");
    let refused = pay(&smirnova, payment(&other_id, "П-1", 40)).await;
    ensure!(exists(refused)? == "PAYMENT_EXISTS");
    let corrected = RecordShipmentRequest {
        waybill: "ТН-51".to_owned(),
        ..shipment.clone()
    };
    ensure!(exists(ship(corrected).await)? == "SHIPMENT_EXISTS");
    ensure!(
        office.head("accounts").await? == before,
        "it added something"
    );

    // Cancelled and reversed, they do not come back under their numbers.
    let cancel = CancelOrderRequest {
        request_id: request_id(),
        account_id: account.clone(),
        order_id: id.clone(),
        reason: "неверная сумма".to_owned(),
    };
    smirnova.accounts().cancel_order(cancel).await?;
    let back = ReversePaymentRequest {
        request_id: request_id(),
        order_id: other_id.clone(),
        payment_id: paid,
        reason: "ошибка".to_owned(),
        ..ReversePaymentRequest::default()
    };
    smirnova.orders().reverse_payment(back).await?;
    let back = ReverseShipmentRequest {
        request_id: request_id(),
        order_id: other_id.clone(),
        shipment_id: shipped,
        reason: "ошибка".to_owned(),
        ..ReverseShipmentRequest::default()
    };
    smirnova.orders().reverse_shipment(back).await?;
    let before = office.head("accounts").await?;
    for again in [wrong(), right()] {
        ensure!(exists(register(&smirnova, again).await)? == "ORDER_EXISTS");
    }
    let refused = pay(&smirnova, payment(&other_id, "П-1", 60)).await;
    ensure!(exists(refused)? == "PAYMENT_EXISTS");
    ensure!(exists(ship(shipment).await)? == "SHIPMENT_EXISTS");

    // Of files likewise; of an order by phone they know the day.
    let row = |row, external_id: &str, amount: &str, ordered_at: &str| OrderRow {
        row,
        external_id: external_id.to_owned(),
        account: "acc-1001".to_owned(),
        amount: amount.to_owned(),
        currency: "RUB".to_owned(),
        ordered_at: ordered_at.to_owned(),
        ..OrderRow::default()
    };
    let mut request = ImportOrdersRequest {
        rows: vec![
            row(1, "З-0001", "810000.00", "2026-05-05"),
            row(2, "З-0002", "1.00", "05.05.2026"),
            row(3, "З-0002", "1.01", "05.05.2026"),
            row(4, "З-0002", "1.00", "04.05.2026"),
            row(5, "З-0003", "7.00", "06.05.2026"),
            row(6, "З-0003", "7.00", "06.05.2026"),
            row(7, "З-0003", "8.00", "06.05.2026"),
        ],
        dry_run: true,
    };
    let exists = || "external_id ORDER_EXISTS".to_owned();
    let expected = [
        (1, Outcome::Rejected, exists()),
        (2, Outcome::Repeated, String::new()),
        (3, Outcome::Rejected, exists()),
        (4, Outcome::Rejected, exists()),
        (5, Outcome::Created, String::new()),
        (6, Outcome::Repeated, String::new()),
        (7, Outcome::Rejected, exists()),
    ];
    for dry_run in [true, false] {
        ensure!(
            office.head("accounts").await? == before,
            "it added something"
        );
        request.dry_run = dry_run;
        let answer = smirnova.accounts().import_orders(request.clone()).await?;
        let results = told(&answer.into_inner().results);
        ensure!(results == expected, "{results:?}");
    }
    let mut request = ImportPaymentsRequest {
        rows: vec![PaymentRow {
            row: 1,
            external_id: "П-1".to_owned(),
            order: "З-0002".to_owned(),
            amount: "0.60".to_owned(),
            paid_at: "2026-05-12".to_owned(),
            ..PaymentRow::default()
        }],
        dry_run: true,
    };
    for dry_run in [true, false] {
        request.dry_run = dry_run;
        let answer = smirnova.orders().import_payments(request.clone()).await?;
        let results = told(&answer.into_inner().results);
        let reversed = "external_id PAYMENT_EXISTS".to_owned();
        ensure!(results == [(1, Outcome::Rejected, reversed)], "{results:?}");
    }
    Ok(())
}

/// T-022: an order is cancelled and paid in the same instant: either it was paid before, or it is
/// not paid.
#[tokio::test]
async fn nothing_is_paid_for_what_is_being_cancelled() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-01", "accounts", ACCOUNTS)?;
    let smirnova = office.client("s-12")?;
    let account_id = office.account("acc-1001").await?;
    let mut acknowledged = 0;
    for number in 0..20 {
        let external_id = format!("З-{number}");
        let made = order(&account_id, &external_id, 100, "2026-05-05T14:00:00+03:00");
        let id = register(&smirnova, made).await?;
        let cancel = CancelOrderRequest {
            request_id: request_id(),
            account_id: account_id.clone(),
            order_id: id.clone(),
            reason: "передумали".to_owned(),
        };
        let mut accounts = smirnova.accounts();
        let (paid, cancelled) = tokio::join!(
            pay(&smirnova, payment(&id, "", 100)),
            accounts.cancel_order(cancel)
        );
        cancelled?;
        match paid {
            Ok(_) => acknowledged += 1,
            Err(refused) => ensure!(reason(&refused) == "ORDER_CANCELLED", "{refused:?}"),
        }
    }
    // Whatever was answered: the log has no payment behind the cancellation.
    let request = ReadEventsRequest {
        service: "accounts".to_owned(),
        after_position: 0,
        limit: 5_000,
    };
    let events = office.admin.log("accounts").read_events(request).await?;
    let (mut cancelled, mut paid) = (BTreeSet::new(), 0);
    for event in events.into_inner().events {
        let payload: serde_json::Value = serde_json::from_slice(&event.payload)?;
        let order = payload["order_id"].as_str().unwrap_or_default().to_owned();
        match event.r#type.as_str() {
            "account.order_cancelled" => drop(cancelled.insert(order)),
            "order.paid" => {
                ensure!(!cancelled.contains(&order), "{order} was paid too late");
                paid += 1;
            }
            _ => {}
        }
    }
    println!("{paid} of {} were paid before", cancelled.len());
    ensure!(cancelled.len() == 20 && paid == acknowledged);
    Ok(())
}
