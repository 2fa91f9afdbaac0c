//! The pool of prospects: claims, lists, distribution; and records of the same company.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AddToProspectListRequest, Card, CheckDuplicateRequest, ClaimProspectRequest,
        CreateProspectListRequest, DistributeProspectsRequest, DistributeProspectsResponse,
        DistributionWay, GetAccountRequest, Lifecycle, ListAccountsRequest, ListCallers,
        ListClaimsRequest, MergeAccountsRequest, MoveToGroupRequest, NextProspectRequest,
        NextProspectResponse, ProspectCriteria, RegisterOrderRequest, RegisterProspectRequest,
        ReleaseClaimRequest, RenewClaimRequest, UnmergeAccountsRequest,
    },
    common::{Money, Position},
    contacts::{
        AddContactPersonRequest, GetTimelineRequest, Interaction, InteractionKind,
        ListContactPersonsRequest, LogInteractionRequest, Outcome,
    },
    planning::{CreateTaskRequest, ListTasksRequest, TaskKind},
};
use tests::{
    background::{Background, code, instant, reason, request_id},
    eventually,
    office::Client,
};
use tonic::{Code, Status};

const PATIENCE: Duration = Duration::from_secs(5);

/// A company; nobody's when no owner is named.
async fn company(
    office: &Background,
    name: &str,
    phone: &str,
    owner: &str,
) -> anyhow::Result<String> {
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: name.to_owned(),
            phones: vec![phone.to_owned()],
            city: "Миасс".to_owned(),
            ..Card::default()
        }),
        owner_id: office.staff.get(owner).cloned().unwrap_or_default(),
        ..RegisterProspectRequest::default()
    };
    let answer = office.admin.accounts().register_prospect(request).await?;
    Ok(answer.into_inner().account_id)
}

fn claim(account_id: &str) -> ClaimProspectRequest {
    ClaimProspectRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
    }
}

fn call_to(account_id: &str, seen: &[Position]) -> LogInteractionRequest {
    LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        min_positions: seen.to_vec(),
        ..LogInteractionRequest::default()
    }
}

async fn count(office: &Background, service: &str, event_type: &str) -> anyhow::Result<usize> {
    let events = office.events(service).await?;
    let of_type = events.iter().filter(|(known, _)| known == event_type);
    Ok(of_type.count())
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> anyhow::Result<Status> {
    answer.err().context("was not refused")
}

/// Where a service's log stands: whoever is asked with it has seen everything.
async fn head(office: &Background, service: &str) -> anyhow::Result<Vec<Position>> {
    let request = api::log::GetHeadRequest {
        service: service.to_owned(),
    };
    let head = office.admin.log().get_head(request).await?.into_inner();
    Ok(vec![Position {
        service: service.to_owned(),
        position: head.position,
    }])
}

/// S-10: two managers do not call the same prospect (T-008, N-11).
#[tokio::test]
async fn s10_two_managers_do_not_call_the_same_prospect() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let acc_2001 = company(&office, "acc-2001", "+7 900 000-10-01", "").await?;
    let acc_2002 = company(&office, "acc-2002", "8-900-000-10-01", "").await?;
    let (kuznetsov, fyodorova) = (office.client("s-13")?, office.client("s-22")?);
    let (mut one, mut other) = (kuznetsov.prospects(), fyodorova.prospects());
    let (first, second) = tokio::join!(
        one.claim_prospect(claim(&acc_2001)),
        other.claim_prospect(claim(&acc_2001))
    );
    let (winner, loser, refused, granted) = match (first, second) {
        (Ok(granted), Err(refused)) => (&kuznetsov, &fyodorova, refused, granted),
        (Err(refused), Ok(granted)) => (&fyodorova, &kuznetsov, refused, granted),
        both => anyhow::bail!("{both:?}"),
    };
    let granted = granted.into_inner();
    ensure!(
        granted.until == Some(instant("2026-03-13T10:30:00+03:00")),
        "{granted:?}"
    );
    ensure!(
        (refused.code(), reason(&refused).as_str()) == (Code::FailedPrecondition, "CLAIMED")
            && refused.message() == "claimed until 10:30",
        "{refused:?}"
    );
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 1);

    let refused = refusal(loser.prospects().claim_prospect(claim(&acc_2002)).await)?;
    ensure!(
        reason(&refused) == "PHONE_CLAIMED" && refused.message().starts_with("phone claimed"),
        "{refused:?}"
    );
    // The loser has no number to dial, and nothing that was said is taken from the loser.
    let seen = head(&office, "accounts").await?;
    for account in [&acc_2001, &acc_2002] {
        let request = GetAccountRequest {
            account_id: account.clone(),
            min_positions: seen.clone(),
        };
        let hidden = loser.accounts().get_account(request).await;
        ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
        let call = loser
            .contacts()
            .log_interaction(call_to(account, &seen))
            .await;
        ensure!(code(&call) == Code::NotFound, "{call:?}");
    }
    // Not even who sees the whole base speaks with it.
    let call = office
        .admin
        .contacts()
        .log_interaction(call_to(&acc_2001, &seen))
        .await;
    ensure!(reason(&refusal(call)?) == "CLAIMED");
    ensure!(office.events("contacts").await?.is_empty());
    let claims = winner
        .prospects()
        .list_claims(ListClaimsRequest {
            min_positions: seen,
        })
        .await?;
    ensure!(claims.into_inner().claims.len() == 1);

    office.at("2026-03-13T10:29:59+03:00").await?;
    let renew = RenewClaimRequest {
        request_id: request_id(),
        account_id: acc_2001.clone(),
    };
    let renewed = winner.prospects().renew_claim(renew).await?.into_inner();
    ensure!(
        renewed.until == Some(instant("2026-03-13T10:59:59+03:00")),
        "{renewed:?}"
    );
    office.at("2026-03-13T10:59:58+03:00").await?;
    let refused = refusal(loser.prospects().claim_prospect(claim(&acc_2001)).await)?;
    ensure!(refused.message() == "claimed until 10:59:59", "{refused:?}");

    office.at("2026-03-13T11:00:00+03:00").await?;
    let granted = loser
        .prospects()
        .claim_prospect(claim(&acc_2001))
        .await?
        .into_inner();
    ensure!(
        granted.until == Some(instant("2026-03-13T11:30:00+03:00")),
        "{granted:?}"
    );
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 2);
    ensure!(count(&office, "accounts", "account.claim_expired").await? == 1);

    // In time the first interaction makes the holder the owner.
    let recorded = granted.recorded.and_then(|recorded| recorded.position);
    let seen: Vec<_> = recorded.into_iter().collect();
    let logged = loser
        .contacts()
        .log_interaction(call_to(&acc_2001, &seen))
        .await?;
    ensure!(logged.get_ref().recorded.is_some());
    let owner = owner_becomes_known(&office, &acc_2001).await?;
    let loser_id = if std::ptr::eq(loser, &kuznetsov) {
        "s-13"
    } else {
        "s-22"
    };
    ensure!(owner == office.staff[loser_id], "{owner}");
    ensure!(count(&office, "accounts", "account.owner_assigned").await? == 1);
    // The number is free again, and the timer gives back what nobody asks for.
    let granted = winner
        .prospects()
        .claim_prospect(claim(&acc_2002))
        .await?
        .into_inner();
    ensure!(granted.until.is_some());
    office.at("2026-03-13T12:00:00+03:00").await?;
    let expired = eventually(
        PATIENCE,
        || count(&office, "accounts", "account.claim_expired"),
        |expired| matches!(expired, Ok(2)),
    )
    .await?;
    ensure!(expired == 2, "{expired}");
    Ok(())
}

async fn owner_becomes_known(office: &Background, account_id: &str) -> anyhow::Result<String> {
    let owner = async || {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
            ..GetAccountRequest::default()
        };
        let account = office.admin.accounts().get_account(request).await?;
        let account = account.into_inner().account.unwrap_or_default();
        anyhow::Ok(account.owner_id)
    };
    eventually(
        PATIENCE,
        owner,
        |owner| matches!(owner, Ok(owner) if !owner.is_empty()),
    )
    .await
}

/// S-10, N-11: of 1,000 attempts at once one is granted, and one event is written.
#[tokio::test]
async fn of_a_thousand_attempts_one_is_granted() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let account = company(&office, "acc-2003", "+7 900 000-10-03", "").await?;
    let mut callers = Vec::new();
    for staff in ["s-11", "s-12", "s-13", "s-21", "s-22"] {
        callers.push(office.client(staff)?);
    }
    let attempts = (0..1_000).map(|number| {
        let client: &Client = &callers[number % callers.len()];
        let (mut prospects, request) = (client.prospects(), claim(&account));
        async move { prospects.claim_prospect(request).await }
    });
    let answers = futures::future::join_all(attempts).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    ensure!(refused.len() == 999, "{} were refused", refused.len());
    for refusal in refused {
        ensure!(
            reason(refusal) == "CLAIMED" && refusal.message() == "claimed until 10:30",
            "{refusal:?}"
        );
    }
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 1);
    Ok(())
}

/// S-07: three levels of visibility and the masked hit (T-004, T-009, Q-04).
#[tokio::test]
async fn s07_three_levels_of_visibility_and_the_masked_hit() -> anyhow::Result<()> {
    let office = Background::start("2026-03-31T12:00:00+03:00").await?;
    let nikitins = company(&office, "Никитина", "+7 900 000-07-77", "s-21").await?;
    let mut smirnovas = String::new();
    let mut phones = 0;
    for (owner, many) in [("s-11", 3), ("s-12", 2), ("s-10", 1), ("s-21", 3), ("", 5)] {
        for number in 0..many {
            phones += 1;
            let phone = format!("+7 900 000-08-{phones:02}");
            let id = company(
                &office,
                &format!("Компания {owner} {number}"),
                &phone,
                owner,
            )
            .await?;
            if owner == "s-12" {
                smirnovas = id;
            }
        }
    }
    let smirnova = office.client("s-12")?;
    let task = CreateTaskRequest {
        request_id: request_id(),
        account_id: smirnovas.clone(),
        assignee_id: office.staff["s-12"].clone(),
        due_at: "2026-04-02T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    smirnova.planning().create_task(task).await?;
    let seen = head(&office, "accounts").await?;
    smirnova
        .contacts()
        .log_interaction(call_to(&smirnovas, &seen))
        .await?;

    let list = async |staff: &str, query: &str| {
        let request = ListAccountsRequest {
            query: query.to_owned(),
            min_positions: head(&office, "accounts").await?,
            ..ListAccountsRequest::default()
        };
        let answer = office
            .client(staff)?
            .accounts()
            .list_accounts(request)
            .await?;
        anyhow::Ok(answer.into_inner().accounts.len())
    };
    for (staff, expected) in [("s-11", 3), ("s-10", 6), ("s-20", 4), ("s-02", 15)] {
        let found = list(staff, "").await?;
        ensure!(found == expected, "{staff}: {found}");
    }
    let petrov = office.client("s-11")?;
    let open = async |account_id: &str| {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
            ..GetAccountRequest::default()
        };
        refusal(petrov.accounts().get_account(request).await)
    };
    let (hidden, unknown) = (open(&nikitins).await?, open(&request_id()).await?);
    ensure!(hidden.code() == Code::NotFound, "{hidden:?}");
    ensure!(
        (hidden.code(), hidden.message(), hidden.details())
            == (unknown.code(), unknown.message(), unknown.details())
    );

    let check = CheckDuplicateRequest {
        phones: vec!["8 (900) 000-07-77".to_owned()],
        ..CheckDuplicateRequest::default()
    };
    let hits = petrov
        .duplicates()
        .check_duplicate(check.clone())
        .await?
        .into_inner()
        .hits;
    let [hit] = &hits[..] else {
        anyhow::bail!("{hits:?}")
    };
    ensure!(
        (hit.owner.as_str(), hit.account_id.as_str(), hit.in_pool) == ("Никитин П. О.", "", false),
        "{hit:?}"
    );
    ensure!(hit.matches == ["phones[0]"]);
    // Who sees the company is told which it is.
    let hits = office
        .client("s-20")?
        .duplicates()
        .check_duplicate(check)
        .await?
        .into_inner()
        .hits;
    ensure!(
        hits.len() == 1 && hits[0].account_id == nikitins,
        "{hits:?}"
    );

    office.at("2026-04-01T00:00:00+03:00").await?;
    let groups = office
        .admin
        .staff()
        .list_groups(api::accounts::ListGroupsRequest::default());
    let groups = groups.await?.into_inner().groups;
    let group_b = groups
        .iter()
        .find(|group| group.name == "B")
        .context("group B")?;
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: office.staff["s-12"].clone(),
        group_id: group_b.id.clone(),
    };
    office.admin.staff().move_to_group(request).await?;
    for (staff, expected) in [("s-10", 4), ("s-20", 6)] {
        let found = list(staff, "").await?;
        ensure!(found == expected, "{staff}: {found}");
        let found = list(staff, "Компания s-12").await?;
        ensure!(
            found == if staff == "s-20" { 2 } else { 0 },
            "{staff} finds {found}"
        );
    }
    for (staff, sees) in [("s-10", false), ("s-20", true)] {
        let client = office.client(staff)?;
        let follows = eventually(
            Duration::from_secs(1),
            || async {
                let tasks = ListTasksRequest {
                    account_id: smirnovas.clone(),
                    ..ListTasksRequest::default()
                };
                let tasks = client.planning().list_tasks(tasks).await?.into_inner().total;
                let timeline = client.contacts().get_timeline(timeline(&smirnovas)).await;
                Ok::<_, Status>((tasks, code(&timeline)))
            },
            |answer| matches!(answer, Ok((tasks, code)) if (*tasks == 1, *code == Code::Ok) == (sees, sees)),
        )
        .await?;
        ensure!(
            follows
                == if sees {
                    (1, Code::Ok)
                } else {
                    (0, Code::NotFound)
                },
            "{staff}: {follows:?}"
        );
    }
    Ok(())
}

fn timeline(account_id: &str) -> GetTimelineRequest {
    GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    }
}

fn next_of(list_id: &str) -> NextProspectRequest {
    NextProspectRequest {
        request_id: request_id(),
        list_id: list_id.to_owned(),
    }
}

fn name_of(answer: NextProspectResponse) -> String {
    let card = answer.account.and_then(|account| account.card);
    card.unwrap_or_default().name
}

/// T-007, T-008, Q-04: the next prospect of a list, given and claimed.
#[tokio::test]
async fn the_next_prospect_of_a_list_is_given_once() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let (kuznetsov, fyodorova) = (office.client("s-13")?, office.client("s-22")?);
    let mut ids = Vec::new();
    for number in 1..=4 {
        let phone = format!("+7 900 000-20-0{number}");
        ids.push(company(&office, &format!("Компания {number}"), &phone, "").await?);
    }
    let twin = company(&office, "Двойник первой", "8 900 000 20 01", "").await?;
    let owned = company(&office, "Занятая", "+7 900 000-20-09", "s-11").await?;
    let lists = office.admin.prospects();
    let create = CreateProspectListRequest {
        request_id: request_id(),
        name: "Обзвон марта".to_owned(),
        callers: Some(ListCallers {
            staff_ids: vec![office.staff["s-13"].clone(), office.staff["s-12"].clone()],
            ..ListCallers::default()
        }),
        ..CreateProspectListRequest::default()
    };
    let list = lists
        .clone()
        .create_prospect_list(create.clone())
        .await?
        .into_inner()
        .list_id;
    let again = CreateProspectListRequest {
        request_id: request_id(),
        ..create
    };
    let taken = refusal(lists.clone().create_prospect_list(again).await)?;
    ensure!(reason(&taken) == "LIST_TAKEN", "{taken:?}");
    // In this order, whatever the names.
    let members = vec![ids[2].clone(), ids[0].clone(), twin, owned, ids[1].clone()];
    let add = AddToProspectListRequest {
        request_id: request_id(),
        list_id: list.clone(),
        account_ids: members,
    };
    lists.clone().add_to_prospect_list(add).await?;

    let first = next_of(&list);
    let answer = kuznetsov
        .prospects()
        .next_prospect(first.clone())
        .await?
        .into_inner();
    ensure!(
        answer.until == Some(instant("2026-03-13T10:30:00+03:00")),
        "{answer:?}"
    );
    let repeated = kuznetsov
        .prospects()
        .next_prospect(first)
        .await?
        .into_inner();
    ensure!(repeated == answer, "{repeated:?}");
    ensure!(name_of(answer) == "Компания 3");
    // The list is not Фёдорова's, and of the pool a manager sees what he has claimed.
    let hidden = fyodorova.prospects().next_prospect(next_of(&list)).await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
    let pool = ListAccountsRequest {
        in_pool: true,
        min_positions: head(&office, "accounts").await?,
        ..ListAccountsRequest::default()
    };
    let seen = kuznetsov
        .accounts()
        .list_accounts(pool)
        .await?
        .into_inner()
        .accounts;
    ensure!(seen.is_empty(), "{seen:?}");
    let card = GetAccountRequest {
        account_id: ids[2].clone(),
        min_positions: head(&office, "accounts").await?,
    };
    let card = kuznetsov
        .accounts()
        .get_account(card)
        .await?
        .into_inner()
        .account;
    ensure!(card.and_then(|card| card.claim).is_some());

    // Its twin has the same number, and the owned one has an owner: neither is given out.
    let smirnova = office.client("s-12")?;
    for (client, expected) in [
        (&smirnova, "Компания 1"),
        (&kuznetsov, "Компания 2"),
        (&smirnova, ""),
    ] {
        let given = name_of(
            client
                .prospects()
                .next_prospect(next_of(&list))
                .await?
                .into_inner(),
        );
        ensure!(given == expected, "{given:?} instead of {expected:?}");
    }

    // One is given back and comes again; one is spoken with and rests.
    let release = ReleaseClaimRequest {
        request_id: request_id(),
        account_id: ids[2].clone(),
    };
    kuznetsov.prospects().release_claim(release).await?;
    let seen = head(&office, "accounts").await?;
    office
        .admin
        .contacts()
        .log_interaction(call_to(&ids[3], &seen))
        .await?;
    let given = name_of(
        smirnova
            .prospects()
            .next_prospect(next_of(&list))
            .await?
            .into_inner(),
    );
    ensure!(given == "Компания 3", "{given:?}");

    let criteria = CreateProspectListRequest {
        request_id: request_id(),
        name: "Весь Миасс".to_owned(),
        criteria: Some(ProspectCriteria {
            city: "МИАСС".to_owned(),
            ..ProspectCriteria::default()
        }),
        ..CreateProspectListRequest::default()
    };
    let list = lists
        .clone()
        .create_prospect_list(criteria)
        .await?
        .into_inner()
        .list_id;
    let rested = async || {
        let answer = fyodorova
            .prospects()
            .next_prospect(next_of(&list))
            .await?
            .into_inner();
        anyhow::Ok(name_of(answer))
    };
    ensure!(
        rested().await?.is_empty(),
        "one is claimed or owned, and one was called today"
    );
    office.at("2026-03-28T10:00:00+03:00").await?;
    let next = rested().await?;
    ensure!(!next.is_empty(), "two weeks later they are called again");
    Ok(())
}

async fn distribute(
    client: &Client,
    request: DistributeProspectsRequest,
) -> anyhow::Result<DistributeProspectsResponse> {
    let answer = client.prospects().distribute_prospects(request).await?;
    Ok(answer.into_inner())
}

fn given(answer: &DistributeProspectsResponse) -> Vec<(i64, &str)> {
    let shares = answer.shares.iter();
    shares
        .map(|share| (share.given, share.skipped.as_str()))
        .collect()
}

/// T-006, T-007, X-10: prospects are distributed by load, with a preview and exact counts.
#[tokio::test]
async fn prospects_are_distributed_evenly() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    for number in 0..10 {
        let phone = format!("+7 900 000-30-{number:02}");
        company(&office, &format!("Новая {number}"), &phone, "").await?;
    }
    for number in 0..3 {
        let phone = format!("+7 900 000-31-{number:02}");
        company(&office, &format!("Старая {number}"), &phone, "s-11").await?;
    }
    let create = CreateProspectListRequest {
        request_id: request_id(),
        name: "Новые".to_owned(),
        criteria: Some(ProspectCriteria::default()),
        ..CreateProspectListRequest::default()
    };
    let zaitsev = office.client("s-10")?;
    let list_id = zaitsev
        .prospects()
        .create_prospect_list(create)
        .await?
        .into_inner()
        .list_id;
    let staff = |names: &[&str]| {
        names
            .iter()
            .map(|name| office.staff[*name].clone())
            .collect()
    };
    let request = DistributeProspectsRequest {
        request_id: request_id(),
        list_id,
        staff_ids: staff(&["s-11", "s-12", "s-13", "s-99"]),
        way: DistributionWay::ByLoad.into(),
        capacity: 4,
        preview: true,
        ..DistributeProspectsRequest::default()
    };
    let preview = distribute(&zaitsev, request.clone()).await?;
    let expected = [(1, ""), (4, ""), (4, ""), (0, "DISMISSED")];
    ensure!(given(&preview) == expected, "{preview:?}");
    ensure!((preview.given, preview.left) == (9, 1), "{preview:?}");
    ensure!(preview.shares[0].owned_before == 3);
    ensure!(count(&office, "accounts", "account.owner_assigned").await? == 0);

    let done = DistributeProspectsRequest {
        request_id: request_id(),
        preview: false,
        ..request
    };
    for _ in 0..2 {
        let answer = distribute(&zaitsev, done.clone()).await?;
        ensure!(given(&answer)[..3] == expected[..3], "{answer:?}");
        ensure!(
            answer.given == 9 && answer.failures.is_empty(),
            "{answer:?}"
        );
        ensure!(count(&office, "accounts", "account.owner_assigned").await? == 9);
    }
    let mine = ListAccountsRequest {
        min_positions: head(&office, "accounts").await?,
        ..ListAccountsRequest::default()
    };
    let mine = office
        .client("s-12")?
        .accounts()
        .list_accounts(mine)
        .await?
        .into_inner();
    ensure!(mine.accounts.len() == 4);
    // Nobody gives to other groups.
    let elsewhere = DistributeProspectsRequest {
        request_id: request_id(),
        staff_ids: staff(&["s-21"]),
        ..done
    };
    let refused = refusal(zaitsev.prospects().distribute_prospects(elsewhere).await)?;
    ensure!(reason(&refused) == "OWNER_OUT_OF_REACH", "{refused:?}");
    Ok(())
}

async fn card(client: &Client, account_id: &str) -> anyhow::Result<api::accounts::Account> {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
        ..GetAccountRequest::default()
    };
    let answer = client.accounts().get_account(request).await?;
    answer.into_inner().account.context("a card")
}

async fn interactions(client: &Client, account_id: &str) -> anyhow::Result<Vec<Interaction>> {
    let answer = client.contacts().get_timeline(timeline(account_id)).await?;
    Ok(answer.into_inner().interactions)
}

/// Until contacts and planning know who answers for whom.
async fn settled(office: &Background) -> anyhow::Result<()> {
    let min_positions = [
        head(office, "accounts").await?,
        head(office, "contacts").await?,
        head(office, "planning").await?,
    ]
    .concat();
    let client = office.client("s-02")?;
    let persons = ListContactPersonsRequest {
        account_id: request_id(),
        min_positions: min_positions.clone(),
    };
    let unknown = client.contacts().list_contact_persons(persons).await;
    ensure!(code(&unknown) == Code::NotFound);
    let tasks = ListTasksRequest {
        min_positions: min_positions.clone(),
        ..ListTasksRequest::default()
    };
    client.planning().list_tasks(tasks).await?;
    let cards = ListAccountsRequest {
        min_positions: head(office, "accounts").await?,
        ..ListAccountsRequest::default()
    };
    client.accounts().list_accounts(cards).await?;
    Ok(())
}

/// T-005, N-07, X-14, invariant 19: merged records answer as one, and are told apart exactly.
#[tokio::test]
async fn merged_records_answer_as_one_and_are_told_apart_exactly() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let admin = &office.client("s-02")?;
    let survivor = company(&office, "Вектор", "+7 900 000-40-01", "s-11").await?;
    let merged = company(&office, "Вектор-Строй", "+7 900 000-40-02", "s-21").await?;
    let seen = head(&office, "accounts").await?;
    for (client, account) in [(&petrov, &survivor), (&nikitin, &merged)] {
        client
            .contacts()
            .log_interaction(call_to(account, &seen))
            .await?;
        let person = AddContactPersonRequest {
            request_id: request_id(),
            account_id: account.clone(),
            name: format!("Лицо {}", account.len()),
            ..AddContactPersonRequest::default()
        };
        client.contacts().add_contact_person(person).await?;
    }
    let task = CreateTaskRequest {
        request_id: request_id(),
        account_id: merged.clone(),
        assignee_id: office.staff["s-21"].clone(),
        due_at: "2026-03-16T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Перезвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    nikitin.planning().create_task(task).await?;
    settled(&office).await?;
    let before = (card(admin, &survivor).await?, card(admin, &merged).await?);
    let history = (
        interactions(admin, &survivor).await?,
        interactions(admin, &merged).await?,
    );

    let merge = |survivor_id: &str, merged_id: &str| MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: survivor_id.to_owned(),
        merged_id: merged_id.to_owned(),
        reason: "одна компания".to_owned(),
    };
    let refused = refusal(
        admin
            .duplicates()
            .merge_accounts(merge(&survivor, &survivor))
            .await,
    )?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    let hidden = office
        .client("s-10")?
        .duplicates()
        .merge_accounts(merge(&survivor, &merged))
        .await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
    let request = merge(&survivor, &merged);
    let first = admin
        .duplicates()
        .merge_accounts(request.clone())
        .await?
        .into_inner();
    let again = admin
        .duplicates()
        .merge_accounts(request)
        .await?
        .into_inner();
    ensure!(
        first == again && first.survivor_id == survivor,
        "{first:?} {again:?}"
    );
    let refused = refusal(
        admin
            .duplicates()
            .merge_accounts(merge(&merged, &survivor))
            .await,
    )?;
    ensure!(reason(&refused) == "MERGED_WITH_ITSELF", "{refused:?}");
    ensure!(count(&office, "accounts", "account.merged").await? == 1);

    settled(&office).await?;
    for id in [&survivor, &merged] {
        let card = card(&petrov, id).await?;
        ensure!(
            card.id == survivor && card.merged_ids == [merged.clone()],
            "{card:?}"
        );
        let timeline = interactions(&petrov, id).await?;
        ensure!(timeline.len() == 2 && timeline.iter().all(|one| one.account_id == survivor));
        let persons = ListContactPersonsRequest {
            account_id: id.clone(),
            ..ListContactPersonsRequest::default()
        };
        let persons = petrov
            .contacts()
            .list_contact_persons(persons)
            .await?
            .into_inner()
            .persons;
        ensure!(persons.len() == 2, "{persons:?}");
        let tasks = ListTasksRequest {
            account_id: id.clone(),
            ..ListTasksRequest::default()
        };
        ensure!(
            petrov
                .planning()
                .list_tasks(tasks)
                .await?
                .into_inner()
                .total
                == 1
        );
    }
    let gone = nikitin.accounts().get_account(GetAccountRequest {
        account_id: merged.clone(),
        ..GetAccountRequest::default()
    });
    ensure!(code(&gone.await) == Code::NotFound);
    let check = CheckDuplicateRequest {
        phones: vec!["8 900 000 40 02".to_owned()],
        ..CheckDuplicateRequest::default()
    };
    let hits = petrov
        .duplicates()
        .check_duplicate(check)
        .await?
        .into_inner()
        .hits;
    ensure!(
        hits.len() == 1 && hits[0].account_id == survivor,
        "{hits:?}"
    );
    let all = admin
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner();
    ensure!(all.accounts.len() == 1, "{all:?}");

    // What comes later under either id is the survivor's.
    petrov
        .contacts()
        .log_interaction(call_to(&merged, &[]))
        .await?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: merged.clone(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    ensure!(
        petrov
            .accounts()
            .register_order(order)
            .await?
            .into_inner()
            .converted
    );

    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: merged.clone(),
        reason: "две компании".to_owned(),
    };
    let answer = admin
        .duplicates()
        .unmerge_accounts(unmerge)
        .await?
        .into_inner();
    ensure!(answer.survivor_id == survivor, "{answer:?}");
    settled(&office).await?;
    let after = card(admin, &merged).await?;
    let restored = api::accounts::Account {
        version: before.1.version,
        ..after
    };
    ensure!(restored == before.1, "{restored:?}");
    ensure!(interactions(admin, &merged).await? == history.1);
    let later = interactions(admin, &survivor).await?;
    ensure!(later.len() == 2 && later[1..] == history.0[..], "{later:?}");
    let kept = card(admin, &survivor).await?;
    ensure!(kept.card == before.0.card && kept.owner_id == before.0.owner_id);
    ensure!(kept.orders.len() == 1 && kept.lifecycle() == Lifecycle::Client);
    ensure!(card(&nikitin, &merged).await?.id == merged);
    Ok(())
}

/// Invariant 19: whoever merges what with what at once, every record still answers.
#[tokio::test]
async fn merges_at_once_make_no_circle() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let admin = &office.client("s-02")?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let phone = format!("+7 900 000-50-0{number}");
        ids.push(company(&office, &format!("Круг {number}"), &phone, "s-11").await?);
    }
    let merges = (0..30).map(|number: usize| {
        let request = MergeAccountsRequest {
            request_id: request_id(),
            survivor_id: ids[(number + 1) % 3].clone(),
            merged_id: ids[number % 3].clone(),
            reason: "одна компания".to_owned(),
        };
        async move { admin.duplicates().merge_accounts(request).await }
    });
    let answers = futures::future::join_all(merges).await;
    ensure!(answers.iter().any(Result::is_ok));
    settled(&office).await?;
    let mut survivors: Vec<String> = Vec::new();
    for id in &ids {
        survivors.push(card(admin, id).await?.id);
    }
    survivors.dedup();
    ensure!(survivors.len() == 1, "{survivors:?}");
    ensure!(count(&office, "accounts", "account.merged").await? == 2);
    Ok(())
}
