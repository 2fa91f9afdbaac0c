//! PostgreSQL and NATS as children of this process: private, on loopback, started again when they
//! fall, gone when this process goes.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User, chown},
};
use secrecy::SecretString;
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::folder::Folder;

/// The user that owns the private cluster.
pub(crate) const OWNER: &str = "kontakty";
const READY_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Engines {
    pub postgres: SocketAddr,
    pub nats: SocketAddr,
    pub owner_password: String,
    children: [Engine; 2],
}

struct Engine {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    stop: Signal,
    user: Option<User>,
    child: Child,
}

impl Engines {
    /// Starts both; the first start on a folder makes the cluster. Ports near `port` are preferred;
    /// any when it is 0.
    pub(crate) async fn start(folder: &Folder, port: u16) -> anyhow::Result<Self> {
        let binaries = postgres_binaries()?;
        let nats_server = find(
            "KONTAKTY_NATS_SERVER",
            "nats-server",
            &["/usr/sbin", "/usr/local/bin"],
        )
        .context("nats-server is not installed: run deploy/up, or `apt-get install nats-server`")?;
        let user = engine_user()?;
        let owner_password = folder.secret("postgres-owner")?;
        let near = |offset| {
            if port == 0 {
                0
            } else {
                port.saturating_add(offset)
            }
        };
        let postgres = free_port(near(1));
        let nats = free_port(near(2));

        for (path, mode) in [(folder.postgres(), 0o700), (folder.nats(), 0o700)] {
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            if let Some(user) = &user {
                chown(&path, Some(user.uid), Some(user.gid))?;
            }
        }
        reachable(&folder.postgres(), user.as_ref()).await?;
        let cluster = folder.postgres().join("data");
        if !cluster.join("PG_VERSION").exists() {
            initdb(&binaries, &cluster, &owner_password, user.as_ref(), folder).await?;
        }
        same_version(&binaries, &cluster)?;
        former_ended(&cluster).await;

        let nats_config = folder.nats().join("nats.conf");
        fs::write(&nats_config, nats_configuration(nats, &folder.nats()))?;
        let mut engines = Self {
            postgres,
            nats,
            owner_password,
            children: [
                Engine::start(
                    "postgresql",
                    binaries.join("postgres"),
                    postgres_arguments(&cluster, postgres),
                    folder.logs().join("postgresql.log"),
                    Signal::SIGINT, // fast shutdown: sessions are ended, nothing is lost
                    user.clone(),
                )?,
                Engine::start(
                    "nats-server",
                    nats_server,
                    vec!["--config".to_owned(), nats_config.display().to_string()],
                    folder.logs().join("nats.log"),
                    Signal::SIGTERM,
                    user,
                )?,
            ],
        };
        engines.ready().await?;
        Ok(engines)
    }

    /// How the owner of the cluster connects.
    pub(crate) fn owner(&self) -> PgConnectOptions {
        owner_options(self.postgres, &self.owner_password)
    }

    pub(crate) fn owner_url(&self) -> SecretString {
        self.owner().to_url_lossy().to_string().into()
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let postgres = self.owner().connect().await;
            let nats = tokio::net::TcpStream::connect(self.nats).await;
            if let (Ok(connection), Ok(_)) = (postgres, nats) {
                connection.close().await?;
                return Ok(());
            }
            for engine in &mut self.children {
                if let Some(status) = engine.child.try_wait()? {
                    bail!(
                        "{} ended with {status}; its log is {}",
                        engine.name,
                        engine.log.display()
                    );
                }
            }
            if Instant::now() > until {
                bail!(
                    "PostgreSQL and NATS did not answer within {} s",
                    READY_WITHIN.as_secs()
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts again whatever falls; never returns unless starting fails.
    ///
    /// Must be polled from the main thread: children die with the thread that started them.
    pub(crate) async fn supervise(&mut self) -> anyhow::Result<()> {
        loop {
            let [postgres, nats] = &mut self.children;
            let (fallen, status) = tokio::select! {
                status = postgres.child.wait() => (postgres, status?),
                status = nats.child.wait() => (nats, status?),
            };
            tracing::error!(engine = fallen.name, %status, "engine fell; starting it again");
            sleep(Duration::from_millis(200)).await;
            fallen.child = spawn(
                &fallen.program,
                &fallen.args,
                &fallen.log,
                fallen.user.as_ref(),
            )?;
        }
    }

    /// Stops both, the bus first.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for engine in self.children.iter_mut().rev() {
            engine.end().await?;
        }
        Ok(())
    }
}

pub(crate) fn owner_options(postgres: SocketAddr, password: &str) -> PgConnectOptions {
    PgConnectOptions::new()
        .host(&postgres.ip().to_string())
        .port(postgres.port())
        .username(OWNER)
        .password(password)
        .database("postgres")
        .disable_statement_logging()
}

impl Engine {
    fn start(
        name: &'static str,
        program: PathBuf,
        args: Vec<String>,
        log: PathBuf,
        stop: Signal,
        user: Option<User>,
    ) -> anyhow::Result<Self> {
        let child = spawn(&program, &args, &log, user.as_ref())
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            program,
            args,
            log,
            stop,
            user,
            child,
        })
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            let _ = kill(Pid::from_raw(pid as i32), self.stop);
        }
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            tracing::warn!(engine = self.name, "did not stop in time; killed");
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// Starts a program that dies with us, in its own process group so that Ctrl-C reaches it through
/// us, after the services have finished. `setpriv` does what would need unsafe code here.
fn spawn(
    program: &Path,
    args: &[String],
    log: &Path,
    user: Option<&User>,
) -> anyhow::Result<Child> {
    let out = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        command
            .arg(format!("--reuid={}", user.uid))
            .arg(format!("--regid={}", user.gid))
            .arg("--init-groups");
    }
    command
        .arg("--")
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .kill_on_drop(true)
        .current_dir("/");
    Ok(command.spawn()?)
}

/// PostgreSQL refuses to run as root, so root starts it as the user that its package made.
fn engine_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let name = std::env::var("KONTAKTY_ENGINE_USER").unwrap_or_else(|_| "postgres".to_owned());
    match User::from_name(&name)? {
        Some(user) => Ok(Some(user)),
        None => bail!(
            "PostgreSQL does not run as root and there is no user `{name}` to run it as: install \
             PostgreSQL from the distribution, or name a user in KONTAKTY_ENGINE_USER"
        ),
    }
}

async fn reachable(folder: &Path, user: Option<&User>) -> anyhow::Result<()> {
    let Some(user) = user else { return Ok(()) };
    let status = Command::new("setpriv")
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid))
        .args(["--init-groups", "--", "test", "-w"])
        .arg(folder)
        .current_dir("/")
        .status()
        .await?;
    if !status.success() {
        bail!(
            "the user `{}`, as whom PostgreSQL runs, cannot reach {}; choose a folder outside of \
             home directories with --data",
            user.name,
            folder.display()
        );
    }
    Ok(())
}

async fn initdb(
    binaries: &Path,
    cluster: &Path,
    password: &str,
    user: Option<&User>,
    folder: &Folder,
) -> anyhow::Result<()> {
    let password_file = folder.postgres().join("password");
    fs::write(&password_file, password)?;
    fs::set_permissions(
        &password_file,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    if let Some(user) = user {
        chown(&password_file, Some(user.uid), Some(user.gid))?;
    }
    let log = folder.logs().join("initdb.log");
    let args = [
        "-D",
        &cluster.display().to_string(),
        "-U",
        OWNER,
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--auth=scram-sha-256",
        "--pwfile",
        &password_file.display().to_string(),
        "--data-checksums",
    ]
    .map(ToOwned::to_owned);
    let status = spawn(&binaries.join("initdb"), &args, &log, user)?
        .wait()
        .await?;
    fs::remove_file(&password_file)?;
    if !status.success() {
        let _ = fs::remove_dir_all(cluster);
        bail!("initdb failed; its log is {}", log.display());
    }
    Ok(())
}

/// After a `kill -9` of the office its PostgreSQL is still shutting down for a moment.
async fn former_ended(cluster: &Path) {
    let until = Instant::now() + STOP_WITHIN;
    let pid = || {
        let file = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    };
    while let Some(pid) = pid()
        && kill(Pid::from_raw(pid), None).is_ok()
        && Instant::now() < until
    {
        sleep(Duration::from_millis(50)).await;
    }
}

fn same_version(binaries: &Path, cluster: &Path) -> anyhow::Result<()> {
    let of_cluster = fs::read_to_string(cluster.join("PG_VERSION")).unwrap_or_default();
    let output = std::process::Command::new(binaries.join("postgres"))
        .arg("--version")
        .output()?;
    let of_program = String::from_utf8_lossy(&output.stdout);
    let major = of_program
        .split_whitespace()
        .filter_map(|word| word.split('.').next())
        .find(|word| word.parse::<u32>().is_ok());
    if major != Some(of_cluster.trim()) {
        bail!(
            "the data folder was made by PostgreSQL {}, the one installed is {}: point \
             KONTAKTY_PG_BIN at the old one's bin folder, or dump with it and restore into a new folder",
            of_cluster.trim(),
            major.unwrap_or("unknown")
        );
    }
    Ok(())
}

fn postgres_arguments(cluster: &Path, address: SocketAddr) -> Vec<String> {
    let mut args = vec!["-D".to_owned(), cluster.display().to_string()];
    for setting in [
        format!("port={}", address.port()),
        format!("listen_addresses={}", address.ip()),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        "shared_buffers=256MB".to_owned(),
        "max_wal_size=4GB".to_owned(),
        "wal_compression=on".to_owned(),
        "log_min_messages=warning".to_owned(),
        // a failing statement's text can hold personal data
        "log_min_error_statement=panic".to_owned(),
        "log_error_verbosity=terse".to_owned(),
        "timezone=UTC".to_owned(),
    ] {
        args.push("-c".to_owned());
        args.push(setting);
    }
    args
}

fn nats_configuration(address: SocketAddr, folder: &Path) -> String {
    // JetStream may lose what it acknowledged when the power goes: here that costs a refill from
    // the log and nothing else, so the quick default of flushing every two minutes stays.
    format!(
        "# Written at every start.\nlisten: {address}\nserver_name: kontakty\nmax_payload: 8MB\n\
         jetstream {{\n  store_dir: \"{}\"\n}}\n",
        folder.join("jetstream").display()
    )
}

fn postgres_binaries() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("KONTAKTY_PG_BIN") {
        return Ok(folder.into());
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_string_lossy().parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    versions.sort();
    if let Some((_, newest)) = versions.pop() {
        return Ok(newest);
    }
    find("KONTAKTY_PG_BIN", "initdb", &["/usr/local/pgsql/bin"])
        .and_then(|initdb| initdb.parent().map(Path::to_path_buf))
        .context("PostgreSQL is not installed: run deploy/up, or `apt-get install postgresql`")
}

/// A program of the installed PostgreSQL.
pub(crate) fn postgres_binary(name: &str) -> anyhow::Result<PathBuf> {
    Ok(postgres_binaries()?.join(name))
}

fn find(variable: &str, program: &str, also: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(also.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.exists())
}

/// `preferred` when it is free, else any other.
fn free_port(preferred: u16) -> SocketAddr {
    [preferred, 0]
        .into_iter()
        .find_map(|port| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .ok()?
                .local_addr()
                .ok()
        })
        .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, preferred).into())
}
