//! A PostgreSQL of one's own that is killed and comes back, as `kontakty engines` runs it.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;
use tests::office::binary;

use crate::meanwhile;

/// Ends with this value.
pub struct Engines {
    folder: TempDir,
    child: Child,
    owner: PgConnectOptions,
}

impl Engines {
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("kontakty-faults-")
            .tempdir()?;
        // PostgreSQL runs as another user when the test is root's.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(binary())
            .args(["engines", "--data"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("kontakty cannot be started")?;
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().context("no output")?);
        out.read_line(&mut line)?;
        let owner = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("postgres="))
            .context("PostgreSQL and NATS did not start")?;
        Ok(Self {
            owner: PgConnectOptions::from_str(owner)?.disable_statement_logging(),
            folder,
            child,
        })
    }

    /// For everything else that belongs to this run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, with the keys of the installation.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.owner.get_host(), self.owner.get_port())
    }

    /// How the superuser connects to a database.
    pub fn owner(&self, database: &str) -> PgConnectOptions {
        self.owner.clone().database(database)
    }

    pub async fn pool(&self, database: &str) -> anyhow::Result<PgPool> {
        Ok(PgPoolOptions::new()
            .max_connections(4)
            .connect_with(self.owner(database))
            .await?)
    }

    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.owner(database)).await?)
    }

    /// Sends the postmaster a signal and waits until the server takes connections again.
    pub async fn restart_postgres(&self, signal: Signal) -> anyhow::Result<()> {
        let old = self.postmaster()?;
        kill(Pid::from_raw(old), signal)?;
        for _ in 0..1_200 {
            meanwhile(Duration::from_millis(50)).await;
            let is_new = self.postmaster().is_ok_and(|pid| pid != old);
            if is_new && self.connect("postgres").await.is_ok() {
                return Ok(());
            }
        }
        anyhow::bail!("PostgreSQL did not come back within a minute")
    }

    fn postmaster(&self) -> anyhow::Result<i32> {
        let path = self.data().join("postgres/data/postmaster.pid");
        let text = std::fs::read_to_string(path)?;
        let pid = text.lines().next().context("an empty pid file")?;
        Ok(pid.trim().parse()?)
    }

    /// A database with everything that is in another one, which nobody may be connected to.
    pub async fn copy_database(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres").await?;
        for statement in [
            format!("drop database if exists {to} with (force)"),
            format!("create database {to} template {from}"),
            // Not copied along.
            format!("grant create on database {to} to kontakty_service"),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        Ok(connection.close().await?)
    }

    /// Ends every session on a database, so that it can be copied.
    pub async fn disconnect(&self, database: &str) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres").await?;
        sqlx::query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
        )
        .bind(database)
        .execute(&mut connection)
        .await?;
        Ok(connection.close().await?)
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32);
        if kill(pid, Signal::SIGTERM).is_ok() {
            let _ = self.child.wait();
        }
    }
}

/// Runs a command of the binary to its end.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
