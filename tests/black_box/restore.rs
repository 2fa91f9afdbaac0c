//! A database restored from an older backup while the others go on: everybody who had read more of
//! its log notices; nothing is skipped, nothing is done twice.

mod backup;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::ensure;
use api::{
    notifications::ListRemindersRequest,
    planning::{ListTasksRequest, Task},
};
use tests::{
    eventually,
    mixed_load::{promises, set_up, settled, views, views_equal_a_replay},
    office::{Office, kontakty},
    psql::Psql,
};

const PATIENCE: Duration = Duration::from_mins(2);
const DATABASE: &str = "kontakty_contacts";

#[tokio::test]
async fn readers_of_a_restored_log_neither_skip_nor_repeat() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    let accounts = set_up(&office, 4).await?;
    let client = office.client("s-11")?;
    let before = promises(&client, &accounts, 12).await?;
    let folder = tempfile::tempdir()?;
    let backup = folder.path().join("contacts.backup");
    dump(&office, &backup)?;
    let lost = promises(&client, &accounts, 12).await?;
    for promise in &lost {
        settled(&office, promise).await?;
    }
    // Analytics has recorded nothing.
    let read = |view: &serde_json::Value| view["position"] != 0 || view["source"] == "analytics";
    ensure!(views(&office)?.iter().all(read), "{:?}", views(&office)?);

    restore(&office, &backup)?;
    // The control: as long as nobody has said so, readers wait and say what they miss.
    let missed = || async {
        office
            .log()
            .contains("before what was read of it: was it restored")
    };
    let missed = eventually(PATIENCE, missed, |missed| *missed).await;
    ensure!(missed, "nobody has missed what the backup has not");
    // Which databases are meant, those here or those of the file, is not to be guessed.
    let config = folder.path().join("office.toml");
    std::fs::write(&config, "[company]\nname = 'Elsewhere'\n")?;
    let refused = kontakty(&[
        "migrate",
        "--config",
        &config.to_string_lossy(),
        "--data",
        &office.data().to_string_lossy(),
        "--restored",
        "all",
    ])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.status.success() && said.contains("give --owner-url"),
        "{said}"
    );
    let psql = Psql::new(&office)?;
    let lives = psql.owner("contacts", "select count(*) from log.epochs")?;
    ensure!(lives == "1", "{lives} lives");
    let migrated = kontakty(&[
        "migrate",
        "--data",
        &office.data().to_string_lossy(),
        "--restored",
        "contacts",
    ])?;
    let said = String::from_utf8_lossy(&migrated.stdout).into_owned();
    ensure!(
        said.contains("begins a new life at position"),
        "{migrated:?}"
    );
    // More than was lost, so that positions are given out a second time.
    let after = promises(&client, &accounts, 20).await?;
    for promise in &after {
        settled(&office, promise).await?;
    }

    // Nothing skipped and nothing twice: each promise that was acknowledged is one task, also where
    // the contact itself was lost with the backup; each task is reminded of once.
    let tasks = tasks(&office).await?;
    for promise in before.iter().chain(&lost).chain(&after) {
        let count = tasks
            .get(&promise.interaction_id)
            .copied()
            .unwrap_or_default();
        ensure!(count == 1, "{promise:?} has become {count} tasks");
    }
    let promised = before.len() + lost.len() + after.len();
    ensure!(
        tasks.len() == promised,
        "{} tasks of {promised}",
        tasks.len()
    );
    let reminders = eventually(
        PATIENCE,
        || async { reminders(&office).await.unwrap_or_default() },
        |reminders| *reminders == promised,
    )
    .await;
    ensure!(reminders == promised, "{reminders} reminders of {promised}");

    // Who reacted to what is lost says so, and every view is what the log says.
    let said = office.try_command("admin", &["views", "planning"])?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(
        said.contains("planning/next-steps: had reacted to contacts"),
        "{said}"
    );
    views_equal_a_replay(&office).await?;
    let epochs = psql.owner(
        "analytics",
        "select count(distinct epoch) from views.cursors where source = 'contacts'",
    )?;
    ensure!(epochs == "1", "cursors of {epochs} lives");
    Ok(())
}

fn dump(office: &Office, backup: &Path) -> anyhow::Result<()> {
    let mut dump = Psql::new(office)?.program("pg_dump")?;
    dump.args(["--create", "-Fc", "-d", DATABASE, "-f"])
        .arg(backup);
    done(&mut dump).map(drop)
}

/// With the office running: only this one database goes and comes back.
fn restore(office: &Office, backup: &Path) -> anyhow::Result<()> {
    let psql = Psql::new(office)?;
    for sql in [
        format!("alter database {DATABASE} allow_connections false"),
        format!("drop database {DATABASE} with (force)"),
    ] {
        psql.owner_of("postgres", &sql)?;
    }
    let mut restore = psql.program("pg_restore")?;
    restore
        .args(["--create", "--exit-on-error", "-d", "postgres"])
        .arg(backup);
    done(&mut restore).map(drop)
}

/// Runs it to its end, which must be a good one.
fn done(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program().to_string_lossy();
    ensure!(output.status.success(), "{program}: {said}");
    Ok(output)
}

/// How many tasks each contact has become.
async fn tasks(office: &Office) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut found = BTreeMap::new();
    for task in all_tasks(office).await? {
        *found.entry(task.origin_interaction_id).or_default() += 1;
    }
    Ok(found)
}

async fn all_tasks(office: &Office) -> anyhow::Result<Vec<Task>> {
    let admin = office.client("admin")?;
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListTasksRequest {
            page: Some(api::common::PageRequest { size: 200, token }),
            ..Default::default()
        };
        let page = admin.planning().list_tasks(request).await?.into_inner();
        found.extend(page.tasks);
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(found);
        }
    }
}

async fn reminders(office: &Office) -> anyhow::Result<usize> {
    let manager = office.client("s-11")?;
    let mut count = 0;
    let mut token = String::new();
    loop {
        let request = ListRemindersRequest {
            page: Some(api::common::PageRequest { size: 200, token }),
            ..Default::default()
        };
        let page = manager
            .reminders()
            .list_reminders(request)
            .await?
            .into_inner();
        count += page.reminders.len();
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(count);
        }
    }
}
