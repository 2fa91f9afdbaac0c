//! Lists of prospects: who comes next, and who is given what.

use anyhow::ensure;
use api::accounts::{
    AddToProspectListRequest, CreateProspectListRequest, DistributeProspectsRequest,
    DistributeProspectsResponse, DistributionWay, GetAccountRequest, ListAccountsRequest,
    ListCallers, ListCardAccessRequest, NextProspectRequest, NextProspectResponse,
    ProspectCriteria, ReleaseClaimRequest,
};
use tests::{
    background::{Background, code, instant, reason, request_id},
    client::Client,
};
use tonic::Code;

use super::{call_to, company, count, heads, refusal};

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
