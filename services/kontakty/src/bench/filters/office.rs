//! An office of the bench's own, in a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use secrecy::ExposeSecret;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    client::{self, Client},
    office,
};

pub(super) struct Office {
    child: Child,
    data: PathBuf,
    grpc: String,
    owner: PgConnectOptions,
}

impl Office {
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let data = folder.join("data");
        let log = std::fs::File::create(folder.join("log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["up", "--port", "0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("an office cannot be started")?;
        let out = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(out).lines();
        let ready = loop {
            let line = lines
                .next_line()
                .await?
                .context("the office ended at once")?;
            if line.starts_with("ready ") {
                break line;
            }
        };
        let grpc = ready.split(' ').find_map(|part| part.strip_prefix("grpc="));
        let grpc = grpc.context("no address")?.to_owned();
        let url = office::local_office(&data, &mut kit::Config::load(None)?)?;
        let owner = PgConnectOptions::from_str(url.expose_secret())?;
        Ok(Self {
            child,
            data,
            grpc,
            owner,
        })
    }

    pub(super) async fn client(&self, staff: &str) -> anyhow::Result<Client> {
        client::local(&self.grpc, &self.data, staff).await
    }

    pub(super) fn accounts_database(&self) -> PgConnectOptions {
        let owner = self.owner.clone();
        owner
            .database("kontakty_accounts")
            .disable_statement_logging()
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGINT)?;
        }
        self.child.wait().await?;
        Ok(())
    }
}
