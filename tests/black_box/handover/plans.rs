//! Hand-overs by share and by rule: what is shown before is what is done.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use api::accounts::{
    DealStanding, GetTransferRequest, GetTransferResponse, ListAccountsRequest, ListDealsRequest,
    ListTransfersRequest, OpenDealRequest, PipelineStage, PlanTransferRequest,
    PlanTransferResponse, PublishPipelineRequest, StartTransferRequest, TransferField,
    TransferList, TransferListPart, TransferOrder, TransferPlan, TransferRule, TransferRules,
    TransferShare, TransferShares, TransferState, transfer_plan::How,
};
use tests::{
    background::{Background, fields, import, largest_page, reason, request_id},
    client::Client,
    eventually,
};
use tonic::Code;

const LONG: Duration = Duration::from_secs(20);

/// Nine companies of Петров; he spoke with the seventh last, before that with the eighth.
async fn office() -> anyhow::Result<Background> {
    let office = Background::start("2026-04-01T09:00:00+03:00").await?;
    let accounts = "external_id,name,phone,city,type,owner
acc-1,Компания 1,+79000000001,Миасс,завод,s-11
acc-2,Компания 2,+79000000002,МИАСС,склад,s-11
acc-3,Компания 3,+79000000003,Уфа,завод,s-11
acc-4,Компания 4,+79000000004,Уфа,,s-11
acc-5,Компания 5,+79000000005,Орёл,завод,s-11
acc-6,Компания 6,+79000000006,Орёл,,s-11
acc-7,Компания 7,+79000000007,,,s-11
acc-8,Компания 8,+79000000008,,,s-11
acc-9,Компания 9,+79000000009,,,s-11
other,Чужая компания,+79000000010,Миасс,,s-12
";
    let tasks = "external_id,account,assignee,kind,due_at,comment
t-1,acc-1,s-11,call,2026-03-31 10:00,Позвонить
t-2,acc-1,s-11,call,2026-04-02 10:00,Позвонить
t-3,acc-9,s-11,call,2026-04-03 10:00,Позвонить
";
    let spoken = "external_id,account,kind,outcome,occurred_at,author
i-1,acc-8,call,connected,2026-03-30 10:00,s-11
i-2,acc-7,call,connected,2026-03-31 10:00,s-11
";
    for (kind, csv) in [
        ("accounts", accounts),
        ("tasks", tasks),
        ("interactions", spoken),
    ] {
        import(&office.office, "s-02", kind, csv)?;
    }
    office.caught_up().await?;
    Ok(office)
}

fn shares(office: &Background, shares: &[(&str, i32)], order: TransferOrder) -> TransferPlan {
    let shares = shares.iter().map(|(to, weight)| TransferShare {
        to_owner_id: office.staff[*to].clone(),
        weight: *weight,
    });
    TransferPlan {
        from_owner_id: office.staff["s-11"].clone(),
        how: Some(How::Shares(TransferShares {
            shares: shares.collect(),
            order: order.into(),
        })),
    }
}

async fn shown(
    office: &Background,
    client: &Client,
    plan: &TransferPlan,
) -> anyhow::Result<PlanTransferResponse> {
    let request = PlanTransferRequest {
        plan: Some(plan.clone()),
        min_positions: vec![office.head("planning").await?],
    };
    let answer = client.transfers().plan_transfer(request).await?;
    Ok(answer.into_inner())
}

/// Begins it and waits until planning has confirmed it.
async fn carried_out(
    client: &Client,
    plan: &TransferPlan,
) -> anyhow::Result<(String, GetTransferResponse)> {
    let request = StartTransferRequest {
        request_id: request_id(),
        plan: Some(plan.clone()),
        reason: "уходит".to_owned(),
    };
    let started = client.transfers().start_transfer(request).await?;
    let transfer_id = started.into_inner().transfer_id;
    let state = || async {
        let request = GetTransferRequest {
            transfer_id: transfer_id.clone(),
            ..GetTransferRequest::default()
        };
        let answer = client.transfers().get_transfer(request).await;
        answer.map_or_else(
            |_| GetTransferResponse::default(),
            tonic::Response::into_inner,
        )
    };
    let done = |state: &GetTransferResponse| state.state() == TransferState::Completed;
    let done = eventually(LONG, state, done).await;
    ensure!(done.state() == TransferState::Completed, "{done:?}");
    Ok((transfer_id, done))
}

/// The external ids of the companies of each owner.
async fn owned(office: &Background) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let request = ListAccountsRequest {
        page: Some(largest_page()),
        min_positions: vec![office.head("accounts").await?],
        ..ListAccountsRequest::default()
    };
    let answer = office.admin.accounts().list_accounts(request).await?;
    let mut owned: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for account in answer.into_inner().accounts {
        let of = owned.entry(account.owner_id).or_default();
        of.push(account.external_id);
    }
    for of in owned.values_mut() {
        of.sort();
    }
    Ok(owned)
}

/// What everybody would own if the plan was carried out.
async fn promised(
    office: &Background,
    plan: &PlanTransferResponse,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let request = ListAccountsRequest {
        page: Some(largest_page()),
        ..ListAccountsRequest::default()
    };
    let answer = office.admin.accounts().list_accounts(request).await?;
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for account in answer.into_inner().accounts {
        let mut receivers = plan.receivers.iter();
        let to = receivers.find(|one| one.account_ids.contains(&account.id));
        let owner = to.map_or(account.owner_id, |one| one.staff_id.clone());
        all.entry(owner).or_default().push(account.external_id);
    }
    for of in all.values_mut() {
        of.sort();
    }
    Ok(all)
}

fn figures(plan: &PlanTransferResponse) -> Vec<(i64, i64, i64)> {
    let receivers = plan.receivers.iter();
    receivers
        .map(|one| (one.accounts, one.open_tasks, one.overdue_tasks))
        .collect()
}

/// T-006, X-15: two to one, by name; an open deal goes along.
#[tokio::test]
async fn a_hand_over_by_share_does_what_was_shown() -> anyhow::Result<()> {
    let office = office().await?;
    let petrov = office.client("s-11")?;
    let account_id = office.account("acc-2").await?;
    let request = PublishPipelineRequest {
        request_id: request_id(),
        name: "Продажа".to_owned(),
        stages: vec![PipelineStage {
            required_documents: Vec::new(),
            name: "Знакомство".to_owned(),
            required: Vec::new(),
        }],
        ..PublishPipelineRequest::default()
    };
    let pipeline = office.admin.deals().publish_pipeline(request).await?;
    let request = OpenDealRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        pipeline_id: pipeline.into_inner().pipeline_id,
        ..OpenDealRequest::default()
    };
    petrov.deals().open_deal(request).await?;

    let head = office.client("s-10")?;
    let plan = shares(
        &office,
        &[("s-12", 2), ("s-13", 1)],
        TransferOrder::Unspecified,
    );
    let before = shown(&office, &head, &plan).await?;
    ensure!(figures(&before) == [(6, 2, 1), (3, 1, 0)], "{before:?}");
    ensure!(
        shown(&office, &head, &plan).await? == before,
        "not the same"
    );
    let expected = promised(&office, &before).await?;
    let (transfer_id, done) = carried_out(&head, &plan).await?;
    ensure!(
        (done.planned, done.moved, done.tasks_reassigned) == (9, 9, 3) && done.kept.is_empty(),
        "{done:?}"
    );
    let owned = owned(&office).await?;
    ensure!(owned == expected, "{owned:?}, not {expected:?}");

    let new_owner = before
        .receivers
        .iter()
        .find(|one| one.account_ids.contains(&account_id));
    let new_owner = &new_owner.context("a new owner")?.staff_id;
    let deal = || async {
        let request = ListDealsRequest {
            account_id: account_id.clone(),
            ..ListDealsRequest::default()
        };
        let deals = office.admin.deals().list_deals(request).await;
        let deals = deals.map(|answer| answer.into_inner().deals);
        deals.unwrap_or_default().pop().unwrap_or_default()
    };
    let deal = eventually(LONG, deal, |deal| deal.owner_id == *new_owner).await;
    ensure!(
        deal.owner_id == *new_owner && deal.standing() == DealStanding::Open,
        "{deal:?}"
    );

    let other_group = office.client("s-20")?;
    for (client, state, ids) in [
        (
            &office.admin,
            TransferState::Unspecified,
            vec![transfer_id.clone()],
        ),
        (
            &office.admin,
            TransferState::Completed,
            vec![transfer_id.clone()],
        ),
        (&office.admin, TransferState::Moving, Vec::new()),
        (&other_group, TransferState::Unspecified, Vec::new()),
    ] {
        let request = ListTransfersRequest {
            state: state.into(),
            ..ListTransfersRequest::default()
        };
        let listed = client.transfers().list_transfers(request).await?;
        let listed = listed.into_inner().transfers.into_iter().map(|one| one.id);
        ensure!(listed.collect::<Vec<_>>() == ids, "{state:?}");
    }
    let request = GetTransferRequest {
        transfer_id,
        ..GetTransferRequest::default()
    };
    let answer = other_group.transfers().get_transfer(request).await;
    let hidden = answer.err().context("was shown")?;
    ensure!(hidden.code() == Code::NotFound, "{hidden:?}");
    Ok(())
}

/// whom he spoke with last are dealt out first.
#[tokio::test]
async fn accounts_are_dealt_out_in_a_named_order() -> anyhow::Result<()> {
    let office = office().await?;
    let plan = shares(
        &office,
        &[("s-12", 1), ("s-13", 1)],
        TransferOrder::LastContact,
    );
    let seen = || async { shown(&office, &office.admin, &plan).await.ok() };
    let (last, before) = (
        office.account("acc-7").await?,
        office.account("acc-8").await?,
    );
    // When he spoke with whom is heard of contacts.
    let heard = |shown: &Option<PlanTransferResponse>| {
        let firsts = shown.iter().flat_map(|shown| &shown.receivers);
        let firsts: Vec<_> = firsts.map(|one| one.account_ids.first()).collect();
        firsts == [Some(&last), Some(&before)]
    };
    let shown = eventually(LONG, seen, heard).await;
    ensure!(heard(&shown), "{shown:?}");
    Ok(())
}

/// T-006, X-15: by city, then by type, and the rest.
#[tokio::test]
async fn a_hand_over_by_rule_does_what_was_shown() -> anyhow::Result<()> {
    let office = office().await?;
    let rule = |field: TransferField, value: &str, to: &str| TransferRule {
        field: field.into(),
        value: value.to_owned(),
        to_owner_id: office.staff[to].clone(),
    };
    let mut rules = TransferRules {
        rules: vec![
            rule(TransferField::City, "Миасс", "s-12"),
            rule(TransferField::City, "орел", "s-13"),
            rule(TransferField::Type, "завод", "s-10"),
        ],
        rest_owner_id: String::new(),
    };
    let plan = |rules: &TransferRules| TransferPlan {
        from_owner_id: office.staff["s-11"].clone(),
        how: Some(How::Rules(rules.clone())),
    };
    let head = office.client("s-10")?;
    let without = shown(&office, &head, &plan(&rules)).await?;
    ensure!(
        figures(&without) == [(2, 2, 1), (2, 0, 0), (1, 0, 0)],
        "{without:?}"
    );
    let reasons = without
        .kept
        .iter()
        .filter_map(|kept| kept.violation.as_ref());
    let reasons: Vec<_> = reasons.map(|violation| violation.reason.as_str()).collect();
    ensure!(reasons == ["NO_RULE_FITS"; 4], "{reasons:?}");

    rules.rest_owner_id = office.staff["s-12"].clone();
    let before = shown(&office, &head, &plan(&rules)).await?;
    ensure!(
        figures(&before) == [(6, 3, 1), (2, 0, 0), (1, 0, 0)] && before.kept.is_empty(),
        "{before:?}"
    );
    let expected = promised(&office, &before).await?;
    let (_, done) = carried_out(&head, &plan(&rules)).await?;
    ensure!((done.moved, done.tasks_reassigned) == (9, 3), "{done:?}");
    let owned = owned(&office).await?;
    ensure!(owned == expected, "{owned:?}, not {expected:?}");
    Ok(())
}

/// everything wrong with a plan at once; and what cannot be moved is named and stays.
#[tokio::test]
async fn a_plan_is_refused_with_all_its_faults() -> anyhow::Result<()> {
    let office = office().await?;
    let head = office.client("s-10")?;
    let plan = shares(
        &office,
        &[("s-99", 0), ("s-11", 1), ("s-12", 1)],
        TransferOrder::Unspecified,
    );
    let request = StartTransferRequest {
        request_id: request_id(),
        plan: Some(plan),
        reason: String::new(),
    };
    let answer = head.transfers().start_transfer(request).await;
    let refused = answer.err().context("was taken")?;
    let named = fields(&refused);
    let expected = [
        "plan.shares.shares[0].to_owner_id",
        "plan.shares.shares[0].weight",
        "plan.shares.shares[1].to_owner_id",
        "reason",
    ];
    ensure!(named == expected, "{named:?}");

    let twice = office.account("acc-1").await?;
    let parts = ["s-12", "s-13"].map(|to| TransferListPart {
        to_owner_id: office.staff[to].clone(),
        account_ids: vec![twice.clone()],
    });
    let request = PlanTransferRequest {
        plan: Some(TransferPlan {
            from_owner_id: String::new(),
            how: Some(How::List(TransferList {
                parts: parts.to_vec(),
            })),
        }),
        ..PlanTransferRequest::default()
    };
    let answer = head.transfers().plan_transfer(request).await;
    let refused = answer.err().context("was taken")?;
    let named = fields(&refused);
    ensure!(named == ["plan.list.parts[1].account_ids[0]"], "{named:?}");

    let beyond = shares(&office, &[("s-21", 1)], TransferOrder::Unspecified);
    let request = PlanTransferRequest {
        plan: Some(beyond),
        ..PlanTransferRequest::default()
    };
    let answer = head.transfers().plan_transfer(request).await;
    let refused = answer.err().context("was taken")?;
    ensure!(reason(&refused) == "OWNER_OUT_OF_REACH", "{refused:?}");

    let named = [
        office.account("acc-1").await?,
        office.account("other").await?,
        request_id(),
    ];
    let part = TransferListPart {
        to_owner_id: office.staff["s-12"].clone(),
        account_ids: named.to_vec(),
    };
    let plan = TransferPlan {
        from_owner_id: office.staff["s-11"].clone(),
        how: Some(How::List(TransferList { parts: vec![part] })),
    };
    let (_, done) = carried_out(&head, &plan).await?;
    let kept = done.kept.into_iter().filter_map(|kept| {
        let violation = kept.violation?;
        Some((kept.account_id, violation.reason))
    });
    let kept: Vec<_> = kept.collect();
    let [_, theirs, unknown] = named;
    let expected = [
        (theirs, "OWNED_BY_RECEIVER".to_owned()),
        (unknown, "NOT_FOUND".to_owned()),
    ];
    ensure!(done.moved == 1 && kept == expected, "{kept:?}");
    Ok(())
}
