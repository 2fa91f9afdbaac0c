//! What is still to be done about a company is for its present owner, however that one came to it.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AssignOwnerRequest, ClaimProspectRequest, ListGroupsRequest, MarkAbsentRequest,
        MergeAccountsRequest, MoveToGroupRequest, ReturnToPoolRequest, TransferAccountsRequest,
        UnmergeAccountsRequest,
    },
    contacts::{Direction, InteractionKind, LogInteractionRequest, Outcome},
    notifications::{ListRemindersRequest, WatchRemindersRequest},
    planning::{
        CompleteTaskRequest, CreateTaskRequest, GetMyDayRequest, GetTaskRequest,
        ListAccountsWithoutNextStepRequest, ListTasksRequest, ReassignTaskRequest, Task, TaskKind,
        TaskState,
    },
};
use tests::{
    background::{Background, code, fields, import, instant, request_id},
    client::Client,
    eventually,
};
use tonic::Code;

const LONG: Duration = Duration::from_secs(20);
const NOW: &str = "2026-03-10T09:00:00+03:00";
const DAY: &str = "2026-03-12";
const DUE: &str = "2026-03-12T10:00:00+03:00";
/// About no company.
const OWN: &str = "t-0";
const OWN_DUE: &str = "2026-03-12T10:01:00+03:00";

/// Two companies of Петров, each with a task, one of Никитин without any; and what Петров has to do
/// about none.
async fn office() -> anyhow::Result<Background> {
    let office = Background::start(NOW).await?;
    let accounts = "external_id,name,phone,owner
acc-1,Компания 1,+79000000001,s-11
acc-2,Компания 2,+79000000002,s-11
acc-3,Компания 3,+79000000003,s-21
";
    let tasks = "external_id,account,assignee,kind,due_at,comment
t-1,acc-1,s-11,call,2026-03-12 10:00,Спросить про бетон
t-2,acc-2,s-11,call,2026-03-12 10:00,Спросить про песок
t-0,,s-11,other,2026-03-12 10:01,Отчёт
";
    import(&office.office, "s-02", "accounts", accounts)?;
    import(&office.office, "s-02", "tasks", tasks)?;
    office.caught_up().await?;
    Ok(office)
}

async fn return_to_pool(office: &Background, account_id: &str) -> anyhow::Result<()> {
    let request = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        reason: "не звонит".to_owned(),
    };
    office.admin.accounts().return_to_pool(request).await?;
    office.caught_up().await
}

/// What somebody has planned for the day: the tasks by their numbers, and when each is due.
async fn day(client: &Client) -> Vec<(String, String)> {
    let request = GetMyDayRequest {
        day: DAY.to_owned(),
        ..GetMyDayRequest::default()
    };
    let day = client.planning().get_my_day(request).await;
    let tasks = day.map_or_else(|_| Vec::new(), |day| day.into_inner().today);
    let mut tasks: Vec<_> = tasks
        .into_iter()
        .map(|task| (task.external_id, task.due_at))
        .collect();
    tasks.sort();
    tasks
}

fn planned(tasks: &[&str]) -> Vec<(String, String)> {
    let due = |task: &str| if task == OWN { OWN_DUE } else { DUE };
    let tasks = tasks.iter();
    tasks
        .map(|task| ((*task).to_owned(), due(task).to_owned()))
        .collect()
}

async fn has_planned(client: &Client, tasks: &[&str]) -> anyhow::Result<()> {
    let wanted = planned(tasks);
    let day = eventually(LONG, || day(client), |day| *day == wanted).await;
    ensure!(day == wanted, "{day:?}, not {wanted:?}");
    Ok(())
}

/// A task by its number in the file, as an administrator sees it.
async fn task(office: &Background, external_id: &str) -> anyhow::Result<Task> {
    let request = ListTasksRequest {
        min_positions: vec![office.head("planning").await?],
        ..ListTasksRequest::default()
    };
    let tasks = office.admin.planning().list_tasks(request).await?;
    let mut tasks = tasks.into_inner().tasks.into_iter();
    let found = tasks.find(|task| task.external_id == external_id);
    found.context("no such task")
}

/// Nothing of a task reaches somebody, by whichever question.
async fn is_hidden(office: &Background, client: &Client, task: &Task) -> anyhow::Result<()> {
    office.caught_up().await?;
    let mut planning = client.planning();
    let request = GetTaskRequest {
        task_id: task.id.clone(),
        ..GetTaskRequest::default()
    };
    let found = planning.get_task(request).await;
    ensure!(code(&found) == Code::NotFound, "{found:?}");
    for request in [
        ListTasksRequest::default(),
        ListTasksRequest {
            assignee_id: task.assignee_id.clone(),
            ..ListTasksRequest::default()
        },
        ListTasksRequest {
            account_id: task.account_id.clone(),
            ..ListTasksRequest::default()
        },
    ] {
        let listed = planning.list_tasks(request).await?.into_inner();
        let hidden = listed.tasks.iter().all(|one| one.id != task.id);
        ensure!(hidden && listed.total == listed.tasks.len() as i64);
    }
    let request = CompleteTaskRequest {
        request_id: request_id(),
        task_id: task.id.clone(),
        completed_at: None,
    };
    let done = planning.complete_task(request).await;
    ensure!(code(&done) == Code::NotFound, "{done:?}");
    let request = ListRemindersRequest {
        task_id: task.id.clone(),
        ..ListRemindersRequest::default()
    };
    let ledger = client.reminders().list_reminders(request).await?;
    ensure!(ledger.get_ref().reminders.is_empty(), "{ledger:?}");
    Ok(())
}

async fn forgotten(office: &Background, client: &Client) -> anyhow::Result<Vec<String>> {
    office.caught_up().await?;
    let request = ListAccountsWithoutNextStepRequest::default();
    let mut planning = client.planning();
    let answer = planning.list_accounts_without_next_step(request).await?;
    let accounts = answer.into_inner().accounts.into_iter();
    Ok(accounts.map(|one| one.account_id).collect())
}

async fn count(office: &Background, service: &str, event_type: &str) -> anyhow::Result<usize> {
    let events = office.events(service).await?;
    Ok(events.iter().filter(|(of, _)| of == event_type).count())
}

/// T-025, T-045, X-15: what is open about a company waits with it in the
/// pool, where nobody is told of it, and is the next owner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_tasks_wait_in_the_pool_for_the_next_owner() -> anyhow::Result<()> {
    let office = office().await?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let account_id = office.account("acc-1").await?;
    has_planned(&petrov, &["t-0", "t-1", "t-2"]).await?;
    let mut stream = petrov
        .reminders()
        .watch_reminders(WatchRemindersRequest::default())
        .await?
        .into_inner();

    return_to_pool(&office, &account_id).await?;
    has_planned(&petrov, &["t-0", "t-2"]).await?;
    let waiting = task(&office, "t-1").await?;
    ensure!(waiting.assignee_id == office.staff["s-11"] && waiting.state() == TaskState::Open);
    is_hidden(&office, &petrov, &waiting).await?;
    is_hidden(&office, &nikitin, &waiting).await?;

    let scheduled = || async {
        let count = count(&office, "notifications", "reminder.scheduled").await;
        count.unwrap_or_default()
    };
    ensure!(eventually(LONG, scheduled, |count| *count == 3).await == 3);
    // In order of their time: what is withheld would come before the last.
    office.at("2026-03-12T09:50:00+03:00").await?;
    let others = [
        task(&office, "t-2").await?.id,
        task(&office, "t-0").await?.id,
    ];
    for expected in others {
        let reminded = tokio::time::timeout(LONG, async {
            loop {
                let part = stream.message().await?.context("the stream has ended")?;
                if let Some(reminder) = part.reminder {
                    return anyhow::Ok(reminder.task_id);
                }
            }
        });
        let reminded = reminded.await.context("no reminder")??;
        ensure!(reminded == expected, "of {reminded}, not of {expected}");
    }

    let assign = AssignOwnerRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        owner_id: office.staff["s-21"].clone(),
    };
    office.admin.accounts().assign_owner(assign).await?;
    has_planned(&nikitin, &["t-1"]).await?;
    let given = task(&office, "t-1").await?;
    ensure!(
        given.assignee_id == office.staff["s-21"]
            && (given.moves, &given.first_due_at) == (0, &waiting.first_due_at)
            && given.comment == "Спросить про бетон",
        "{given:?}"
    );
    has_planned(&petrov, &["t-0", "t-2"]).await?;
    is_hidden(&office, &petrov, &given).await?;
    ensure!(!forgotten(&office, &nikitin).await?.contains(&account_id));
    let mut stream = nikitin
        .reminders()
        .watch_reminders(WatchRemindersRequest::default())
        .await?
        .into_inner();
    let reminded = tokio::time::timeout(LONG, async {
        loop {
            let part = stream.message().await?.context("the stream has ended")?;
            if part.reminder.is_some_and(|one| one.task_id == given.id) {
                return anyhow::Ok(());
            }
        }
    });
    reminded.await.context("the new owner is not reminded")??;
    ensure!(count(&office, "planning", "task.reassigned").await? == 1);
    ensure!(count(&office, "planning", "task.rescheduled").await? == 0);

    // To Петров again, who takes it out of the pool by speaking with it.
    return_to_pool(&office, &account_id).await?;
    has_planned(&nikitin, &[]).await?;
    let claim = ClaimProspectRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
    };
    petrov.prospects().claim_prospect(claim).await?;
    office.caught_up().await?;
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id,
        kind: InteractionKind::Call.into(),
        direction: Direction::Outbound.into(),
        outcome: Outcome::Connected.into(),
        ..LogInteractionRequest::default()
    };
    petrov.contacts().log_interaction(request).await?;
    has_planned(&petrov, &["t-0", "t-1", "t-2"]).await?;
    is_hidden(&office, &nikitin, &given).await
}

/// T-005, T-025, T-045, N-07: what is open about a company that is merged into another one is for the
/// owner of that; told apart again, each has what is about its own.
#[tokio::test]
async fn open_tasks_follow_a_merge_and_come_back() -> anyhow::Result<()> {
    let office = office().await?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let (merged_id, survivor_id) = (
        office.account("acc-2").await?,
        office.account("acc-3").await?,
    );
    ensure!(forgotten(&office, &nikitin).await? == [survivor_id.as_str()]);
    let merge = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: survivor_id.clone(),
        merged_id: merged_id.clone(),
        reason: "одна компания".to_owned(),
    };
    office.admin.duplicates().merge_accounts(merge).await?;
    has_planned(&nikitin, &["t-2"]).await?;
    has_planned(&petrov, &["t-0", "t-1"]).await?;
    is_hidden(&office, &petrov, &task(&office, "t-2").await?).await?;
    ensure!(forgotten(&office, &nikitin).await?.is_empty());

    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id,
        reason: "две компании".to_owned(),
    };
    office.admin.duplicates().unmerge_accounts(unmerge).await?;
    has_planned(&petrov, &["t-0", "t-1", "t-2"]).await?;
    has_planned(&nikitin, &[]).await?;
    ensure!(forgotten(&office, &nikitin).await? == [survivor_id]);
    ensure!(count(&office, "planning", "task.reassigned").await? == 2);
    ensure!(count(&office, "planning", "task.rescheduled").await? == 0);
    Ok(())
}

/// T-024, T-045: nothing is planned for somebody who does not see the company; where it
/// was, by a file of the past, that is no next step.
#[tokio::test]
async fn a_task_of_one_who_does_not_see_the_company_is_no_next_step() -> anyhow::Result<()> {
    let office = office().await?;
    let (nikitin, volkova) = (office.client("s-21")?, office.client("s-20")?);
    let account_id = office.account("acc-3").await?;
    let hidden = "external_id,account,assignee,kind,due_at,comment
t-3,acc-3,s-22,call,2026-03-12 10:00,Спросить про щебень
";
    import(&office.office, "s-02", "tasks", hidden)?;
    ensure!(forgotten(&office, &nikitin).await? == [account_id.as_str()]);
    let task = task(&office, "t-3").await?;
    is_hidden(&office, &office.client("s-22")?, &task).await?;

    let create = |assignee: &str| CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff[assignee].clone(),
        due_at: DUE.to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        account_id: account_id.clone(),
        ..CreateTaskRequest::default()
    };
    let reassign = |assignee: &str| ReassignTaskRequest {
        request_id: request_id(),
        task_id: task.id.clone(),
        assignee_id: office.staff[assignee].clone(),
        reason: "занят".to_owned(),
    };
    let refused = volkova.planning().create_task(create("s-22")).await;
    let refused = refused.err().context("was planned")?;
    ensure!(fields(&refused) == ["assignee_id"], "{refused:?}");
    let refused = office
        .admin
        .planning()
        .reassign_task(reassign("s-12"))
        .await;
    let refused = refused.err().context("was given")?;
    ensure!(fields(&refused) == ["assignee_id"], "{refused:?}");

    // The head sees it as well as the owner does.
    volkova.planning().reassign_task(reassign("s-20")).await?;
    ensure!(forgotten(&office, &nikitin).await?.is_empty());
    volkova.planning().create_task(create("s-21")).await?;
    Ok(())
}

/// T-024, T-025, T-098: what the head had to do there goes along to another group; a
/// substitute, who sees the company for a while, is given nothing in the own name.
#[tokio::test]
async fn tasks_of_others_go_along_when_they_lose_sight() -> anyhow::Result<()> {
    let office = office().await?;
    let (zaitsev, nikitin) = (office.client("s-10")?, office.client("s-21")?);
    let account_id = office.account("acc-1").await?;
    let create = |assignee: &str| CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff[assignee].clone(),
        due_at: DUE.to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        account_id: account_id.clone(),
        ..CreateTaskRequest::default()
    };
    let planned = zaitsev.planning().create_task(create("s-10")).await?;
    let heads_task = planned.into_inner().task_id;

    let absence = MarkAbsentRequest {
        request_id: request_id(),
        staff_id: office.staff["s-11"].clone(),
        from: Some(instant(NOW)),
        until: Some(instant("2026-03-20T09:00:00+03:00")),
        substitute_id: office.staff["s-13"].clone(),
        reason: "отпуск".to_owned(),
    };
    office.admin.staff().mark_absent(absence).await?;
    office.caught_up().await?;
    let kuznetsov = office.client("s-13")?;
    let refused = kuznetsov.planning().create_task(create("s-13")).await;
    let refused = refused.err().context("was planned")?;
    ensure!(fields(&refused) == ["assignee_id"], "{refused:?}");
    kuznetsov.planning().create_task(create("s-11")).await?;

    let transfer = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![account_id],
        to_owner_id: office.staff["s-21"].clone(),
        reason: "другой город".to_owned(),
        ..TransferAccountsRequest::default()
    };
    office.admin.accounts().transfer_accounts(transfer).await?;
    let mine = async || {
        let request = GetTaskRequest {
            task_id: heads_task.clone(),
            ..GetTaskRequest::default()
        };
        let found = nikitin.planning().get_task(request).await;
        let task = found.ok().and_then(|found| found.into_inner().task);
        task.is_some_and(|task| task.assignee_id == office.staff["s-21"])
    };
    ensure!(eventually(LONG, mine, |mine| *mine).await, "it stayed");
    Ok(())
}

/// T-019, T-024, T-025: what a head had to do about a company is for its owner when the owner goes to
/// another group.
#[tokio::test]
async fn tasks_stay_with_who_sees_the_company_when_groups_change() -> anyhow::Result<()> {
    let office = office().await?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    let create = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff["s-10"].clone(),
        due_at: DUE.to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        account_id: office.account("acc-1").await?,
        ..CreateTaskRequest::default()
    };
    let planned = zaitsev.planning().create_task(create).await?;
    let task_id = planned.into_inner().task_id;
    let mut staff = office.admin.staff();
    let groups = staff.list_groups(ListGroupsRequest::default()).await?;
    let groups = groups.into_inner().groups;
    let group_b = groups.into_iter().find(|group| group.name == "B");
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: office.staff["s-11"].clone(),
        group_id: group_b.context("no group B")?.id,
        reason: "ближе к клиентам".to_owned(),
    };
    office.admin.staff().move_to_group(request).await?;
    let mine = async || {
        let request = GetTaskRequest {
            task_id: task_id.clone(),
            ..GetTaskRequest::default()
        };
        let found = petrov.planning().get_task(request).await;
        let task = found.ok().and_then(|found| found.into_inner().task);
        task.is_some_and(|task| task.assignee_id == office.staff["s-11"])
    };
    ensure!(eventually(LONG, mine, |mine| *mine).await, "it stayed");
    Ok(())
}
