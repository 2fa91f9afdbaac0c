//! `kontakty serve`: some services, or all, in this process.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use kit::{Config, Mounted, Node, telemetry};

use crate::{office::Stop, services::Services};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// accounts, contacts, planning, notifications, analytics, or all.
    #[arg(required = true)]
    services: Vec<Services>,
    /// Configuration file; the environment (`KONTAKTY__SECTION__KEY`) goes before it.
    #[arg(long, env = "KONTAKTY_CONFIG")]
    config: Option<PathBuf>,
}

/// What is flushed and finished at the end may take this long.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let services = Services::together(&args.services);
    let config = Config::load(args.config.as_deref())?;
    let mut stop = Stop::listen()?;
    let office = Office::start(config, &services).await?;
    println!(
        "ready grpc={} services={}",
        office.address(),
        services.join(",")
    );
    office.run(stop.wait()).await
}

/// Services that answer on one port.
pub(crate) struct Office {
    node: Node,
    mounted: Vec<Mounted>,
    _telemetry: telemetry::Guard,
}

impl Office {
    pub(crate) async fn start(config: Config, services: &[&'static str]) -> anyhow::Result<Self> {
        let telemetry = telemetry::init(&config.telemetry)?;
        let node = Node::start(config).await?;
        let mut mounted = Vec::new();
        for service in services {
            let started = match *service {
                "accounts" => accounts::start(&node).await,
                "contacts" => contacts::start(&node).await,
                "planning" => planning::start(&node).await,
                "notifications" => notifications::start(&node).await,
                "analytics" => analytics::start(&node).await,
                other => bail!("there is no service `{other}`"),
            };
            mounted.push(started.with_context(|| format!("{service} cannot start"))?);
        }
        Ok(Self {
            node,
            mounted,
            _telemetry: telemetry,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Answers until `stop` resolves, or until something has ended that must not end; then
    /// finishes what is in flight and flushes.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut health = self.node.health();
        let mut failure = None;
        let until = async {
            tokio::select! {
                () = stop => {}
                Ok(failed) = health.wait_for(Option::is_some) => failure.clone_from(&failed),
            }
        };
        kit::serve(&self.node, self.mounted, until).await?;
        self.node.stop(GRACE).await;
        match failure {
            None => Ok(()),
            Some(failure) => bail!("stopped because of a failure: {failure}"),
        }
    }
}
