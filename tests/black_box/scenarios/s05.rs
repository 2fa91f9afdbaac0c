//! S-05: a manager leaves.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        DismissStaffRequest, GetTransferRequest, GetTransferResponse, ListAccountsRequest,
        PlanTransferRequest, PreviewTransferRequest, StartTransferRequest, TransferList,
        TransferListPart, TransferPlan, TransferState, transfer_plan::How,
    },
    analytics::{GetScorecardRequest, ScorecardRow},
    common::Period,
    contacts::GetTimelineRequest,
    notifications::{ListRemindersRequest, ReminderState},
    planning::{ListTasksRequest, Task},
};
use tests::{
    background::{Background, import, largest_page, reason, request_id},
    eventually,
};
use tonic::Code;
use tonic_types::StatusExt;

const ACCOUNTS: usize = 120;
/// The first so many go to Смирнова, the others to Кузнецов.
const TO_SMIRNOVA: usize = 80;
/// When 57 accounts are moved, in three steps of 19, and the last of these is not noted yet.
const CRASH: &str = "transfer.accounts_moved:3";
const STEPS: usize = 7;
const INTERACTIONS: usize = 1_912;
const LONG: Duration = Duration::from_secs(20);

/// S-05, T-006, T-028, X-15: a hand-over by list, broken by a crash and continued.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_a_manager_leaves() -> anyhow::Result<()> {
    let mut office = Background::start("2026-03-31T18:00:00+03:00").await?;
    for (kind, csv) in [
        ("accounts", accounts()),
        ("interactions", interactions()),
        ("tasks", tasks()),
    ] {
        import(&office.office, "s-02", kind, &csv)?;
    }
    office.at("2026-04-01T09:00:00+03:00").await?;
    office.caught_up().await?;
    let ids = account_ids(&office).await?;
    let (to_smirnova, to_kuznetsov) = ids.split_at(TO_SMIRNOVA);

    let refused = dismiss(&office).await.err().context("was dismissed")?;
    let facts = refused
        .get_details_error_info()
        .context("no facts")?
        .metadata;
    ensure!(
        refused.code() == Code::FailedPrecondition
            && reason(&refused) == "STAFF_OWNS_ACCOUNTS"
            && (facts["accounts"].as_str(), facts["open_tasks"].as_str()) == ("120", "47"),
        "{refused:?}"
    );
    let plan = plan(&office, &[("s-12", to_smirnova), ("s-13", to_kuznetsov)]);
    let shown = preview(&office, &plan).await?;
    let expected = [(120, 47, 12), (80, 31, 8), (40, 16, 4)];
    ensure!(shown == expected, "{shown:?}, not {expected:?}");
    let tasks_before = deadlines(&tasks_of(&office, "").await?);
    let march_before = march(&office).await?;
    ensure!(
        tasks_before.len() == 47 && march_before.len() == 1,
        "{march_before:?}"
    );

    office.crash_and_die_at("2026-04-01T09:00:00+03:00", CRASH)?;
    let request = StartTransferRequest {
        request_id: request_id(),
        plan: Some(plan),
        reason: "уходит".to_owned(),
    };
    let mut broken = office.client("s-02")?.transfers();
    // Its answer may be lost with the office.
    let _ = broken.start_transfer(request.clone()).await;
    for _ in 0..400 {
        if office.office.was_killed()? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(office.office.was_killed()?, "it was not broken by a crash");
    office.crash("2026-04-01T09:00:00+03:00")?;
    let started = start(&office, &request).await?;
    let done = completed(&office, &started).await?;
    ensure!(
        (done.planned, done.moved, done.tasks_reassigned) == (120, 120, 47)
            && done.kept.is_empty()
            && done.state() == TransferState::Completed,
        "{done:?}"
    );
    office.caught_up().await?;
    let recorded = async || {
        let mut all = Vec::new();
        for service in ["accounts", "planning"] {
            all.extend(office.events(service).await?);
        }
        anyhow::Ok(all.len())
    };
    let events = recorded().await?;
    ensure!(start(&office, &request).await? == started, "another answer");
    ensure!(recorded().await? == events, "repeated, it added something");
    for (service, event_type, expected) in [
        ("accounts", "account.ownership_transferred", 120),
        ("planning", "task.reassigned", 47),
        ("planning", "task.rescheduled", 0),
        ("planning", "task.cancelled", 0),
        ("accounts", "transfer.started", 1),
        ("accounts", "transfer.advanced", STEPS),
        ("planning", "hand_over.confirmed", 1),
        ("accounts", "transfer.completed", 1),
    ] {
        let count = count(&office, service, event_type).await;
        ensure!(count == expected, "{event_type}: {count}");
    }

    office.caught_up().await?;
    ensure!(
        deadlines(&tasks_of(&office, "").await?) == tasks_before,
        "a deadline has changed"
    );
    ensure!(tasks_of(&office, "s-11").await?.is_empty());
    for (staff, overdue) in [("s-12", 8), ("s-13", 4)] {
        let tasks = tasks_of(&office, staff).await?;
        let late: Vec<_> = tasks.iter().filter(|task| task.overdue_s > 0).collect();
        ensure!(late.len() == overdue, "{staff} has {} overdue", late.len());
    }
    let request = ListAccountsRequest {
        count: true,
        ..ListAccountsRequest::default()
    };
    let left = office
        .client("s-11")?
        .accounts()
        .list_accounts(request)
        .await?
        .into_inner();
    ensure!(left.total == 0 && left.accounts.is_empty(), "{left:?}");
    ensure!(authored(&office, &ids).await? == INTERACTIONS as i64);
    ensure!(march(&office).await? == march_before, "March has changed");
    for (staff, expected) in [("s-11", 0), ("s-12", 31), ("s-13", 16)] {
        let count = eventually(
            LONG,
            || async { reminders(&office, staff).await.unwrap_or_default() },
            |count| *count == expected,
        )
        .await;
        ensure!(count == expected, "{staff} will be reminded {count} times");
    }
    dismiss(&office).await?;
    Ok(())
}

fn accounts() -> String {
    let mut csv = "external_id,name,phone,owner\n".to_owned();
    for number in 1..=ACCOUNTS {
        let _ = writeln!(
            csv,
            "acc-{number:03},Компания {number:03},+7900001{number:04},s-11"
        );
    }
    csv
}

fn interactions() -> String {
    let mut csv = "external_id,account,kind,outcome,occurred_at,author\n".to_owned();
    for number in 0..INTERACTIONS {
        let account = number % ACCOUNTS + 1;
        let (kind, outcome) = match number % 10 {
            0 => ("meeting", "held"),
            1..4 => ("call", "agreed_next_step"),
            _ => ("call", "connected"),
        };
        let (day, hour, minute) = (number % 31 + 1, 9 + number / 31 % 8, number / 248);
        let _ = writeln!(
            csv,
            "i-{number},acc-{account:03},{kind},{outcome},2026-03-{day:02} {hour:02}:{minute:02},s-11"
        );
    }
    csv
}

/// 31 about the accounts of Смирнова, 16 about those of Кузнецов; of these 8 and 4 are past their
/// deadline on the morning of 1 April, by less than a day.
fn tasks() -> String {
    let mut csv = "external_id,account,assignee,kind,due_at,comment\n".to_owned();
    let mut add = |from: usize, count: usize, overdue: usize| {
        for number in 0..count {
            let account = from + number + 1;
            let due_at = if number < overdue {
                format!("2026-03-31 {}:30", 12 + number)
            } else {
                format!("2026-04-{:02} 10:{:02}", 2 + number % 20, number)
            };
            let _ = writeln!(
                csv,
                "t-{account},acc-{account:03},s-11,call,{due_at},Позвонить"
            );
        }
    };
    add(0, 31, 8);
    add(TO_SMIRNOVA, 16, 4);
    csv
}

/// In the order of their external ids.
async fn account_ids(office: &Background) -> anyhow::Result<Vec<String>> {
    let request = ListAccountsRequest {
        page: Some(largest_page()),
        ..ListAccountsRequest::default()
    };
    let mut accounts = office
        .admin
        .accounts()
        .list_accounts(request)
        .await?
        .into_inner()
        .accounts;
    ensure!(accounts.len() == ACCOUNTS, "{} accounts", accounts.len());
    accounts.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    Ok(accounts.into_iter().map(|account| account.id).collect())
}

async fn dismiss(office: &Background) -> Result<(), tonic::Status> {
    let planning = office.head("planning").await;
    let request = DismissStaffRequest {
        request_id: request_id(),
        staff_id: office.staff["s-11"].clone(),
        reason: "уходит".to_owned(),
        min_positions: planning.into_iter().collect(),
    };
    office.admin.staff().dismiss_staff(request).await.map(drop)
}

fn plan(office: &Background, parts: &[(&str, &[String])]) -> TransferPlan {
    let parts = parts.iter().map(|(to, account_ids)| TransferListPart {
        to_owner_id: office.staff[*to].clone(),
        account_ids: account_ids.to_vec(),
    });
    TransferPlan {
        from_owner_id: office.staff["s-11"].clone(),
        how: Some(How::List(TransferList {
            parts: parts.collect(),
        })),
    }
}

/// Accounts, open tasks and overdue ones: of all that Петров has, and of what each would get.
async fn preview(office: &Background, plan: &TransferPlan) -> anyhow::Result<Vec<(i64, i64, i64)>> {
    let min_positions = vec![office.head("planning").await?];
    let request = PreviewTransferRequest {
        account_ids: Vec::new(),
        from_owner_id: office.staff["s-11"].clone(),
        min_positions: min_positions.clone(),
    };
    let orlova = office.client("s-02")?;
    let all = orlova.accounts().preview_transfer(request).await?;
    let all = all.into_inner();
    let request = PlanTransferRequest {
        plan: Some(plan.clone()),
        min_positions,
    };
    let planned = orlova.transfers().plan_transfer(request).await?;
    let planned = planned.into_inner();
    ensure!(planned.kept.is_empty() && planned.beyond == 0);
    let receivers = planned.receivers.into_iter();
    let each = receivers.map(|one| (one.accounts, one.open_tasks, one.overdue_tasks));
    let all = (all.accounts, all.open_tasks, all.overdue_tasks);
    Ok(std::iter::once(all).chain(each).collect())
}

async fn start(office: &Background, request: &StartTransferRequest) -> anyhow::Result<String> {
    let mut transfers = office.client("s-02")?.transfers();
    let answer = transfers
        .start_transfer(request.clone())
        .await?
        .into_inner();
    ensure!(
        answer.planned == 120 && answer.kept.is_empty(),
        "{answer:?}"
    );
    Ok(answer.transfer_id)
}

/// How the hand-over ended.
async fn completed(office: &Background, transfer_id: &str) -> anyhow::Result<GetTransferResponse> {
    let orlova = office.client("s-02")?;
    let state = || async {
        let request = GetTransferRequest {
            transfer_id: transfer_id.to_owned(),
            ..GetTransferRequest::default()
        };
        let answer = orlova.transfers().get_transfer(request).await;
        answer.map_or_else(
            |_| GetTransferResponse::default(),
            tonic::Response::into_inner,
        )
    };
    let done = |state: &GetTransferResponse| state.state() == TransferState::Completed;
    Ok(eventually(LONG, state, done).await)
}

async fn count(office: &Background, service: &str, event_type: &str) -> usize {
    let events = office.events(service).await.unwrap_or_default();
    events.iter().filter(|(of, _)| of == event_type).count()
}

/// Open tasks of somebody; of everybody when nobody is named.
async fn tasks_of(office: &Background, staff: &str) -> anyhow::Result<Vec<Task>> {
    let request = ListTasksRequest {
        assignee_id: office.staff.get(staff).cloned().unwrap_or_default(),
        only_open: true,
        page: Some(largest_page()),
        ..ListTasksRequest::default()
    };
    Ok(office
        .admin
        .planning()
        .list_tasks(request)
        .await?
        .into_inner()
        .tasks)
}

/// Deadline, first deadline and moves of each task.
fn deadlines(tasks: &[Task]) -> BTreeMap<String, (String, String, i32)> {
    let deadline = |task: &Task| (task.due_at.clone(), task.first_due_at.clone(), task.moves);
    tasks
        .iter()
        .map(|task| (task.external_id.clone(), deadline(task)))
        .collect()
}

/// The scorecard of Петров.
async fn march(office: &Background) -> anyhow::Result<Vec<ScorecardRow>> {
    let request = GetScorecardRequest {
        period: Some(Period {
            from: "2026-03-01".to_owned(),
            to: "2026-04-01".to_owned(),
        }),
        staff_id: office.staff["s-11"].clone(),
        ..GetScorecardRequest::default()
    };
    Ok(office
        .admin
        .reports()
        .get_scorecard(request)
        .await?
        .into_inner()
        .rows)
}

async fn authored(office: &Background, accounts: &[String]) -> anyhow::Result<i64> {
    let mut total = 0;
    for account_id in accounts {
        let request = GetTimelineRequest {
            account_id: account_id.clone(),
            author_id: office.staff["s-11"].clone(),
            ..GetTimelineRequest::default()
        };
        total += office
            .admin
            .contacts()
            .get_timeline(request)
            .await?
            .into_inner()
            .total;
    }
    Ok(total)
}

/// How many reminders somebody still gets.
async fn reminders(office: &Background, staff: &str) -> anyhow::Result<usize> {
    let request = ListRemindersRequest {
        staff_id: office.staff[staff].clone(),
        page: Some(largest_page()),
        ..ListRemindersRequest::default()
    };
    let ledger = office
        .admin
        .reminders()
        .list_reminders(request)
        .await?
        .into_inner()
        .reminders;
    let waiting = |state| matches!(state, ReminderState::Scheduled | ReminderState::Delivered);
    Ok(ledger
        .iter()
        .filter(|reminder| waiting(reminder.state()))
        .count())
}
