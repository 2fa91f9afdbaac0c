use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tests::{
    client::SERVICES,
    eventually,
    office::{Office, binary},
    psql::Psql,
};

use super::{said, text, tool};

/// An installation as an operator configures it, on the engines of an office.
struct Installation {
    office: Office,
    psql: Psql,
    folder: TempDir,
}

impl Installation {
    fn new() -> anyhow::Result<Self> {
        let office = Office::start(&[])?;
        Ok(Self {
            psql: Psql::new(&office)?,
            office,
            folder: tempfile::tempdir()?,
        })
    }

    /// What the doctor says, and whether it found nothing wrong.
    fn examine(&self, more: &str, language: &str) -> anyhow::Result<(String, bool)> {
        let mut config = format!(
            "[server]\nlisten = '127.0.0.1:0'\n[keys]\nfolder = '{}'\n[database]\n",
            self.office.data().join("keys").display()
        );
        for service in SERVICES {
            let _ = writeln!(config, "{service} = '{}'", self.psql.url(service)?);
        }
        if !more.contains("[documents]") {
            let documents = self.office.data().join("documents");
            let _ = writeln!(config, "[documents]\nstorage = '{}'", documents.display());
        }
        config += more;
        let path = self.folder.path().join("office.toml");
        fs::write(&path, config)?;
        ask(&["doctor", "--config", &text(&path)], language)
    }

    fn on_a_workstation(&self) -> anyhow::Result<(String, bool)> {
        ask(&["doctor", "--data", &text(&self.office.data())], "C.UTF-8")
    }

    fn in_production(&self, nats: &Nats, monitored: bool) -> anyhow::Result<(String, bool)> {
        let monitoring = if monitored {
            format!("monitoring = 'http://127.0.0.1:{}'\n", nats.monitoring)
        } else {
            String::new()
        };
        let more = format!(
            "[nats]\nurl = 'nats://127.0.0.1:{}'\n{monitoring}",
            nats.port
        );
        self.examine(&more, "C.UTF-8")
    }
}

fn ask(arguments: &[&str], language: &str) -> anyhow::Result<(String, bool)> {
    let output = Command::new(binary())
        .args(arguments)
        .env("LC_ALL", language)
        .stdin(Stdio::null())
        .output()?;
    Ok((said(&output), output.status.success()))
}

/// The lines that say what is wrong.
fn wrong(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.starts_with("WRONG"))
        .collect()
}

/// T-018: documents need a place that keeps them.
#[tokio::test]
async fn documents_need_a_place() -> anyhow::Result<()> {
    let installation = Installation::new()?;
    let (said, _) = installation.examine("", "C.UTF-8")?;
    ensure!(said.contains("ok     documents in "), "{said}");
    let folder = installation.office.data().join("documents");
    let mode = fs::metadata(&folder)?.permissions().mode() & 0o777;
    ensure!(mode == 0o700, "made with {mode:o}");
    fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
    let (said, well) = installation.examine("", "C.UTF-8")?;
    let open = "the folder is open to other users of this machine: chmod 700";
    ensure!(
        !well && wrong(&said).iter().any(|line| line.ends_with(open)),
        "{said}"
    );
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    for nowhere in [
        "storage = '/proc/none'",
        "storage = 's3://none'\nendpoint = 'http://127.0.0.1:1'\naccess_key_id = 'a'\n\
         secret_access_key = 'b'",
    ] {
        let (said, well) = installation.examine(&format!("[documents]\n{nowhere}\n"), "ru_RU")?;
        let wrong = wrong(&said);
        let named = wrong.iter().any(|line| line.contains("документы в "));
        ensure!(!well && named, "{nowhere}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn unsafe_settings_are_refused_in_words() -> anyhow::Result<()> {
    let installation = Installation::new()?;
    let psql = &installation.psql;
    let (said, well) = installation.on_a_workstation()?;
    ensure!(well && said.matches("ok  ").count() > 60, "{said}");

    // Done to contacts, undone, and a word of what must be said.
    let settings = [
        ("fsync", "alter system set fsync = off"),
        (
            "full_page_writes",
            "alter system set full_page_writes = off",
        ),
        (
            "synchronous_commit",
            "alter role kontakty_contacts set synchronous_commit = off",
        ),
    ];
    for (setting, sql) in settings {
        psql.owner("contacts", sql)?;
        psql.owner("contacts", "select pg_reload_conf()")?;
        let shown = format!("select current_setting('{setting}')");
        let is = async |value: &'static str| {
            let asked = async || psql.service("contacts", "contacts", &shown);
            let said = eventually(
                Duration::from_secs(10),
                asked,
                |said| matches!(said, Ok(Ok(now)) if now == value),
            );
            said.await
        };
        is("off").await?.map_err(anyhow::Error::msg)?;
        let (said, well) = installation.on_a_workstation()?;
        let line = format!("database of contacts: {setting} is on: set {setting} = on");
        ensure!(
            !well && wrong(&said).iter().any(|w| w.contains(&line)),
            "{setting}: {said}"
        );
        let undo = sql.replace("set ", "reset ").replace(" = off", "");
        psql.owner("contacts", &undo)?;
        psql.owner("contacts", "select pg_reload_conf()")?;
        is("on").await?.map_err(anyhow::Error::msg)?;
    }

    let rights = [
        (
            "alter role kontakty_contacts superuser",
            "alter role kontakty_contacts nosuperuser",
            "is an ordinary one",
        ),
        (
            "alter role kontakty_contacts createrole",
            "alter role kontakty_contacts nocreaterole",
            "is an ordinary one",
        ),
        (
            "grant pg_execute_server_program to kontakty_contacts",
            "revoke pg_execute_server_program from kontakty_contacts",
            "is an ordinary one",
        ),
        (
            "alter table log.events owner to kontakty_contacts",
            "alter table log.events owner to kontakty",
            "does not belong to the service",
        ),
        (
            "alter database kontakty_contacts owner to kontakty_contacts",
            "alter database kontakty_contacts owner to kontakty; grant connect on database kontakty_contacts to kontakty_contacts",
            "does not belong to the service",
        ),
        (
            "grant insert on log.events to kontakty_service",
            "revoke insert on log.events from kontakty_service",
            "cannot change history",
        ),
        (
            "grant update (payload) on log.events to kontakty_contacts",
            "revoke update (payload) on log.events from kontakty_contacts",
            "cannot change history",
        ),
        (
            "grant delete on log.reservations to kontakty_service",
            "revoke delete on log.reservations from kontakty_service",
            "cannot change history",
        ),
        (
            "grant update on log.epochs to kontakty_service",
            "revoke update on log.epochs from kontakty_service",
            "cannot change history",
        ),
        (
            "grant insert on log.epochs to kontakty_contacts",
            "revoke insert on log.epochs from kontakty_contacts",
            "cannot change history",
        ),
        (
            "grant delete on log.keys to kontakty_service",
            "revoke delete on log.keys from kontakty_service",
            "cannot change history",
        ),
        (
            "grant update (subject) on log.keys to kontakty_contacts",
            "revoke update (subject) on log.keys from kontakty_contacts",
            "cannot change history",
        ),
        (
            "grant update on log.master_keys to kontakty_service",
            "revoke update on log.master_keys from kontakty_service",
            "cannot change history",
        ),
        (
            "grant create on schema log to kontakty_service",
            "revoke create on schema log from kontakty_service",
            "cannot change history",
        ),
        (
            "alter table log.events disable trigger append_only",
            "alter table log.events enable always trigger append_only",
            "refuses changes from everybody",
        ),
        (
            "alter table log.head enable trigger one_row",
            "alter table log.head enable always trigger one_row",
            "refuses changes from everybody",
        ),
        (
            "alter table log.epochs disable trigger append_only",
            "alter table log.epochs enable always trigger append_only",
            "refuses changes from everybody",
        ),
        (
            "alter table log.keys disable trigger stays_destroyed",
            "alter table log.keys enable always trigger stays_destroyed",
            "refuses changes from everybody",
        ),
        (
            "alter table log.keys enable trigger stays",
            "alter table log.keys enable always trigger stays",
            "refuses changes from everybody",
        ),
        (
            "create function public.agree() returns trigger language plpgsql as 'begin return null; end'; \
             create or replace trigger stays before delete or truncate on log.keys \
             for each statement execute function public.agree(); \
             alter table log.keys enable always trigger stays",
            "create or replace trigger stays before delete or truncate on log.keys \
             for each statement execute function log.refuse_change(); \
             alter table log.keys enable always trigger stays; drop function public.agree()",
            "refuses changes from everybody",
        ),
        (
            "grant set on parameter session_replication_role to kontakty_contacts",
            "revoke set on parameter session_replication_role from kontakty_contacts",
            "cannot switch triggers off",
        ),
        (
            "revoke execute on function log.append from kontakty_service",
            "grant execute on function log.append to kontakty_service",
            "may do its work",
        ),
        (
            "revoke execute on function log.append_one from kontakty_service",
            "grant execute on function log.append_one to kontakty_service",
            "may do its work",
        ),
        (
            "revoke execute on function log.ensure_keys from kontakty_service",
            "grant execute on function log.ensure_keys to kontakty_service",
            "may do its work",
        ),
        (
            "revoke execute on function log.lock_head from kontakty_service",
            "grant execute on function log.lock_head to kontakty_service",
            "may do its work",
        ),
        (
            "revoke execute on function log.settle_master_key from kontakty_service",
            "grant execute on function log.settle_master_key to kontakty_service",
            "may do its work",
        ),
        (
            "revoke insert on log.keys from kontakty_service",
            "grant insert on log.keys to kontakty_service",
            "may do its work",
        ),
        (
            "revoke select on log.reservations from kontakty_service",
            "grant select on log.reservations to kontakty_service",
            "may do its work",
        ),
        (
            "revoke delete on views.parked from kontakty_service",
            "grant delete on views.parked to kontakty_service",
            "may do its work",
        ),
        (
            "grant connect on database kontakty_planning to kontakty_contacts",
            "revoke connect on database kontakty_planning from kontakty_contacts",
            "reach other services' databases",
        ),
        (
            "update _sqlx_migrations set success = false where version = 10",
            "update _sqlx_migrations set success = true where version = 10",
            "it lacks 0010 expand master keys",
        ),
        (
            "update log.master_keys set check_value = sha256('another')",
            "delete from log.master_keys",
            "its master key is ours",
        ),
    ];
    for (sql, undo, word) in rights {
        psql.owner("contacts", sql)?;
        let (said, well) = installation.on_a_workstation()?;
        ensure!(
            !well
                && wrong(&said)
                    .iter()
                    .any(|line| line.contains("contacts") && line.contains(word)),
            "{sql}: {said}"
        );
        psql.owner("contacts", undo)?;
    }
    let (said, well) = installation.on_a_workstation()?;
    ensure!(well, "undone: {said}");

    // In the reader's language, and the keys.
    let master = installation.office.data().join("keys/master.key");
    fs::set_permissions(&master, Permissions::from_mode(0o644))?;
    let (said, well) = installation.examine("", "ru_RU.UTF-8")?;
    ensure!(
        !well && said.contains("master.key открыт другим пользователям"),
        "{said}"
    );
    ensure!(
        said.contains("база сервиса contacts: fsync включён"),
        "{said}"
    );
    Ok(())
}

/// A nats-server of our own, with its monitoring port.
struct Nats {
    child: Child,
    port: u16,
    monitoring: u16,
    _folder: TempDir,
}

impl Nats {
    async fn start(program: &Path, jetstream: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let free = || -> anyhow::Result<u16> {
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
                .local_addr()?
                .port())
        };
        let (port, monitoring) = (free()?, free()?);
        let config = folder.path().join("nats.conf");
        fs::write(
            &config,
            format!(
                "listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitoring}\n\
                 jetstream {{\nstore_dir: \"{}\"\n{jetstream}\n}}\n",
                folder.path().join("store").display()
            ),
        )?;
        let child = Command::new(program)
            .args(["-c", &text(&config)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let nats = Self {
            child,
            port,
            monitoring,
            _folder: folder,
        };
        let answers = async || {
            [port, monitoring]
                .iter()
                .all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        };
        ensure!(eventually(Duration::from_secs(10), answers, |up| *up).await);
        Ok(nats)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one of the distribution.
fn old_nats() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/nats-server");
    if debian.exists() {
        debian
    } else {
        "nats-server".into()
    }
}

/// As it tells it itself: `nats-server: v2.9.10`.
fn version(nats_server: &Path) -> anyhow::Result<String> {
    let output = Command::new(nats_server).arg("--version").output()?;
    let said = String::from_utf8(output.stdout)?;
    let (_, version) = said.trim().rsplit_once('v').context("no version")?;
    Ok(version.to_owned())
}

#[tokio::test]
async fn a_bus_that_acknowledges_before_it_has_synced_is_no_production() -> anyhow::Result<()> {
    let installation = Installation::new()?;
    let newer = tool("../nats/bin/nats-server");
    let durable = "what it acknowledges is on its disk";

    let synced = Nats::start(&newer, "sync_interval: always").await?;
    let (said, well) = installation.in_production(&synced, true)?;
    ensure!(
        well && said.contains(&format!("ok     NATS: {durable}")),
        "{said}"
    );
    ensure!(said.contains("ok     NATS: clock agrees"), "{said}");
    let (said, well) = installation.in_production(&synced, false)?;
    ensure!(
        !well && said.contains(&format!("WRONG  NATS: {durable}: cannot be seen")),
        "{said}"
    );

    let lax = Nats::start(&newer, "").await?;
    let (said, well) = installation.in_production(&lax, true)?;
    ensure!(
        !well && said.contains("acknowledges before it has synced: set `sync_interval"),
        "{said}"
    );
    // The monitoring of a good one does not stand for a bad one.
    let elsewhere = format!(
        "[nats]\nurl = 'nats://127.0.0.1:{}'\nmonitoring = 'http://127.0.0.1:{}'\n",
        lax.port, synced.monitoring
    );
    let (said, well) = installation.examine(&elsewhere, "C.UTF-8")?;
    ensure!(!well && said.contains("tells of another server"), "{said}");

    // Before 2.10 there is no setting that would help.
    let program = old_nats();
    let version = version(&program)?;
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    let cannot = (numbers.next(), numbers.next()) < (Some(2), Some(10));
    let old = Nats::start(&program, "").await?;
    for monitored in [true, false] {
        let (said, well) = installation.in_production(&old, monitored)?;
        let line = match (cannot, monitored) {
            (true, _) => format!(
                "nats-server {version} acknowledges before it has synced and cannot do otherwise"
            ),
            (false, true) => "acknowledges before it has synced: set `sync_interval".to_owned(),
            (false, false) => format!("{durable}: cannot be seen"),
        };
        ensure!(!well && said.contains(&line), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn another_master_key_stops_the_start_in_words() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let data = folder.path().join("data");
    let mut office = Office::start_on(&data, &[])?;
    ensure!(office.stop()?.success());
    let master = data.join("keys/master.key");
    let kept = fs::read(&master)?;
    // Lost, so that the start makes a new one.
    fs::remove_file(&master)?;
    let refused = Office::start_on(&data, &[])
        .err()
        .context("it started")?
        .to_string();
    ensure!(
        refused.contains("master.key is not the master key of the database of accounts"),
        "{refused}"
    );
    fs::write(&master, kept)?;
    Office::start_on(&data, &[])?;
    Ok(())
}
