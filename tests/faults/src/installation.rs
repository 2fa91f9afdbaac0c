//! An installation as a company has it: five databases, a bus, and processes that serve. The
//! processes come and go; what they know is in the databases.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use es_postgres::MasterKey;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::Nats;
use tests::{
    client::{Client, SERVICES},
    office::binary,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::engines::{self, Engines};

const PASSWORD: &str = "service";
const READY: Duration = Duration::from_secs(30);
/// Lines of a log.
const SAID_LAST: usize = 20;

/// Where the processes find everything: at its own address, or at that of a proxy before it.
#[derive(Clone)]
pub struct Settings {
    pub postgres: String,
    pub nats: String,
    /// After the names of the databases.
    pub suffix: &'static str,
    pub keys: PathBuf,
    /// `KONTAKTY__SECTION__KEY` and its value.
    pub more: Vec<(String, String)>,
}

impl Settings {
    fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("KONTAKTY__NATS__URL".to_owned(), self.nats.clone()),
            (
                "KONTAKTY__KEYS__FOLDER".to_owned(),
                self.keys.display().to_string(),
            ),
            (
                "KONTAKTY__DOCUMENTS__STORAGE".to_owned(),
                self.keys.with_file_name("documents").display().to_string(),
            ),
            (
                "KONTAKTY__TELEMETRY__LOG_LEVEL".to_owned(),
                "warn".to_owned(),
            ),
        ];
        for service in SERVICES {
            variables.push((
                format!("KONTAKTY__DATABASE__{}", service.to_uppercase()),
                format!(
                    "postgres://kontakty_{service}:{PASSWORD}@{}/{}",
                    self.postgres,
                    self.database(service)
                ),
            ));
        }
        variables.extend(self.more.iter().cloned());
        variables
    }

    /// What the personal data of the installation is under.
    pub fn master_key(&self) -> anyhow::Result<MasterKey> {
        let text = std::fs::read_to_string(self.keys.join("master.key"))?;
        let bytes: Option<[u8; 32]> = BASE64.decode(text.trim())?.try_into().ok();
        Ok(MasterKey::new(bytes.context("a key of another length")?))
    }

    pub fn database(&self, service: &str) -> String {
        format!("kontakty_{service}{}", self.suffix)
    }
}

/// A kill point and at which of its passes it kills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    pub point: String,
    pub nth: u32,
}

impl Kill {
    fn variable(&self) -> (&'static str, String) {
        (kill_point::ARMED, format!("{}:{}", self.point, self.nth))
    }
}

/// Engines, a bus, and where the processes answer.
pub struct Installation {
    pub engines: Engines,
    pub nats: Nats,
    pub settings: Settings,
    pub address: String,
}

impl Installation {
    /// Must be called from a thread that lives as long as the run: children die with the thread
    /// that started them.
    pub async fn new() -> anyhow::Result<Self> {
        let engines = Engines::start()?;
        let nats = Nats::start().await?;
        Ok(Self {
            settings: Settings {
                postgres: engines.address(),
                nats: nats.url(),
                suffix: "",
                keys: engines.data().join("keys"),
                more: Vec::new(),
            },
            address: free_address()?,
            engines,
            nats,
        })
    }

    /// Makes databases and tables; `kills` say at which points that is interrupted before.
    pub async fn migrate(&self, kills: &[Kill]) -> anyhow::Result<()> {
        for kill in kills {
            let status = self.migration(Some(kill)).status().await?;
            ensure!(
                is_killed(status),
                "the migration ended with {status} and not at {kill:?}"
            );
        }
        let output = self.migration(None).output().await?;
        ensure!(
            output.status.success(),
            "migration: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn migration(&self, kill: Option<&Kill>) -> Command {
        let owner = sqlx::ConnectOptions::to_url_lossy(&self.engines.owner("postgres"));
        let mut command = Command::new(binary());
        command
            .arg("migrate")
            .envs(self.settings.environment())
            .env("KONTAKTY_OWNER_URL", owner.to_string())
            .envs(kill.map(Kill::variable))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// All services in one process, at the address of the installation.
    pub fn serve(&self, kill: Option<&Kill>) -> anyhow::Result<Server> {
        let log = self.engines.folder().join("serve.log");
        Server::start(&self.settings, &["all"], &self.address, kill, &log)
    }

    /// Somebody of the staff, at the address of the installation or of a proxy before it.
    pub fn client(&self, staff: &str, address: &str) -> anyhow::Result<Client> {
        let token = engines::run(
            std::process::Command::new(binary())
                .args(["token", "--staff", staff, "--data"])
                .arg(self.engines.data()),
        )?;
        Client::new(address, Some(token.trim()))
    }

    /// Imports a file as the first administrator.
    pub fn import(&self, kind: &str, csv: &str) -> anyhow::Result<()> {
        let file = self.engines.folder().join(format!("{kind}.csv"));
        std::fs::write(&file, csv)?;
        let output = engines::run(
            std::process::Command::new(binary())
                .args(["import", kind])
                .arg(&file)
                .args(["--format", "json", "--server"])
                .arg(format!("http://{}", self.address))
                .args(["--as", "admin", "--data"])
                .arg(self.engines.data()),
        )?;
        let counts: Vec<serde_json::Value> = serde_json::from_str(&output)?;
        let rejected = counts.iter().find(|row| row["outcome"] == "rejected");
        ensure!(
            rejected.is_some_and(|row| row["count"] == 0),
            "import of {kind}: {output}"
        );
        Ok(())
    }
}

/// A process that serves; killed when it is dropped.
pub struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Server {
    /// Returns at once: a process that is to die may never be ready.
    pub fn start(
        settings: &Settings,
        services: &[&str],
        address: &str,
        kill: Option<&Kill>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let written = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        // Dies with us, however we end.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary())
            .arg("serve")
            .args(services)
            .envs(settings.environment())
            .env("KONTAKTY__SERVER__LISTEN", address)
            .envs(kill.map(Kill::variable))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(written)
            .kill_on_drop(true)
            .spawn()?;
        let out = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self {
            child,
            out,
            log: log.to_owned(),
        })
    }

    /// Waits until it answers.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        timeout(READY, self.out.read_line(&mut line))
            .await
            .context("not ready in time")??;
        if line.starts_with("ready ") {
            return Ok(());
        }
        let status = self.child.wait().await?;
        bail!(
            "ended with {status} before it was ready:\n{}",
            self.said_last(|_| true)
        )
    }

    /// The last lines like this of what it has logged.
    pub fn said_last(&self, like: impl Fn(&str) -> bool) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = log.lines().filter(|line| like(line));
        let mut tail: Vec<&str> = lines.rev().take(SAID_LAST).collect();
        tail.reverse();
        tail.join("\n")
    }

    /// Whether it was killed within this time. An end of any other kind is an error.
    pub async fn dies_within(&mut self, patience: Duration) -> anyhow::Result<bool> {
        match timeout(patience, self.child.wait()).await {
            Err(_elapsed) => Ok(false),
            Ok(status) => {
                let status = status?;
                ensure!(
                    is_killed(status),
                    "a process ended by itself: {status}\n{}",
                    self.said_last(|_| true)
                );
                Ok(true)
            }
        }
    }

    /// As a power cut.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// As Ctrl-C; waits for the end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended before")?;
        kill(Pid::from_raw(pid as i32), Signal::SIGINT)?;
        let status = timeout(READY, self.child.wait())
            .await
            .context("does not stop")??;
        ensure!(status.success(), "stopped with {status}");
        Ok(())
    }
}

fn is_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::SIGKILL as i32)
}

/// The system names a port that is free now.
pub fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
