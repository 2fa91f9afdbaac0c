//! S-11: conversion on the first order.

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CancelOrderRequest, GetAccountRequest, Lifecycle, ListAccountsRequest,
        RegisterOrderRequest, RegisterOrderResponse,
    },
    analytics::{GetScorecardRequest, ScorecardBy},
    common::{Money, Period},
    contacts::{GetTimelineRequest, ListContactPersonsRequest},
    planning::ListTasksRequest,
};
use tests::{
    background::{Background, import, request_id},
    client::Client,
};

const PROSPECTS: usize = 500;
const CLIENTS: usize = 120;
const PERSONS: &str = "external_id,account,name
pe-1,acc-1001,Ильин Константин Петрович
pe-2,acc-1001,Соколова Вера Андреевна
";
const TASKS: &str = "external_id,account,assignee,kind,due_at,comment
t-1,acc-1001,s-12,call,2026-05-06 10:00,Уточнить объём
t-2,acc-1001,s-12,meeting,2026-05-07 10:00,Подписать договор
";

fn accounts() -> (String, String) {
    let mut accounts = "external_id,name,phone,owner\n".to_owned();
    let mut orders = "external_id,account,amount,currency,ordered_at\n".to_owned();
    for number in 0..PROSPECTS {
        let id = 1_001 + number;
        let _ = writeln!(accounts, "acc-{id},Проспект {id},+7900110{number:04},s-12");
    }
    for number in 0..CLIENTS {
        let _ = writeln!(
            accounts,
            "c-{number},Клиент {number},+7900220{number:04},s-11"
        );
        let _ = writeln!(orders, "o-{number},c-{number},100.00,RUB,2026-02-01");
    }
    (accounts, orders)
}

/// Seven, of three authors.
fn interactions() -> String {
    let mut csv = "external_id,account,kind,outcome,occurred_at,author\n".to_owned();
    for number in 0..7 {
        let author = ["s-11", "s-12", "s-21"][number % 3];
        let _ = writeln!(
            csv,
            "i-{number},acc-1001,call,connected,2026-04-{:02} 10:00,{author}",
            number + 1
        );
    }
    csv
}

fn order(account_id: &str, external_id: &str) -> RegisterOrderRequest {
    RegisterOrderRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        external_id: external_id.to_owned(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    }
}

async fn register(
    client: &Client,
    order: RegisterOrderRequest,
) -> anyhow::Result<RegisterOrderResponse> {
    Ok(client.accounts().register_order(order).await?.into_inner())
}

/// Prospects and clients, as their two directories count them.
async fn directories(office: &Background) -> anyhow::Result<(i64, i64)> {
    let mut totals = Vec::new();
    for lifecycle in [Lifecycle::Prospect, Lifecycle::Client] {
        let request = ListAccountsRequest {
            lifecycle: lifecycle.into(),
            count: true,
            min_positions: vec![office.head("accounts").await?],
            ..ListAccountsRequest::default()
        };
        let answer = office
            .admin
            .accounts()
            .list_accounts(request)
            .await?
            .into_inner();
        ensure!(
            answer
                .accounts
                .iter()
                .all(|account| account.lifecycle() == lifecycle)
        );
        totals.push(answer.total);
    }
    Ok((totals[0], totals[1]))
}

/// Interactions, persons and open tasks of an account.
async fn history(client: &Client, account_id: &str) -> anyhow::Result<(i64, usize, i64)> {
    let request = GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    };
    let said = client
        .contacts()
        .get_timeline(request)
        .await?
        .into_inner()
        .total;
    let request = ListContactPersonsRequest {
        account_id: account_id.to_owned(),
        ..ListContactPersonsRequest::default()
    };
    let persons = client
        .contacts()
        .list_contact_persons(request)
        .await?
        .into_inner()
        .persons
        .len();
    let request = ListTasksRequest {
        account_id: account_id.to_owned(),
        only_open: true,
        ..ListTasksRequest::default()
    };
    let tasks = client
        .planning()
        .list_tasks(request)
        .await?
        .into_inner()
        .total;
    Ok((said, persons, tasks))
}

async fn count(office: &Background, event_type: &str) -> anyhow::Result<usize> {
    let events = office.events("accounts").await?;
    Ok(events.iter().filter(|(of, _)| of == event_type).count())
}

/// S-11: conversion on the first order (T-001, T-002).
#[tokio::test]
async fn s11_conversion_on_the_first_order() -> anyhow::Result<()> {
    let office = Background::start("2026-05-05T14:00:00+03:00").await?;
    let (accounts, orders) = accounts();
    for (kind, csv) in [
        ("accounts", accounts.as_str()),
        ("orders", &orders),
        ("persons", PERSONS),
        ("interactions", &interactions()),
        ("tasks", TASKS),
    ] {
        import(&office.office, "s-02", kind, csv)?;
    }
    office.caught_up().await?;
    let smirnova = office.client("s-12")?;
    let id = office.account("acc-1001").await?;
    ensure!(directories(&office).await? == (500, 120));
    ensure!(history(&smirnova, &id).await? == (7, 2, 2));

    let first = order(&id, "З-0001");
    let answer = register(&smirnova, first.clone()).await?;
    ensure!(answer.converted, "{answer:?}");
    ensure!(directories(&office).await? == (499, 121));
    ensure!(
        history(&smirnova, &id).await? == (7, 2, 2),
        "the history is another one"
    );
    let events = office.events("accounts").await?;
    let [.., (ordered, stream), (converted, same)] = &events[..] else {
        anyhow::bail!("no events")
    };
    ensure!(
        (ordered.as_str(), converted.as_str())
            == ("account.order_registered", "account.converted_to_client")
    );
    ensure!(stream == same && stream.ends_with(&id), "{stream} {same}");
    ensure!(
        register(&smirnova, first).await? == answer,
        "the repetition is answered otherwise"
    );
    ensure!(office.events("accounts").await?.len() == events.len());

    office.at("2026-05-05T14:30:00+03:00").await?;
    let second = register(&smirnova, order(&id, "З-0002")).await?;
    ensure!(!second.converted);
    ensure!(count(&office, "account.converted_to_client").await? == CLIENTS + 1);

    office.at("2026-05-06T10:00:00+03:00").await?;
    let cancel = CancelOrderRequest {
        request_id: request_id(),
        account_id: id.clone(),
        order_id: answer.order_id,
        reason: "передумали".to_owned(),
    };
    smirnova.accounts().cancel_order(cancel).await?;
    ensure!(
        directories(&office).await? == (499, 121),
        "a cancelled order made a prospect of a client"
    );
    let request = GetAccountRequest {
        account_id: id,
        min_positions: vec![office.head("accounts").await?],
    };
    let account = smirnova
        .accounts()
        .get_account(request)
        .await?
        .into_inner()
        .account;
    let account = account.context("the account")?;
    ensure!(account.lifecycle() == Lifecycle::Client && account.orders.len() == 2);
    office.caught_up().await?;
    let may = GetScorecardRequest {
        period: Some(Period {
            from: "2026-05-01".to_owned(),
            to: "2026-06-01".to_owned(),
        }),
        by: ScorecardBy::Manager.into(),
        staff_id: office.staff["s-12"].clone(),
        ..GetScorecardRequest::default()
    };
    let card = office
        .admin
        .reports()
        .get_scorecard(may)
        .await?
        .into_inner();
    let figures = card.rows.iter().flat_map(|row| &row.figures);
    let sales: Vec<_> = figures.map(|figures| figures.sales).collect();
    ensure!(sales == [1], "{card:?}");

    // Two first orders in the same instant.
    let other = office.account("acc-1002").await?;
    let (one, two) = tokio::join!(
        register(&smirnova, order(&other, "З-0003")),
        register(&office.admin, order(&other, "З-0004")),
    );
    ensure!(
        one?.converted != two?.converted,
        "both or neither converted it"
    );
    ensure!(count(&office, "account.converted_to_client").await? == CLIENTS + 2);
    ensure!(directories(&office).await? == (498, 122));
    Ok(())
}
