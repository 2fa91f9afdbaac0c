use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CancelOrderRequest, Card, ChangeAccountDetailsRequest, CountAccountsRequest,
        GetAccountHistoryRequest, GetAccountStateRequest, GetAccountStateResponse, Lifecycle,
        ListGroupsRequest, MergeAccountsRequest, MoveDealStageRequest, MoveToGroupRequest,
        OpenDealRequest, PhoneList, PipelineStage, PublishPipelineRequest, RegisterOrderRequest,
        Shown, TransferAccountsRequest, UnmergeAccountsRequest,
    },
    common::{Money, PageRequest},
    contacts::{
        AddContactPersonRequest, ConfirmErasureRequest, ErasureGround, ErasureState,
        GetErasureRequest, RequestErasureRequest,
    },
};
use prost_types::Timestamp;
use tests::{
    background::{Background, fields, import, instant, request_id},
    client::Client,
    eventually,
};
use tonic::{Code, Status};

const MOSCOW: &str = "+03:00";

fn at(text: &str) -> Timestamp {
    instant(&format!("{text}{MOSCOW}"))
}

async fn state(
    office: &Background,
    client: &Client,
    id: &str,
    as_of: Option<Timestamp>,
    as_recorded_at: Option<Timestamp>,
) -> anyhow::Result<GetAccountStateResponse> {
    let request = GetAccountStateRequest {
        account_id: id.to_owned(),
        as_of,
        as_recorded_at,
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = client.history().get_account_state(request).await?;
    Ok(answer.into_inner())
}

async fn transfer(client: &Client, id: &str, to: &str) -> Result<(), Status> {
    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![id.to_owned()],
        to_owner_id: to.to_owned(),
        reason: "передача базы".to_owned(),
        ..TransferAccountsRequest::default()
    };
    client.accounts().transfer_accounts(request).await.map(drop)
}

/// N-01, S-23: whose client it was, to the second on both sides of a hand-over; and in which group
/// the owner was then.
#[tokio::test]
async fn n01_s23_whose_client_it_was() -> anyhow::Result<()> {
    let office = Background::start("2025-09-30T12:00:00+03:00").await?;
    let csv = "external_id,name,phone,owner,registered_at
acc-1001,ООО «Вектор-Строй»,+7 900 000-05-55,s-21,2025-06-16\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("acc-1001").await?;
    office.at("2025-10-01T00:00:00+03:00").await?;
    transfer(&office.admin, &id, &office.staff["s-11"]).await?;
    let groups = office
        .admin
        .staff()
        .list_groups(ListGroupsRequest::default())
        .await?;
    let groups = groups.into_inner().groups;
    let group = |name: &str| {
        let found = groups.iter().find(|group| group.name == name);
        found.map(|group| group.id.clone()).context("a group")
    };
    office.at("2025-11-01T00:00:00+03:00").await?;
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: office.staff["s-11"].clone(),
        group_id: group("B")?,
        ..MoveToGroupRequest::default()
    };
    office.admin.staff().move_to_group(request).await?;
    office.at("2026-03-10T09:00:00+03:00").await?;

    let petrov = office.client("s-11")?;
    let then = async |as_of: &str| state(&office, &petrov, &id, Some(at(as_of)), None).await;
    for (as_of, owner, group_name) in [
        ("2025-06-16T00:00:00", "s-21", "B"),
        ("2025-09-30T23:59:59", "s-21", "B"),
        ("2025-10-01T00:00:00", "s-11", "A"),
        ("2025-10-31T23:59:59", "s-11", "A"),
        ("2025-11-01T00:00:00", "s-11", "B"),
    ] {
        let then = then(as_of).await?;
        let account = then.account.context("an account")?;
        ensure!(
            account.owner_id == office.staff[owner],
            "{as_of}: {account:?}"
        );
        ensure!(
            then.owner_group_id == group(group_name)?,
            "group at {as_of}"
        );
        ensure!(account.lifecycle() == Lifecycle::Prospect);
    }
    ensure!(then("2025-06-15T23:59:59").await?.account.is_none());
    // On 20 September nobody knew of it: it was imported ten days later.
    let known = Some(at("2025-09-20T00:00:00"));
    let unknown = state(&office, &petrov, &id, None, known).await?;
    ensure!(unknown.account.is_none(), "{unknown:?}");
    let known = Some(at("2025-09-30T23:00:00"));
    let before = state(&office, &petrov, &id, None, known).await?;
    ensure!(before.account.context("known")?.owner_id == office.staff["s-21"]);

    // Who sees it today sees its past; its former owner does not.
    let former = state(&office, &office.client("s-21")?, &id, None, None).await;
    let former = former.err().context("was shown")?.downcast::<Status>()?;
    ensure!(former.code() == Code::NotFound);
    let future = then("2026-03-11T00:00:00")
        .await
        .err()
        .context("a prophet")?;
    ensure!(fields(&future.downcast::<Status>()?) == ["as_of"]);
    Ok(())
}

/// N-01: fields, status, orders and stages of deals at any moment.
#[tokio::test]
async fn n01_fields_orders_and_stages_at_any_moment() -> anyhow::Result<()> {
    let office = Background::start("2026-03-02T09:00:00+03:00").await?;
    let admin = &office.admin;
    let csv = "external_id,name,phone,city,owner\nacc-1,Вектор,+7 900 000-05-55,Миасс,s-11\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("acc-1").await?;
    let stage = |name: &str| PipelineStage {
        required_documents: Vec::new(),
        name: name.to_owned(),
        required: Vec::new(),
    };
    let pipeline = PublishPipelineRequest {
        request_id: request_id(),
        name: "Конвейер I".to_owned(),
        stages: vec![stage("Контакт"), stage("КП отправлено")],
        ..PublishPipelineRequest::default()
    };
    let pipeline = admin.deals().publish_pipeline(pipeline).await?.into_inner();
    office.at("2026-03-03T09:00:00+03:00").await?;
    let petrov = office.client("s-11")?;
    let deal = OpenDealRequest {
        request_id: request_id(),
        account_id: id.clone(),
        pipeline_id: pipeline.pipeline_id,
        ..OpenDealRequest::default()
    };
    let deal = petrov.deals().open_deal(deal).await?.into_inner();
    let change = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: id.clone(),
        city: Some("Челябинск".to_owned()),
        ..ChangeAccountDetailsRequest::default()
    };
    petrov.accounts().change_account_details(change).await?;
    office.at("2026-03-04T09:00:00+03:00").await?;
    let stage = MoveDealStageRequest {
        request_id: request_id(),
        deal_id: deal.deal_id.clone(),
        stage: "КП отправлено".to_owned(),
    };
    petrov.deals().move_deal_stage(stage).await?;
    office.at("2026-03-05T09:00:00+03:00").await?;
    // Ordered by telephone two days ago, entered today.
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: id.clone(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ordered_at: Some(at("2026-03-03T12:00:00")),
        ..RegisterOrderRequest::default()
    };
    let order = petrov.accounts().register_order(order).await?.into_inner();
    office.at("2026-03-06T09:00:00+03:00").await?;
    let cancel = CancelOrderRequest {
        request_id: request_id(),
        account_id: id.clone(),
        order_id: order.order_id,
        reason: "передумали".to_owned(),
    };
    petrov.accounts().cancel_order(cancel).await?;

    let then = async |as_of: &str, known: &str| {
        let then = state(&office, &petrov, &id, Some(at(as_of)), Some(at(known))).await?;
        let account = then.account.context("an account")?;
        let orders: Vec<_> = account.orders.iter().map(|order| order.cancelled).collect();
        let stages: Vec<_> = then.deals.iter().map(|deal| deal.stage.clone()).collect();
        let city = account.card.clone().unwrap_or_default().city;
        anyhow::Ok((city, account.lifecycle(), orders, stages.join(", ")))
    };
    let today = "2026-03-06T09:00:00";
    let (prospect, client) = (Lifecycle::Prospect, Lifecycle::Client);
    for (as_of, known, city, lifecycle, orders, stages) in [
        ("2026-03-02T10:00:00", today, "Миасс", prospect, vec![], ""),
        (
            "2026-03-03T10:00:00",
            today,
            "Челябинск",
            prospect,
            vec![],
            "Контакт",
        ),
        (
            "2026-03-04T10:00:00",
            today,
            "Челябинск",
            client,
            vec![false],
            "КП отправлено",
        ),
        // On that day nobody had entered the order.
        (
            "2026-03-04T10:00:00",
            "2026-03-04T10:00:00",
            "Челябинск",
            prospect,
            vec![],
            "КП отправлено",
        ),
        (
            today,
            today,
            "Челябинск",
            client,
            vec![true],
            "КП отправлено",
        ),
    ] {
        let said = then(as_of, known).await?;
        let expected = (city.to_owned(), lifecycle, orders, stages.to_owned());
        ensure!(said == expected, "{as_of} known at {known}: {said:?}");
    }
    Ok(())
}

/// N-01, S-11: how many prospects and clients there were before and after a conversion, also of one
/// owner, and as it was known.
#[tokio::test]
async fn n01_s11_prospects_as_of_a_minute_before() -> anyhow::Result<()> {
    let office = Background::start("2026-05-05T09:00:00+03:00").await?;
    let mut csv = "external_id,name,phone,owner,registered_at\n".to_owned();
    for number in 0..30 {
        let owner = if number % 3 == 0 { "s-12" } else { "" };
        let phone = 7_000 + number;
        let _ = writeln!(
            csv,
            "a-{number},Компания {number},+7 900 000{phone},{owner},2026-05-01"
        );
    }
    import(&office.office, "s-02", "accounts", &csv)?;
    let id = office.account("a-0").await?;
    office.at("2026-05-05T14:00:00+03:00").await?;
    let smirnova = office.client("s-12")?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: id.clone(),
        external_id: "З-0001".to_owned(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    smirnova.accounts().register_order(order).await?;
    office.at("2026-05-05T15:00:00+03:00").await?;
    let merge = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: id.clone(),
        merged_id: office.account("a-3").await?,
        reason: "одна компания".to_owned(),
    };
    office
        .admin
        .duplicates()
        .merge_accounts(merge.clone())
        .await?;
    office.at("2026-05-05T16:00:00+03:00").await?;

    let count = async |client: &Client, as_of: &str, owner: &str| {
        let request = CountAccountsRequest {
            as_of: Some(at(as_of)),
            owner_id: owner.to_owned(),
            min_positions: vec![office.head("accounts").await?],
            ..CountAccountsRequest::default()
        };
        let counted = client.history().count_accounts(request).await?.into_inner();
        anyhow::Ok((counted.prospects, counted.clients))
    };
    let admin = &office.admin;
    ensure!(count(admin, "2026-04-30T00:00:00", "").await? == (0, 0));
    ensure!(count(admin, "2026-05-05T13:59:00", "").await? == (30, 0));
    ensure!(count(admin, "2026-05-05T14:00:00", "").await? == (29, 1));
    ensure!(count(admin, "2026-05-05T15:00:00", "").await? == (28, 1));
    let owner = &office.staff["s-12"];
    ensure!(count(admin, "2026-05-05T13:59:00", owner).await? == (10, 0));
    ensure!(count(&smirnova, "2026-05-05T13:59:00", "").await? == (10, 0));
    ensure!(count(&smirnova, "2026-05-05T15:00:00", "").await? == (8, 1));
    let head_of_b = office.client("s-20")?;
    ensure!(count(&head_of_b, "2026-05-05T15:00:00", "").await? == (0, 0));

    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: merge.merged_id,
        reason: "две компании".to_owned(),
    };
    admin.duplicates().unmerge_accounts(unmerge).await?;
    ensure!(count(admin, "2026-05-05T16:00:00", "").await? == (29, 1));
    ensure!(
        count(admin, "2026-05-05T15:00:00", "").await? == (28, 1),
        "the past stays"
    );
    Ok(())
}

/// who changed which field when, from what to what and why; page by page.
#[tokio::test]
async fn x13_who_changed_what() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let csv = "external_id,name,phone,city,owner\nacc-1,Вектор,+7 900 000-05-55,Миасс,s-11\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("acc-1").await?;
    let operator = office.client("s-30")?;
    office.at("2026-03-11T09:00:00+03:00").await?;
    let change = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: id.clone(),
        phones: Some(PhoneList {
            phones: vec!["8 900 000-05-56".to_owned(), "8 900 000-05-57".to_owned()],
        }),
        unknown: vec!["city".to_owned()],
        ..ChangeAccountDetailsRequest::default()
    };
    operator.accounts().change_account_details(change).await?;
    office.at("2026-03-12T09:00:00+03:00").await?;
    transfer(&office.client("s-10")?, &id, &office.staff["s-12"]).await?;

    let smirnova = office.client("s-12")?;
    let pages = async |field: &str, size: i32| {
        let mut found = Vec::new();
        let mut request = GetAccountHistoryRequest {
            account_id: id.clone(),
            field: field.to_owned(),
            page: Some(PageRequest {
                size,
                ..PageRequest::default()
            }),
            min_positions: vec![office.head("accounts").await?],
        };
        loop {
            let page = smirnova
                .history()
                .get_account_history(request.clone())
                .await?;
            let page = page.into_inner();
            ensure!(page.changes.len() <= size as usize);
            found.extend(page.changes);
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            request.page.get_or_insert_default().token = page.next_page_token;
        }
    };
    let all = pages("", 2).await?;
    let text = |shown: &Option<Shown>| shown.clone().unwrap_or_default().text;
    let told: Vec<_> = all
        .iter()
        .map(|change| (change.field.as_str(), text(&change.old), text(&change.new)))
        .collect();
    let owned = |field, old: &str, new: &str| (field, old.to_owned(), new.to_owned());
    let (petrov, successor) = (&office.staff["s-11"], &office.staff["s-12"]);
    ensure!(told[0] == owned("owner", petrov, successor), "{told:?}");
    ensure!(told[1] == owned("phones", "+79000000555", "+79000000556, +79000000557"));
    ensure!(told[2] == owned("city", "Миасс", ""), "{told:?}");
    ensure!(all[2].new.as_ref().is_some_and(|new| new.unknown));
    ensure!(told.contains(&owned("name", "", "Вектор")), "{told:?}");
    ensure!(all[0].changed_by == office.staff["s-10"] && all[0].reason == "передача базы");
    ensure!(all[1].changed_by == office.staff["s-30"]);
    ensure!(all[1].occurred_at == Some(at("2026-03-11T09:00:00")));
    let phones = pages("phones", 50).await?;
    ensure!(phones.len() == 2 && phones.iter().all(|change| change.field == "phones"));
    let hidden = GetAccountHistoryRequest {
        account_id: id.clone(),
        ..GetAccountHistoryRequest::default()
    };
    let hidden = office
        .client("s-11")?
        .history()
        .get_account_history(hidden)
        .await;
    ensure!(hidden.err().map(|status| status.code()) == Some(Code::NotFound));
    Ok(())
}

/// X-13, N-01: what was erased is erased in the past, too; that it was changed, by whom and when,
/// stays.
#[tokio::test]
async fn x13_what_is_erased_stays_erased() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let admin = &office.admin;
    let csv = "external_id,name,phone,owner\nacc-1,ИП Ильин К. П.,+7 900 000-05-55,s-11\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("acc-1").await?;
    office.at("2026-03-11T09:00:00+03:00").await?;
    let add = AddContactPersonRequest {
        request_id: request_id(),
        account_id: id.clone(),
        name: "Ильин К. П.".to_owned(),
        ..AddContactPersonRequest::default()
    };
    let person_id = admin
        .contacts()
        .add_contact_person(add)
        .await?
        .into_inner()
        .person_id;
    let erase = RequestErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
        ground: ErasureGround::Demand.into(),
        with_account: true,
    };
    admin.contacts().request_erasure(erase).await?;
    let confirm = ConfirmErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
    };
    office
        .client("s-02")?
        .contacts()
        .confirm_erasure(confirm)
        .await?;
    let request = GetErasureRequest {
        person_id,
        ..GetErasureRequest::default()
    };
    let erased = || async {
        let answer = admin.contacts().get_erasure(request.clone()).await?;
        let erasure = answer.into_inner().erasure.context("no erasure")?;
        let whole = erasure.state() == ErasureState::Erased && erasure.parts.len() == 5;
        ensure!(whole, "{erasure:?}");
        Ok(())
    };
    eventually(Duration::from_secs(20), erased, Result::is_ok).await?;

    let petrov = office.client("s-11")?;
    let before = Some(at("2026-03-10T10:00:00"));
    let then = state(&office, &petrov, &id, before, None).await?;
    let card = then.account.context("an account")?.card.context("a card")?;
    ensure!(card == Card::default(), "{card:?}");
    let request = GetAccountHistoryRequest {
        account_id: id,
        field: "name".to_owned(),
        ..GetAccountHistoryRequest::default()
    };
    let history = petrov
        .history()
        .get_account_history(request)
        .await?
        .into_inner();
    let [change] = &history.changes[..] else {
        anyhow::bail!("{history:?}")
    };
    ensure!(change.changed_by == office.staff["s-02"], "{change:?}");
    let new = change.new.clone().unwrap_or_default();
    ensure!(new.erased && new.text.is_empty(), "{new:?}");
    Ok(())
}
