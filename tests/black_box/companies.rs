//! Companies and the people who work with them.

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AppointGroupHeadRequest, AssignOwnerRequest, Card, ChangeAccountDetailsRequest,
        CheckDuplicateRequest, DeleteViewRequest, DuplicateHit, FormGroupRequest,
        GetAccountRequest, GetOwnershipHistoryRequest, HireStaffRequest, ListAccountsRequest,
        ListDealsRequest, ListGroupsRequest, ListStaffRequest, MoveToGroupRequest, OpenDealRequest,
        PipelineStage, PublishPipelineRequest, RegisterOrderRequest, RegisterProspectRequest,
        ReturnToPoolRequest, SaveViewRequest, StaffMember, TransferAccountsRequest, WinDealRequest,
    },
    common::Money,
    contacts::{GetTimelineRequest, InteractionKind, LogInteractionRequest, NextStep, Outcome},
    planning::{CreateTaskRequest, ListAccountsWithoutNextStepRequest, ListTasksRequest, TaskKind},
    rights::Role,
};
use tests::{
    background::{Background, code, import, reason, request_id},
    client::Client,
};
use tonic::Code;

const NOW: &str = "2026-03-10T09:00:00+03:00";
const ACCOUNTS: &str = "external_id,name,phone,email,owner
a-1,Вектор,8 (900) 000-66-01,Info@Vector.example,s-21
a-2,Ромашка,8-900-000-66-02;8-800-555-66-02,,s-11
a-3,Заря,,zarya@example.org,
";

async fn duplicates(
    client: &Client,
    phones: &[&str],
    emails: &[&str],
) -> anyhow::Result<Vec<DuplicateHit>> {
    let request = CheckDuplicateRequest {
        phones: phones.iter().map(|text| (*text).to_owned()).collect(),
        emails: emails.iter().map(|text| (*text).to_owned()).collect(),
        ..CheckDuplicateRequest::default()
    };
    Ok(client
        .duplicates()
        .check_duplicate(request)
        .await?
        .into_inner()
        .hits)
}

/// T-004: before a company is entered, its telephones and addresses are looked up, however they are
/// written; a file finds the same.
#[tokio::test]
async fn t004_duplicates_are_found_before_creation() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let petrov = office.client("s-11")?;
    let own = office.account("a-2").await?;
    for (phones, emails, expected) in [
        (
            &["+7 900 000-66-01"][..],
            &[][..],
            ("", false, "Никитин П. О.", &["phones[0]"][..]),
        ),
        (
            &[],
            &["INFO@vector.example"],
            ("", false, "Никитин П. О.", &["emails[0]"]),
        ),
        (
            &["+7 999 000-00-00", "7 900 0006601"],
            &["info@VECTOR.example"],
            ("", false, "Никитин П. О.", &["phones[1]", "emails[0]"]),
        ),
        (
            &["8 800 555 66 02"],
            &[],
            (own.as_str(), false, "Петров А. И.", &["phones[0]"]),
        ),
    ] {
        let hits = duplicates(&petrov, phones, emails).await?;
        let [hit] = &hits[..] else {
            anyhow::bail!("{phones:?} {emails:?}: {hits:?}")
        };
        let told = (hit.account_id.as_str(), hit.in_pool, hit.owner.as_str());
        ensure!(
            told == (expected.0, expected.1, expected.2) && hit.matches == expected.3,
            "{hit:?}"
        );
    }
    let of_pool = duplicates(&petrov, &[], &["Zarya@example.org"]).await?;
    ensure!(
        of_pool.len() == 1 && of_pool[0].in_pool && !of_pool[0].account_id.is_empty(),
        "{of_pool:?}"
    );
    ensure!(
        duplicates(&petrov, &["+7 900 000-66-09"], &["other@example.org"])
            .await?
            .is_empty()
    );
    let nothing = duplicates(&petrov, &[], &[]).await;
    ensure!(nothing.is_err(), "nothing was looked up");

    // By telephone and by address, in a file: nothing new comes of it.
    let file = "external_id,name,phone,email\nn-1,Другая,,info@vector.example\nn-2,Ещё одна,+79000006602,\n";
    let before = office.events("accounts").await?;
    import(&office.office, "s-11", "accounts", file)?;
    let registered = |events: &[(String, String)]| {
        let of_type = events
            .iter()
            .filter(|(of, _)| of == "account.prospect_registered");
        of_type.count()
    };
    ensure!(registered(&office.events("accounts").await?) == registered(&before));
    Ok(())
}

async fn log_call(client: &Client, account_id: &str, summary: &str) -> anyhow::Result<()> {
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: summary.to_owned(),
        ..LogInteractionRequest::default()
    };
    client.contacts().log_interaction(request).await?;
    Ok(())
}

async fn deal(client: &Client, account_id: &str, pipeline_id: &str) -> anyhow::Result<String> {
    let request = OpenDealRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        pipeline_id: pipeline_id.to_owned(),
        ..OpenDealRequest::default()
    };
    Ok(client
        .deals()
        .open_deal(request)
        .await?
        .into_inner()
        .deal_id)
}

/// T-010: a client who returns is found by the telephone; who takes over sees the old owner and all
/// that is known, and opens another deal on the same account.
#[tokio::test]
async fn t010_a_client_returns() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let account = office.account("a-1").await?;
    let pipeline = PublishPipelineRequest {
        request_id: request_id(),
        name: "Конвейер I".to_owned(),
        stages: vec![PipelineStage {
            required_documents: Vec::new(),
            name: "Первый контакт".to_owned(),
            required: Vec::new(),
        }],
        ..PublishPipelineRequest::default()
    };
    let pipeline = office
        .admin
        .deals()
        .publish_pipeline(pipeline)
        .await?
        .into_inner()
        .pipeline_id;
    log_call(&nikitin, &account, "Любит звонки до обеда").await?;
    let old = deal(&nikitin, &account, &pipeline).await?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: account.clone(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    nikitin.accounts().register_order(order).await?;
    let win = WinDealRequest {
        request_id: request_id(),
        deal_id: old.clone(),
    };
    nikitin.deals().win_deal(win).await?;
    let back = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: account.clone(),
        reason: "закрылись".to_owned(),
    };
    office
        .client("s-20")?
        .accounts()
        .return_to_pool(back)
        .await?;

    // A year later somebody calls from that number.
    office.at("2027-03-10T09:00:00+03:00").await?;
    let hits = duplicates(&petrov, &["8 900 000 66 01"], &[]).await?;
    ensure!(
        hits.len() == 1 && hits[0].in_pool && hits[0].account_id == account,
        "{hits:?}"
    );
    let assign = AssignOwnerRequest {
        request_id: request_id(),
        account_id: account.clone(),
        owner_id: office.staff["s-11"].clone(),
    };
    office.admin.accounts().assign_owner(assign).await?;

    let min_positions = vec![
        office.head("accounts").await?,
        office.head("contacts").await?,
    ];
    let request = GetOwnershipHistoryRequest {
        account_id: account.clone(),
        min_positions: vec![office.head("accounts").await?],
    };
    let owners = petrov
        .accounts()
        .get_ownership_history(request)
        .await?
        .into_inner()
        .ownerships;
    let owners: Vec<_> = owners
        .iter()
        .map(|time| (time.owner_id.as_str(), time.to.is_some()))
        .collect();
    ensure!(
        owners
            == [
                (office.staff["s-21"].as_str(), true),
                (office.staff["s-11"].as_str(), false)
            ],
        "{owners:?}"
    );
    let request = GetTimelineRequest {
        account_id: account.clone(),
        min_positions,
        ..GetTimelineRequest::default()
    };
    let said = petrov
        .contacts()
        .get_timeline(request)
        .await?
        .into_inner()
        .interactions;
    ensure!(
        said.len() == 1
            && said[0].summary == "Любит звонки до обеда"
            && said[0].author_id == office.staff["s-21"],
        "{said:?}"
    );
    let request = GetAccountRequest {
        account_id: account.clone(),
        ..GetAccountRequest::default()
    };
    let card = petrov
        .accounts()
        .get_account(request)
        .await?
        .into_inner()
        .account
        .context("the card")?;
    ensure!(
        card.orders.len() == 1 && card.orders[0].owner_id == office.staff["s-21"],
        "{card:?}"
    );

    let new = deal(&petrov, &account, &pipeline).await?;
    let request = ListDealsRequest {
        account_id: account,
        min_positions: vec![office.head("accounts").await?],
        ..ListDealsRequest::default()
    };
    let deals = petrov.deals().list_deals(request).await?.into_inner().deals;
    let mut known: Vec<_> = deals
        .iter()
        .map(|deal| (deal.id.as_str(), deal.owner_id.as_str()))
        .collect();
    known.sort_unstable();
    let mut expected = [
        (old.as_str(), office.staff["s-21"].as_str()),
        (new.as_str(), office.staff["s-11"].as_str()),
    ];
    expected.sort_unstable();
    ensure!(known == expected, "{known:?}");
    Ok(())
}

async fn staff(office: &Background, external_id: &str) -> anyhow::Result<StaffMember> {
    let request = ListStaffRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListStaffRequest::default()
    };
    let staff = office
        .client("s-11")?
        .staff()
        .list_staff(request)
        .await?
        .into_inner()
        .staff;
    staff
        .into_iter()
        .find(|one| one.external_id == external_id)
        .context("a colleague")
}

async fn group(office: &Background, name: &str, parent_id: &str) -> anyhow::Result<String> {
    let request = FormGroupRequest {
        request_id: request_id(),
        name: name.to_owned(),
        parent_id: parent_id.to_owned(),
    };
    Ok(office
        .admin
        .staff()
        .form_group(request)
        .await?
        .into_inner()
        .group_id)
}

async fn hire(
    office: &Background,
    external_id: &str,
    role: Role,
    group_id: &str,
) -> anyhow::Result<String> {
    let request = HireStaffRequest {
        request_id: request_id(),
        external_id: external_id.to_owned(),
        name: "Котова Нина Львовна".to_owned(),
        role: role.into(),
        group_id: group_id.to_owned(),
        extension: "131".to_owned(),
        hired_on: "2026-03-02".to_owned(),
        ..HireStaffRequest::default()
    };
    Ok(office
        .admin
        .staff()
        .hire_staff(request)
        .await?
        .into_inner()
        .staff_id)
}

/// T-019: everybody's profile: name, role, workgroup, extension.
#[tokio::test]
async fn t019_profiles_of_staff() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let petrov = staff(&office, "s-11").await?;
    ensure!(
        (
            petrov.name.as_str(),
            petrov.extension.as_str(),
            petrov.role()
        ) == ("Петров Алексей Игоревич", "111", Role::Manager)
    );
    let groups = office
        .admin
        .staff()
        .list_groups(ListGroupsRequest::default())
        .await?
        .into_inner()
        .groups;
    let of = |name: &str| {
        groups
            .iter()
            .find(|group| group.name == name)
            .map(|group| group.id.clone())
    };
    let (a, b) = (of("A").context("A")?, of("B").context("B")?);
    ensure!(petrov.group_id == a);
    let id = hire(&office, "s-31", Role::Manager, &b).await?;
    let known = staff(&office, "s-31").await?;
    ensure!(
        (
            known.group_id.as_str(),
            known.extension.as_str(),
            known.hired_on.as_str()
        ) == (b.as_str(), "131", "2026-03-02"),
        "{known:?}"
    );
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: id,
        group_id: a.clone(),
        ..MoveToGroupRequest::default()
    };
    office.admin.staff().move_to_group(request).await?;
    ensure!(staff(&office, "s-31").await?.group_id == a);
    let again = HireStaffRequest {
        request_id: request_id(),
        external_id: "s-31".to_owned(),
        name: "Другая".to_owned(),
        role: Role::Manager.into(),
        group_id: a,
        ..HireStaffRequest::default()
    };
    let refused = office.admin.staff().hire_staff(again).await;
    ensure!(refused.is_err(), "hired twice");
    Ok(())
}

fn task(office: &Background, assignee: &str, account_id: &str) -> CreateTaskRequest {
    CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff[assignee].clone(),
        due_at: "2026-03-12T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        account_id: account_id.to_owned(),
        ..CreateTaskRequest::default()
    }
}

/// T-024: a head sees the tasks of the group and plans for anybody in it, and for nobody else.
#[tokio::test]
async fn t024_a_head_plans_for_the_group() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    for (client, assignee, allowed) in [
        (&zaitsev, "s-11", true),
        (&zaitsev, "s-12", true),
        (&zaitsev, "s-10", true),
        (&zaitsev, "s-21", false),
        (&petrov, "s-11", true),
        (&petrov, "s-12", false),
        (&petrov, "s-10", false),
    ] {
        let created = client
            .planning()
            .create_task(task(&office, assignee, ""))
            .await;
        let expected = if allowed {
            Code::Ok
        } else {
            Code::PermissionDenied
        };
        ensure!(code(&created) == expected, "{assignee}: {created:?}");
    }
    for (client, expected) in [(&zaitsev, 4), (&petrov, 2)] {
        let request = ListTasksRequest {
            min_positions: vec![office.head("planning").await?],
            ..ListTasksRequest::default()
        };
        let total = client
            .planning()
            .list_tasks(request)
            .await?
            .into_inner()
            .total;
        ensure!(total == expected, "{total}");
    }
    Ok(())
}

/// T-028: an administrator manages the whole base, and so does the head of all sales; the head of a
/// group does within it.
#[tokio::test]
async fn t028_the_whole_base_is_managed() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let sales = group(&office, "Продажи", "").await?;
    let (north, south) = (
        group(&office, "Север", &sales).await?,
        group(&office, "Юг", &sales).await?,
    );
    let chief = hire(&office, "s-50", Role::Head, &sales).await?;
    for group_id in [&sales] {
        let request = AppointGroupHeadRequest {
            request_id: request_id(),
            group_id: group_id.clone(),
            staff_id: chief.clone(),
            ..AppointGroupHeadRequest::default()
        };
        office.admin.staff().appoint_group_head(request).await?;
    }
    let first = hire(&office, "s-51", Role::Manager, &north).await?;
    let second = hire(&office, "s-52", Role::Manager, &south).await?;
    let csv = "external_id,name,phone,owner\nb-1,Север один,+79000007701,s-51\nb-2,Юг один,+79000007702,s-52\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("b-1").await?;
    let total = async |client: &Client| {
        let request = ListAccountsRequest {
            count: true,
            min_positions: vec![office.head("accounts").await?],
            ..ListAccountsRequest::default()
        };
        anyhow::Ok(
            client
                .accounts()
                .list_accounts(request)
                .await?
                .into_inner()
                .total,
        )
    };
    let (chief, zaitsev) = (office.client("s-50")?, office.client("s-10")?);
    ensure!(
        (
            total(&office.admin).await?,
            total(&chief).await?,
            total(&zaitsev).await?
        ) == (2, 2, 0)
    );
    for (client, city, owner) in [
        (&chief, "Миасс", &second),
        (&office.admin, "Чебаркуль", &first),
    ] {
        let change = ChangeAccountDetailsRequest {
            request_id: request_id(),
            account_id: id.clone(),
            city: Some(city.to_owned()),
            ..ChangeAccountDetailsRequest::default()
        };
        client.accounts().change_account_details(change).await?;
        let transfer = TransferAccountsRequest {
            request_id: request_id(),
            account_ids: vec![id.clone()],
            to_owner_id: owner.clone(),
            reason: "перераспределение".to_owned(),
            ..TransferAccountsRequest::default()
        };
        let moved = client
            .accounts()
            .transfer_accounts(transfer)
            .await?
            .into_inner();
        ensure!(
            moved.transferred == 1 && moved.failures.is_empty(),
            "{moved:?}"
        );
        let request = GetAccountRequest {
            account_id: id.clone(),
            min_positions: vec![office.head("accounts").await?],
        };
        let account = client
            .accounts()
            .get_account(request)
            .await?
            .into_inner()
            .account
            .context("the card")?;
        ensure!(account.owner_id == *owner && account.card.is_some_and(|card| card.city == city));
    }
    let out = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![id],
        to_owner_id: office.staff["s-11"].clone(),
        reason: "перераспределение".to_owned(),
        ..TransferAccountsRequest::default()
    };
    let refused = chief
        .accounts()
        .transfer_accounts(out)
        .await
        .err()
        .context("was moved out of sales")?;
    ensure!(reason(&refused) == "OWNER_OUT_OF_REACH", "{refused:?}");
    Ok(())
}

/// T-045: an account in work without an open task is in the list of what is forgotten, and leaves it
/// with the next step.
#[tokio::test]
async fn t045_nobody_is_forgotten() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, zaitsev, nikitin) = (
        office.client("s-11")?,
        office.client("s-10")?,
        office.client("s-21")?,
    );
    let account = office.account("a-2").await?;
    let forgotten = async |client: &Client| {
        office.caught_up().await?;
        let request = ListAccountsWithoutNextStepRequest::default();
        let answer = client
            .planning()
            .list_accounts_without_next_step(request)
            .await?
            .into_inner();
        ensure!(answer.total == answer.accounts.len() as i64);
        anyhow::Ok(
            answer
                .accounts
                .into_iter()
                .map(|one| one.account_id)
                .collect::<Vec<_>>(),
        )
    };
    let alone = vec![account.clone()];
    ensure!(forgotten(&petrov).await? == alone && forgotten(&zaitsev).await? == alone);
    ensure!(forgotten(&nikitin).await?.len() == 1);
    // What nobody owns is nobody's work yet.
    ensure!(forgotten(&office.admin).await?.len() == 2);

    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: account.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::CallBack.into(),
        next_step: Some(NextStep {
            due_at: "2026-03-12T10:00:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: "Перезвонить".to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let logged = petrov
        .contacts()
        .log_interaction(request)
        .await?
        .into_inner();
    ensure!(forgotten(&petrov).await?.is_empty());
    let done = api::planning::CompleteTaskRequest {
        request_id: request_id(),
        task_id: logged.next_task_id,
        ..Default::default()
    };
    petrov.planning().complete_task(done).await?;
    ensure!(
        forgotten(&petrov).await? == alone,
        "done, and nothing planned"
    );
    petrov
        .planning()
        .create_task(task(&office, "s-11", &account))
        .await?;
    ensure!(forgotten(&petrov).await?.is_empty());
    let new = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "Новая".to_owned(),
            phones: vec!["+79000006609".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    let new = petrov
        .accounts()
        .register_prospect(new)
        .await?
        .into_inner()
        .account_id;
    ensure!(forgotten(&petrov).await? == [new]);
    Ok(())
}

/// T-008, T-028, X-19: the answer of a request is given again, also where its effect has hidden from
/// the caller what it was about; to nobody else.
#[tokio::test]
async fn a_lost_answer_is_given_again_whatever_is_hidden_by_now() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(
        &office.office,
        "s-02",
        "accounts",
        "external_id,name,phone,owner\nacc-1,Вектор,+79000000001,s-11\n",
    )?;
    let (zaitsev, volkova) = (office.client("s-10")?, office.client("s-20")?);
    let back = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: office.account("acc-1").await?,
        reason: "не звонит".to_owned(),
    };
    let first = zaitsev.accounts().return_to_pool(back.clone()).await?;
    let again = zaitsev.accounts().return_to_pool(back.clone()).await?;
    ensure!(first.get_ref() == again.get_ref(), "{again:?}");
    let foreign = volkova.accounts().return_to_pool(back.clone()).await;
    ensure!(code(&foreign) != Code::Ok, "{foreign:?}");
    let another = ReturnToPoolRequest {
        request_id: request_id(),
        ..back
    };
    let hidden = zaitsev.accounts().return_to_pool(another).await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");

    let save = SaveViewRequest {
        request_id: request_id(),
        name: "Мои".to_owned(),
        filter: Some(ListAccountsRequest::default()),
        ..SaveViewRequest::default()
    };
    let saved = zaitsev.saved_views().save_view(save).await?.into_inner();
    let delete = DeleteViewRequest {
        request_id: request_id(),
        view_id: saved.view_id,
    };
    let first = zaitsev.saved_views().delete_view(delete.clone()).await?;
    let again = zaitsev.saved_views().delete_view(delete).await?;
    ensure!(first.get_ref() == again.get_ref(), "{again:?}");
    Ok(())
}
