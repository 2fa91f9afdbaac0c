//! Lists of prospects: who comes next, and who is given what.

use anyhow::ensure;
use api::accounts::{
    AddToProspectListRequest, ChangeAccountStatusRequest, CreateProspectListRequest,
    DistributeProspectsRequest, DistributeProspectsResponse, DistributionWay, GetAccountRequest,
    ListAccountsRequest, ListCallers, ListCardAccessRequest, MergeAccountsRequest,
    NextProspectRequest, NextProspectResponse, ProspectCriteria, ReleaseClaimRequest,
    ReturnToPoolRequest,
};
use tests::{
    background::{Background, code, instant, reason, request_id},
    client::Client,
};
use tonic::Code;

use super::{call_to, claim, company, count, heads, refusal};

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

/// T-007, T-008: the next prospect of a list, given and claimed.
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
    // A card that is given is a card that is opened (N-16).
    let request = ListCardAccessRequest {
        account_id: ids[2].clone(),
        min_positions: heads(&office, "accounts").await?,
        ..ListCardAccessRequest::default()
    };
    let opened = office.admin.access().list_card_access(request).await?;
    let opened = opened.into_inner().accesses;
    let by: Vec<_> = opened.iter().map(|one| &one.staff_id).collect();
    ensure!(by == [&office.staff["s-13"]; 2], "{opened:?}");
    ensure!(name_of(answer) == "Компания 3");
    // The list is not Фёдорова's, and of the pool a manager sees what he has claimed.
    let hidden = fyodorova.prospects().next_prospect(next_of(&list)).await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
    let pool = ListAccountsRequest {
        in_pool: true,
        min_positions: heads(&office, "accounts").await?,
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
        min_positions: heads(&office, "accounts").await?,
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
    let seen = heads(&office, "accounts").await?;
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
    let expected = [(1, ""), (4, ""), (4, ""), (0, "STAFF_DISMISSED")];
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
        min_positions: heads(&office, "accounts").await?,
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

async fn list_of(office: &Background, ids: &[&str]) -> anyhow::Result<String> {
    let create = CreateProspectListRequest {
        request_id: request_id(),
        name: format!("Список {}", ids.len()),
        ..CreateProspectListRequest::default()
    };
    let mut lists = office.admin.prospects();
    let list_id = lists
        .create_prospect_list(create)
        .await?
        .into_inner()
        .list_id;
    let add = AddToProspectListRequest {
        request_id: request_id(),
        list_id: list_id.clone(),
        account_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    lists.add_to_prospect_list(add).await?;
    Ok(list_id)
}

async fn merge(office: &Background, merged: &str, survivor: &str) -> anyhow::Result<()> {
    let request = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: survivor.to_owned(),
        merged_id: merged.to_owned(),
        reason: "одна компания".to_owned(),
    };
    office.admin.duplicates().merge_accounts(request).await?;
    Ok(())
}

async fn next(client: &Client, list_id: &str) -> anyhow::Result<String> {
    let given = client.prospects().next_prospect(next_of(list_id)).await?;
    Ok(name_of(given.into_inner()))
}

/// T-005, T-007, T-008: a company is one with what was merged into it: its own duplicate keeps nobody
/// from it, and nobody else calls the numbers of what an owned company answers for.
#[tokio::test]
async fn numbers_of_merged_records_are_their_survivors() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let (fyodorova, phone) = (office.client("s-22")?, "+7 900 000-21-01");
    let (free, twin) = (
        company(&office, "Вектор", phone, "s-11").await?,
        company(&office, "Вектор-Строй", phone, "s-11").await?,
    );
    merge(&office, &twin, &free).await?;
    let request = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: free.clone(),
        reason: "не звонит".to_owned(),
    };
    office.admin.accounts().return_to_pool(request).await?;
    let owned = company(&office, "Гамма", "+7 900 000-21-02", "s-11").await?;
    let other = company(&office, "Гамма-Сервис", "+7 900 000-21-03", "").await?;
    merge(&office, &other, &owned).await?;
    let third = company(&office, "Гамма-Торг", "+7 900 000-21-03", "").await?;

    let list_id = list_of(&office, &[&third, &free]).await?;
    ensure!(next(&fyodorova, &list_id).await? == "Вектор");
    ensure!(next(&fyodorova, &list_id).await?.is_empty());
    let refused = refusal(fyodorova.prospects().claim_prospect(claim(&third)).await)?;
    ensure!(reason(&refused) == "PHONE_OWNED", "{refused:?}");
    Ok(())
}

/// T-007, T-015: a company that has refused is offered to nobody, and comes again when its status
/// says that somebody works with it.
#[tokio::test]
async fn who_has_refused_is_not_given_out() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let fyodorova = office.client("s-22")?;
    let account_id = company(&office, "Вектор", "+7 900 000-22-01", "").await?;
    let list_id = list_of(&office, &[&account_id]).await?;
    for (status, expected) in [("refused", ""), ("new", "Вектор")] {
        let request = ChangeAccountStatusRequest {
            request_id: request_id(),
            account_id: account_id.clone(),
            status: status.to_owned(),
            reason: "так сказали".to_owned(),
            ..ChangeAccountStatusRequest::default()
        };
        office.admin.cards().change_account_status(request).await?;
        let given = next(&fyodorova, &list_id).await?;
        ensure!(given == expected, "{status}: {given:?}");
    }
    Ok(())
}

/// T-007, T-008, X-10: of companies with one telephone one is given away, whoever distributes how.
#[tokio::test]
async fn of_companies_with_one_telephone_one_is_distributed() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let mut ids = Vec::new();
    for name in ["Вектор", "Вектор-Строй"] {
        ids.push(company(&office, name, "+7 900 000-23-01", "").await?);
    }
    let taken = company(&office, "Гамма", "+7 900 000-23-02", "").await?;
    company(&office, "Гамма-Сервис", "+7 900 000-23-02", "s-21").await?;
    let list_id = list_of(&office, &[&ids[0], &ids[1], &taken]).await?;
    let by_list = DistributeProspectsRequest {
        request_id: request_id(),
        list_id,
        staff_ids: vec![office.staff["s-12"].clone(), office.staff["s-13"].clone()],
        preview: true,
        ..DistributeProspectsRequest::default()
    };
    let answer = distribute(&office.admin, by_list.clone()).await?;
    ensure!(
        answer.given == 1 && answer.failures.is_empty(),
        "{answer:?}"
    );
    let named = DistributeProspectsRequest {
        list_id: String::new(),
        account_ids: vec![ids[0].clone(), ids[1].clone(), taken.clone()],
        preview: false,
        ..by_list
    };
    let answer = distribute(&office.admin, named).await?;
    ensure!(answer.given == 1, "{answer:?}");
    let failures = answer.failures.into_iter();
    let failures: Vec<_> = failures
        .map(|failure| {
            let reason = failure.violation.unwrap_or_default().reason;
            (failure.account_id, reason)
        })
        .collect();
    let refused = |id: &String| (id.clone(), "PHONE_OWNED".to_owned());
    ensure!(
        failures == [refused(&ids[1]), refused(&taken)],
        "{failures:?}"
    );
    Ok(())
}
