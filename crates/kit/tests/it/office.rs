use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use es::{Actor, Metadata, StreamId};
use es_postgres::{Append, Log, MIGRATOR, NewEvent};
use kit::{Config, Mounted, Node, Service, StartError};
use secrecy::SecretString;
use serde_json::Value;
use testkit::{Nats, Postgres};
use uuid::Uuid;

/// A process with accounts and contacts.
pub(crate) struct Office {
    pub(crate) node: Node,
    pub(crate) accounts: Service,
    pub(crate) contacts: Service,
    keys: PathBuf,
    _nats: Nats,
}

impl Office {
    pub(crate) async fn start() -> Self {
        let nats = Nats::start().await.unwrap();
        let mut config = config(&nats.url());
        for service in ["accounts", "contacts"] {
            let url = database(service, true).await;
            config.database.urls.insert(service, url);
        }
        kit::create_keys(&config.keys.folder).unwrap();
        let keys = config.keys.folder.clone();
        let node = Node::start(config).await.unwrap();
        let accounts = Service::open(&node, "accounts", &MIGRATOR).await.unwrap();
        let contacts = Service::open(&node, "contacts", &MIGRATOR).await.unwrap();
        let mounted = vec![Mounted::new(&accounts), Mounted::new(&contacts)];
        let server = node.clone();
        node.tasks.spawn_to_end("server", async move {
            let stopping = server.tasks.stopping();
            kit::serve(&server, mounted, stopping.cancelled_owned())
                .await
                .unwrap();
        });
        Self {
            node,
            accounts,
            contacts,
            keys,
            _nats: nats,
        }
    }

    /// Another process on the same databases, with keys of its own.
    pub(crate) async fn with_another_master_key(&self) -> Node {
        let mut config = self.node.config.clone();
        config.server.listen.set_port(0);
        config.keys.folder.push("another");
        kit::create_keys(&config.keys.folder).unwrap();
        Node::start(config).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        assert_eq!(*self.node.health().borrow(), None);
        assert!(self.node.stop(Duration::from_secs(10)).await);
        std::fs::remove_dir_all(&self.keys).unwrap();
    }
}

/// Opening a service on a database without its tables.
pub(crate) async fn open_on_an_empty_database() -> Result<Service, StartError> {
    let mut config = config("nats://127.0.0.1:1");
    let url = database("empty", false).await;
    config.database.urls.insert("accounts", url);
    config.keys.folder.push("empty");
    kit::create_keys(&config.keys.folder).unwrap();
    let node = Node::start(config).await.unwrap();
    let opened = Service::open(&node, "accounts", &MIGRATOR).await;
    std::fs::remove_dir_all(&node.config.keys.folder).unwrap();
    opened
}

fn config(nats: &str) -> Config {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.nats.url = nats.into();
    config.keys.folder = std::env::temp_dir().join(format!("kit-it-{}", std::process::id()));
    config
}

/// As an installation does it: the owner migrates, the service has a login of its own.
async fn database(name: &str, migrated: bool) -> SecretString {
    let postgres = Postgres::shared().await.unwrap();
    let name = format!("kit_{name}_{}", std::process::id());
    let login = format!("kit_{}", std::process::id());
    let anywhere = postgres.url_of("postgres").into();
    let owner = postgres.url_of(&name);
    kit::migrate::create_database(&anywhere, &name)
        .await
        .unwrap();
    kit::migrate::create_database(&anywhere, &name)
        .await
        .unwrap();
    if !migrated {
        return owner.into();
    }
    let url: SecretString = owner.clone().into();
    kit::migrate::run(&url, &MIGRATOR).await.unwrap();
    kit::migrate::run(&url, &MIGRATOR).await.unwrap();
    let password = "it's \"secret\"".into();
    kit::migrate::create_login(&url, &login, &password)
        .await
        .unwrap();
    kit::migrate::create_login(&url, &login, &password)
        .await
        .unwrap();
    owner.replace("postgres@", &format!("{login}@")).into()
}

/// Puts an event into a log and returns its position.
pub(crate) async fn record(
    log: &Log,
    stream: (&str, Uuid, i64),
    event_type: &str,
    payload: Value,
) -> i64 {
    let metadata = Metadata {
        actor: Actor::System,
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: Uuid::nil(),
        causation_id: None,
        traceparent: None,
        request_digest: None,
        subjects: Vec::new(),
    };
    let metadata = serde_json::to_vec(&metadata).unwrap();
    record_raw(log, stream, event_type, payload, metadata).await
}

/// As [`record`], with metadata as they are.
pub(crate) async fn record_raw(
    log: &Log,
    stream: (&str, Uuid, i64),
    event_type: &str,
    payload: Value,
    metadata: Vec<u8>,
) -> i64 {
    let now: DateTime<Utc> = "2026-03-02T09:00:00Z".parse().unwrap();
    let (category, id, expected) = stream;
    let event = NewEvent {
        event_id: Uuid::new_v5(&id, &expected.to_le_bytes()),
        event_type: event_type.to_owned(),
        schema_version: 1,
        occurred_at: now,
        payload: payload.to_string().into_bytes(),
    };
    let append = Append {
        stream: StreamId::new(category, id),
        expected,
        events: vec![event],
        request_id: None,
        digest: None,
        metadata,
        reservations: Vec::new(),
        now,
    };
    let mut appended = log.append(vec![append]).await;
    appended.remove(0).unwrap().position
}
