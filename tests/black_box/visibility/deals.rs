use anyhow::bail;
use api::accounts::{
    DealRow, GetDealRequest, GetPipelineBoardRequest, ImportDealsRequest, ListDealsRequest,
    ListPipelinesRequest, LoseDealRequest, MoveDealStageRequest, OpenDealRequest, PipelineStage,
    PublishPipelineRequest, SetDealFieldsRequest, SuspendDealRequest, WinDealRequest,
};
use tests::{
    background::{instant, largest_page},
    population::{SPENT, STAGE},
};

use super::{
    accounts::expect_row,
    walk::{HIDDEN, OK, PASSED, Walk},
};

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "PublishPipeline" => publish(walk).await,
        "ListPipelines" => {
            let request = ListPipelinesRequest::default();
            let answer = walk.client.deals().list_pipelines(request).await?;
            let listed = answer.into_inner().pipelines;
            let own = walk.world.pipeline_id.clone();
            walk.same(method, [own], listed.into_iter().map(|one| one.id));
        }
        "ListDeals" => {
            list_all(walk).await?;
            for account in 0..walk.world.accounts.len() {
                list(walk, account).await;
            }
        }
        "GetPipelineBoard" => board(walk).await?,
        "ImportDeals" => import(walk).await?,
        _ => {
            for account in 0..walk.world.accounts.len() {
                one(walk, method, account).await?;
            }
        }
    }
    Ok(())
}

async fn publish(walk: &mut Walk<'_>) {
    let request = PublishPipelineRequest {
        request_id: SPENT.to_owned(),
        name: "Другая".to_owned(),
        stages: vec![PipelineStage {
            name: STAGE.to_owned(),
            ..PipelineStage::default()
        }],
        ..PublishPipelineRequest::default()
    };
    let answer = walk.client.deals().publish_pipeline(request).await;
    walk.answer("PublishPipeline", PASSED, &answer);
}

/// Who sees a company sees its deals.
async fn one(walk: &mut Walk<'_>, method: &str, account: usize) -> anyhow::Result<()> {
    let (mut client, request_id) = (walk.client.deals(), SPENT.to_owned());
    let asked = &walk.world.accounts[account];
    let (account_id, deal_id) = (asked.id.clone(), asked.deal_id.clone());
    let seen = walk.world.sees_account(walk.who, account);
    let expected = if seen { PASSED } else { HIDDEN };
    let question = format!("{method} {account}");
    match method {
        "GetDeal" => {
            let request = GetDealRequest {
                deal_id,
                ..GetDealRequest::default()
            };
            let answer = client.get_deal(request).await;
            walk.answer(question, if seen { OK } else { HIDDEN }, &answer);
        }
        "OpenDeal" => {
            let request = OpenDealRequest {
                request_id,
                account_id,
                pipeline_id: walk.world.pipeline_id.clone(),
                ..OpenDealRequest::default()
            };
            let answer = client.open_deal(request).await;
            walk.answer(question, expected, &answer);
        }
        "SetDealFields" => {
            let request = SetDealFieldsRequest {
                request_id,
                deal_id,
                clear: vec!["product".to_owned()],
                ..SetDealFieldsRequest::default()
            };
            let answer = client.set_deal_fields(request).await;
            walk.answer(question, expected, &answer);
        }
        "MoveDealStage" => {
            let request = MoveDealStageRequest {
                request_id,
                deal_id,
                stage: STAGE.to_owned(),
            };
            let answer = client.move_deal_stage(request).await;
            walk.answer(question, expected, &answer);
        }
        "SuspendDeal" => {
            let request = SuspendDealRequest {
                request_id,
                deal_id,
                until: Some(instant("2026-04-01T09:00:00+03:00")),
                ..SuspendDealRequest::default()
            };
            let answer = client.suspend_deal(request).await;
            walk.answer(question, expected, &answer);
        }
        "WinDeal" => {
            let request = WinDealRequest {
                request_id,
                deal_id,
            };
            let answer = client.win_deal(request).await;
            walk.answer(question, expected, &answer);
        }
        "LoseDeal" => {
            let request = LoseDealRequest {
                request_id,
                deal_id,
                reason: "цена".to_owned(),
            };
            let answer = client.lose_deal(request).await;
            walk.answer(question, expected, &answer);
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

async fn list(walk: &mut Walk<'_>, account: usize) {
    let request = ListDealsRequest {
        account_id: walk.world.accounts[account].id.clone(),
        ..ListDealsRequest::default()
    };
    let answer = walk.client.deals().list_deals(request).await;
    let seen = walk.world.sees_account(walk.who, account);
    let question = format!("ListDeals {account}");
    walk.answer(&question, if seen { OK } else { HIDDEN }, &answer);
    if let Ok(answer) = answer {
        let expected = walk.world.accounts[account].deal_id.clone();
        let deals = answer.into_inner().deals.into_iter();
        walk.same(question, [expected], deals.map(|deal| deal.id));
    }
}

/// Of all companies at once.
async fn list_all(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = ListDealsRequest {
        page: Some(largest_page()),
        ..ListDealsRequest::default()
    };
    let answer = walk.client.deals().list_deals(request).await;
    walk.no_leak("ListDeals", &answer);
    let expected = listed(walk);
    let deals = answer?.into_inner().deals.into_iter();
    walk.same("ListDeals", expected, deals.map(|deal| deal.id));
    Ok(())
}

/// The deals that the caller finds without naming a company.
fn listed(walk: &Walk<'_>) -> Vec<String> {
    let accounts = 0..walk.world.accounts.len();
    accounts
        .filter(|account| walk.world.lists_account(walk.who, *account))
        .map(|account| walk.world.accounts[account].deal_id.clone())
        .collect()
}

/// Every deal that the caller sees, in the list and in the count.
async fn board(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = GetPipelineBoardRequest {
        pipeline_id: walk.world.pipeline_id.clone(),
        deals_per_stage: 100,
        ..GetPipelineBoardRequest::default()
    };
    let answer = walk.client.deals().get_pipeline_board(request).await;
    walk.no_leak("GetPipelineBoard", &answer);
    let stages = answer?.into_inner().stages;
    let expected = listed(walk);
    let count: i64 = stages.iter().map(|stage| stage.count).sum();
    walk.expect(
        "GetPipelineBoard counts",
        &expected.len().to_string(),
        &count.to_string(),
    );
    let deals = stages.into_iter().flat_map(|stage| stage.deals);
    walk.same("GetPipelineBoard", expected, deals.map(|deal| deal.id));
    Ok(())
}

async fn import(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let accounts = walk.world.accounts.iter().enumerate();
    let rows = accounts.map(|(number, account)| DealRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        account: account.external_id.clone(),
        pipeline: "воронка".to_owned(),
        opened_at: "2026-03-01".to_owned(),
        ..DealRow::default()
    });
    let request = ImportDealsRequest {
        rows: rows.collect(),
        dry_run: true,
    };
    let answer = walk.client.deals().import_deals(request).await?;
    for (number, result) in answer.into_inner().results.iter().enumerate() {
        let seen = walk.world.sees_account(walk.who, number);
        expect_row(walk, format!("ImportDeals of {number}"), seen, result);
    }
    Ok(())
}
