//! Five processes on five ports answer as one process does.

mod questions;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CancelOrderRequest, ListGroupsRequest, MoveToGroupRequest, RegisterOrderRequest,
        TransferAccountsRequest, UploadHeader,
    },
    clock::GetClockRequest,
    common::Money,
    contacts::{
        ConfirmErasureRequest, ErasureGround, ErasureState, GetErasureRequest, InteractionKind,
        ListContactPersonsRequest, LogInteractionRequest, NextStep, Outcome, RequestErasureRequest,
    },
    notifications::{AcknowledgeReminderRequest, WatchRemindersRequest},
    planning::{
        CreateTaskRequest, ListTasksRequest, RequestDataEntryRequest, RescheduleTaskRequest, Task,
        TaskKind,
    },
};
use chrono::DateTime;
use tests::{
    background::{Background, import, request_id},
    client::SERVICES,
    documents::upload,
    eventually,
    office::kontakty,
};

const ACCOUNTS: &str = "external_id,name,phone,city,owner,registered_at
a-1,ООО «Вектор-Строй»,+7 900 000-01-01,Миасс,s-11,2025-06-16
a-2,ООО «Гамма»,+7 900 000-01-02,Челябинск,s-11,2025-06-17
a-3,ЗАО «Дельта»,+7 900 000-01-03,Миасс,s-12,2025-06-18
a-4,АО «Ёлка»,+7 900 000-01-04,Златоуст,s-21,2025-06-19
a-5,ООО «Альфа»,+7 900 000-01-05,Миасс,,2025-06-20
";
const PERSONS: &str = "external_id,account,name,position,phone
p-1,a-1,Ильин Константин Петрович,директор,+7 900 000-02-01
p-2,a-1,Соколова Вера Андреевна,бухгалтер,+7 900 000-02-02
p-3,a-4,Ёлкин Пётр,снабженец,+7 900 000-02-03
";
const INTERACTIONS: &str =
    "external_id,account,person,kind,direction,outcome,occurred_at,duration_s,author,summary
i-1,a-1,p-1,call,outbound,no_answer,2026-03-02 10:00,,s-11,
i-2,a-1,p-1,call,outbound,meeting_booked,2026-03-03 10:00,300,s-11,Договорились о встрече
i-3,a-1,p-1,meeting,outbound,held,2026-03-05 15:00,3600,s-12,Встретились
i-4,a-3,,call,outbound,wrong_number,2026-03-04 11:00,,s-12,
i-5,a-4,p-3,call,inbound,connected,2026-03-04 12:00,60,s-21,Звонил сам
i-6,a-4,p-3,call,outbound,order,2026-03-06 12:00,600,s-21,Заказали
i-7,a-2,,email,outbound,sent,2026-02-27 12:00,,s-11,
";
const ORDERS: &str = "external_id,account,amount,currency,ordered_at,owner
o-1,a-4,180000.00,RUB,2026-03-06 12:30,s-21
o-2,a-1,250000.00,RUB,2026-03-09 16:00,s-11
";
const TASKS: &str = "external_id,account,assignee,kind,due_at,comment,created_at,completed_at
t-1,a-1,s-11,call,2026-03-06 11:00,Перезвонить Ильину,2026-03-02,
t-2,a-1,s-11,call,2026-03-10 11:00,Уточнить объём,2026-03-05,
t-3,a-4,s-21,meeting,2026-03-05 10:00,Показать образцы,2026-03-01,2026-03-05 10:30
t-4,,s-12,other,2026-03-12 18:00,Отчёт за неделю,2026-03-05,
";

#[tokio::test]
async fn five_processes_answer_as_one() -> anyhow::Result<()> {
    let now = "2026-03-10T09:00:00+03:00";
    let (one, five) = tokio::try_join!(Background::start(now), Background::start_apart(now))?;
    let (together, apart) = tokio::try_join!(played(&one), played(&five))?;
    ensure!(together.len() == apart.len());
    let differing: Vec<_> = together
        .iter()
        .filter(|(question, answer)| apart.get(*question) != Some(answer))
        .map(|(question, answer)| {
            let other = apart.get(question);
            format!(
                "{question}\n  one:  {answer}\n  five: {}",
                other.map_or("", String::as_str)
            )
        })
        .collect();
    println!("{} answers compared", together.len());
    ensure!(differing.is_empty(), "{}", differing.join("\n"));
    clocks_move_together(&five).await?;
    erased(&five).await
}

/// `kontakty clock` moves every process, each of which has a clock of its own.
async fn clocks_move_together(office: &Background) -> anyhow::Result<()> {
    let clock = |args: &[&str]| -> anyhow::Result<String> {
        let (servers, data) = (office.office.servers(), office.office.data());
        let data = data.to_string_lossy();
        let connection = [
            "clock", "--server", &servers, "--as", "s-02", "--data", &data,
        ];
        let output = kontakty(&[&connection, args].concat())?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    clock(&["advance", "1h"])?;
    let mut times = Vec::new();
    for service in SERVICES {
        let mut clock = office.admin.clock(service);
        let answer = clock.get_clock(GetClockRequest {}).await?;
        times.push(answer.into_inner().now.context("no time")?);
    }
    let now = DateTime::parse_from_rfc3339("2026-03-10T12:55:00+03:00")?;
    ensure!(
        times.iter().all(|time| time.seconds == now.timestamp()),
        "{times:?}"
    );
    let shown = clock(&["show"])?;
    let all = SERVICES.iter().all(|service| shown.contains(service));
    ensure!(
        all && shown
            .matches("2026-03-10T09:55:00+00:00 (controlled)")
            .count()
            == 5,
        "{shown}"
    );
    Ok(())
}

/// Each process says that it has done its part.
async fn erased(office: &Background) -> anyhow::Result<()> {
    let person_id = ilyin(office).await?;
    let request = ConfirmErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
    };
    let client = office.client("s-02")?;
    client.contacts().confirm_erasure(request).await?;
    let request = GetErasureRequest {
        person_id,
        ..GetErasureRequest::default()
    };
    let asked = || async {
        let answer = client.contacts().get_erasure(request.clone()).await?;
        let erasure = answer.into_inner().erasure.context("no erasure")?;
        let whole = erasure.state() == ErasureState::Erased && erasure.parts.len() == 5;
        ensure!(whole, "{erasure:?}");
        Ok(())
    };
    eventually(Duration::from_secs(20), asked, Result::is_ok).await
}

/// Who wants to be forgotten.
async fn ilyin(office: &Background) -> anyhow::Result<String> {
    let request = ListContactPersonsRequest {
        account_id: office.account("a-1").await?,
        min_positions: vec![office.head("contacts").await?],
    };
    let persons = office.admin.contacts().list_contact_persons(request).await;
    let mut persons = persons?.into_inner().persons.into_iter();
    let ilyin = persons.find(|person| person.external_id == "p-1");
    Ok(ilyin.context("p-1")?.id)
}

async fn played(office: &Background) -> anyhow::Result<BTreeMap<String, String>> {
    play(office).await?;
    office.caught_up().await?;
    questions::answers(office).await
}

/// A day of the small company. After each step the rules have come to their end, so that whatever
/// they do is done at the same time of the clock in every office.
async fn play(office: &Background) -> anyhow::Result<()> {
    for (kind, csv) in [
        ("accounts", ACCOUNTS),
        ("persons", PERSONS),
        ("interactions", INTERACTIONS),
        ("orders", ORDERS),
        ("tasks", TASKS),
    ] {
        import(&office.office, "s-02", kind, csv)?;
    }
    // t-1 is long overdue, t-3 is history: two are to be reminded of.
    settled(office, 5, 2).await?;

    office.at("2026-03-10T09:30:00+03:00").await?;
    let (petrov, head) = (office.client("s-11")?, office.client("s-10")?);
    let a_1 = office.account("a-1").await?;
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: a_1.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::ProposalRequested.into(),
        summary: "Нужны 40 м³ в апреле".to_owned(),
        completes_task_id: task(office, "Перезвонить Ильину").await?.id,
        next_step: Some(NextStep {
            due_at: "2026-03-11T10:00:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: "Спросить про сроки".to_owned(),
            ..NextStep::default()
        }),
        min_positions: vec![office.head("planning").await?],
        ..LogInteractionRequest::default()
    };
    petrov.contacts().log_interaction(request).await?;
    settled(office, 7, 3).await?;

    let request = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff["s-12"].clone(),
        due_at: "2026-03-10T12:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Напомнить о счёте".to_owned(),
        account_id: office.account("a-3").await?,
        ..CreateTaskRequest::default()
    };
    head.planning().create_task(request).await?;
    settled(office, 8, 4).await?;

    let request = RescheduleTaskRequest {
        request_id: request_id(),
        task_id: task(office, "Уточнить объём").await?.id,
        due_at: "2026-03-10T15:00:00+03:00".to_owned(),
        reason: "занят".to_owned(),
        ..RescheduleTaskRequest::default()
    };
    petrov.planning().reschedule_task(request).await?;
    settled(office, 9, 6).await?;

    office.at("2026-03-10T11:50:00+03:00").await?;
    let smirnova = office.client("s-12")?;
    let request = WatchRemindersRequest::default();
    let mut reminders = smirnova
        .reminders()
        .watch_reminders(request)
        .await?
        .into_inner();
    let reminder = loop {
        let part = reminders.message().await?.context("the stream has ended")?;
        if let Some(reminder) = part.reminder {
            break reminder;
        }
    };
    let request = AcknowledgeReminderRequest {
        request_id: request_id(),
        reminder_id: reminder.id,
    };
    smirnova.reminders().acknowledge_reminder(request).await?;
    settled(office, 9, 8).await?;

    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![a_1.clone()],
        to_owner_id: office.staff["s-12"].clone(),
        reason: "отпуск".to_owned(),
        ..TransferAccountsRequest::default()
    };
    head.accounts().transfer_accounts(request).await?;
    // Two open tasks go along, each with its reminder, and planning says so; accounts has the last
    // word, at the same time of the clock, too.
    settled(office, 12, 12).await?;
    transferred(office).await?;

    for amount in [10_000, 20_000] {
        let request = RegisterOrderRequest {
            request_id: request_id(),
            account_id: a_1.clone(),
            amount: Some(Money {
                minor_units: amount,
                currency: "RUB".to_owned(),
            }),
            ..RegisterOrderRequest::default()
        };
        let order = smirnova
            .accounts()
            .register_order(request)
            .await?
            .into_inner();
        if amount == 10_000 {
            let request = CancelOrderRequest {
                request_id: request_id(),
                account_id: a_1.clone(),
                order_id: order.order_id,
                reason: "передумали".to_owned(),
            };
            smirnova.accounts().cancel_order(request).await?;
            office.at("2026-03-10T11:55:00+03:00").await?;
        }
    }
    let request = ListGroupsRequest::default();
    let groups = office
        .admin
        .staff()
        .list_groups(request)
        .await?
        .into_inner()
        .groups;
    let b = groups.iter().find(|group| group.name == "B").context("B")?;
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: office.staff["s-13"].clone(),
        group_id: b.id.clone(),
        ..MoveToGroupRequest::default()
    };
    office.admin.staff().move_to_group(request).await?;
    let request = RequestErasureRequest {
        request_id: request_id(),
        person_id: ilyin(office).await?,
        ground: ErasureGround::Demand.into(),
        ..RequestErasureRequest::default()
    };
    head.contacts().request_erasure(request).await?;
    let request = RequestDataEntryRequest {
        request_id: request_id(),
        account_id: a_1.clone(),
        what: "Новый адрес склада".to_owned(),
        ..RequestDataEntryRequest::default()
    };
    smirnova.data_entry().request_data_entry(request).await?;
    let header = UploadHeader {
        request_id: request_id(),
        account_id: a_1,
        kind: "proposal".to_owned(),
        title: "КП.txt".to_owned(),
        ..UploadHeader::default()
    };
    upload(&smirnova, header, "40 м³ бетона".as_bytes()).await?;
    Ok(())
}

/// Until the hand-over is over.
async fn transferred(office: &Background) -> anyhow::Result<()> {
    let events = eventually(
        Duration::from_secs(20),
        || async { office.events("accounts").await.unwrap_or_default() },
        |events| events.iter().any(|(of, _)| of == "transfer.completed"),
    )
    .await;
    let over = events.iter().any(|(of, _)| of == "transfer.completed");
    ensure!(over, "the hand-over is not completed");
    Ok(())
}

async fn task(office: &Background, comment: &str) -> anyhow::Result<Task> {
    let request = ListTasksRequest {
        min_positions: vec![office.head("planning").await?],
        ..ListTasksRequest::default()
    };
    let tasks = office
        .admin
        .planning()
        .list_tasks(request)
        .await?
        .into_inner()
        .tasks;
    let found = tasks.into_iter().find(|task| task.comment == comment);
    found.with_context(|| format!("no task `{comment}`"))
}

/// Until planning and notifications have recorded so many events.
async fn settled(office: &Background, planning: i64, notifications: i64) -> anyhow::Result<()> {
    for (service, expected) in [("planning", planning), ("notifications", notifications)] {
        let head = eventually(
            Duration::from_secs(20),
            || async { office.head(service).await.map_or(0, |head| head.position) },
            |head| *head >= expected,
        )
        .await;
        ensure!(
            head == expected,
            "{service} has {head} events and not {expected}"
        );
    }
    Ok(())
}
