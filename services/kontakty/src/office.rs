//! `kontakty up`: a whole office on one machine.

mod demo;
mod engines;
mod folder;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use kit::{
    Config,
    config::{Profile, SERVICES, Storage},
};
use secrecy::SecretString;
use sqlx::ConnectOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    commands::{migrate, serve},
    output,
};
pub(crate) use engines::{Engines, postgres_binary};
pub(crate) use folder::{Folder, Running, default_folder, keys};

const DEFAULT_PORT: u16 = 8600;

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Folder of this office; each folder is an office of its own [default: /var/lib/kontakty as
    /// root, ~/.local/share/kontakty else].
    #[arg(long, env = "KONTAKTY_DATA")]
    data: Option<PathBuf>,
    /// gRPC port [default: 8600, or any free one when that is taken].
    #[arg(long)]
    port: Option<u16>,
    /// On `controlled` every part of the office runs on a clock that stands until it is set.
    #[arg(long, value_enum, default_value_t = ClockArg::Real)]
    clock: ClockArg,
    /// Where a controlled clock begins: RFC 3339 [default: now].
    #[arg(long, requires = "clock")]
    clock_start: Option<chrono::DateTime<chrono::Utc>>,
    /// Play a month of a small office through the public API and show what it left.
    #[arg(long)]
    demo: bool,
    /// A configuration file for everything that the office does not set itself.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClockArg {
    Real,
    Controlled,
}

pub(crate) async fn up(args: UpArgs) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref())?;
    let listen = listen_address(args.port)?;
    // Before there is anything to be left behind.
    let mut stop = Stop::listen()?;
    let mut folder = Folder::lock(&args.data.clone().unwrap_or_else(default_folder))?;
    let mut engines = Engines::start(&folder, listen.port()).await?;

    config.server.listen = listen;
    config.keys.folder = folder.keys();
    config.nats.url = format!("nats://{}", engines.nats).into();
    config.company.profile = Profile::Workstation;
    // A bucket that is configured stays; a folder is the office's own.
    if let Storage::Folder(place) = &mut config.documents.storage {
        *place = folder.documents();
    }
    config
        .checkpoints
        .folder
        .get_or_insert_with(|| folder.checkpoints());
    if args.clock == ClockArg::Controlled {
        config.clock.mode = kit::config::ClockMode::Controlled;
        config.clock.start = args.clock_start;
    }
    for service in SERVICES {
        let password = folder.secret(&format!("postgres-{service}"))?;
        let url = migrate::service_url(engines.postgres, service, &password);
        config.database.urls.insert(service, url);
    }

    let stopped = Box::pin(run(&mut folder, &mut engines, &mut stop, config, args.demo)).await;
    let engines_stopped = engines.stop().await;
    stopped.and(engines_stopped)
}

async fn run(
    folder: &mut Folder,
    engines: &mut Engines,
    stop: &mut Stop,
    config: Config,
    demo: bool,
) -> anyhow::Result<()> {
    migrate::all(&engines.owner_url(), &config).await?;
    let office = serve::Office::start(config, &SERVICES).await?;
    let running = Running {
        pid: std::process::id(),
        grpc: office.address().to_string(),
        nats: engines.nats.to_string(),
        postgres: engines.postgres.to_string(),
    };
    folder.announce(&running)?;
    println!("ready grpc={} nats={}", running.grpc, running.nats);

    let data = folder.root().to_path_buf();
    // A demo that cannot be played is told, and the office runs on.
    let tour = async {
        if demo && let Err(error) = demo::play(&running, &data).await {
            output::error(&error.context("the demo could not be played"));
        }
        std::future::pending::<()>().await;
    };
    let stopped = async {
        tokio::select! {
            () = stop.wait() => {}
            () = tour => {}
        }
        eprintln!("stopping …");
    };
    tokio::select! {
        ended = office.run(stopped) => ended,
        failed = engines.supervise() => failed.context("an engine could not be started again"),
    }
}

/// Points `config` at the office that runs on a folder, and gives the owner of its databases.
pub(crate) fn local_office(root: &Path, config: &mut Config) -> anyhow::Result<SecretString> {
    let running = Folder::running(root).with_context(|| {
        format!(
            "no office runs on {}: start it, or name an installation with --config",
            root.display()
        )
    })?;
    let postgres: SocketAddr = running.postgres.parse()?;
    for service in SERVICES {
        let password = folder::known_secret(root, &format!("postgres-{service}"))?;
        let url = migrate::service_url(postgres, service, &password);
        config.database.urls.insert(service, url);
    }
    config.keys.folder = keys(root);
    config.nats.url = format!("nats://{}", running.nats).into();
    config.company.profile = Profile::Workstation;
    if let Storage::Folder(place) = &mut config.documents.storage {
        *place = folder::documents(root);
    }
    let password = folder::known_secret(root, "postgres-owner")?;
    Ok(engines::owner_options(postgres, &password)
        .to_url_lossy()
        .to_string()
        .into())
}

/// PostgreSQL and NATS alone, for tests that bring their own services.
pub(crate) async fn engines(data: &Path) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let folder = Folder::lock(data)?;
    let mut engines = Engines::start(&folder, 0).await?;
    println!(
        "ready postgres=postgres://{}:{}@{} nats=nats://{}",
        engines::OWNER,
        engines.owner_password,
        engines.postgres,
        engines.nats
    );
    let ended = tokio::select! {
        () = stop.wait() => Ok(()),
        failed = engines.supervise() => failed,
    };
    engines.stop().await.and(ended)
}

/// Ctrl-C and SIGTERM.
pub(crate) struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The asked port, or refuses; without one the default, or any that is free.
fn listen_address(port: Option<u16>) -> anyhow::Result<SocketAddr> {
    let bind = |port| {
        std::net::TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr())
    };
    match port {
        Some(port) => bind(port).with_context(|| {
            format!("port {port} is taken by another program; choose another one with --port")
        }),
        None => bind(DEFAULT_PORT)
            .or_else(|_| bind(0))
            .context("no free port"),
    }
}
