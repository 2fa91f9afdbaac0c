//! Deals worked as a list: which ones, of whom, and page by page.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Deal, DealStanding, GetPipelineBoardRequest, ListDealsRequest, MergeAccountsRequest,
        SuspendDealRequest,
    },
    common::{PageRequest, Period},
    planning::{CreateTaskRequest, TaskKind},
};
use tests::{
    background::{Background, code, fields, import, instant, request_id},
    client::Client,
};
use tonic::Code;

use super::{FIRST, conveyor, open, publish, to};

const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1001,ООО «Вектор-Строй»,+79000005501,s-11
acc-1002,ООО «Гамма»,+79000005502,s-12
acc-1003,ЗАО «Дельта»,+79000005503,s-21
";
const DEALS: &str = "external_id,account,pipeline,stage,opened_at,closed_at,lost_reason
d-1,acc-1001,Конвейер I,,2026-02-01,,
d-2,acc-1001,Конвейер I,,2026-02-02,2026-02-20,цена
d-3,acc-1001,Конвейер I,,2026-02-03,2026-02-25,
d-4,acc-1002,Конвейер I,,2026-02-04,2026-03-01,сроки
d-5,acc-1002,Повторные продажи,,2026-02-05,,
d-6,acc-1003,Конвейер I,Договор,2026-02-06,,
";

/// An office with two pipelines, by their ids.
async fn office() -> anyhow::Result<(Background, [String; 2])> {
    let office = Background::start("2026-03-02T10:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (first, _) = publish(&office.admin, conveyor("Конвейер I")).await?;
    let (second, _) = publish(&office.admin, conveyor("Повторные продажи")).await?;
    Ok((office, [first, second]))
}

/// All of a list, two at a time.
async fn listed(client: &Client, request: &ListDealsRequest) -> anyhow::Result<Vec<Deal>> {
    let mut found = Vec::new();
    let mut page = PageRequest {
        size: 2,
        ..PageRequest::default()
    };
    loop {
        let request = ListDealsRequest {
            page: Some(page.clone()),
            ..request.clone()
        };
        let answer = client.deals().list_deals(request).await?.into_inner();
        found.extend(answer.deals);
        page.token = answer.next_page_token;
        if page.token.is_empty() {
            return Ok(found);
        }
    }
}

async fn expect(
    client: &Client,
    request: &ListDealsRequest,
    expected: &[&str],
) -> anyhow::Result<()> {
    let found = listed(client, request).await?;
    let found: Vec<_> = found.iter().map(|deal| deal.external_id.as_str()).collect();
    ensure!(found == expected, "{found:?} for {request:?}");
    Ok(())
}

fn standing(all: &ListDealsRequest, standings: &[DealStanding]) -> ListDealsRequest {
    ListDealsRequest {
        standings: standings.iter().map(|one| (*one).into()).collect(),
        ..all.clone()
    }
}

/// T-049: lost deals with their reasons, one's own deals and those of a stage are one list, whose
/// filters combine; who does not see a company sees none of its deals.
#[tokio::test]
async fn t049_deals_are_one_list() -> anyhow::Result<()> {
    use DealStanding::{Lost, Open, Won};
    let (office, [first, second]) = office().await?;
    import(&office.office, "s-02", "deals", DEALS)?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    let (volkova, nikitin) = (office.client("s-20")?, office.client("s-21")?);
    let all = ListDealsRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListDealsRequest::default()
    };
    let everything = ["d-6", "d-5", "d-4", "d-3", "d-2", "d-1"];
    expect(&office.admin, &all, &everything).await?;
    expect(&zaitsev, &all, &everything[1..]).await?;
    expect(&petrov, &all, &["d-3", "d-2", "d-1"]).await?;
    for foreign in [&volkova, &nikitin] {
        expect(foreign, &all, &["d-6"]).await?;
        expect(foreign, &standing(&all, &[Lost]), &[]).await?;
    }

    let lost = listed(&zaitsev, &standing(&all, &[Lost])).await?;
    let reasons: Vec<_> = lost.iter().map(|deal| deal.lost_reason.as_str()).collect();
    ensure!(reasons == ["сроки", "цена"], "{lost:?}");
    expect(&zaitsev, &standing(&all, &[Won, Lost]), &everything[2..5]).await?;
    expect(&zaitsev, &standing(&all, &[Open]), &["d-5", "d-1"]).await?;
    // Half-open: what ended with the first instant of March did not end in February.
    let february = ListDealsRequest {
        closed: Some(Period {
            from: "2026-02-20".to_owned(),
            to: "2026-03-01".to_owned(),
        }),
        ..all.clone()
    };
    expect(&zaitsev, &february, &["d-3", "d-2"]).await?;
    expect(&zaitsev, &standing(&february, &[Lost]), &["d-2"]).await?;

    let of = |owners: &[&str]| ListDealsRequest {
        owner_ids: owners
            .iter()
            .map(|one| office.staff[*one].clone())
            .collect(),
        ..all.clone()
    };
    expect(&zaitsev, &of(&["s-12"]), &["d-5", "d-4"]).await?;
    expect(&zaitsev, &of(&["s-11", "s-12", "s-21"]), &everything[1..]).await?;
    expect(&zaitsev, &standing(&of(&["s-11"]), &[Lost]), &["d-2"]).await?;
    expect(&petrov, &of(&["s-12"]), &[]).await?;
    for (pipeline_id, stage, expected) in [
        (&second, "", &["d-5"][..]),
        (&first, "Договор", &["d-6"]),
        (&second, "Договор", &[]),
        (&first, FIRST, &["d-4", "d-3", "d-2", "d-1"]),
    ] {
        let request = ListDealsRequest {
            pipeline_id: pipeline_id.clone(),
            stage: stage.to_owned(),
            ..all.clone()
        };
        expect(&office.admin, &request, expected).await?;
    }
    let of_account = ListDealsRequest {
        account_id: office.account("acc-1001").await?,
        ..standing(&all, &[Lost, Open])
    };
    expect(&petrov, &of_account, &["d-2", "d-1"]).await?;
    let hidden = nikitin.deals().list_deals(of_account).await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");

    let wrong = ListDealsRequest {
        owner_ids: vec![office.staff["s-11"].clone(), "s-11".to_owned()],
        pipeline_id: "Конвейер I".to_owned(),
        standings: vec![Lost.into(), 0, 9],
        closed: Some(Period {
            from: "2026-03-01".to_owned(),
            to: "2026-02-01".to_owned(),
        }),
        ..ListDealsRequest::default()
    };
    let refused = petrov.deals().list_deals(wrong).await.err();
    let mut named = fields(&refused.context("it was taken")?);
    named.sort();
    ensure!(
        named
            == [
                "closed.from",
                "owner_ids[1]",
                "pipeline_id",
                "standings[1]",
                "standings[2]",
            ],
        "{named:?}"
    );
    Ok(())
}

/// T-049: what is put off shows up when its date has come, and when it is put off again
/// and again.
#[tokio::test]
async fn t049_what_is_put_off_shows_up() -> anyhow::Result<()> {
    use DealStanding::{Open, Suspended};
    let (office, _) = office().await?;
    import(&office.office, "s-02", "deals", DEALS)?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    let head = async || {
        anyhow::Ok(ListDealsRequest {
            min_positions: vec![office.head("accounts").await?],
            ..ListDealsRequest::default()
        })
    };
    let often = |all: &ListDealsRequest| ListDealsRequest {
        suspended_often: true,
        ..all.clone()
    };
    let woken = |all: &ListDealsRequest| ListDealsRequest {
        woken: true,
        ..all.clone()
    };
    let deals = listed(&petrov, &head().await?).await?;
    let deal = deals.iter().find(|deal| deal.external_id == "d-1");
    let deal_id = deal.context("d-1")?.id.clone();
    for (times, day) in ["10", "11", "12"].into_iter().enumerate() {
        expect(&zaitsev, &often(&head().await?), &[]).await?;
        let request = SuspendDealRequest {
            request_id: request_id(),
            deal_id: deal_id.clone(),
            until: Some(instant(&format!("2026-03-{day}T10:00:00+03:00"))),
            reason: format!("отпуск {times}"),
        };
        petrov.deals().suspend_deal(request).await?;
    }
    let all = head().await?;
    expect(&zaitsev, &often(&all), &["d-1"]).await?;
    expect(&zaitsev, &woken(&all), &[]).await?;
    expect(&zaitsev, &standing(&all, &[Suspended]), &["d-1"]).await?;
    expect(&zaitsev, &standing(&all, &[Open]), &["d-5"]).await?;
    expect(
        &zaitsev,
        &standing(&all, &[Open, Suspended]),
        &["d-5", "d-1"],
    )
    .await?;
    expect(&office.client("s-12")?, &often(&all), &[]).await?;

    office.at("2026-03-12T10:00:00+03:00").await?;
    expect(&zaitsev, &woken(&all), &["d-1"]).await?;
    expect(&zaitsev, &standing(&woken(&all), &[Open]), &["d-1"]).await?;
    expect(&zaitsev, &standing(&all, &[Suspended]), &[]).await?;
    expect(&zaitsev, &standing(&all, &[Open]), &["d-5", "d-1"]).await?;
    // Somebody has taken it up again; how often it was put off stays.
    to(&petrov, &deal_id, "Договор").await?;
    let all = head().await?;
    expect(&zaitsev, &woken(&all), &[]).await?;
    expect(&zaitsev, &often(&all), &["d-1"]).await?;
    Ok(())
}

/// T-049: a board shows a hundred deals of a stage; the list has all of them, each once, whatever is
/// opened meanwhile.
#[tokio::test]
async fn t049_the_101st_deal_of_a_stage_is_reached() -> anyhow::Result<()> {
    const DEALS: i64 = 103;
    let (office, [pipeline_id, _]) = office().await?;
    let header = "external_id,account,pipeline,stage,opened_at\n".to_owned();
    let csv = (0..DEALS).fold(header, |csv, number| {
        csv + &format!("d-{number},acc-1001,Конвейер I,,2026-02-01\n")
    });
    import(&office.office, "s-02", "deals", &csv)?;
    let petrov = office.client("s-11")?;
    let min_positions = vec![office.head("accounts").await?];
    let board = GetPipelineBoardRequest {
        pipeline_id: pipeline_id.clone(),
        deals_per_stage: 1_000,
        min_positions: min_positions.clone(),
        ..GetPipelineBoardRequest::default()
    };
    let board = petrov.deals().get_pipeline_board(board).await?.into_inner();
    let column = board.stages.first().context("a stage")?;
    ensure!(
        (column.count, column.deals.len()) == (DEALS, 100),
        "{} of {}",
        column.deals.len(),
        column.count
    );

    let all = ListDealsRequest {
        pipeline_id: pipeline_id.clone(),
        stage: FIRST.to_owned(),
        min_positions,
        page: Some(PageRequest {
            size: 60,
            ..PageRequest::default()
        }),
        ..ListDealsRequest::default()
    };
    let all = standing(&all, &[DealStanding::Open, DealStanding::Suspended]);
    let page = petrov.deals().list_deals(all.clone()).await?.into_inner();
    let account = office.account("acc-1001").await?;
    let new = open(&petrov, &account, &pipeline_id).await?;
    let rest = ListDealsRequest {
        min_positions: vec![office.head("accounts").await?],
        page: Some(PageRequest {
            size: 60,
            token: page.next_page_token,
        }),
        ..all.clone()
    };
    let rest = petrov.deals().list_deals(rest).await?.into_inner();
    ensure!(rest.next_page_token.is_empty());
    let (page, rest) = (page.deals, rest.deals);
    ensure!((page.len(), rest.len()) == (60, 43), "{}", rest.len());
    let ids: BTreeSet<_> = page.iter().chain(&rest).map(|deal| &deal.id).collect();
    ensure!(ids.len() == 103 && !ids.contains(&new));
    let first = petrov.deals().list_deals(all).await?.into_inner().deals;
    ensure!(first.first().context("a deal")?.id == new);
    Ok(())
}

/// T-045: a deal on its way with whose company nothing is planned is a defect like the company; a
/// task of any record of the company mends it.
#[tokio::test]
async fn t045_deals_without_a_next_step() -> anyhow::Result<()> {
    let (office, _) = office().await?;
    import(&office.office, "s-02", "deals", DEALS)?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    let nikitin = office.client("s-21")?;
    let forgotten = ListDealsRequest {
        without_next_step: true,
        ..ListDealsRequest::default()
    };
    office.caught_up().await?;
    expect(&office.admin, &forgotten, &["d-6", "d-5", "d-1"]).await?;
    expect(&zaitsev, &forgotten, &["d-5", "d-1"]).await?;
    expect(&nikitin, &forgotten, &["d-6"]).await?;

    let (survivor_id, merged_id) = (
        office.account("acc-1001").await?,
        office.account("acc-1002").await?,
    );
    let task = CreateTaskRequest {
        request_id: request_id(),
        account_id: survivor_id.clone(),
        assignee_id: office.staff["s-11"].clone(),
        due_at: "2026-03-16T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Перезвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    let task = petrov.planning().create_task(task).await?.into_inner();
    office.caught_up().await?;
    expect(&zaitsev, &forgotten, &["d-5"]).await?;
    expect(&petrov, &forgotten, &[]).await?;
    let merge = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id,
        merged_id,
        reason: "одна компания".to_owned(),
    };
    let admin = office.client("s-02")?;
    admin.duplicates().merge_accounts(merge).await?;
    office.caught_up().await?;
    expect(&zaitsev, &forgotten, &[]).await?;
    let done = api::planning::CompleteTaskRequest {
        request_id: request_id(),
        task_id: task.task_id,
        ..Default::default()
    };
    petrov.planning().complete_task(done).await?;
    office.caught_up().await?;
    expect(&petrov, &forgotten, &["d-5", "d-1"]).await?;
    expect(&office.admin, &forgotten, &["d-6", "d-5", "d-1"]).await
}
