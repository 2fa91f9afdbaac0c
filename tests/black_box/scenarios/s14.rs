//! S-14: the gate of a stage. The task that a move brings is planning's.

use anyhow::{Context, ensure};
use api::{
    accounts::{
        DealFields, GetDealRequest, ListDocumentsRequest, MoveDealStageRequest, OpenDealRequest,
        PipelineField, PipelineStage, PublishPipelineRequest, SetDealFieldsRequest, UploadHeader,
    },
    common::Money,
    planning::ListTasksRequest,
};
use tests::{
    background::{Background, fields, import, reason, request_id},
    client::Client,
    documents::upload,
};
use tonic::{Code, Status};

const SENT: &str = "КП отправлено";

fn conveyor() -> PublishPipelineRequest {
    let stage = |name: &str| PipelineStage {
        name: name.to_owned(),
        ..PipelineStage::default()
    };
    PublishPipelineRequest {
        request_id: request_id(),
        name: "Конвейер I".to_owned(),
        stages: vec![
            stage("Первый контакт"),
            PipelineStage {
                required: vec!["amount".to_owned()],
                required_documents: vec!["Коммерческое предложение".to_owned()],
                ..stage(SENT)
            },
            stage("Договор"),
        ],
        ..PublishPipelineRequest::default()
    }
}

async fn move_to(client: &Client, deal_id: &str, stage: &str) -> Result<(), Status> {
    let request = MoveDealStageRequest {
        request_id: request_id(),
        deal_id: deal_id.to_owned(),
        stage: stage.to_owned(),
    };
    client.deals().move_deal_stage(request).await.map(drop)
}

async fn stage_of(office: &Background, deal_id: &str) -> anyhow::Result<String> {
    let request = GetDealRequest {
        deal_id: deal_id.to_owned(),
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = office.admin.deals().get_deal(request).await?.into_inner();
    Ok(answer.deal.context("a deal")?.stage)
}

/// S-14, T-048, T-018: the first move is refused naming the document and the amount; with both it
/// succeeds. Thirteen required fields need a reason.
#[tokio::test]
async fn s14_a_stage_asks_for_a_document_and_an_amount() -> anyhow::Result<()> {
    let office = Background::start("2026-03-06T17:30:00+03:00").await?;
    let accounts = "external_id,name,phone,owner\nacc-1001,ООО «Вектор»,+7 900 000-01-15,s-11\n";
    import(&office.office, "s-02", "accounts", accounts)?;
    let petrov = office.client("s-11")?;
    let published = office.admin.deals().publish_pipeline(conveyor()).await?;
    let published = published.into_inner();
    ensure!(published.version == 1);
    let request = OpenDealRequest {
        request_id: request_id(),
        account_id: office.account("acc-1001").await?,
        external_id: "d-77".to_owned(),
        pipeline_id: published.pipeline_id,
        ..OpenDealRequest::default()
    };
    let deal = petrov.deals().open_deal(request).await?.into_inner();

    let refused = move_to(&petrov, &deal.deal_id, SENT).await.err();
    let refused = refused.context("moved")?;
    ensure!(refused.code() == Code::FailedPrecondition);
    ensure!(reason(&refused) == "STAGE_GATE_CLOSED");
    ensure!(
        fields(&refused) == ["amount", "documents.proposal"],
        "{refused:?}"
    );
    ensure!(stage_of(&office, &deal.deal_id).await? == "Первый контакт");
    let request = ListTasksRequest {
        assignee_id: office.staff["s-11"].clone(),
        ..ListTasksRequest::default()
    };
    let tasks = petrov.planning().list_tasks(request).await?.into_inner();
    ensure!(tasks.tasks.is_empty());

    let paper = |kind: &str, title: &str| UploadHeader {
        request_id: request_id(),
        deal_id: deal.deal_id.clone(),
        kind: kind.to_owned(),
        title: title.to_owned(),
        ..UploadHeader::default()
    };
    // Another document is not the one.
    upload(
        &petrov,
        paper("contract", "Договор.pdf"),
        b"%PDF-1.4 contract",
    )
    .await?;
    let document = upload(
        &petrov,
        paper("proposal", "КП-77.pdf"),
        b"%PDF-1.4 proposal",
    )
    .await?;
    ensure!(document.media_type == "application/pdf" && document.deal_id == deal.deal_id);
    let refused = move_to(&petrov, &deal.deal_id, SENT).await.err();
    ensure!(fields(&refused.context("moved")?) == ["amount"]);
    let request = SetDealFieldsRequest {
        request_id: request_id(),
        deal_id: deal.deal_id.clone(),
        fields: Some(DealFields {
            amount: Some(Money {
                minor_units: 25_000_000,
                currency: "RUB".to_owned(),
            }),
            ..DealFields::default()
        }),
        ..SetDealFieldsRequest::default()
    };
    petrov.deals().set_deal_fields(request).await?;
    move_to(&petrov, &deal.deal_id, SENT).await?;
    ensure!(stage_of(&office, &deal.deal_id).await? == SENT);

    let request = ListDocumentsRequest {
        deal_id: deal.deal_id.clone(),
        min_positions: vec![office.head("accounts").await?],
        ..ListDocumentsRequest::default()
    };
    let listed = petrov.documents().list_documents(request.clone()).await?;
    let listed = listed.into_inner().documents;
    let titles: Vec<_> = listed.iter().map(|one| one.title.as_str()).collect();
    ensure!(titles == ["КП-77.pdf", "Договор.pdf"], "{titles:?}");
    let smirnova = office.client("s-12")?;
    let hidden = smirnova.documents().list_documents(request).await.err();
    ensure!(hidden.context("listed")?.code() == Code::NotFound);

    too_much_is_asked(&office).await
}

async fn too_much_is_asked(office: &Background) -> anyhow::Result<()> {
    let keys: Vec<_> = (0..12).map(|number| format!("field_{number}")).collect();
    let field = |key: &String| PipelineField {
        key: key.clone(),
        name: key.clone(),
    };
    let mut long = conveyor();
    long.fields = keys.iter().map(field).collect();
    long.stages[1].required = keys;
    let refused = office.admin.deals().publish_pipeline(long.clone()).await;
    let refused = refused.err().context("published")?;
    ensure!(reason(&refused) == "TOO_MANY_REQUIRED_FIELDS");
    let reasoned = PublishPipelineRequest {
        request_id: request_id(),
        override_reason: "требование завода".to_owned(),
        ..long
    };
    let published = office.admin.deals().publish_pipeline(reasoned).await?;
    ensure!(published.into_inner().version == 2);
    let mut unknown = conveyor();
    unknown.stages[1].required_documents = vec!["мем".to_owned()];
    let refused = office.admin.deals().publish_pipeline(unknown).await.err();
    let said = fields(&refused.context("published")?);
    ensure!(said == ["stages[1].required_documents[0]"], "{said:?}");
    Ok(())
}
