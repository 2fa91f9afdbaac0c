//! Deals as their callers see them.

use api::{
    accounts::{
        Deal, DealFields, DealRow, DealStanding, FieldValue, GetDealRequest,
        GetPipelineBoardRequest, ImportDealsRequest, ListDealsRequest, ListPipelinesRequest,
        LoseDealRequest, MoveDealStageRequest, OpenDealRequest, PipelineField, PipelineStage,
        PublishPipelineRequest, ReturnToPoolRequest, SetDealFieldsRequest, StageSpan,
        SuspendDealRequest, TransferAccountsRequest, WinDealRequest,
    },
    common::{Money, Recorded, row_result::Outcome},
};
use kit::timestamp;
use tonic::Code;
use vocabulary::DealId;

use crate::office::{Office, refused, staff_id};

const CONVEYOR: &str = "Конвейер I";
const SENT: &str = "КП отправлено";

fn stage(name: &str, required: &[&str]) -> PipelineStage {
    PipelineStage {
        name: name.to_owned(),
        required: required.iter().map(|key| (*key).to_owned()).collect(),
        ..PipelineStage::default()
    }
}

fn conveyor() -> PublishPipelineRequest {
    PublishPipelineRequest {
        name: CONVEYOR.to_owned(),
        stages: vec![
            stage("Первый контакт", &[]),
            stage(SENT, &["proposal", "amount"]),
            stage("Договор", &[]),
        ],
        fields: vec![PipelineField {
            key: "proposal".to_owned(),
            name: "КП".to_owned(),
        }],
        ..Default::default()
    }
}

/// КП-77 over 250,000.00 ₽.
fn proposal() -> DealFields {
    DealFields {
        amount: Some(Money {
            minor_units: 25_000_000,
            currency: "RUB".to_owned(),
        }),
        fields: vec![FieldValue {
            key: "proposal".to_owned(),
            value: "КП-77.pdf".to_owned(),
        }],
        ..Default::default()
    }
}

/// The office with the pipeline.
async fn office() -> (Office, String) {
    let office = Office::staffed().await;
    let answer = office.deals("s-02").publish_pipeline(conveyor()).await;
    let answer = answer.unwrap().into_inner();
    office.settle(answer.recorded.unwrap().position).await;
    (office, answer.pipeline_id)
}

impl Office {
    /// A deal of a company.
    async fn deal(&self, who: &str, account: impl ToString, pipeline_id: &str) -> String {
        let request = OpenDealRequest {
            account_id: account.to_string(),
            pipeline_id: pipeline_id.to_owned(),
            ..Default::default()
        };
        let answer = self.deals(who).open_deal(request).await.unwrap();
        let answer = answer.into_inner();
        self.settle(answer.recorded.unwrap().position).await;
        answer.deal_id
    }

    async fn the_deal(&self, who: &str, id: &str) -> (Deal, Vec<StageSpan>) {
        let request = GetDealRequest {
            deal_id: id.to_owned(),
            min_positions: Vec::new(),
        };
        let answer = self.deals(who).get_deal(request).await.unwrap();
        let answer = answer.into_inner();
        (answer.deal.unwrap(), answer.stages)
    }

    async fn moved(&self, who: &str, id: &str, to: &str) {
        let answer = self.deals(who).move_deal_stage(to_stage(id, to)).await;
        self.have(answer.unwrap().into_inner().recorded).await;
    }

    async fn have(&self, recorded: Option<Recorded>) {
        self.settle(recorded.unwrap().position).await;
    }

    fn at(&self, time: &str) {
        self.node.clock.set(time.parse().unwrap()).unwrap();
    }
}

fn to_stage(id: &str, stage: &str) -> MoveDealStageRequest {
    MoveDealStageRequest {
        deal_id: id.to_owned(),
        stage: stage.to_owned(),
        ..Default::default()
    }
}

fn fields(id: &str, fields: DealFields) -> SetDealFieldsRequest {
    SetDealFieldsRequest {
        deal_id: id.to_owned(),
        fields: Some(fields),
        ..Default::default()
    }
}

fn lose(id: &str) -> LoseDealRequest {
    LoseDealRequest {
        deal_id: id.to_owned(),
        reason: "цена".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_gate_opens_when_everything_is_there() {
    let (office, pipeline) = office().await;
    let account = office.company("acc-1001", "+79000000115", "s-11").await;
    let id = office.deal("s-11", account, &pipeline).await;
    let mut petrov = office.deals("s-11");

    office.at("2026-03-06T17:30:00+03:00");
    let early = refused(petrov.move_deal_stage(to_stage(&id, SENT)).await);
    assert_eq!(early.0, Code::FailedPrecondition);
    assert_eq!(early.1, "STAGE_GATE_CLOSED");
    assert_eq!(early.2, ["proposal", "amount"]);
    assert_eq!(office.events("deal.stage_changed").await, 0);

    petrov
        .set_deal_fields(fields(&id, proposal()))
        .await
        .unwrap();
    office.moved("s-11", &id, "кп отправлено").await;
    office.moved("s-11", &id, SENT).await;
    assert_eq!(office.events("deal.stage_changed").await, 1);
    // Back and forth.
    office.at("2026-03-07T17:30:00+03:00");
    office.moved("s-11", &id, "Первый контакт").await;
    office.moved("s-11", &id, SENT).await;

    office.at("2026-03-10T09:00:00+03:00");
    let answer = petrov.lose_deal(lose(&id)).await.unwrap();
    office.have(answer.into_inner().recorded).await;
    let (deal, stages) = office.the_deal("s-11", &id).await;
    assert_eq!(deal.standing(), DealStanding::Lost);
    assert_eq!(deal.lost_reason, "цена");
    assert_eq!(deal.fields, Some(proposal()));
    let spent: Vec<_> = stages
        .iter()
        .map(|stay| (stay.stage.as_str(), stay.seconds))
        .collect();
    let day = 24 * 60 * 60;
    assert_eq!(
        spent,
        [
            // Monday 09:00 to Friday 17:30
            ("Первый контакт", 4 * day + 8 * 3_600 + 1_800),
            (SENT, day),
            ("Первый контакт", 0),
            // until it was lost
            (SENT, 2 * day + 15 * 3_600 + 1_800),
        ]
    );
    assert!(stages.iter().all(|stay| stay.moved_by == staff_id("s-11")));

    for closed in [
        refused(petrov.move_deal_stage(to_stage(&id, "Договор")).await),
        refused(petrov.set_deal_fields(fields(&id, proposal())).await),
    ] {
        assert_eq!(closed.0, Code::FailedPrecondition);
        assert_eq!(closed.1, "DEAL_CLOSED");
    }
    petrov.lose_deal(lose(&id)).await.unwrap();
    assert_eq!(office.events("deal.lost").await, 1);
}

#[tokio::test]
async fn a_pipeline_is_published_in_versions() {
    let (office, id) = office().await;
    let mut orlova = office.deals("s-02");
    let same = orlova.publish_pipeline(conveyor()).await.unwrap();
    assert_eq!(same.into_inner().version, 1);

    let keys: Vec<_> = (0..13).map(|n| format!("field_{n}")).collect();
    let field = |key: &String| PipelineField {
        key: key.clone(),
        name: key.clone(),
    };
    let long = |override_reason: &str| PublishPipelineRequest {
        stages: vec![PipelineStage {
            name: "Анкета".to_owned(),
            required: keys.clone(),
            ..PipelineStage::default()
        }],
        fields: keys.iter().map(field).collect(),
        override_reason: override_reason.to_owned(),
        ..conveyor()
    };
    let (code, reason, at) = refused(orlova.publish_pipeline(long("")).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert_eq!(reason, "TOO_MANY_REQUIRED_FIELDS");
    assert_eq!(at, ["stages[0].required"]);
    let answer = orlova.publish_pipeline(long("требование завода")).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(
        (answer.pipeline_id.as_str(), answer.version),
        (id.as_str(), 2)
    );
    office.have(answer.recorded).await;

    let request = ListPipelinesRequest::default();
    let answer = office.deals("s-11").list_pipelines(request).await;
    let pipelines = answer.unwrap().into_inner().pipelines;
    assert_eq!(pipelines.len(), 1);
    assert_eq!(pipelines[0].version, 2);
    assert_eq!(pipelines[0].override_reason, "требование завода");
    assert_eq!(pipelines[0].stages[0].required.len(), 13);

    let bad = PublishPipelineRequest {
        stages: vec![stage("А", &["price"]), stage("а", &[])],
        ..conveyor()
    };
    let (code, _, at) = refused(orlova.publish_pipeline(bad).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(at, ["stages[0].required[0]", "stages[1].name"]);
}

#[tokio::test]
async fn a_deal_goes_with_its_company_and_is_seen_with_it() {
    let (office, pipeline) = office().await;
    let account = office.company("acc-1001", "+79000000115", "s-11").await;
    let open = office.deal("s-11", account, &pipeline).await;
    let won = office.deal("s-11", account, &pipeline).await;
    let request = WinDealRequest {
        deal_id: won.clone(),
        ..Default::default()
    };
    office.deals("s-11").win_deal(request).await.unwrap();

    // Никитин is in another group: to him there is no such deal, whatever he tries.
    let mut nikitin = office.deals("s-21");
    let unknown = DealId::of_external("no such deal").to_string();
    for id in [&open, &unknown] {
        let get = GetDealRequest {
            deal_id: id.clone(),
            min_positions: Vec::new(),
        };
        for refusal in [
            refused(nikitin.get_deal(get).await),
            refused(nikitin.move_deal_stage(to_stage(id, SENT)).await),
            refused(nikitin.set_deal_fields(fields(id, proposal())).await),
            refused(nikitin.lose_deal(lose(id)).await),
        ] {
            assert_eq!(refusal, (Code::NotFound, "NOT_FOUND".to_owned(), vec![]));
        }
    }
    let board = |owner: &str| GetPipelineBoardRequest {
        pipeline_id: pipeline.clone(),
        owner_id: owner.to_owned(),
        ..Default::default()
    };
    let seen = async |who: &str| {
        let answer = office.deals(who).get_pipeline_board(board("")).await;
        let stages = answer.unwrap().into_inner().stages.into_iter();
        stages.map(|stage| stage.count).sum::<i64>()
    };
    assert_eq!((seen("s-21").await, seen("s-11").await), (0, 1));

    let transfer = TransferAccountsRequest {
        account_ids: vec![account.to_string()],
        to_owner_id: staff_id("s-21"),
        reason: "передача".to_owned(),
        ..Default::default()
    };
    let answer = office.accounts("s-02").transfer_accounts(transfer).await;
    office.settle(answer.unwrap().into_inner().position).await;
    // At once, though the deal itself follows a moment later.
    assert_eq!((seen("s-21").await, seen("s-11").await), (1, 0));
    office.recorded("deal.ownership_transferred", 1).await;
    let (deal, _) = office.the_deal("s-21", &open).await;
    assert_eq!(deal.owner_id, staff_id("s-21"));
    let (deal, _) = office.the_deal("s-21", &won).await;
    assert_eq!(
        deal.owner_id,
        staff_id("s-11"),
        "a sale stays with who made it"
    );

    let request = ReturnToPoolRequest {
        account_id: account.to_string(),
        reason: "не отвечает".to_owned(),
        ..Default::default()
    };
    office
        .accounts("s-02")
        .return_to_pool(request)
        .await
        .unwrap();
    office.recorded("deal.ownership_transferred", 2).await;
    let (deal, _) = office.the_deal("s-02", &open).await;
    assert_eq!(deal.owner_id, "");
    let list = ListDealsRequest {
        account_id: account.to_string(),
        ..Default::default()
    };
    let deals = office.deals("s-02").list_deals(list).await.unwrap();
    assert_eq!(deals.into_inner().deals.len(), 2);
}

#[tokio::test]
async fn the_board_shows_what_waits_and_what_is_put_off_too_often() {
    let (office, pipeline) = office().await;
    let account = office.company("acc-1001", "+79000000115", "s-11").await;
    let first = office.deal("s-11", account, &pipeline).await;
    let second = office.deal("s-11", account, &pipeline).await;
    let mut petrov = office.deals("s-11");
    petrov
        .set_deal_fields(fields(&first, proposal()))
        .await
        .unwrap();
    for week in 1..=3 {
        let until = office.node.clock.now() + chrono::TimeDelta::weeks(week);
        let request = SuspendDealRequest {
            deal_id: second.clone(),
            until: Some(timestamp(until)),
            ..Default::default()
        };
        let answer = petrov.suspend_deal(request).await.unwrap();
        office.have(answer.into_inner().recorded).await;
    }
    let past = SuspendDealRequest {
        deal_id: second.clone(),
        until: Some(timestamp(office.node.clock.now())),
        ..Default::default()
    };
    assert_eq!(refused(petrov.suspend_deal(past).await).2, ["until"]);

    let board = GetPipelineBoardRequest {
        pipeline_id: pipeline.clone(),
        ..Default::default()
    };
    let stages = async || {
        let answer = office.deals("s-11").get_pipeline_board(board.clone()).await;
        answer.unwrap().into_inner().stages
    };
    let columns = stages().await;
    let names: Vec<_> = columns.iter().map(|column| column.stage.as_str()).collect();
    assert_eq!(names, ["Первый контакт", SENT, "Договор"]);
    let column = &columns[0];
    assert_eq!((column.count, column.suspended), (2, 1));
    assert_eq!(column.amounts, [proposal().amount.unwrap()]);
    let off = column.deals.iter().find(|deal| deal.id == second).unwrap();
    assert_eq!(off.standing(), DealStanding::Suspended);
    assert_eq!((off.suspensions, off.suspended_often), (3, true));

    // It wakes up by itself.
    office.at("2026-04-01T09:00:00+03:00");
    let column = stages().await.swap_remove(0);
    assert_eq!(column.suspended, 0);
    let off = column.deals.iter().find(|deal| deal.id == second).unwrap();
    assert_eq!(off.standing(), DealStanding::Open);
    assert_eq!(off.seconds_in_stage, 30 * 24 * 60 * 60);
}

#[tokio::test]
async fn a_file_of_deals() {
    let (office, pipeline) = office().await;
    office.company("acc-1001", "+79000000115", "s-11").await;
    let row = |row: i64, external_id: &str| DealRow {
        row,
        external_id: external_id.to_owned(),
        account: "acc-1001".to_owned(),
        pipeline: "конвейер I".to_owned(),
        amount: "180 000,00".to_owned(),
        currency: "RUB".to_owned(),
        opened_at: "2025-11-03".to_owned(),
        ..Default::default()
    };
    let request = ImportDealsRequest {
        rows: vec![
            row(2, "d-1"),
            DealRow {
                stage: "договор".to_owned(),
                owner: "s-12".to_owned(),
                closed_at: "2025-12-01".to_owned(),
                lost_reason: "цена".to_owned(),
                ..row(3, "d-2")
            },
            DealRow {
                stage: SENT.to_owned(),
                amount: String::new(),
                ..row(4, "d-3")
            },
            DealRow {
                account: "acc-9".to_owned(),
                pipeline: "Воронка".to_owned(),
                amount: "много".to_owned(),
                opened_at: "2030-01-01".to_owned(),
                ..row(5, "d-4")
            },
            DealRow {
                owner: "s-12".to_owned(),
                ..row(6, "d-5")
            },
            row(7, "d-1"),
            row(8, "d-3"),
        ],
        dry_run: true,
    };
    let fates = async |dry_run: bool| {
        let request = ImportDealsRequest {
            dry_run,
            ..request.clone()
        };
        let answer = office.deals("s-02").import_deals(request).await.unwrap();
        let answer = answer.into_inner();
        office.settle(answer.position).await;
        let fate = |result: &api::common::RowResult| {
            let violations = result.violations.iter();
            let fields: Vec<_> = violations.map(|fault| fault.field.clone()).collect();
            (result.row, result.outcome(), fields.join(" "))
        };
        answer.results.iter().map(fate).collect::<Vec<_>>()
    };
    let none = String::new;
    let expected = |new| {
        [
            (2, new, none()),
            (3, new, none()),
            (4, Outcome::Rejected, "proposal amount".to_owned()),
            (
                5,
                Outcome::Rejected,
                "account pipeline amount opened_at".to_owned(),
            ),
            (6, Outcome::Rejected, "owner".to_owned()),
            (7, Outcome::Repeated, none()),
            (8, new, none()),
        ]
    };
    assert_eq!(fates(true).await, expected(Outcome::Created));
    assert_eq!(office.events("deal.opened").await, 0);
    assert_eq!(fates(false).await, expected(Outcome::Created));
    assert_eq!(office.events("deal.opened").await, 3);
    // What was refused before it was mended is the same deal now.
    let mut again = expected(Outcome::Repeated);
    again[2] = (4, Outcome::Repeated, none());
    assert_eq!(fates(false).await, again);
    assert_eq!(office.events("deal.opened").await, 3);

    let lost = DealId::of_external("d-2").to_string();
    let (deal, stages) = office.the_deal("s-11", &lost).await;
    assert_eq!(deal.standing(), DealStanding::Lost);
    assert_eq!(deal.owner_id, staff_id("s-12"));
    assert_eq!(deal.pipeline_id, pipeline);
    assert_eq!(stages.len(), 1);
    assert_eq!(stages[0].seconds, 28 * 24 * 60 * 60);
}
