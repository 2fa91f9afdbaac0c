//! One process of an installation: what all services in it share.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    ops::Deref,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream;
use es_postgres::{Log, LogError, MasterKeys};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::{
    KeyError, Tokens,
    clock::Clock,
    config::{Config, ConfigError},
    keys,
    metrics::Metrics,
    paging::Pages,
    peers::Peers,
    tasks::Tasks,
};

/// Why a process cannot start, in words for whoever runs it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("keys are not usable")]
    Keys(#[from] KeyError),
    #[error("{path}: {what}", path = path.display())]
    Key { path: PathBuf, what: String },
    #[error("cannot listen at {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("database.{service} is not configured")]
    NoDatabase { service: &'static str },
    #[error("the database of {service} cannot be used")]
    Database {
        service: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database of {service} is not at version {version}: run `kontakty migrate`")]
    NotMigrated {
        service: &'static str,
        version: String,
    },
    #[error(
        "{}/master.key is not the master key of the database of {service}: put back the one that \
         the personal data was sealed with",
        folder.display()
    )]
    ForeignMasterKey {
        service: &'static str,
        folder: PathBuf,
    },
    #[error("the log of {service} cannot be opened")]
    Log {
        service: &'static str,
        #[source]
        source: LogError,
    },
    #[error("nats.url is not usable")]
    Nats(#[from] bus::ConnectError),
    #[error("telemetry cannot be started: {0}")]
    Telemetry(String),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    pub(crate) fn telemetry(error: &dyn std::fmt::Display) -> Self {
        Self::Telemetry(error.to_string())
    }
}

/// Clones share everything; what a node has is a field of [`Parts`].
#[derive(Clone)]
pub struct Node(Arc<Parts>);

/// What a process has once.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub tasks: Tasks,
    pub tokens: Arc<Tokens>,
    pub metrics: Metrics,
    pub pages: Pages,
    pub peers: Peers,
    pub nats: async_nats::Client,
    pub jetstream: jetstream::Context,
    master_keys: MasterKeys,
    instance: String,
    address: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    logs: Mutex<BTreeMap<&'static str, Log>>,
}

impl Deref for Node {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Node {
    /// Takes the port, so that its address is known from now on, and prepares what services need.
    /// Neither the bus nor other services must be there.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // Somebody else in the process may have been faster, with the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tasks = Tasks::default();
        let metrics = Metrics::new(&config.telemetry)?;
        let master_keys = keys::master_keys(&config.keys.folder)?;
        keys::follow(&master_keys, &tasks);
        let tokens = Arc::new(Tokens::load(&config.keys.folder)?);
        let (listener, address) = listen(config.server.listen)?;
        let peers = Peers::new(&config.peers, address, &tokens)?;
        let nats = bus::connect(config.nats.url.expose_secret(), "kontakty").await?;
        if let Some(listen) = config.telemetry.metrics_listen {
            metrics.serve(listen, &tasks).await?;
        }
        Ok(Self(Arc::new(Parts {
            clock: Clock::new(&config.clock),
            pages: Pages::new(&master_keys.derive("kontakty 1 page tokens")),
            jetstream: bus::jetstream(nats.clone()),
            instance: bus::instance(&nats),
            config,
            tasks,
            tokens,
            metrics,
            peers,
            nats,
            master_keys,
            address,
            listener: Mutex::new(Some(listener)),
            logs: Mutex::default(),
        })))
    }

    /// What this process is called where each replica has a name of its own.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Where this process answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port's socket, non-blocking; only for the first who asks.
    pub fn take_listener(&self) -> Option<TcpListener> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        listener.take()
    }

    /// Why the process can no longer do its work; `None` while all is well.
    pub fn health(&self) -> watch::Receiver<Option<String>> {
        self.tasks.failure()
    }

    /// The logs of the services in this process, by service.
    pub fn logs(&self) -> BTreeMap<&'static str, Log> {
        self.locked_logs().clone()
    }

    pub(crate) fn add_log(&self, log: &Log) {
        self.locked_logs().insert(log.service(), log.clone());
    }

    fn locked_logs(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key for a purpose of a service's own, the same in all replicas and after every rotation of the
    /// master key.
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        self.master_keys.derive(purpose)
    }

    pub(crate) fn master_keys(&self) -> MasterKeys {
        self.master_keys.clone()
    }

    /// Ends all background work, after the server has answered its last call. False when something
    /// had not ended after `grace`.
    pub async fn stop(&self, grace: Duration) -> bool {
        let ended = self.tasks.shut_down(grace).await;
        self.metrics.shut_down();
        ended
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = || -> std::io::Result<_> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|source| StartError::Listen { address, source })
}
