//! What somebody at the databases of an office can do behind its back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, ensure};

use crate::office::Office;

/// The databases of an office.
pub struct Psql {
    host: String,
    port: String,
    keys: PathBuf,
}

impl Psql {
    pub fn new(office: &Office) -> anyhow::Result<Self> {
        Self::at(&office.data())
    }

    /// Of the office that runs on this data folder.
    pub fn at(data: &Path) -> anyhow::Result<Self> {
        let lock = fs::read_to_string(data.join("lock"))?;
        let running: serde_json::Value = serde_json::from_str(&lock)?;
        let (host, port) = running["postgres"]
            .as_str()
            .and_then(|address| address.rsplit_once(':'))
            .context("no address of PostgreSQL")?;
        Ok(Self {
            host: host.to_owned(),
            port: port.to_owned(),
            keys: data.join("keys"),
        })
    }

    /// As a service connects.
    pub fn url(&self, service: &str) -> anyhow::Result<String> {
        let password = self.password(service)?;
        let (host, port) = (&self.host, &self.port);
        Ok(format!(
            "postgres://kontakty_{service}:{password}@{host}:{port}/kontakty_{service}"
        ))
    }

    /// As the superuser connects; without a database.
    pub fn owner_url(&self) -> anyhow::Result<String> {
        let password = self.password("owner")?;
        let (host, port) = (&self.host, &self.port);
        Ok(format!("postgres://kontakty:{password}@{host}:{port}"))
    }

    fn password(&self, of: &str) -> anyhow::Result<String> {
        let secret = fs::read_to_string(self.keys.join(format!("postgres-{of}")))?;
        Ok(secret.trim().to_owned())
    }

    /// As the superuser, in the database of a service; must succeed. Returns what it prints.
    pub fn owner(&self, service: &str, sql: &str) -> anyhow::Result<String> {
        self.owner_of(&format!("kontakty_{service}"), sql)
    }

    /// As [`Self::owner`], in any database.
    pub fn owner_of(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let output = run(self.program("psql")?, database, &[sql])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && !said.contains("ERROR"),
            "{sql}: {said}"
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A program of PostgreSQL as the superuser; which database is for its further arguments.
    pub fn program(&self, program: &str) -> anyhow::Result<Command> {
        Ok(self.connecting(program, "kontakty", &self.password("owner")?))
    }

    /// As the login of a service, in the database of this or another one: what it prints, or the
    /// SQLSTATE with which it is refused.
    pub fn service(
        &self,
        login: &str,
        service: &str,
        sql: &str,
    ) -> anyhow::Result<Result<String, String>> {
        let mut answers = self.services(login, service, &[sql])?;
        answers.pop().context("no answer")
    }

    /// As [`Self::service`], one statement after the other in one session.
    pub fn services(
        &self,
        login: &str,
        service: &str,
        statements: &[&str],
    ) -> anyhow::Result<Vec<Result<String, String>>> {
        const NEXT: &str = "-- next --";
        let (echo, warn) = (format!("\\echo {NEXT}"), format!("\\warn {NEXT}"));
        let commands: Vec<&str> = statements
            .iter()
            .flat_map(|sql| [*sql, &echo, &warn])
            .collect();
        let user = format!("kontakty_{login}");
        let psql = self.connecting("psql", &user, &self.password(login)?);
        let output = run(psql, &format!("kontakty_{service}"), &commands)?;
        let (out, err) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        // Refused at the door.
        if !err.contains(NEXT) {
            return Ok(vec![Err(err); statements.len()]);
        }
        let answers = out.split(NEXT).zip(err.split(NEXT)).take(statements.len());
        Ok(answers
            .map(|(out, err)| match err.split_once("ERROR:  ") {
                None => Ok(out.trim().to_owned()),
                Some((_, state)) => Err(state.trim().to_owned()),
            })
            .collect())
    }

    fn connecting(&self, program: &str, user: &str, password: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-h", &self.host, "-p", &self.port, "-U", user])
            .env("PGPASSWORD", password);
        command
    }
}

fn run(mut psql: Command, database: &str, commands: &[&str]) -> anyhow::Result<Output> {
    psql.args(["-X", "-q", "-t", "-A", "-v", "VERBOSITY=sqlstate"])
        .args(["-d", database])
        .args(commands.iter().flat_map(|command| ["-c", command]))
        .output()
        .context("psql cannot be started")
}
