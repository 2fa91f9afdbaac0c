//! An office of one's own: the real binary with its own PostgreSQL and NATS in a temporary folder,
//! as one process or as five.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    apart::{Apart, environment, migrate},
    client::{Addresses, Client, SERVICES},
};

/// What the binary reads at which point of its code it is to be killed.
const ARMED: &str = "KONTAKTY_KILL_POINT";

/// A data folder with empty databases, made by [`prepare`] once for all tests: an office on a copy of
/// it starts in half the time.
const PREPARED: &str = "KONTAKTY_TEST_OFFICE";

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

/// Makes a data folder whose databases are there and empty.
pub fn prepare(data: &Path) -> anyhow::Result<()> {
    migrate_idle(data, |_| Ok(()), &[])
}

/// `kontakty migrate` with these further arguments while only the engines of an office run; first
/// something is done to its databases, whose owner connects by the URL.
pub fn migrate_idle(
    data: &Path,
    first: impl FnOnce(&str) -> anyhow::Result<()>,
    args: &[&str],
) -> anyhow::Result<()> {
    let mut engines = Command::new(binary());
    engines.arg("engines").arg("--data").arg(data);
    let (mut host, ready) = spawn(engines, &data.with_extension("log"))?;
    let (postgres, nats) = (ready.field("postgres"), ready.field("nats"));
    let migrated = first(&postgres)
        .and_then(|()| migrate(&environment(data, &postgres, &nats)?, &postgres, args));
    interrupt(&mut host)?;
    migrated
}

/// What a service is told by its environment.
pub type Environment = Vec<(String, String)>;

/// A running office, stopped when it is dropped.
pub struct Office {
    /// `kontakty up`; or `kontakty engines`, with the services beside it.
    host: Child,
    apart: Option<Apart>,
    folder: Folder,
    /// Where accounts answers; all of them, unless they run apart.
    pub grpc: String,
    pub nats: String,
}

/// What an office keeps its data in and its services talk over.
#[derive(Clone, Copy)]
pub enum Engine {
    Postgres,
    Nats,
}

enum Folder {
    Own(TempDir),
    Given(PathBuf),
}

impl Office {
    /// A new office with `kontakty up` and these further arguments.
    pub fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::up(Folder::own()?, args)
    }

    /// The same with nothing prepared: its keys are its own.
    pub fn start_unprepared() -> anyhow::Result<Self> {
        Self::up(Folder::empty()?, &[])
    }

    /// An office on a folder that outlives it.
    pub fn start_on(folder: &Path, args: &[&str]) -> anyhow::Result<Self> {
        Self::up(Folder::Given(folder.to_owned()), args)
    }

    /// A new office of five processes on five ports; `clock`: where a controlled one begins.
    pub fn start_apart(clock: Option<&str>) -> anyhow::Result<Self> {
        let (mut office, environment) = Self::start_engines()?;
        let apart = Apart::start(&office.data(), environment, clock)?;
        office.grpc.clone_from(&apart.addresses()["accounts"]);
        office.apart = Some(apart);
        Ok(office)
    }

    /// Engines with migrated databases, and what the services are told that a test starts on them;
    /// the test sets `grpc` to where these answer.
    pub fn start_engines() -> anyhow::Result<(Self, Environment)> {
        let folder = Folder::own()?;
        let mut engines = Command::new(binary());
        engines.arg("engines").arg("--data").arg(folder.data());
        let (host, ready) = spawn(engines, &folder.log())?;
        let office = Self {
            host,
            apart: None,
            folder,
            grpc: String::new(),
            nats: ready.field("nats"),
        };
        let postgres = ready.field("postgres");
        let environment = environment(&office.data(), &postgres, &office.nats)?;
        migrate(&environment, &postgres, &[])?;
        Ok((office, environment))
    }

    fn up(folder: Folder, args: &[&str]) -> anyhow::Result<Self> {
        let [port] = free_ports()?;
        let (host, ready) = up(&folder, &format!("127.0.0.1:{port}"), args, None)?;
        Ok(Self {
            host,
            apart: None,
            grpc: ready.field("grpc"),
            nats: ready.field("nats"),
            folder,
        })
    }

    /// After [`Self::kill`]: `kontakty up` on the same folder and port.
    pub fn start_again(&mut self, args: &[&str]) -> anyhow::Result<()> {
        self.start_again_to_die(args, None)
    }

    /// As [`Self::start_again`], to be killed by itself at a point of its code: `name:3`, when it
    /// passes there for the third time.
    pub fn start_again_to_die(
        &mut self,
        args: &[&str],
        kill_point: Option<&str>,
    ) -> anyhow::Result<()> {
        let (host, ready) = up(&self.folder, &self.grpc, args, kill_point)?;
        self.host = host;
        self.nats = ready.field("nats");
        Ok(())
    }

    /// Whether it has died.
    /// Whether a kill point was reached: it ended by SIGKILL and by nothing else.
    pub fn was_killed(&mut self) -> anyhow::Result<bool> {
        let Some(ended) = self.host.try_wait()? else {
            return Ok(false);
        };
        ensure!(ended.signal() == Some(9), "it ended otherwise: {ended}");
        Ok(true)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.data()
    }

    pub fn pid(&self) -> u32 {
        self.host.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let services = self.apart.iter().flat_map(Apart::logs);
        std::iter::once(self.folder.log())
            .chain(services)
            .map(|path| std::fs::read_to_string(path).unwrap_or_default())
            .collect()
    }

    fn addresses(&self) -> Addresses {
        match &self.apart {
            Some(apart) => apart.addresses(),
            None => SERVICES.map(|service| (service, self.grpc.clone())).into(),
        }
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
            .args(["--server", &self.servers(), "--as", staff, "--data"])
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .context("kontakty cannot be started")
    }

    /// As `--server` takes them.
    pub fn servers(&self) -> String {
        let Some(apart) = &self.apart else {
            return format!("http://{}", self.grpc);
        };
        let servers = apart.addresses().into_iter();
        let servers: Vec<_> = servers
            .map(|(service, address)| format!("{service}=http://{address}"))
            .collect();
        servers.join(",")
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
        Client::at(&self.addresses(), Some(&self.token(staff)?))
    }

    /// As Ctrl-C; waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        if let Some(apart) = &mut self.apart {
            apart.stop()?;
        }
        kill(Pid::from_raw(self.host.id() as i32), Signal::SIGINT)?;
        Ok(self.host.wait()?)
    }

    /// As `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.host.kill()?;
        self.host.wait()?;
        Ok(())
    }

    /// `kill -9` of the process of one service, and its start; only of an office of five.
    pub fn kill_service(&mut self, service: &str) -> anyhow::Result<()> {
        let apart = self.apart.as_mut().context("it is one process")?;
        apart.kill(service)
    }

    /// `kill -9` of an engine of this office; its host starts it again.
    pub fn kill_engine(&self, engine: Engine) -> anyhow::Result<()> {
        kill(self.engine(engine)?, Signal::SIGKILL)?;
        Ok(())
    }

    /// NATS falls and has nothing any more when it comes back.
    pub fn wipe_nats(&self) -> anyhow::Result<()> {
        let host = Pid::from_raw(self.host.id() as i32);
        // The host must not start it again before its store is gone.
        kill(host, Signal::SIGSTOP)?;
        let wiped = self.kill_engine(Engine::Nats).and_then(|()| {
            std::fs::remove_dir_all(self.data().join("nats/jetstream")).context("the store")
        });
        kill(host, Signal::SIGCONT)?;
        wiped
    }

    /// Found by the folder in its command line, so that it is no other office's.
    fn engine(&self, engine: Engine) -> anyhow::Result<Pid> {
        let program = match engine {
            Engine::Postgres => "postgres -D",
            Engine::Nats => "nats-server --config",
        };
        let pattern = format!("{program}.*{}", self.data().display());
        let output = Command::new("pgrep")
            .args(["-o", "-f", "--", &pattern])
            .output()?;
        let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
        Ok(Pid::from_raw(
            pid.with_context(|| format!("no process `{pattern}`"))?,
        ))
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if matches!(self.host.try_wait(), Ok(None)) && self.stop().is_err() {
            let _ = self.host.kill();
        }
        let _ = std::fs::remove_file(self.folder.log());
    }
}

impl Folder {
    fn empty() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("kontakty-test-")
            .tempdir()?;
        // PostgreSQL runs as another user when the test is root's.
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        Ok(Self::Own(folder))
    }

    fn own() -> anyhow::Result<Self> {
        let folder = Self::empty()?;
        if let Some(prepared) = std::env::var_os(PREPARED) {
            let copied = Command::new("cp")
                .args(["-a", "--reflink=auto", "--"])
                .arg(prepared)
                .arg(folder.data())
                .status()?;
            ensure!(copied.success(), "the prepared office cannot be copied");
        }
        Ok(folder)
    }

    fn data(&self) -> PathBuf {
        match self {
            Self::Own(folder) => folder.path().join("data"),
            Self::Given(folder) => folder.clone(),
        }
    }

    fn log(&self) -> PathBuf {
        match self {
            Self::Own(folder) => folder.path().with_extension("log"),
            Self::Given(folder) => folder.with_extension("log"),
        }
    }
}

/// Ports that were free a moment ago: port 0 would not be a choice of ours.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let listeners: Vec<_> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn up(
    folder: &Folder,
    address: &str,
    args: &[&str],
    kill_point: Option<&str>,
) -> anyhow::Result<(Child, Ready)> {
    let mut command = Command::new(binary());
    if let Some(point) = kill_point {
        command.env(ARMED, point);
    }
    command
        .arg("up")
        .arg("--data")
        .arg(folder.data())
        .args(args)
        .env("KONTAKTY__TELEMETRY__LOG_FORMAT", "json");
    if let (false, Some((_, port))) = (args.contains(&"--port"), address.rsplit_once(':')) {
        command.args(["--port", port]);
    }
    spawn(command, &folder.log())
}

/// The line by which a process says that it can be used.
pub struct Ready(String);

impl Ready {
    pub fn field(&self, name: &str) -> String {
        self.0
            .split(' ')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned()
    }
}

/// Starts a process and waits until it is ready.
pub fn spawn(mut command: Command, log: &Path) -> anyhow::Result<(Child, Ready)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(log)?)
        .spawn()
        .context("kontakty cannot be started")?;
    let mut out = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = String::new();
    loop {
        line.clear();
        if out.read_line(&mut line)? == 0 {
            let status = child.wait()?;
            let log = std::fs::read_to_string(log).unwrap_or_default();
            bail!("it ended with {status} before it was ready: {log}");
        }
        if let Some(ready) = line.trim().strip_prefix("ready ") {
            let ready = Ready(ready.to_owned());
            // Whatever else it prints must not fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
            return Ok((child, ready));
        }
    }
}

/// As Ctrl-C; waits for the end.
pub(crate) fn interrupt(child: &mut Child) -> anyhow::Result<()> {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT)?;
    child.wait()?;
    Ok(())
}
