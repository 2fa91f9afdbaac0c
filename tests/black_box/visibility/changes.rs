//! What changes who sees what, and how soon it does.

use std::{
    cmp::Reverse,
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        DismissStaffRequest, GetAccountRequest, GetTransferRequest, ListAccountsRequest,
        MoveGroupRequest, MoveToGroupRequest, StartTransferRequest, TransferAccountsRequest,
        TransferPlan, TransferShare, TransferShares, TransferState, transfer_plan::How,
    },
    contacts::GetTimelineRequest,
    notifications::{ListRemindersRequest, WatchRemindersRequest, WatchRemindersResponse},
    planning::{ListTasksRequest, ReassignTaskRequest},
};
use tests::{
    background::{ask, caught_up, code, largest_page, request_id},
    client::{Client, SERVICES},
    eventually,
    office::Office,
    population::{Role, Standing, Task, World},
};
use tonic::{Code, Status, Streaming};

/// Within it the new rights hold everywhere.
const RIGHTS_FOLLOW: Duration = Duration::from_secs(5);
/// Sees everything.
const ADMINISTRATOR: usize = 0;
/// Of work that goes on in the background.
const PATIENCE: Duration = Duration::from_mins(1);

/// One account goes to another owner, one manager to another group, one leaves, and a group comes
/// below another one.
pub(super) async fn make(office: &Office, world: &mut World) -> anyhow::Result<()> {
    let managers: Vec<_> = (0..world.staff.len())
        .filter(|who| world.staff[*who].role == Role::Manager)
        .collect();
    let account = (0..world.accounts.len())
        .find(|account| {
            world.accounts[*account]
                .owner
                .is_some_and(|one| managers.contains(&one))
        })
        .context("an account of a manager")?;
    let owner = world.accounts[account].owner.context("its owner")?;
    let mut others: Vec<_> = managers.into_iter().filter(|who| *who != owner).collect();
    let accounts_of = |who: usize| {
        world
            .accounts
            .iter()
            .filter(|one| one.owner == Some(who))
            .count()
    };
    others.sort_by_key(|who| Reverse(accounts_of(*who)));
    let [leaver, heir, mover, ..] = others[..] else {
        anyhow::bail!("too few managers")
    };
    ensure!(
        accounts_of(leaver) > 0,
        "somebody who leaves nothing behind"
    );
    transfer(office, world, account, heir).await?;
    move_to_another_group(office, world, mover).await?;
    dismiss(office, world, leaver, heir).await?;
    move_group(office, world, 2, 3).await?;
    caught_up(&office.client("admin")?).await
}

async fn transfer(
    office: &Office,
    world: &mut World,
    account: usize,
    to: usize,
) -> anyhow::Result<()> {
    let from = world.accounts[account].owner.context("an owner")?;
    let account_id = world.accounts[account].id.clone();
    let former = office.client(&world.staff[from].external_id)?;
    let new = office.client(&world.staff[to].external_id)?;
    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![account_id.clone()],
        to_owner_id: world.staff[to].id.clone(),
        reason: "передача".to_owned(),
        ..TransferAccountsRequest::default()
    };
    let admin = office.client("admin")?;
    let began = Instant::now();
    let answer = admin.accounts().transfer_accounts(request).await?;
    let transfer_id = answer.into_inner().transfer_id;
    world.transfers.push((transfer_id, from, to));
    let seen = || async {
        (
            sees(&former, &account_id).await,
            sees(&new, &account_id).await,
        )
    };
    let wanted = ([false; 3], [true; 3]);
    let seen = eventually(RIGHTS_FOLLOW, seen, |seen| *seen == wanted).await;
    ensure!(
        seen == wanted,
        "account, timeline and list of tasks: {seen:?}"
    );
    told(
        "an account was seen by its new owner and by the former one no more",
        began,
    );

    world.accounts[account].owner = Some(to);
    let follows = |standing, assignee| standing == Standing::Open && assignee == from;
    let mut followed = 0;
    for task in &mut world.tasks {
        if task.account == Some(account) && follows(task.standing, task.assignee) {
            task.assignee = to;
            followed += 1;
        }
    }
    to_owners(world, |one| one == account);
    // The tasks come behind, by a rule of planning; and their reminders, by one of notifications.
    let tasks = world.tasks.iter().filter(|task| {
        task.assignee == to && task.standing == Standing::Open && world.sees_task(to, task)
    });
    let tasks = tasks.count() as i64;
    let has = || async {
        let request = ListTasksRequest {
            assignee_id: world.staff[to].id.clone(),
            only_open: true,
            ..ListTasksRequest::default()
        };
        let answer = new.planning().list_tasks(request).await;
        answer.map_or(-1, |answer| answer.into_inner().total)
    };
    let has = eventually(RIGHTS_FOLLOW, has, |has| *has == tasks).await;
    ensure!(
        has == tasks,
        "{has} of {tasks} tasks, {followed} of them new"
    );
    reminders_follow(office, world).await
}

/// What is to be done about these accounts by somebody who does not see them is for their owners.
fn to_owners(world: &mut World, accounts: impl Fn(usize) -> bool) {
    let owner = |task: &Task| {
        let account = task.account.filter(|account| accounts(*account))?;
        let follows = task.standing == Standing::Open && !world.sees_task(task.assignee, task);
        world.accounts[account].owner.filter(|_| follows)
    };
    let owners: Vec<_> = world.tasks.iter().map(owner).collect();
    for (task, owner) in world.tasks.iter_mut().zip(owners) {
        task.assignee = owner.unwrap_or(task.assignee);
    }
}

/// Card, timeline, and whether the account is in the list.
async fn sees(client: &Client, account_id: &str) -> [bool; 3] {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
        ..GetAccountRequest::default()
    };
    let card = client.accounts().get_account(request).await.is_ok();
    let request = GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    };
    let timeline = client.contacts().get_timeline(request).await.is_ok();
    let request = ListAccountsRequest {
        page: Some(largest_page()),
        ..ListAccountsRequest::default()
    };
    let listed = client
        .accounts()
        .list_accounts(request)
        .await
        .is_ok_and(|answer| {
            let mut accounts = answer.get_ref().accounts.iter();
            accounts.any(|account| account.id == account_id)
        });
    [card, timeline, listed]
}

async fn reminders_follow(office: &Office, world: &World) -> anyhow::Result<()> {
    use tests::population::Due;

    let admin = office.client("admin")?;
    for (who, person) in world.staff.iter().enumerate() {
        let tasks = world.tasks.iter().filter(|task| {
            task.assignee == who && task.standing == Standing::Open && task.due != Due::Overdue
        });
        let expected = tasks.count();
        let live = || async {
            let request = ListRemindersRequest {
                staff_id: person.id.clone(),
                page: Some(largest_page()),
                ..ListRemindersRequest::default()
            };
            let answer = admin.reminders().list_reminders(request).await;
            answer.map_or(0, |answer| {
                let reminders = answer.into_inner().reminders.into_iter();
                reminders.filter(|one| matches!(one.state, 1 | 3)).count()
            })
        };
        let live = eventually(RIGHTS_FOLLOW, live, |live| *live == expected).await;
        ensure!(
            live == expected,
            "{live} reminders of {} and not {expected}",
            person.external_id
        );
    }
    Ok(())
}

async fn move_to_another_group(
    office: &Office,
    world: &mut World,
    who: usize,
) -> anyhow::Result<()> {
    let client = office.client(&world.staff[who].external_id)?;
    let stream = watch(&client).await?;
    let to = if world.staff[who].group == Some(3) {
        1
    } else {
        3
    };
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: world.staff[who].id.clone(),
        group_id: world.groups[to].id.clone(),
        ..MoveToGroupRequest::default()
    };
    let admin = office.client("admin")?;
    let began = Instant::now();
    admin.staff().move_to_group(request).await?;
    let end = ended(stream).await?;
    ensure!(end == Code::Unavailable, "the stream ended with {end:?}");
    told("the stream of one who moved to another group ended", began);
    world.staff[who].group = Some(to);
    to_owners(world, |_| true);
    reminders_follow(office, world).await
}

async fn move_group(
    office: &Office,
    world: &mut World,
    group: usize,
    below: usize,
) -> anyhow::Result<()> {
    let request = MoveGroupRequest {
        request_id: request_id(),
        group_id: world.groups[group].id.clone(),
        parent_id: world.groups[below].id.clone(),
        ..MoveGroupRequest::default()
    };
    let admin = office.client("admin")?;
    admin.staff().move_group(request).await?;
    world.groups[group].parent = Some(below);
    to_owners(world, |_| true);
    reminders_follow(office, world).await
}

async fn dismiss(
    office: &Office,
    world: &mut World,
    who: usize,
    heir: usize,
) -> anyhow::Result<()> {
    let admin = office.client("admin")?;
    let request = StartTransferRequest {
        request_id: request_id(),
        plan: Some(TransferPlan {
            from_owner_id: world.staff[who].id.clone(),
            how: Some(How::Shares(TransferShares {
                shares: vec![TransferShare {
                    to_owner_id: world.staff[heir].id.clone(),
                    weight: 1,
                }],
                ..TransferShares::default()
            })),
        }),
        reason: "увольнение".to_owned(),
    };
    let started = admin.transfers().start_transfer(request).await?;
    let transfer_id = started.into_inner().transfer_id;
    let state = || async {
        let request = GetTransferRequest {
            transfer_id: transfer_id.clone(),
            ..GetTransferRequest::default()
        };
        let answer = admin.transfers().get_transfer(request).await;
        answer.map(|answer| answer.into_inner().state())
    };
    let completed =
        |state: &Result<TransferState, _>| matches!(state, Ok(TransferState::Completed));
    let state = eventually(PATIENCE, state, completed).await;
    ensure!(completed(&state), "the hand-over is {state:?}");
    world.transfers.push((transfer_id, who, heir));
    let mut moved = HashSet::new();
    for (index, account) in world.accounts.iter_mut().enumerate() {
        if account.owner == Some(who) {
            account.owner = Some(heir);
            moved.insert(index);
        }
    }
    to_owners(world, |account| moved.contains(&account));
    // Some go along with their accounts; the others, of no account or of somebody else's, by hand to
    // one who sees it.
    for index in 0..world.tasks.len() {
        let task = &mut world.tasks[index];
        if task.assignee == who && task.standing == Standing::Open {
            let owner = task.account.map(|account| world.accounts[account].owner);
            task.assignee = owner.map_or(heir, |owner| owner.unwrap_or(ADMINISTRATOR));
            let request = ReassignTaskRequest {
                request_id: request_id(),
                task_id: task.id.clone(),
                assignee_id: world.staff[task.assignee].id.clone(),
                reason: "увольнение".to_owned(),
            };
            admin.planning().reassign_task(request).await?;
        }
    }
    caught_up(&admin).await?;
    let client = office.client(&world.staff[who].external_id)?;
    let stream = watch(&client).await?;
    let request = DismissStaffRequest {
        request_id: request_id(),
        staff_id: world.staff[who].id.clone(),
        reason: "увольнение".to_owned(),
        ..DismissStaffRequest::default()
    };
    let began = Instant::now();
    admin.staff().dismiss_staff(request).await?;
    for service in SERVICES {
        let refused = || async { code(&ask(&client, service, Vec::new()).await) };
        let refused = eventually(RIGHTS_FOLLOW, refused, |code| {
            *code == Code::Unauthenticated
        })
        .await;
        ensure!(
            refused == Code::Unauthenticated,
            "{service} says {refused:?}"
        );
    }
    let end = ended(stream).await?;
    ensure!(
        end == Code::Unauthenticated,
        "the stream ended with {end:?}"
    );
    told("no service let in one who was dismissed", began);
    world.staff[who].dismissed = true;
    reminders_follow(office, world).await
}

async fn watch(client: &Client) -> Result<Streaming<WatchRemindersResponse>, Status> {
    let request = WatchRemindersRequest::default();
    Ok(client
        .reminders()
        .watch_reminders(request)
        .await?
        .into_inner())
}

/// How a stream ends, in time.
async fn ended(mut stream: Streaming<WatchRemindersResponse>) -> anyhow::Result<Code> {
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    };
    Ok(tokio::time::timeout(RIGHTS_FOLLOW, end).await?)
}

fn told(what: &str, since: Instant) {
    println!("{:>6.1} s  until {what}", since.elapsed().as_secs_f64());
}
