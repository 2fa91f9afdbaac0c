//! All that an office has, brought back from what `deploy/backup` wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use anyhow::{Context, ensure};
use api::accounts::{ListAccountsRequest, ListStaffRequest, TransferAccountsRequest};
use tests::{
    background::request_id,
    client::SERVICES,
    eventually,
    mixed_load::{
        promise, promises, set_up, settled, views, views_caught_up, views_equal_a_replay,
    },
    office::{Office, migrate_idle},
};

use super::{PATIENCE, all_tasks};
use crate::rebuild::{postgres, psql};

#[tokio::test]
async fn what_was_backed_up_comes_back_and_nothing_is_done_twice() -> anyhow::Result<()> {
    let mut office = Office::start(&[])?;
    let data = office.data();
    let accounts = set_up(&office, 3).await?;
    let account = accounts.first().context("an account")?;
    for promise in promises(&office.client("s-11")?, &accounts, 6).await? {
        settled(&office, &promise).await?;
    }
    // There and back. What is planned afterwards would go there too, if that were heard of again.
    hand_over(&office, account, "s-12", 1).await?;
    hand_over(&office, account, "s-11", 2).await?;
    let since = promise(&office.client("s-11")?, account).await?;
    settled(&office, &since).await?;
    // A former version is kept beside a view; no backup of events has it.
    office.command("admin", &["rebuild", "contacts/timeline"])?;

    let followers = followers(&office)?;
    rested(&office, &followers).await?;
    let before = (heads(&data)?, tasks(&office).await?, names(&office).await?);
    let (address, password) = postgres(&data)?;
    let url = format!("postgres://kontakty:{password}@{address}");
    let folder = tempfile::tempdir()?;
    let (events, keys) = (folder.path().join("events"), folder.path().join("keys"));
    script("backup", &["events".as_ref(), url.as_ref(), &events])?;
    script("backup", &["keys".as_ref(), url.as_ref(), &keys])?;

    ensure!(office.stop()?.success(), "{}", office.log());
    let restore = |url: &str| script("restore", &[url.as_ref(), &events, &keys]);
    migrate_idle(&data, restore, &["--restored", "all"])?;
    office.start_again(&[])?;
    rested(&office, &followers).await?;

    let kept = views(&office)?;
    ensure!(
        kept.iter().all(|view| view["version"] == "live"),
        "{kept:?}"
    );
    ensure!(
        heads(&data)? == before.0,
        "{:?} has become {:?}",
        before.0,
        heads(&data)?
    );
    ensure!(tasks(&office).await? == before.1, "tasks have changed");
    ensure!(names(&office).await? == before.2, "names have changed");
    views_equal_a_replay(&office).await?;
    // Rules go on.
    let next = promise(&office.client("s-11")?, account).await?;
    settled(&office, &next).await?;
    let tasks = tasks(&office).await?;
    ensure!(tasks.len() == before.1.len() + 1, "{tasks:?}");
    Ok(())
}

/// A script of `deploy`, as people are told to use it.
fn script(name: &str, args: &[&Path]) -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let output = Command::new(script.join(name)).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "deploy/{name}: {said}");
    Ok(())
}

/// Gives an account to somebody else; returns when that is over, for so many transfers in all.
async fn hand_over(
    office: &Office,
    account: &str,
    to: &str,
    transfers: usize,
) -> anyhow::Result<()> {
    let head = office.client("s-10")?;
    let staff = head.staff().list_staff(ListStaffRequest::default()).await?;
    let mut staff = staff.into_inner().staff.into_iter();
    let to = staff.find(|person| person.external_id == to);
    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![account.to_owned()],
        to_owner_id: to.context("the other manager")?.id,
        reason: "отпуск".to_owned(),
        ..TransferAccountsRequest::default()
    };
    head.accounts().transfer_accounts(request).await?;
    let over = async || {
        psql(
            &office.data(),
            "kontakty_accounts",
            "select count(*) from log.events where type = 'transfer.completed'",
        )
    };
    let expected = transfers.to_string();
    let is = |over: &anyhow::Result<String>| over.as_ref().is_ok_and(|over| *over == expected);
    let over = eventually(PATIENCE, over, is).await?;
    ensure!(over == expected, "{over} of {expected} transfers are over");
    views_caught_up(office).await
}

/// Every view and reaction with every log that it reads.
fn followers(office: &Office) -> anyhow::Result<BTreeSet<String>> {
    let views = views(office)?;
    let live = views.iter().filter(|view| view["version"] == "live");
    let names = live.map(|view| format!("{}/{} {}", view["service"], view["view"], view["source"]));
    Ok(names.collect())
}

/// Until all of these are at work and nothing is left to be done.
async fn rested(office: &Office, expected: &BTreeSet<String>) -> anyhow::Result<()> {
    let at_work = async || followers(office);
    let all = |found: &anyhow::Result<BTreeSet<String>>| {
        found.as_ref().is_ok_and(|found| found == expected)
    };
    let found = eventually(PATIENCE, at_work, all).await?;
    ensure!(found == *expected, "{found:?} instead of {expected:?}");
    let mut last = None;
    loop {
        views_caught_up(office).await?;
        let now = heads(&office.data())?;
        if last.as_ref() == Some(&now) {
            return Ok(());
        }
        last = Some(now);
    }
}

/// Where each log ends.
fn heads(data: &Path) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let head = |service| {
        let database = format!("kontakty_{service}");
        let head = psql(data, &database, "select position from log.head")?;
        anyhow::Ok((service, head))
    };
    SERVICES.into_iter().map(head).collect()
}

/// By task, whose it is.
async fn tasks(office: &Office) -> anyhow::Result<BTreeMap<String, String>> {
    let tasks = all_tasks(office).await?.into_iter();
    Ok(tasks.map(|task| (task.id, task.assignee_id)).collect())
}

/// Personal data, which the keys open.
async fn names(office: &Office) -> anyhow::Result<BTreeSet<String>> {
    let mut accounts = office.client("admin")?.accounts();
    let accounts = accounts.list_accounts(ListAccountsRequest::default());
    let accounts = accounts.await?.into_inner().accounts.into_iter();
    let names: BTreeSet<_> = accounts
        .filter_map(|account| Some(account.card?.name))
        .collect();
    ensure!(names.contains("Компания 0"), "{names:?}");
    Ok(names)
}
