use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CardPart, ChangePolicyRequest, GetAccountHistoryRequest, GetAccountRequest,
        GetAccountStateRequest, ListAccountsRequest, ListCardAccessRequest,
        ListUnusualReadingRequest, UnusualDay, UnusualReading,
    },
    common::{PageRequest, Period},
    views::{ListViewsRequest, views_service_client::ViewsServiceClient},
};
use tests::{
    background::{Background, code, fields, import, instant, largest_page, request_id},
    client::Client,
    eventually,
};
use tonic::Code;

async fn open(client: &Client, account_id: &str) -> Result<(), tonic::Status> {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
        ..GetAccountRequest::default()
    };
    client.accounts().get_account(request).await.map(drop)
}

/// Until the rule has come to the end of what is recorded now.
async fn looked_at(office: &Background) -> anyhow::Result<()> {
    let end = office.head("accounts").await?.position;
    let views = ViewsServiceClient::new(office.admin.authenticated("accounts"));
    let reached = async || {
        let request = ListViewsRequest {
            service: "accounts".to_owned(),
        };
        let views = views.clone().list_views(request).await?.into_inner().views;
        let rule = views.iter().find(|view| view.name == "unusual-reading");
        let progress = &rule.context("no such rule")?.progress;
        let own = progress.iter().find(|of| of.source == "accounts");
        anyhow::Ok(own.map_or(0, |own| own.position))
    };
    let reached = eventually(Duration::from_secs(20), reached, |reached| {
        reached.as_ref().is_ok_and(|reached| *reached >= end)
    });
    let reached = reached.await?;
    ensure!(reached >= end, "the rule stands at {reached} of {end}");
    Ok(())
}

/// N-16: every opening of a card is on record before the card is shown, who, which and when; its
/// reader does not stand in anybody's way.
#[tokio::test]
async fn n16_every_opening_of_a_card_is_recorded() -> anyhow::Result<()> {
    let mut office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let csv = "external_id,name,phone,owner
acc-1,Вектор,+7 900 000-05-55,s-11
acc-2,Гамма,+7 900 000-05-56,s-21\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let own = office.account("acc-1").await?;
    let foreign = office.account("acc-2").await?;
    let (petrov, zaitsev) = (office.client("s-11")?, office.client("s-10")?);
    open(&petrov, &own).await?;
    ensure!(code(&open(&petrov, &foreign).await) == Code::NotFound);
    office.at("2026-03-10T10:00:00+03:00").await?;
    open(&zaitsev, &own).await?;
    let state = GetAccountStateRequest {
        account_id: own.clone(),
        as_of: Some(instant("2026-03-10T09:30:00+03:00")),
        ..GetAccountStateRequest::default()
    };
    petrov.history().get_account_state(state).await?;
    let history = GetAccountHistoryRequest {
        account_id: own.clone(),
        ..GetAccountHistoryRequest::default()
    };
    petrov.history().get_account_history(history).await?;
    open(&office.client("s-21")?, &foreign).await?;
    // Answered is recorded: nothing of it is lost with the process.
    office.crash("2026-03-10T11:00:00+03:00")?;
    office.admin = office.client("s-01")?;

    let (zaitsev, volkova) = (office.client("s-10")?, office.client("s-20")?);
    let seen = office.head("accounts").await?;
    let list = |request: ListCardAccessRequest| ListCardAccessRequest {
        page: Some(request.page.unwrap_or_else(largest_page)),
        min_positions: vec![seen.clone()],
        ..request
    };
    let told = async |client: &Client, request: ListCardAccessRequest| {
        let listed = client.access().list_card_access(list(request)).await?;
        let accesses = listed.into_inner().accesses.into_iter();
        let told = accesses.map(|one| (one.staff_id.clone(), one.account_id.clone(), one.what()));
        anyhow::Ok(told.collect::<Vec<_>>())
    };
    let by =
        |staff: &str, account: &str, what| (office.staff[staff].clone(), account.to_owned(), what);
    let all = ListCardAccessRequest::default();
    let expected = [
        by("s-21", &foreign, CardPart::Card),
        by("s-11", &own, CardPart::History),
        by("s-11", &own, CardPart::Past),
        by("s-10", &own, CardPart::Card),
        by("s-11", &own, CardPart::Card),
    ];
    let said = told(&office.admin, all.clone()).await?;
    ensure!(said == expected, "{said:?}");
    // A head knows of the own people only.
    ensure!(told(&zaitsev, all.clone()).await? == expected[1..]);
    ensure!(told(&volkova, all.clone()).await? == expected[..1]);
    let of_others = ListCardAccessRequest {
        staff_id: office.staff["s-11"].clone(),
        ..all.clone()
    };
    ensure!(told(&volkova, of_others.clone()).await?.is_empty());
    ensure!(told(&zaitsev, of_others).await?.len() == 3);
    let of_card = ListCardAccessRequest {
        account_id: own.clone(),
        period: Some(Period {
            from: "2026-03-10T09:59:00+03:00".to_owned(),
            to: String::new(),
        }),
        ..all.clone()
    };
    ensure!(told(&office.admin, of_card.clone()).await? == expected[1..4]);
    let hidden = volkova.access().list_card_access(list(of_card)).await;
    ensure!(code(&hidden) == Code::NotFound);
    let first = ListCardAccessRequest {
        page: Some(PageRequest {
            size: 2,
            ..PageRequest::default()
        }),
        ..all
    };
    let page = office
        .admin
        .access()
        .list_card_access(list(first.clone()))
        .await?;
    let page = page.into_inner();
    ensure!(page.accesses.len() == 2);
    let second = ListCardAccessRequest {
        page: Some(PageRequest {
            size: 2,
            token: page.next_page_token,
        }),
        ..first
    };
    ensure!(told(&office.admin, second).await? == expected[2..4]);
    let manager = office.client("s-11")?;
    let refused = manager
        .access()
        .list_card_access(ListCardAccessRequest::default())
        .await;
    ensure!(code(&refused) == Code::PermissionDenied);

    // A reading is no event of the account: whoever edits it has still the version that was shown.
    let events = office.events("accounts").await?;
    let of_account = events
        .iter()
        .filter(|(_, stream)| *stream == format!("account-{own}"));
    ensure!(of_account.count() == 1);
    ensure!(events.iter().filter(|(of, _)| of == "card.viewed").count() == 5);
    Ok(())
}

/// N-16: who opens unusually many cards is noticed once a day, by what the office calls unusual and
/// by what is usual for that one.
#[tokio::test]
async fn n16_unusual_reading_is_noticed_once_a_day() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let mut csv = "external_id,name,phone,owner\n".to_owned();
    for number in 0..12 {
        let _ = writeln!(
            csv,
            "a-{number},Компания {number},+7 900 000-{}-00,s-11",
            number + 10
        );
    }
    import(&office.office, "s-02", "accounts", &csv)?;
    let admin = &office.admin;
    let policy = |at_least, times_usual| ChangePolicyRequest {
        request_id: request_id(),
        unusual_reading: Some(UnusualReading {
            at_least,
            times_usual,
        }),
        reason: "маленький отдел".to_owned(),
        ..ChangePolicyRequest::default()
    };
    let wrong = admin.policy().change_policy(policy(0, 101)).await;
    let wrong = wrong.err().context("was taken")?;
    let expected = ["unusual_reading.at_least", "unusual_reading.times_usual"];
    ensure!(fields(&wrong) == expected, "{wrong:?}");
    admin.policy().change_policy(policy(3, 2)).await?;
    let request = ListAccountsRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListAccountsRequest::default()
    };
    let petrov = office.client("s-11")?;
    let cards = petrov
        .accounts()
        .list_accounts(request)
        .await?
        .into_inner()
        .accounts;
    let read = async |client: &Client, count: usize| {
        for card in &cards[..count] {
            // The same card again is no other card.
            open(client, &card.id).await?;
            open(client, &card.id).await?;
        }
        anyhow::Ok(())
    };
    let noticed = async |client: &Client| {
        let request = ListUnusualReadingRequest {
            min_positions: vec![office.head("accounts").await?],
            ..ListUnusualReadingRequest::default()
        };
        let listed = client.access().list_unusual_reading(request).await?;
        anyhow::Ok(listed.into_inner().days)
    };
    let noticed_as_often = async |client: &Client, times: usize| {
        let days = eventually(
            Duration::from_secs(20),
            || noticed(client),
            |days| days.as_ref().is_ok_and(|days| days.len() == times),
        );
        let days: Vec<UnusualDay> = days.await?;
        ensure!(days.len() == times, "{days:?}");
        anyhow::Ok(days)
    };
    let zaitsev = office.client("s-10")?;
    read(&petrov, 4).await?;
    let days = noticed_as_often(&zaitsev, 1).await?;
    let day = days[0].clone();
    ensure!(
        day.staff_id == office.staff["s-11"] && day.day == "2026-03-10",
        "{day:?}"
    );
    ensure!(
        (day.cards, day.usual, day.threshold) == (4, 0, 3),
        "{day:?}"
    );
    ensure!(
        noticed(&office.client("s-20")?).await?.is_empty(),
        "not of the own people"
    );

    // 4 cards were usual: up to 8 are no news, the 9th is, and then no other that day. Those who read
    // everybody's cards are not noticed at all.
    office.at("2026-03-11T09:00:00+03:00").await?;
    read(&petrov, 8).await?;
    read(admin, 12).await?;
    read(&office.client("s-30")?, 12).await?;
    read(&petrov, 12).await?;
    let days = noticed_as_often(&zaitsev, 2).await?;
    let day = days[0].clone();
    ensure!((day.usual, day.threshold) == (4, 8), "{day:?}");
    ensure!(day.cards > 8 && day.day == "2026-03-11", "{day:?}");
    read(&petrov, 12).await?;
    office.at("2026-03-12T09:00:00+03:00").await?;
    read(&petrov, 4).await?;
    // What the rule has to say of all that was opened it has recorded then.
    looked_at(&office).await?;
    let events = office.events("accounts").await?;
    let unusual = events
        .iter()
        .filter(|(of, _)| of == "reading.unusual_noticed");
    ensure!(unusual.count() == 2);
    Ok(())
}
