//! Deals on their way through pipelines.

mod lists;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Deal, DealFields, DealStanding, FieldValue, GetDealRequest, GetPipelineBoardRequest,
        ListPipelinesRequest, LoseDealRequest, MoveDealStageRequest, OpenDealRequest,
        PipelineField, PipelineStage, PublishPipelineRequest, SetDealFieldsRequest, StageSpan,
        SuspendDealRequest, WinDealRequest,
    },
    common::Money,
};
use tests::{
    background::{Background, fields, import, instant, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1001,ООО «Вектор-Строй»,+79000005501,s-11
";
const FIRST: &str = "Первый контакт";
const SENT: &str = "КП отправлено";

fn stage(name: &str, required: &[&str]) -> PipelineStage {
    PipelineStage {
        required_documents: Vec::new(),
        name: name.to_owned(),
        required: required.iter().map(|key| (*key).to_owned()).collect(),
    }
}

fn conveyor(name: &str) -> PublishPipelineRequest {
    PublishPipelineRequest {
        request_id: request_id(),
        name: name.to_owned(),
        stages: vec![
            stage(FIRST, &[]),
            stage(SENT, &["proposal", "amount"]),
            stage("Договор", &[]),
        ],
        fields: vec![PipelineField {
            key: "proposal".to_owned(),
            name: "КП".to_owned(),
        }],
        ..PublishPipelineRequest::default()
    }
}

async fn publish(
    client: &Client,
    request: PublishPipelineRequest,
) -> Result<(String, i32), Status> {
    let answer = client.deals().publish_pipeline(request).await?.into_inner();
    Ok((answer.pipeline_id, answer.version))
}

async fn open(client: &Client, account_id: &str, pipeline_id: &str) -> anyhow::Result<String> {
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

async fn to(client: &Client, deal_id: &str, stage: &str) -> Result<(), Status> {
    let request = MoveDealStageRequest {
        request_id: request_id(),
        deal_id: deal_id.to_owned(),
        stage: stage.to_owned(),
    };
    client.deals().move_deal_stage(request).await.map(drop)
}

async fn set(client: &Client, deal_id: &str, fields: DealFields) -> anyhow::Result<()> {
    let request = SetDealFieldsRequest {
        request_id: request_id(),
        deal_id: deal_id.to_owned(),
        fields: Some(fields),
        ..SetDealFieldsRequest::default()
    };
    client.deals().set_deal_fields(request).await?;
    Ok(())
}

async fn get(
    office: &Background,
    client: &Client,
    deal_id: &str,
) -> anyhow::Result<(Deal, Vec<StageSpan>)> {
    let request = GetDealRequest {
        deal_id: deal_id.to_owned(),
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = client.deals().get_deal(request).await?.into_inner();
    Ok((answer.deal.context("a deal")?, answer.stages))
}

fn proposal(name: &str) -> DealFields {
    DealFields {
        fields: vec![FieldValue {
            key: "proposal".to_owned(),
            value: name.to_owned(),
        }],
        ..DealFields::default()
    }
}

fn amount(minor_units: i64) -> DealFields {
    DealFields {
        amount: Some(Money {
            minor_units,
            currency: "RUB".to_owned(),
        }),
        ..DealFields::default()
    }
}

/// The fields that a closed gate names.
fn missing(refused: &Status) -> Vec<String> {
    let failure = refused.get_details_precondition_failure();
    let named = failure.into_iter().flat_map(|failure| failure.violations);
    let mut named: Vec<_> = named.map(|violation| violation.subject).collect();
    named.extend(fields(refused));
    named.sort();
    named.dedup();
    named
}

/// T-048: a stage is entered when everything that its gate asks for is there; all that is missing is
/// named at once.
#[tokio::test]
async fn t048_a_gate_names_everything_that_is_missing() -> anyhow::Result<()> {
    let office = Background::start("2026-03-06T17:30:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, account) = (office.client("s-11")?, office.account("acc-1001").await?);
    let (pipeline, _) = publish(&office.admin, conveyor("Конвейер I")).await?;
    let deal = open(&petrov, &account, &pipeline).await?;
    for (given, expected) in [
        (None, &["amount", "proposal"][..]),
        (Some(proposal("КП-77.pdf")), &["amount"]),
    ] {
        if let Some(given) = given {
            set(&petrov, &deal, given).await?;
        }
        let refused = to(&petrov, &deal, SENT)
            .await
            .err()
            .context("the gate was open")?;
        ensure!(refused.code() == Code::FailedPrecondition, "{refused:?}");
        ensure!(reason(&refused) == "STAGE_GATE_CLOSED", "{refused:?}");
        ensure!(missing(&refused) == expected, "{:?}", missing(&refused));
        ensure!(get(&office, &petrov, &deal).await?.0.stage == FIRST);
    }
    set(&petrov, &deal, amount(25_000_000)).await?;
    to(&petrov, &deal, SENT).await?;
    ensure!(get(&office, &petrov, &deal).await?.0.stage == SENT);

    // What a gate has asked for is not taken away behind it.
    let long = PublishPipelineRequest {
        stages: vec![stage(
            FIRST,
            &[
                "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
            ],
        )],
        fields: (0..13)
            .map(|n| PipelineField {
                key: format!("f{n}"),
                name: format!("Поле {n}"),
            })
            .collect(),
        ..conveyor("Анкета")
    };
    let refused = publish(&office.admin, long.clone())
        .await
        .err()
        .context("13 fields")?;
    ensure!(
        reason(&refused) == "TOO_MANY_REQUIRED_FIELDS",
        "{refused:?}"
    );
    let argued = PublishPipelineRequest {
        request_id: request_id(),
        override_reason: "требование завода".to_owned(),
        ..long
    };
    publish(&office.admin, argued).await?;
    Ok(())
}

/// T-049: several pipelines; a deal is won, lost with a reason, put off until a date, and its time at
/// each stage is known.
#[tokio::test]
async fn t049_pipelines_and_the_ends_of_deals() -> anyhow::Result<()> {
    let office = Background::start("2026-03-02T10:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, account) = (office.client("s-11")?, office.account("acc-1001").await?);
    let (first, _) = publish(&office.admin, conveyor("Конвейер I")).await?;
    let (second, _) = publish(&office.admin, conveyor("Повторные продажи")).await?;
    ensure!(first != second);
    let mut deals = Vec::new();
    for pipeline in [&first, &first, &second] {
        deals.push(open(&petrov, &account, pipeline).await?);
    }
    let [lost, won, off] = &deals[..] else {
        anyhow::bail!("{deals:?}")
    };

    office.at("2026-03-05T10:00:00+03:00").await?;
    to(&petrov, lost, "Договор").await?;
    let losing = |reason: &str| LoseDealRequest {
        request_id: request_id(),
        deal_id: lost.clone(),
        reason: reason.to_owned(),
    };
    let refused = petrov
        .deals()
        .lose_deal(losing(" "))
        .await
        .err()
        .context("without a reason")?;
    ensure!(fields(&refused) == ["reason"], "{refused:?}");
    office.at("2026-03-06T10:00:00+03:00").await?;
    petrov.deals().lose_deal(losing("цена")).await?;
    let (deal, stages) = get(&office, &petrov, lost).await?;
    ensure!(
        deal.standing() == DealStanding::Lost && deal.lost_reason == "цена",
        "{deal:?}"
    );
    let days: Vec<_> = stages
        .iter()
        .map(|stay| (stay.stage.as_str(), stay.seconds / 86_400))
        .collect();
    ensure!(days == [(FIRST, 3), ("Договор", 1)], "{days:?}");

    let win = WinDealRequest {
        request_id: request_id(),
        deal_id: won.clone(),
    };
    petrov.deals().win_deal(win).await?;
    ensure!(get(&office, &petrov, won).await?.0.standing() == DealStanding::Won);
    for closed in [lost, won] {
        let refused = to(&petrov, closed, FIRST).await.err().context("it moved")?;
        ensure!(reason(&refused) == "DEAL_CLOSED", "{refused:?}");
    }

    let suspend = |until: Option<&str>| SuspendDealRequest {
        request_id: request_id(),
        deal_id: off.clone(),
        until: until.map(instant),
        reason: "отпуск директора".to_owned(),
    };
    for until in [None, Some("2026-03-06T09:00:00+03:00")] {
        let refused = petrov
            .deals()
            .suspend_deal(suspend(until))
            .await
            .err()
            .context("without a date")?;
        ensure!(fields(&refused) == ["until"], "{refused:?}");
    }
    for day in ["10", "11", "12"] {
        let until = format!("2026-03-{day}T10:00:00+03:00");
        petrov.deals().suspend_deal(suspend(Some(&until))).await?;
    }
    let (deal, _) = get(&office, &petrov, off).await?;
    ensure!(
        deal.standing() == DealStanding::Suspended && deal.suspended_often,
        "{deal:?}"
    );
    let board = GetPipelineBoardRequest {
        pipeline_id: second,
        min_positions: vec![office.head("accounts").await?],
        ..GetPipelineBoardRequest::default()
    };
    let columns = petrov
        .deals()
        .get_pipeline_board(board.clone())
        .await?
        .into_inner()
        .stages;
    ensure!(
        (columns[0].count, columns[0].suspended) == (1, 1),
        "{columns:?}"
    );
    office.at("2026-03-12T10:00:00+03:00").await?;
    let columns = petrov
        .deals()
        .get_pipeline_board(board)
        .await?
        .into_inner()
        .stages;
    ensure!(
        (columns[0].count, columns[0].suspended) == (1, 0),
        "it does not wake up: {columns:?}"
    );
    Ok(())
}

/// T-055: a pipeline is the reference for an operation, in versions; whoever does a step finds there
/// what it needs, and each step keeps the version that was in force and who made it.
#[tokio::test]
async fn t055_a_reference_process_has_versions() -> anyhow::Result<()> {
    let office = Background::start("2026-03-02T10:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, zaitsev) = (office.client("s-11")?, office.client("s-10")?);
    let account = office.account("acc-1001").await?;
    let refused = publish(&petrov, conveyor("Конвейер I"))
        .await
        .err()
        .context("was published")?;
    ensure!(refused.code() == Code::PermissionDenied, "{refused:?}");
    let (pipeline, version) = publish(&office.admin, conveyor("Конвейер I")).await?;
    ensure!(version == 1);
    let again = PublishPipelineRequest {
        request_id: request_id(),
        ..conveyor("Конвейер I")
    };
    ensure!(
        publish(&office.admin, again).await? == (pipeline.clone(), 1),
        "the same is another version"
    );
    let deal = open(&petrov, &account, &pipeline).await?;
    // Simpler: a proposal is enough, and there is a step more.
    let simpler = PublishPipelineRequest {
        stages: vec![
            stage(FIRST, &[]),
            stage(SENT, &["proposal"]),
            stage("Договор", &[]),
            stage("Отгрузка", &["amount"]),
        ],
        ..conveyor("Конвейер I")
    };
    ensure!(publish(&office.admin, simpler).await? == (pipeline.clone(), 2));
    let request = ListPipelinesRequest {
        min_positions: vec![office.head("accounts").await?],
    };
    let known = petrov
        .deals()
        .list_pipelines(request)
        .await?
        .into_inner()
        .pipelines;
    let [reference] = &known[..] else {
        anyhow::bail!("{known:?}")
    };
    let steps: Vec<_> = reference
        .stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage.required.len()))
        .collect();
    ensure!(
        reference.version == 2 && steps == [(FIRST, 0), (SENT, 1), ("Договор", 0), ("Отгрузка", 1)],
        "{reference:?}"
    );

    // Both work on one deal: each step says who made it, and by which version.
    set(&petrov, &deal, proposal("КП-77.pdf")).await?;
    office.at("2026-03-03T10:00:00+03:00").await?;
    to(&petrov, &deal, SENT).await?;
    office.at("2026-03-04T10:00:00+03:00").await?;
    to(&zaitsev, &deal, "Договор").await?;
    let refused = to(&petrov, &deal, "Отгрузка")
        .await
        .err()
        .context("the gate was open")?;
    ensure!(missing(&refused) == ["amount"], "{refused:?}");
    let (_, stages) = get(&office, &petrov, &deal).await?;
    let steps: Vec<_> = stages
        .iter()
        .map(|stay| {
            (
                stay.stage.as_str(),
                stay.pipeline_version,
                stay.moved_by.as_str(),
            )
        })
        .collect();
    let (petrov, zaitsev) = (office.staff["s-11"].as_str(), office.staff["s-10"].as_str());
    ensure!(
        steps
            == [
                (FIRST, 1, petrov),
                (SENT, 2, petrov),
                ("Договор", 2, zaitsev)
            ],
        "{steps:?}"
    );
    Ok(())
}
