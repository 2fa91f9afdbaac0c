//! An office of one's own: the real binary with its own PostgreSQL and NATS in a temporary folder.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use api::{
    accounts::{
        accounts_service_client::AccountsServiceClient,
        duplicates_service_client::DuplicatesServiceClient,
        identity_service_client::IdentityServiceClient,
        prospects_service_client::ProspectsServiceClient, staff_service_client::StaffServiceClient,
    },
    analytics::reports_service_client::ReportsServiceClient,
    clock::clock_service_client::ClockServiceClient,
    contacts::contacts_service_client::ContactsServiceClient,
    log::log_service_client::LogServiceClient,
    notifications::reminders_service_client::RemindersServiceClient,
    planning::planning_service_client::PlanningServiceClient,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// The binary under test: built by `cargo build --workspace` before the tests run.
pub fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    while path.pop() {
        let candidate = path.join("kontakty");
        if candidate.is_file() {
            return candidate;
        }
    }
    "kontakty".into()
}

/// Runs the binary to its end.
pub fn kontakty(args: &[&str]) -> anyhow::Result<Output> {
    Command::new(binary())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("kontakty cannot be started")
}

/// A running office, stopped when it is dropped.
pub struct Office {
    child: Child,
    folder: Folder,
    pub grpc: String,
    pub nats: String,
}

enum Folder {
    Own(TempDir),
    Given(PathBuf),
}

impl Office {
    /// A new office with `kontakty up` and these further arguments.
    pub fn start(args: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("kontakty-test-")
            .tempdir()?;
        // PostgreSQL runs as another user when the test is root's.
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        Self::run(Folder::Own(folder), args)
    }

    /// An office on a folder that outlives it.
    pub fn start_on(folder: &Path, args: &[&str]) -> anyhow::Result<Self> {
        Self::run(Folder::Given(folder.to_owned()), args)
    }

    fn run(folder: Folder, args: &[&str]) -> anyhow::Result<Self> {
        // Port 0 would not be a choice of ours: let the system name a free one first.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port()
            .to_string();
        let log = std::fs::File::create(folder.path().with_extension("log"))?;
        let mut command = Command::new(binary());
        command
            .arg("up")
            .arg("--data")
            .arg(folder.data())
            .args(args)
            .env("KONTAKTY__TELEMETRY__LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        if !args.contains(&"--port") {
            command.args(["--port", &port]);
        }
        let mut child = command.spawn().context("kontakty cannot be started")?;
        let mut out = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        loop {
            line.clear();
            if out.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                let log = std::fs::read_to_string(folder.path().with_extension("log"))
                    .unwrap_or_default();
                bail!("the office ended with {status} before it was ready: {log}");
            }
            if let Some(ready) = line.trim().strip_prefix("ready ") {
                let field = |name: &str| {
                    ready
                        .split(' ')
                        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                        .unwrap_or_default()
                        .to_owned()
                };
                let office = Self {
                    child,
                    grpc: field("grpc"),
                    nats: field("nats"),
                    folder,
                };
                // Whatever else it prints must not fill the pipe.
                std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
                return Ok(office);
            }
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.data()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().with_extension("log")).unwrap_or_default()
    }

    /// Runs a client command against this office as one of its staff; its output must be a success.
    pub fn command(&self, staff: &str, args: &[&str]) -> anyhow::Result<String> {
        let output = self.try_command(staff, args)?;
        ensure!(
            output.status.success(),
            "kontakty {}: {}{}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// As [`Self::command`], whatever comes of it.
    pub fn try_command(&self, staff: &str, args: &[&str]) -> anyhow::Result<Output> {
        Command::new(binary())
            .args(args)
            .args([
                "--server",
                &format!("http://{}", self.grpc),
                "--as",
                staff,
                "--data",
            ])
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .context("kontakty cannot be started")
    }

    pub fn token(&self, staff: &str) -> anyhow::Result<String> {
        let output = kontakty(&[
            "token",
            "--staff",
            staff,
            "--data",
            &self.data().to_string_lossy(),
        ])?;
        ensure!(
            output.status.success(),
            "no token: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A gRPC client as one of the staff.
    pub fn client(&self, staff: &str) -> anyhow::Result<Client> {
        Client::new(&self.grpc, Some(&self.token(staff)?))
    }

    /// As Ctrl-C; waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT)?;
        Ok(self.child.wait()?)
    }

    /// As `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.stop().is_err() {
            let _ = self.child.kill();
        }
        let _ = std::fs::remove_file(self.folder.path().with_extension("log"));
    }
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }

    fn data(&self) -> PathBuf {
        match self {
            Self::Own(folder) => folder.path().join("data"),
            Self::Given(folder) => folder.clone(),
        }
    }
}

/// Puts a token, and a trace when there is one, on every call.
#[derive(Clone, Default)]
pub struct Credentials {
    bearer: Option<MetadataValue<Ascii>>,
    pub traceparent: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        if let Some(traceparent) = &self.traceparent {
            request
                .metadata_mut()
                .insert("traceparent", traceparent.clone());
        }
        Ok(request)
    }
}

pub type Authenticated = InterceptedService<Channel, Credentials>;

/// All services as one caller.
#[derive(Clone)]
pub struct Client {
    pub channel: Channel,
    pub credentials: Credentials,
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "a client from outside")]
    pub fn new(grpc: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{grpc}"))?
            .connect_timeout(Duration::from_secs(5))
            .connect_lazy();
        let bearer = token
            .map(|token| format!("Bearer {token}").parse())
            .transpose()?;
        Ok(Self {
            channel,
            credentials: Credentials {
                bearer,
                traceparent: None,
            },
        })
    }

    fn authenticated(&self) -> Authenticated {
        InterceptedService::new(self.channel.clone(), self.credentials.clone())
    }

    pub fn identity(&self) -> IdentityServiceClient<Authenticated> {
        IdentityServiceClient::new(self.authenticated())
    }

    pub fn staff(&self) -> StaffServiceClient<Authenticated> {
        StaffServiceClient::new(self.authenticated())
    }

    pub fn accounts(&self) -> AccountsServiceClient<Authenticated> {
        AccountsServiceClient::new(self.authenticated())
    }

    pub fn prospects(&self) -> ProspectsServiceClient<Authenticated> {
        ProspectsServiceClient::new(self.authenticated())
    }

    pub fn duplicates(&self) -> DuplicatesServiceClient<Authenticated> {
        DuplicatesServiceClient::new(self.authenticated())
    }

    pub fn contacts(&self) -> ContactsServiceClient<Authenticated> {
        ContactsServiceClient::new(self.authenticated())
    }

    pub fn planning(&self) -> PlanningServiceClient<Authenticated> {
        PlanningServiceClient::new(self.authenticated())
    }

    pub fn reminders(&self) -> RemindersServiceClient<Authenticated> {
        RemindersServiceClient::new(self.authenticated())
    }

    pub fn reports(&self) -> ReportsServiceClient<Authenticated> {
        ReportsServiceClient::new(self.authenticated())
    }

    pub fn clock(&self) -> ClockServiceClient<Authenticated> {
        ClockServiceClient::new(self.authenticated())
    }

    pub fn log(&self) -> LogServiceClient<Authenticated> {
        LogServiceClient::new(self.authenticated()).max_decoding_message_size(64 << 20)
    }
}
