//! Work as an office does it, for tests that ask what became of it.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{ListAccountsRequest, ReturnToPoolRequest, TransferAccountsRequest},
    contacts::{InteractionKind, LogInteractionRequest, NextStep, Outcome},
    planning::{CancelTaskRequest, RescheduleTaskRequest},
};
use tonic::Code;

use crate::{
    background::{import, request_id},
    client::Client,
    office::Office,
    views::registered,
};

const STAFF: &str = "external_id,name,role,group,head\n\
    s-10,Зайцев Сергей,head,A,s-10\n\
    s-11,Петров Алексей,manager,A,s-10\n\
    s-12,Смирнова Ольга,manager,A,s-10\n";
/// Later than any test runs.
const DUE: &str = "2099-03-12T10:00:00+03:00";
const LATER: &str = "2099-03-13T10:00:00+03:00";
const PATIENCE: Duration = Duration::from_mins(1);

/// A contact that was acknowledged, and the task that its promise becomes.
#[derive(Debug, Clone)]
pub struct Promise {
    pub account_id: String,
    pub interaction_id: String,
    pub task_id: String,
}

/// Two managers with so many accounts each. Gives the accounts of the first.
pub async fn set_up(office: &Office, accounts: usize) -> anyhow::Result<Vec<String>> {
    import(office, "admin", "staff", STAFF)?;
    let mut rows = "external_id,name,phone,owner\n".to_owned();
    for (nth, owner) in (0..2 * accounts).zip(["s-11", "s-12"].into_iter().cycle()) {
        writeln!(rows, "a-{nth},Компания {nth},+7900{nth:07},{owner}")?;
    }
    import(office, "admin", "accounts", &rows)?;
    let mine = office
        .client("s-11")?
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    Ok(mine.into_iter().map(|account| account.id).collect())
}

/// Logs contacts with a promise each, one after the other, each until it is answered.
pub async fn promises(
    client: &Client,
    accounts: &[String],
    count: usize,
) -> anyhow::Result<Vec<Promise>> {
    let mut made = Vec::new();
    for account_id in accounts.iter().cycle().take(count) {
        made.push(promise(client, account_id).await?);
    }
    Ok(made)
}

pub async fn promise(client: &Client, account_id: &str) -> anyhow::Result<Promise> {
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: "поговорили".to_owned(),
        next_step: Some(NextStep {
            due_at: DUE.to_owned(),
            kind: "call".to_owned(),
            comment: "перезвонить".to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match client.contacts().log_interaction(request.clone()).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                return Ok(Promise {
                    account_id: account_id.to_owned(),
                    interaction_id: answer.interaction_id,
                    task_id: answer.next_task_id,
                });
            }
            Err(status) => {
                let passing = matches!(
                    status.code(),
                    Code::Unavailable
                        | Code::Unknown
                        | Code::Cancelled
                        | Code::DeadlineExceeded
                        | Code::Internal
                        | Code::Unauthenticated
                );
                ensure!(passing && Instant::now() < until, "{status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A bit of everything else: tasks moved and cancelled, an account handed over, one returned.
pub async fn changes(office: &Office, promises: &[Promise]) -> anyhow::Result<()> {
    let manager = office.client("s-11")?;
    for promise in promises.iter().step_by(3) {
        settled(office, promise).await?;
        let request = RescheduleTaskRequest {
            request_id: request_id(),
            task_id: promise.task_id.clone(),
            due_at: LATER.to_owned(),
            reason: "занят".to_owned(),
            ..RescheduleTaskRequest::default()
        };
        manager.planning().reschedule_task(request).await?;
    }
    for promise in promises.iter().skip(1).step_by(5) {
        settled(office, promise).await?;
        let request = CancelTaskRequest {
            request_id: request_id(),
            task_id: promise.task_id.clone(),
            reason: "не нужно".to_owned(),
        };
        manager.planning().cancel_task(request).await?;
    }
    let to = office
        .client("admin")?
        .staff()
        .list_staff(api::accounts::ListStaffRequest::default())
        .await?
        .into_inner()
        .staff
        .into_iter()
        .find(|staff| staff.external_id == "s-12")
        .context("the other manager")?;
    let head = office.client("s-10")?;
    let first = promises.first().context("a promise")?;
    head.accounts()
        .transfer_accounts(TransferAccountsRequest {
            request_id: request_id(),
            account_ids: vec![first.account_id.clone()],
            to_owner_id: to.id,
            reason: "отпуск".to_owned(),
            ..TransferAccountsRequest::default()
        })
        .await?;
    let last = promises.last().context("a promise")?;
    head.accounts()
        .return_to_pool(ReturnToPoolRequest {
            request_id: request_id(),
            account_id: last.account_id.clone(),
            reason: "не отвечает".to_owned(),
        })
        .await?;
    Ok(())
}

/// Waits until the promise has become a task.
pub async fn settled(office: &Office, promise: &Promise) -> anyhow::Result<()> {
    let client = office.client("admin")?;
    let found = crate::eventually(
        PATIENCE,
        || async {
            let request = api::planning::GetTaskRequest {
                task_id: promise.task_id.clone(),
                ..Default::default()
            };
            client.planning().get_task(request).await.is_ok()
        },
        |found| *found,
    )
    .await;
    ensure!(found, "{promise:?} has become no task");
    Ok(())
}

/// Views and reactions as the command line lists them.
pub fn views(office: &Office) -> anyhow::Result<Vec<serde_json::Value>> {
    let listed = office.command("admin", &["views", "--format", "json"])?;
    Ok(serde_json::from_str(&listed)?)
}

/// Until every version of every view has everything that is recorded.
pub async fn views_caught_up(office: &Office) -> anyhow::Result<()> {
    let caught_up = crate::eventually(
        PATIENCE,
        || async {
            let views = views(office).unwrap_or_default();
            !views.is_empty()
                && views
                    .iter()
                    .all(|view| view["lag"] == 0 && !view["state"].to_string().contains("stale"))
        },
        |caught_up| *caught_up,
    )
    .await;
    ensure!(caught_up, "{:?}", views(office)?);
    Ok(())
}

/// Every view that is registered, built anew, is the same row for row.
pub async fn views_equal_a_replay(office: &Office) -> anyhow::Result<()> {
    views_caught_up(office).await?;
    for name in registered(office).await? {
        let said = office.command("admin", &["rebuild", &name, "--check"])?;
        ensure!(said.contains("row for row"), "{said}");
        // Nothing stays behind but a former version that was kept before.
        office.try_command("admin", &["rebuild", &name, "--discard"])?;
    }
    Ok(())
}
