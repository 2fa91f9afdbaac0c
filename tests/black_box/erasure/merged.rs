//! Somebody whose company has several records is forgotten in all of them.

use anyhow::{Context, ensure};
use api::{
    accounts::{
        DealFields, FieldValue, MergeAccountsRequest, OpenDealRequest, PipelineField,
        PipelineStage, PublishPipelineRequest, RegisterOrderRequest, UnmergeAccountsRequest,
    },
    common::Money,
    contacts::{InteractionKind, LogInteractionRequest, Outcome},
};
use tests::background::request_id;

use super::{
    everywhere::{dumps, traces_of},
    known::Known,
    no_canary, said,
};

/// The person's company is a record of acc-2 from now on; both have ordered.
async fn merge(known: &Known, why: &str) -> anyhow::Result<()> {
    let survivor_id = known.office.account("acc-2").await?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: survivor_id.clone(),
        amount: Some(Money {
            minor_units: 100,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    known.office.admin.accounts().register_order(order).await?;
    let request = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id,
        merged_id: known.account_id.clone(),
        reason: why.to_owned(),
    };
    let duplicates = known.office.admin.duplicates();
    duplicates.clone().merge_accounts(request).await?;
    Ok(())
}

/// A call to the account of before; gives its id.
async fn call(known: &Known, with: &str, of: &[&str], summary: &str) -> anyhow::Result<String> {
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        person_id: with.to_owned(),
        mentioned_person_ids: of.iter().map(|&id| id.to_owned()).collect(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: summary.to_owned(),
        min_positions: known.heads().await?,
        ..LogInteractionRequest::default()
    };
    let answer = known
        .office
        .admin
        .contacts()
        .log_interaction(request)
        .await?;
    Ok(answer.into_inner().interaction_id)
}

#[tokio::test]
async fn what_was_said_while_records_were_merged_goes_too() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    merge(&known, "одна компания").await?;
    let (person, other) = (known.person_id.clone(), known.other_id.clone());
    call(&known, &person, &[], "Канарейкин после слияния").await?;
    let shared = call(&known, &other, &[&person], "Соколова о Канарейкине").await?;
    let request = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: known.account_id.clone(),
        reason: "две компании".to_owned(),
    };
    let duplicates = known.office.admin.duplicates();
    duplicates.clone().unmerge_accounts(request).await?;
    known.heads = known.heads().await?;

    known.request_erasure("s-30", false).await?;
    let mut to_review = known.erasure().await?.interactions_to_review;
    to_review.retain(|id| !known.contacts.contains(id));
    ensure!(to_review == [shared], "{to_review:?}");
    known.erase().await?;
    known.office.caught_up().await?;
    let left = dumps(&known.office.office.data(), &[])?;
    no_canary("a dump", &left)?;
    ensure!(!traces_of(&left, &["птичий", "клетка"]).is_empty());
    Ok(())
}

#[tokio::test]
async fn all_records_of_a_company_that_is_the_person_go_along() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    let pipeline = PublishPipelineRequest {
        request_id: request_id(),
        name: "Поставка".to_owned(),
        stages: vec![PipelineStage {
            name: "Новая".to_owned(),
            ..PipelineStage::default()
        }],
        fields: vec![PipelineField {
            key: "terms".to_owned(),
            name: "Условия".to_owned(),
        }],
        ..PublishPipelineRequest::default()
    };
    let deals = known.office.admin.deals();
    let published = deals.clone().publish_pipeline(pipeline).await?;
    let pipeline_id = published.into_inner().pipeline_id;
    let open = |terms: &str| OpenDealRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        pipeline_id: pipeline_id.clone(),
        fields: Some(DealFields {
            fields: vec![FieldValue {
                key: "terms".to_owned(),
                value: terms.to_owned(),
            }],
            ..DealFields::default()
        }),
        ..OpenDealRequest::default()
    };
    deals
        .clone()
        .open_deal(open("Канарейкин ждёт скидку"))
        .await?;
    merge(&known, "Обе ведёт Канарейкин").await?;
    deals.clone().open_deal(open("Канарейкин ждёт ещё")).await?;
    call(&known, "", &[], "Клетка Канарейкина занята").await?;
    known.office.caught_up().await?;
    let of_both = ["птичий", "клетка", "ждёт скидку", "ждёт ещё"];
    let before = dumps(&known.office.office.data(), &[])?;
    ensure!(traces_of(&before, &of_both).len() == of_both.len());
    known.heads = known.heads().await?;
    let told = said::told(&known).await?;
    ensure!(
        !traces_of(&told, &["обе ведёт канарейкин"]).is_empty(),
        "{told}"
    );
    let data = known.office.office.data();
    no_canary("the log", &dumps(&data, &["--schema=log"])?)?;

    known.request_erasure("s-30", true).await?;
    let certificate = known.erase().await?;
    let mut parts = certificate.parts.iter();
    let part = parts.find(|part| part.service == "accounts");
    // Two cards, and what was said in deals with either.
    ensure!(part.context("accounts")?.keys == 4, "{certificate:?}");
    known.office.caught_up().await?;
    let left = dumps(&known.office.office.data(), &[])?;
    no_canary("a dump", &left)?;
    let left = traces_of(&left, &of_both);
    ensure!(left.is_empty(), "{left:?}");
    no_canary("an answer", &said::told(&known).await?)
}
