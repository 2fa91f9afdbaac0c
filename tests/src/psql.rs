//! What somebody at the databases of an office can do behind its back.

use std::{
    fs,
    process::{Command, Output},
};

use anyhow::{Context, ensure};

use crate::office::Office;

/// The databases of an office.
pub struct Psql {
    host: String,
    port: String,
    keys: std::path::PathBuf,
}

impl Psql {
    pub fn new(office: &Office) -> anyhow::Result<Self> {
        let lock = fs::read_to_string(office.data().join("lock"))?;
        let running: serde_json::Value = serde_json::from_str(&lock)?;
        let (host, port) = running["postgres"]
            .as_str()
            .and_then(|address| address.rsplit_once(':'))
            .context("no address of PostgreSQL")?;
        Ok(Self {
            host: host.to_owned(),
            port: port.to_owned(),
            keys: office.data().join("keys"),
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

    fn password(&self, of: &str) -> anyhow::Result<String> {
        let secret = fs::read_to_string(self.keys.join(format!("postgres-{of}")))?;
        Ok(secret.trim().to_owned())
    }

    /// As the superuser, in the database of a service; must succeed. Returns what it prints.
    pub fn owner(&self, service: &str, sql: &str) -> anyhow::Result<String> {
        let output = self.run("kontakty", &self.password("owner")?, service, &[sql])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && !said.contains("ERROR"),
            "{sql}: {said}"
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
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
        let output = self.run(&user, &self.password(login)?, service, &commands)?;
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

    fn run(
        &self,
        user: &str,
        password: &str,
        service: &str,
        commands: &[&str],
    ) -> anyhow::Result<Output> {
        Command::new("psql")
            .args(["-X", "-q", "-t", "-A", "-v", "VERBOSITY=sqlstate"])
            .args(["-h", &self.host, "-p", &self.port, "-U", user])
            .args(["-d", &format!("kontakty_{service}")])
            .args(commands.iter().flat_map(|command| ["-c", command]))
            .env("PGPASSWORD", password)
            .output()
            .context("psql cannot be started")
    }
}
