//! The product's scenarios, to the letter.

mod s04;
mod s05;
mod s08;
mod s11;
mod s14;

use anyhow::{Context, ensure};
use api::{
    accounts::ListAccountsRequest,
    common::Period,
    planning::{
        CancelTaskRequest, CompleteTaskRequest, CountNotDoneRequest, CreateTaskRequest,
        ListTasksRequest, RescheduleTaskRequest, Task, TaskKind,
    },
};
use tests::{
    background::{Background, fields, import, instant, request_id},
    client::Client,
};

async fn create(
    client: &Client,
    assignee: &str,
    due_at: &str,
    comment: &str,
) -> anyhow::Result<String> {
    let request = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: assignee.to_owned(),
        due_at: due_at.to_owned(),
        kind: TaskKind::Call.into(),
        comment: comment.to_owned(),
        ..CreateTaskRequest::default()
    };
    Ok(client
        .planning()
        .create_task(request)
        .await?
        .into_inner()
        .task_id)
}

async fn complete(client: &Client, task_id: &str) -> anyhow::Result<()> {
    let request = CompleteTaskRequest {
        request_id: request_id(),
        task_id: task_id.to_owned(),
        completed_at: None,
    };
    client.planning().complete_task(request).await?;
    Ok(())
}

fn comments(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.comment.as_str()).collect()
}

/// S-02, T-044: not done in the period and earlier.
#[tokio::test]
async fn s02_not_done_in_the_period_and_earlier() -> anyhow::Result<()> {
    let office = Background::start("2026-02-16T09:00:00+03:00").await?;
    let (petrov, head) = (office.client("s-11")?, office.client("s-10")?);
    let s11 = office.staff["s-11"].clone();
    let mut tasks = std::collections::HashMap::new();
    for (name, due_at) in [
        ("T1", "2026-02-20T12:00:00+03:00"),
        ("T2", "2026-02-27T15:00:00+03:00"),
        ("T3", "2026-03-02T11:00:00+03:00"),
        ("T4", "2026-03-04T18:00:00+03:00"),
        ("T5", "2026-03-05T09:30:00+03:00"),
        ("T6", "2026-03-10T10:00:00+03:00"),
        ("T7", "2026-03-03T14:00:00+03:00"),
        ("T8", "2026-02-25T10:00:00+03:00"),
    ] {
        tasks.insert(name, create(&petrov, &s11, due_at, name).await?);
    }
    create(
        &head,
        &office.staff["s-13"],
        "2026-03-04T10:00:00+03:00",
        "K",
    )
    .await?;
    create(
        &office.client("s-21")?,
        &office.staff["s-21"],
        "2026-03-01T10:00:00+03:00",
        "N",
    )
    .await?;

    office.at("2026-02-26T09:00:00+03:00").await?;
    let request = RescheduleTaskRequest {
        request_id: request_id(),
        task_id: tasks["T8"].clone(),
        due_at: "2026-03-20T10:00:00+03:00".to_owned(),
        reason: "клиент в отпуске".to_owned(),
        ..RescheduleTaskRequest::default()
    };
    petrov.planning().reschedule_task(request).await?;
    office.at("2026-03-02T17:00:00+03:00").await?;
    let request = CancelTaskRequest {
        request_id: request_id(),
        task_id: tasks["T7"].clone(),
        reason: "неактуально".to_owned(),
    };
    petrov.planning().cancel_task(request).await?;
    office.at("2026-03-03T10:00:00+03:00").await?;
    complete(&petrov, &tasks["T2"]).await?;
    office.at("2026-03-04T16:00:00+03:00").await?;
    complete(&petrov, &tasks["T4"]).await?;
    office.at("2026-03-05T12:00:00+03:00").await?;

    let min_positions = vec![office.head("planning").await?];
    let period = Some(Period {
        from: "2026-03-02".to_owned(),
        to: "2026-03-06".to_owned(),
    });
    let ask = ListTasksRequest {
        assignee_id: s11,
        period,
        only_open: true,
        min_positions: min_positions.clone(),
        ..Default::default()
    };
    let list = async |request: ListTasksRequest| {
        anyhow::Ok(petrov.planning().list_tasks(request).await?.into_inner())
    };

    let only_period = list(ask.clone()).await?;
    ensure!(
        comments(&only_period.tasks) == ["T3", "T5"],
        "{:?}",
        comments(&only_period.tasks)
    );

    let earlier = list(ListTasksRequest {
        include_earlier: true,
        ..ask.clone()
    })
    .await?;
    ensure!(
        comments(&earlier.tasks) == ["T1", "T3", "T5"],
        "{:?}",
        comments(&earlier.tasks)
    );
    ensure!(earlier.total == 3);
    let overdue: Vec<i64> = earlier.tasks.iter().map(|task| task.overdue_s).collect();
    ensure!(
        overdue == [13 * 86_400, 3 * 86_400 + 3_600, 2 * 3_600 + 1_800],
        "{overdue:?}"
    );

    let moved = list(ListTasksRequest {
        moved_after_deadline: true,
        period: None,
        ..ask.clone()
    })
    .await?;
    ensure!(
        comments(&moved.tasks) == ["T8"],
        "{:?}",
        comments(&moved.tasks)
    );
    let t8 = moved.tasks.first().context("T8")?;
    ensure!(
        t8.moves == 1 && t8.first_due_at == "2026-02-25T10:00:00+03:00",
        "{t8:?}"
    );

    let request = CountNotDoneRequest {
        period: ask.period.clone(),
        include_earlier: true,
        min_positions,
        ..CountNotDoneRequest::default()
    };
    let count = head.planning().count_not_done(request).await?.into_inner();
    let of = |staff: &str| {
        count
            .rows
            .iter()
            .find(|row| row.staff_id == office.staff[staff])
            .map(|row| row.open)
    };
    ensure!(
        (of("s-11"), of("s-12"), of("s-13"), of("s-21"), count.total)
            == (Some(3), Some(0), Some(1), None, 4),
        "{count:?}"
    );

    let then = ListTasksRequest {
        only_overdue: true,
        period: None,
        as_of: Some(instant("2026-03-02T12:00:00+03:00")),
        ..ask
    };
    let then = list(then).await?;
    ensure!(
        comments(&then.tasks) == ["T1", "T2", "T3"],
        "{:?}",
        comments(&then.tasks)
    );
    Ok(())
}

/// S-03, T-041: a task without its four facts does not exist.
#[tokio::test]
async fn s03_a_task_without_its_four_facts_does_not_exist() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(
        &office.office,
        "s-02",
        "accounts",
        "external_id,name,phone,city,owner\nacc-1001,ООО «Вектор-Строй»,+7 900 000-05-55,Миасс,s-11\n",
    )?;
    let petrov = office.client("s-11")?;
    let account = petrov
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    let complete = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff["s-11"].clone(),
        due_at: "2026-03-12T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Уточнить объём закупки бетона".to_owned(),
        account_id: account.first().context("acc-1001")?.id.clone(),
        ..CreateTaskRequest::default()
    };
    let type_only = CreateTaskRequest {
        request_id: request_id(),
        kind: TaskKind::Call.into(),
        ..Default::default()
    };
    let blank = CreateTaskRequest {
        request_id: request_id(),
        comment: "   ".to_owned(),
        ..complete.clone()
    };
    let no_time = CreateTaskRequest {
        request_id: request_id(),
        due_at: "2026-03-12".to_owned(),
        ..complete.clone()
    };
    let past = CreateTaskRequest {
        request_id: request_id(),
        due_at: "2026-03-09T10:00:00+03:00".to_owned(),
        ..complete.clone()
    };
    let dismissed = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff["s-99"].clone(),
        ..complete.clone()
    };
    for (request, named) in [
        (type_only, &["assignee_id", "comment", "due_at"][..]),
        (blank, &["comment"]),
        (no_time, &["due_at"]),
        (past, &["due_at"]),
        (dismissed, &["assignee_id"]),
    ] {
        let refused = petrov
            .planning()
            .create_task(request)
            .await
            .err()
            .context("was taken")?;
        ensure!(
            refused.code() == tonic::Code::InvalidArgument,
            "{refused:?}"
        );
        ensure!(fields(&refused) == named, "{refused:?}");
    }
    ensure!(office.events("planning").await?.is_empty());

    let first = petrov
        .planning()
        .create_task(complete.clone())
        .await?
        .into_inner();
    let again = petrov.planning().create_task(complete).await?.into_inner();
    ensure!(first == again, "{first:?} {again:?}");
    let events = office.events("planning").await?;
    ensure!(
        events == [("task.created".to_owned(), format!("task-{}", first.task_id))],
        "{events:?}"
    );
    Ok(())
}
