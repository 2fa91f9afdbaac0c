use std::time::Duration;

use es::StreamId;
use es_postgres::MIGRATOR;
use kit::{Mounted, Node, Service, StartError};
use secrecy::SecretString;
use serde_json::Value;
use testkit::{Door, Ground, Postgres};
use uuid::Uuid;

const NOW: &str = "2026-03-02T09:00:00Z";

/// A process with accounts and contacts.
pub(crate) struct Office {
    pub(crate) node: Node,
    pub(crate) accounts: Service,
    pub(crate) contacts: Service,
    _door: Door,
    _ground: Ground,
}

impl Office {
    pub(crate) async fn start() -> Self {
        let ground = Ground::new(&[], &MIGRATOR).await.unwrap();
        let mut config = ground.config(NOW).unwrap();
        for service in ["accounts", "contacts"] {
            let url = database(service, true).await;
            config.database.urls.insert(service, url);
        }
        let node = Node::start(config).await.unwrap();
        let accounts = Service::open(&node, "accounts", &MIGRATOR).await.unwrap();
        let contacts = Service::open(&node, "contacts", &MIGRATOR).await.unwrap();
        let mounted = vec![Mounted::new(&accounts), Mounted::new(&contacts)];
        Self {
            _door: Door::open(&node, mounted).await.unwrap(),
            node,
            accounts,
            contacts,
            _ground: ground,
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
    }
}

/// Opening a service on a database without its tables.
pub(crate) async fn open_on_an_empty_database() -> Result<Service, StartError> {
    let ground = Ground::new(&[], &MIGRATOR).await.unwrap();
    let mut config = ground.config(NOW).unwrap();
    let url = database("empty", false).await;
    config.database.urls.insert("accounts", url);
    let node = Node::start(config).await.unwrap();
    Service::open(&node, "accounts", &MIGRATOR).await
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

/// Puts an event into a log and returns its position. `stream`: category, id, and the version before.
pub(crate) async fn record(
    service: &Service,
    stream: (&str, Uuid, i64),
    event_type: &str,
    payload: Value,
) -> i64 {
    let (category, id, version) = stream;
    let stream = StreamId::new(category, id);
    let told = testkit::record(service, stream, version + 1, event_type, &payload).await;
    told.unwrap().position
}
