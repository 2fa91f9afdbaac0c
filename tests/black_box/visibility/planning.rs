use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use api::{
    analytics::{GetScorecardRequest, GetScorecardResponse, ScorecardBy},
    notifications::{
        AcknowledgeReminderRequest, ListRemindersRequest, ReminderState, WatchRemindersRequest,
    },
    planning::{
        CancelTaskRequest, CompleteTaskRequest, CountNotDoneRequest, CreateTaskRequest,
        GetMyDayRequest, GetTaskRequest, ImportTasksRequest, ListAccountsWithoutNextStepRequest,
        ListTasksRequest, ReassignTaskRequest, RescheduleTaskRequest, TaskKind, TaskRow,
    },
};
use tests::{
    background::largest_page,
    population::{Due, Fact, Role, SPENT, Standing, Task},
};
use tokio::time::timeout;

use super::{
    accounts::expect_row,
    walk::{HIDDEN, OK, PASSED, Walk},
};

const FORBIDDEN: &str = "MAY_NOT_PLAN_FOR";
const LATER: &str = "2026-03-20T10:00:00+03:00";

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "CreateTask" => create(walk).await,
        "CompleteTask" | "RescheduleTask" | "CancelTask" | "ReassignTask" | "GetTask" => {
            for number in 0..walk.world.tasks.len() {
                of_task(walk, method, number).await;
            }
        }
        "ListTasks" => list(walk).await?,
        "GetMyDay" => days(walk).await,
        "CountNotDone" => not_done(walk).await?,
        "ListAccountsWithoutNextStep" => without_next_step(walk).await?,
        "ImportTasks" => import(walk).await?,
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

async fn create(walk: &mut Walk<'_>) {
    let world = walk.world;
    let request = |assignee: usize, account_id: &str| CreateTaskRequest {
        request_id: SPENT.to_owned(),
        assignee_id: world.staff[assignee].id.clone(),
        due_at: LATER.to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        account_id: account_id.to_owned(),
        ..CreateTaskRequest::default()
    };
    for (assignee, person) in world.staff.iter().enumerate() {
        let answer = walk
            .client
            .planning()
            .create_task(request(assignee, ""))
            .await;
        let expected = match world.plans_for(walk.who, assignee) {
            _ if person.dismissed => "invalid assignee_id",
            true => PASSED,
            false => FORBIDDEN,
        };
        walk.answer(format!("CreateTask for {assignee}"), expected, &answer);
    }
    for (number, account) in world.accounts.iter().enumerate() {
        let answer = walk
            .client
            .planning()
            .create_task(request(walk.who, &account.id))
            .await;
        let seen = world.sees_account(walk.who, number);
        let expected = if seen { PASSED } else { "invalid account_id" };
        walk.answer(format!("CreateTask about {number}"), expected, &answer);
    }
}

async fn of_task(walk: &mut Walk<'_>, method: &str, number: usize) {
    let (world, mut client) = (walk.world, walk.client.planning());
    let task = &world.tasks[number];
    let (request_id, task_id) = (SPENT.to_owned(), task.id.clone());
    let reason = "проверка".to_owned();
    let question = format!("{method} {number}");
    let seen = world.sees_task(walk.who, task);
    let may = match (seen, world.plans_for(walk.who, task.assignee)) {
        (false, _) => HIDDEN,
        (true, false) => FORBIDDEN,
        (true, true) => PASSED,
    };
    match method {
        "CompleteTask" => {
            let request = CompleteTaskRequest {
                request_id,
                task_id,
                completed_at: None,
            };
            walk.answer(question, may, &client.complete_task(request).await);
        }
        "RescheduleTask" => {
            let request = RescheduleTaskRequest {
                request_id,
                task_id,
                due_at: LATER.to_owned(),
                reason,
                ..RescheduleTaskRequest::default()
            };
            walk.answer(question, may, &client.reschedule_task(request).await);
        }
        "CancelTask" => {
            let request = CancelTaskRequest {
                request_id,
                task_id,
                reason,
            };
            walk.answer(question, may, &client.cancel_task(request).await);
        }
        "ReassignTask" => {
            let assignee_id = world.staff[walk.who].id.clone();
            let request = ReassignTaskRequest {
                request_id,
                task_id,
                assignee_id,
                reason,
            };
            walk.answer(question, may, &client.reassign_task(request).await);
        }
        _ => {
            let request = GetTaskRequest {
                task_id,
                ..GetTaskRequest::default()
            };
            let found = if seen { OK } else { HIDDEN };
            walk.answer(question, found, &client.get_task(request).await);
        }
    }
}

async fn list(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let world = walk.world;
    let everything = ListTasksRequest {
        page: Some(largest_page()),
        ..ListTasksRequest::default()
    };
    let open = ListTasksRequest {
        only_open: true,
        ..everything.clone()
    };
    listed(walk, "all", everything.clone(), |_| true).await?;
    let is_open = |task: &Task| task.standing == Standing::Open;
    listed(walk, "open", open, is_open).await?;
    for (assignee, person) in world.staff.iter().enumerate() {
        let request = ListTasksRequest {
            assignee_id: person.id.clone(),
            ..everything.clone()
        };
        let of = |task: &Task| task.assignee == assignee;
        listed(walk, &format!("of {assignee}"), request, of).await?;
    }
    for (number, account) in world.accounts.iter().enumerate() {
        let request = ListTasksRequest {
            account_id: account.id.clone(),
            ..everything.clone()
        };
        let about = |task: &Task| task.account == Some(number);
        listed(walk, &format!("about {number}"), request, about).await?;
    }
    Ok(())
}

async fn listed(
    walk: &mut Walk<'_>,
    name: &str,
    request: ListTasksRequest,
    among: impl Fn(&Task) -> bool,
) -> anyhow::Result<()> {
    let answer = walk.client.planning().list_tasks(request).await;
    let question = format!("ListTasks {name}");
    walk.no_leak(&question, &answer);
    let answer = answer?.into_inner();
    let seen = |task: &&Task| among(task) && walk.world.sees_task(walk.who, task);
    let expected = walk.world.tasks.iter().filter(seen);
    let expected: Vec<_> = expected.map(|task| task.id.clone()).collect();
    let total = answer.total.to_string();
    walk.expect(
        format!("{question}: total"),
        &expected.len().to_string(),
        &total,
    );
    walk.same(
        question,
        expected,
        answer.tasks.into_iter().map(|task| task.id),
    );
    Ok(())
}

async fn days(walk: &mut Walk<'_>) {
    let world = walk.world;
    for (other, person) in world.staff.iter().enumerate() {
        let request = GetMyDayRequest {
            staff_id: person.id.clone(),
            ..GetMyDayRequest::default()
        };
        let answer = walk.client.planning().get_my_day(request).await;
        let expected = if world.sees(walk.who, other) {
            OK
        } else {
            HIDDEN
        };
        walk.answer(format!("GetMyDay of {other}"), expected, &answer);
        if let Ok(answer) = answer {
            let day = answer.into_inner();
            let planned = world.tasks.iter().filter(|task| {
                let mine = task.assignee == other && world.sees_task(walk.who, task);
                mine && task.standing == Standing::Open && task.due != Due::Later
            });
            let planned: Vec<_> = planned.map(|task| task.id.clone()).collect();
            let shown = day.overdue.into_iter().chain(day.today).chain(day.done);
            walk.same(
                format!("GetMyDay of {other}"),
                planned,
                shown.map(|task| task.id),
            );
        }
    }
}

async fn not_done(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let world = walk.world;
    let request = CountNotDoneRequest::default();
    let answer = walk
        .client
        .planning()
        .count_not_done(request)
        .await?
        .into_inner();
    let sells = |who: &usize| {
        let person = &world.staff[*who];
        !person.dismissed && matches!(person.role, Role::Head | Role::Manager)
    };
    let sellers = (0..world.staff.len()).filter(sells);
    let expected = sellers
        .filter(|seller| world.sees(walk.who, *seller))
        .map(|seller| {
            let open = world
                .tasks
                .iter()
                .filter(|task| task.assignee == seller && task.standing == Standing::Open);
            format!("{} {}", world.staff[seller].id, open.count())
        });
    let expected: Vec<_> = expected.collect();
    let rows = answer
        .rows
        .into_iter()
        .map(|row| format!("{} {}", row.staff_id, row.open));
    walk.same("CountNotDone", expected, rows);
    Ok(())
}

async fn without_next_step(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let world = walk.world;
    let request = ListAccountsWithoutNextStepRequest {
        page: Some(largest_page()),
        ..ListAccountsWithoutNextStepRequest::default()
    };
    let mut planning = walk.client.planning();
    let answer = planning
        .list_accounts_without_next_step(request)
        .await?
        .into_inner();
    let forgotten = |number: &usize| {
        // With somebody who sees it.
        let planned = world.tasks.iter().any(|task| {
            let here = task.account == Some(*number) && world.sees_task(task.assignee, task);
            here && task.standing == Standing::Open
        });
        world.accounts[*number].owner.is_some() && !planned
    };
    let seen = (0..world.accounts.len()).filter(|number| world.sees_account(walk.who, *number));
    let expected: Vec<_> = seen
        .filter(forgotten)
        .map(|number| world.accounts[number].id.clone())
        .collect();
    let total = answer.total.to_string();
    walk.expect(
        "ListAccountsWithoutNextStep: total",
        &expected.len().to_string(),
        &total,
    );
    let listed = answer
        .accounts
        .into_iter()
        .map(|account| account.account_id);
    walk.same("ListAccountsWithoutNextStep", expected, listed);
    Ok(())
}

async fn import(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let row = |number: usize, account: &str, assignee: usize| TaskRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        account: account.to_owned(),
        assignee: world.staff[assignee].external_id.clone(),
        kind: "call".to_owned(),
        due_at: LATER.to_owned(),
        comment: "Позвонить".to_owned(),
        ..TaskRow::default()
    };
    let accounts = world.accounts.iter().enumerate();
    let mut rows: Vec<_> = accounts
        .map(|(number, account)| row(number, &account.external_id, who))
        .collect();
    for assignee in 0..world.staff.len() {
        rows.push(row(rows.len(), "", assignee));
    }
    let request = ImportTasksRequest {
        rows,
        dry_run: true,
    };
    let results = walk
        .client
        .planning()
        .import_tasks(request)
        .await?
        .into_inner()
        .results;
    let (of_accounts, of_assignees) = results.split_at(world.accounts.len());
    for (number, result) in of_accounts.iter().enumerate() {
        let seen = world.sees_account(who, number);
        expect_row(walk, format!("ImportTasks about {number}"), seen, result);
    }
    for (assignee, result) in of_assignees.iter().enumerate() {
        let reasons = result
            .violations
            .iter()
            .map(|violation| violation.reason.as_str());
        let said = reasons.collect::<Vec<_>>().join(", ");
        let expected = match world.plans_for(who, assignee) {
            false => FORBIDDEN,
            true if world.staff[assignee].dismissed => "INVALID",
            true => "",
        };
        walk.expect(format!("ImportTasks for {assignee}"), expected, &said);
    }
    Ok(())
}

/// Of whom are reminded, as the caller sees it: who is still to do something that is not long
/// overdue.
fn reminded_of(walk: &Walk<'_>, who: usize, dues: &[Due]) -> Vec<String> {
    let tasks = walk.world.tasks.iter().filter(|task| {
        let theirs = task.assignee == who && walk.world.sees_task(walk.who, task);
        theirs && task.standing == Standing::Open && dues.contains(&task.due)
    });
    tasks.map(|task| task.id.clone()).collect()
}

pub(super) async fn reminders(
    walk: &mut Walk<'_>,
    method: &str,
    voided: &[(usize, String)],
) -> anyhow::Result<()> {
    match method {
        "ListReminders" => ledgers(walk).await,
        "WatchReminders" => watch(walk).await?,
        "AcknowledgeReminder" => {
            for (number, (whose, reminder_id)) in voided.iter().enumerate() {
                let request = AcknowledgeReminderRequest {
                    reminder_id: reminder_id.clone(),
                    ..AcknowledgeReminderRequest::default()
                };
                let answer = walk.client.reminders().acknowledge_reminder(request).await;
                // Only one's own, whatever else one sees.
                let expected = if *whose == walk.who { OK } else { HIDDEN };
                walk.answer(format!("AcknowledgeReminder {number}"), expected, &answer);
            }
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

async fn ledgers(walk: &mut Walk<'_>) {
    for (other, person) in walk.world.staff.iter().enumerate() {
        let request = ListRemindersRequest {
            staff_id: person.id.clone(),
            page: Some(largest_page()),
            ..ListRemindersRequest::default()
        };
        let answer = walk.client.reminders().list_reminders(request).await;
        let expected = if walk.world.sees(walk.who, other) {
            OK
        } else {
            HIDDEN
        };
        walk.answer(format!("ListReminders of {other}"), expected, &answer);
        if let Ok(answer) = answer {
            let live = answer
                .into_inner()
                .reminders
                .into_iter()
                .filter(|reminder| {
                    matches!(
                        reminder.state(),
                        ReminderState::Scheduled | ReminderState::Delivered
                    )
                });
            let expected = reminded_of(walk, other, &[Due::Soon, Due::Later]);
            walk.same(
                format!("ListReminders of {other}"),
                expected,
                live.map(|reminder| reminder.task_id),
            );
        }
    }
}

async fn watch(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let expected = reminded_of(walk, walk.who, &[Due::Soon]);
    let request = WatchRemindersRequest::default();
    let mut stream = walk
        .client
        .reminders()
        .watch_reminders(request)
        .await?
        .into_inner();
    let mut shown = Vec::new();
    loop {
        // When all are there, a moment more for those that should not be.
        let patience = if shown.len() < expected.len() {
            10_000
        } else {
            200
        };
        let Ok(part) = timeout(Duration::from_millis(patience), stream.message()).await else {
            break;
        };
        let part = part?.context("the stream has ended")?;
        shown.extend(part.reminder.map(|reminder| reminder.task_id));
    }
    walk.same("WatchReminders", expected, shown);
    Ok(())
}

pub(super) async fn scorecards(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let by_manager = GetScorecardRequest::default();
    let by_group = GetScorecardRequest {
        by: ScorecardBy::Group.into(),
        ..GetScorecardRequest::default()
    };
    ask(walk, "all", by_manager.clone(), true, |_| true).await;
    ask(walk, "by group", by_group, true, |_| true).await;
    let analyst = world.sees_everything(who);
    let led = world.led_by(who);
    for (other, person) in world.staff.iter().enumerate() {
        let request = GetScorecardRequest {
            staff_id: person.id.clone(),
            ..by_manager.clone()
        };
        let worked_for_me = world.facts.iter().any(|fact| {
            fact.staff == other && fact.group.is_some_and(|group| led.contains(&group))
        });
        let may = analyst || world.sees(who, other) || worked_for_me;
        ask(walk, &format!("of {other}"), request, may, |fact| {
            fact.staff == other
        })
        .await;
    }
    for (number, group) in world.groups.iter().enumerate() {
        let request = GetScorecardRequest {
            group_id: group.id.clone(),
            ..by_manager.clone()
        };
        let below = |mut group: usize| loop {
            if group == number {
                return true;
            }
            match world.groups[group].parent {
                Some(parent) => group = parent,
                None => return false,
            }
        };
        let may = analyst || led.contains(&number);
        let of_group = |fact: &Fact| fact.group.is_some_and(below);
        ask(walk, &format!("of group {number}"), request, may, of_group).await;
    }
    Ok(())
}

async fn ask(
    walk: &mut Walk<'_>,
    name: &str,
    request: GetScorecardRequest,
    may: bool,
    among: impl Fn(&Fact) -> bool,
) {
    let world = walk.world;
    let by_group = request.by() == ScorecardBy::Group;
    let answer = walk.client.reports().get_scorecard(request).await;
    let question = format!("GetScorecard {name}");
    walk.answer(&question, if may { OK } else { HIDDEN }, &answer);
    let Ok(answer) = answer else { return };
    let mut expected = BTreeMap::<String, [i64; 4]>::new();
    for fact in world.facts.iter().filter(|fact| among(fact)) {
        if world.sees_fact(walk.who, fact.staff, fact.group) {
            let key = if by_group {
                fact.group
                    .map_or_else(String::new, |group| world.groups[group].id.clone())
            } else {
                world.staff[fact.staff].id.clone()
            };
            let sums = expected.entry(key).or_default();
            for (sum, figure) in sums.iter_mut().zip(fact.figures) {
                *sum += figure;
            }
        }
    }
    let expected: Vec<_> = expected
        .iter()
        .map(|(id, sums)| format!("{id} {sums:?}"))
        .collect();
    walk.same(question, expected, rows(answer.into_inner()));
}

fn rows(answer: GetScorecardResponse) -> Vec<String> {
    let rows = answer.rows.into_iter().map(|row| {
        let figures = row.figures.unwrap_or_default();
        let sums = [
            figures.calls,
            figures.effective_calls,
            figures.meetings,
            figures.sales,
        ];
        format!("{} {sums:?}", row.id)
    });
    rows.collect()
}
