//! All that an office has, brought back from what `deploy/backup` wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{ListAccountsRequest, ListStaffRequest, TransferAccountsRequest},
    contacts::{
        ConfirmErasureRequest, ErasureGround, ErasureState, GetErasureRequest,
        ListContactPersonsRequest, RequestErasureRequest,
    },
};
use tempfile::TempDir;
use tests::{
    background::{import, request_id},
    client::SERVICES,
    eventually,
    mixed_load::{
        promise, promises, set_up, settled, views, views_caught_up, views_equal_a_replay,
    },
    office::{Office, migrate_idle},
    psql::Psql,
};

use super::{PATIENCE, all_tasks, done};

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
    let before = (
        heads(&office)?,
        tasks(&office).await?,
        names(&office).await?,
    );
    let backup = Backup::take(&office)?;

    ensure!(office.stop()?.success(), "{}", office.log());
    let restore = |url: &str| {
        let said = backup.restore(url)?;
        // Nobody was erased since.
        ensure!(said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");
        Ok(())
    };
    migrate_idle(&data, restore, &["--restored", "all"])?;
    office.start_again(&[])?;
    rested(&office, &followers).await?;

    let kept = views(&office)?;
    ensure!(
        kept.iter().all(|view| view["version"] == "live"),
        "{kept:?}"
    );
    ensure!(
        heads(&office)? == before.0,
        "{:?} has become {:?}",
        before.0,
        heads(&office)?
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

#[tokio::test]
async fn a_backup_of_events_holds_what_migrations_made_and_shows_no_password() -> anyhow::Result<()>
{
    let office = Office::start(&[])?;
    let psql = Psql::new(&office)?;
    // Of a version that was begun a moment ago, and of somebody's own.
    psql.owner(
        "contacts",
        "create schema \"timeline~next\"; create table \"timeline~next\".names (name text);
         create table public.names (name text)",
    )?;
    psql.owner_of(
        "postgres",
        "create role keeper superuser login password 'p@ss/w%rd'",
    )?;
    let owner = psql.owner_url()?;
    let (_, address) = owner.rsplit_once('@').context("an address")?;
    let url = |password: &str| format!("postgres://keeper{password}@{address}/postgres");
    let right = url(":p%40ss%2Fw%25rd");

    // Nothing is left to a `psql` that may fail; what `pg_dump` is started with is noted.
    let folder = tempfile::tempdir()?;
    let (programs, to) = (folder.path().join("programs"), folder.path().join("to"));
    fs::create_dir(&programs)?;
    program(&programs.join("psql"), "exit 1")?;
    let note = "echo \"$*\" >>\"$0.noted\"; PATH=${PATH#*:}; exec pg_dump \"$@\"";
    program(&programs.join("pg_dump"), note)?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    done(
        script("backup", &format!("{right}?application_name=backup"))
            .env("PATH", path)
            .arg("events")
            .arg(&to),
    )?;
    let noted = fs::read_to_string(programs.join("pg_dump.noted"))?;
    ensure!(noted.lines().count() == SERVICES.len(), "{noted}");
    ensure!(
        !noted.contains("ss/w") && !noted.contains("p%40"),
        "{noted}"
    );

    let mut schemas = BTreeSet::new();
    for service in SERVICES {
        let file = to.join(format!("{service}.events"));
        let list = done(Command::new("pg_restore").arg("--list").arg(file))?;
        let list = String::from_utf8(list.stdout)?;
        let made = list
            .lines()
            .filter_map(|line| line.split_once(" SCHEMA - "));
        schemas.extend(made.filter_map(|(_, made)| Some(made.split_once(' ')?.0.to_owned())));
        let of_public = list.matches(" TABLE DATA public ").count();
        let known = list.contains(" TABLE DATA public _sqlx_migrations ");
        ensure!(known && of_public == 1, "{service}: {list}");
    }
    ensure!(schemas == made_by_migrations()?, "{schemas:?}");

    let refused = script("backup", &url(":wrong"))
        .arg("events")
        .arg(&to)
        .output()?;
    ensure!(!refused.status.success(), "{refused:?}");
    // As an argument without a password, and with one.
    let mut keys = script("backup", "");
    keys.env("PGPASSWORD", "p@ss/w%rd")
        .arg("keys")
        .arg(url(""))
        .arg(&to);
    done(&mut keys)?;
    for (name, first) in [("backup", "events".as_ref()), ("restore", right.as_ref())] {
        let mut shown = script(name, &right);
        shown.arg::<&Path>(first).arg(&right).arg(&to);
        let refused = shown.output()?;
        let said = String::from_utf8_lossy(&refused.stderr);
        let helps = said.contains("set KONTAKTY_OWNER_URL") && !said.contains("p%40");
        ensure!(!refused.status.success() && helps, "{name}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn who_was_erased_since_the_backup_is_named() -> anyhow::Result<()> {
    let mut office = Office::start(&[])?;
    let data = office.data();
    let accounts = set_up(&office, 1).await?;
    let account = accounts.first().context("an account")?;
    let rows = "external_id,account,name\n\
        p-1,a-0,Канарейкин Аркадий\np-2,a-0,Соколова Вера\np-3,a-0,Ильин Кирилл\n";
    import(&office, "admin", "persons", rows)?;
    let [gone, alone, with_account] = persons(&office, account).await?;
    erase(&office, &gone.0, false).await?;
    let followers = followers(&office)?;
    rested(&office, &followers).await?;
    let backup = Backup::take(&office)?;
    erase(&office, &alone.0, false).await?;
    erase(&office, &with_account.0, true).await?;

    ensure!(office.stop()?.success(), "{}", office.log());
    let again = BTreeSet::from([alone.0.clone(), format!("{} {account}", with_account.0)]);
    let restore = |url: &str| {
        let named = |said: &Output| -> anyhow::Result<bool> {
            let shown = String::from_utf8_lossy(&said.stdout);
            let shown: BTreeSet<_> = shown
                .lines()
                .filter_map(|line| line.strip_prefix("    "))
                .collect();
            let kept = fs::read_to_string(backup.part("events").join("erase-again"))?;
            let kept: BTreeSet<_> = kept.lines().collect();
            let again: BTreeSet<_> = again.iter().map(String::as_str).collect();
            Ok(shown == again && kept == again)
        };
        let said = backup.restore(url)?;
        ensure!(named(&said)? && said.stderr.is_empty(), "{said:?}");
        // Once more, now that nobody knows it: what was kept is not forgotten.
        let mut drop = Command::new("psql");
        drop.args([
            &format!("{url}/postgres"),
            "-qXc",
            "drop database kontakty_contacts",
        ]);
        done(&mut drop)?;
        let said = backup.restore(url)?;
        let unknown = String::from_utf8_lossy(&said.stderr).contains("could not be checked");
        ensure!(named(&said)? && unknown, "{said:?}");
        Ok(())
    };
    migrate_idle(&data, restore, &["--restored", "all"])?;
    office.start_again(&[])?;
    rested(&office, &followers).await?;
    // The bus still has what came after the backup.
    let lost = "had reacted to events that the log has lost";
    ensure!(!office.log().contains(lost), "{}", office.log());

    let names = persons(&office, account).await?.map(|(_, name)| name);
    ensure!(names == ["", &alone.1, &with_account.1], "{names:?}");
    erase(&office, &alone.0, false).await?;
    erase(&office, &with_account.0, true).await?;
    Ok(())
}

/// Both parts of a backup, each in a folder of its own.
struct Backup(TempDir);

impl Backup {
    fn take(office: &Office) -> anyhow::Result<Self> {
        let backup = Self(tempfile::tempdir()?);
        let url = Psql::new(office)?.owner_url()?;
        for what in ["events", "keys"] {
            done(script("backup", &url).arg(what).arg(backup.part(what)))?;
        }
        Ok(backup)
    }

    fn part(&self, what: &str) -> PathBuf {
        self.0.path().join(what)
    }

    fn restore(&self, url: &str) -> anyhow::Result<Output> {
        done(script("restore", url).args([self.part("events"), self.part("keys")]))
    }
}

/// A script of `deploy`, as people are told to use it.
fn script(name: &str, url: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut script = Command::new(scripts.join(name));
    script.env("KONTAKTY_OWNER_URL", url);
    script
}

/// A program to stand before one of the same name.
fn program(file: &Path, does: &str) -> anyhow::Result<()> {
    fs::write(file, format!("#!/bin/sh\n{does}\n"))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The schemas that a backup of events must have, or it would lack what a migration made.
fn made_by_migrations() -> anyhow::Result<BTreeSet<String>> {
    let mut schemas = BTreeSet::from(["public".to_owned()]);
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    for folder in fs::read_dir(migrations)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder)? {
            let text = fs::read_to_string(file?.path())?;
            let made = |line: &str| {
                Some(
                    line.strip_prefix("create schema ")?
                        .strip_suffix(';')?
                        .to_owned(),
                )
            };
            schemas.extend(text.lines().filter_map(made));
        }
    }
    Ok(schemas)
}

/// The three persons of an account, each with id and name.
async fn persons(office: &Office, account: &str) -> anyhow::Result<[(String, String); 3]> {
    let client = office.client("admin")?;
    let listed = async || {
        let request = ListContactPersonsRequest {
            account_id: account.to_owned(),
            ..ListContactPersonsRequest::default()
        };
        let listed = client.contacts().list_contact_persons(request).await?;
        anyhow::Ok(listed.into_inner().persons)
    };
    let mut listed = eventually(PATIENCE, listed, |listed| {
        listed.as_ref().is_ok_and(|persons| persons.len() == 3)
    })
    .await?;
    listed.sort_by(|one, other| one.external_id.cmp(&other.external_id));
    let persons: Vec<_> = listed
        .into_iter()
        .map(|person| (person.id, person.name))
        .collect();
    let persons = persons.try_into().ok();
    persons.context("three persons")
}

/// By two people, in every service.
async fn erase(office: &Office, person: &str, with_account: bool) -> anyhow::Result<()> {
    let request = RequestErasureRequest {
        request_id: request_id(),
        person_id: person.to_owned(),
        ground: ErasureGround::Demand.into(),
        with_account,
    };
    let head = office.client("s-10")?;
    head.contacts().request_erasure(request).await?;
    let confirm = ConfirmErasureRequest {
        request_id: request_id(),
        person_id: person.to_owned(),
    };
    let admin = office.client("admin")?;
    admin.contacts().confirm_erasure(confirm).await?;
    let state = async || {
        let request = GetErasureRequest {
            person_id: person.to_owned(),
            ..GetErasureRequest::default()
        };
        let answer = admin.contacts().get_erasure(request).await?.into_inner();
        anyhow::Ok(answer.erasure.context("no erasure")?.state())
    };
    let erased = |state: &anyhow::Result<ErasureState>| matches!(state, Ok(ErasureState::Erased));
    let state = eventually(PATIENCE, state, erased).await?;
    ensure!(state == ErasureState::Erased, "{state:?}");
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
    let psql = Psql::new(office)?;
    let completed = "select count(*) from log.events where type = 'transfer.completed'";
    let over = async || psql.owner("accounts", completed);
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
        let now = heads(office)?;
        if last.as_ref() == Some(&now) {
            return Ok(());
        }
        last = Some(now);
    }
}

/// Where each log ends.
fn heads(office: &Office) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let psql = Psql::new(office)?;
    let head = |service| {
        let head = psql.owner(service, "select position from log.head")?;
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
