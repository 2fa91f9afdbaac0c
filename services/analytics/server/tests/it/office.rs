//! The service among logs that the test writes.

use std::{
    future::pending,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use api::{
    analytics::{
        GetScorecardRequest, GetScorecardResponse, reports_service_client::ReportsServiceClient,
    },
    common::Position,
};
use chrono::{DateTime, Utc};
use es::{Actor, Metadata, StreamId};
use es_postgres::{Append, NewEvent};
use kit::{Config, Identity, Node, Service};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Database, Nats, Postgres};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;
use vocabulary::{AccountId, GroupId, InteractionId, OrderId, StaffId, derived_id};

const SERVICES: [&str; 3] = ["accounts", "contacts", "analytics"];

pub(crate) struct Office {
    pub(crate) node: Node,
    channel: Channel,
    /// Those that the test plays.
    accounts: Service,
    contacts: Service,
    /// How far the test has written their logs.
    written: [AtomicI64; 2],
    _databases: Vec<Database>,
    _nats: Nats,
    _keys: TempDir,
}

/// Puts the token of one person beside every request.
#[derive(Clone)]
pub(crate) struct As(MetadataValue<Ascii>);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.clone();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

/// A contact as contacts would record it.
#[derive(Clone)]
pub(crate) struct Contact<'a> {
    pub(crate) kind: &'a str,
    pub(crate) direction: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) author: &'a str,
    pub(crate) group: &'a str,
    pub(crate) at: &'a str,
}

impl Office {
    /// Administrator s-02 and analyst s-40; group А with head s-10 and managers s-11, s-12; group
    /// А1 below it with s-13; group Б with head s-20 and manager s-21.
    pub(crate) async fn open(now: &str) -> Self {
        let postgres = Postgres::shared().await.unwrap();
        let mut databases = Vec::new();
        let mut config = Config::default();
        for service in SERVICES {
            let database = postgres.fresh_database(&analytics::MIGRATOR).await.unwrap();
            config
                .database
                .urls
                .insert(service, database.url.clone().into());
            databases.push(database);
        }
        let nats = Nats::start().await.unwrap();
        let keys = TempDir::new().unwrap();
        kit::create_keys(keys.path()).unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.nats.url = nats.url().into();
        config.keys.folder = keys.path().to_owned();
        config.clock.mode = kit::config::ClockMode::Controlled;
        config.clock.start = Some(now.parse().unwrap());
        let node = Node::start(config).await.unwrap();
        let migrator = &analytics::MIGRATOR;
        let accounts = Service::open(&node, "accounts", migrator).await.unwrap();
        let contacts = Service::open(&node, "contacts", migrator).await.unwrap();
        let mounted = vec![analytics::start(&node).await.unwrap()];
        let server = node.clone();
        node.tasks.spawn("server", async move {
            kit::serve(&server, mounted, pending()).await.unwrap();
        });
        let office = Self {
            channel: connect(&format!("http://{}", node.address())).await,
            node,
            accounts,
            contacts,
            written: [const { AtomicI64::new(0) }; 2],
            _databases: databases,
            _nats: nats,
            _keys: keys,
        };
        office.hire().await;
        office
    }

    async fn hire(&self) {
        for (name, parent, head) in [
            ("А", None, Some("s-10")),
            ("А1", Some("А"), None),
            ("Б", None, Some("s-20")),
        ] {
            let id = GroupId::of_external(name);
            let stream = || StreamId::new("group", id.0);
            let formed = json!({ "name": name, "parent_id": parent.map(GroupId::of_external) });
            self.accounts(stream(), 1, "group.formed", &formed).await;
            if let Some(head) = head {
                let appointed = json!({ "head_id": staff(head) });
                self.accounts(stream(), 2, "group.head_appointed", &appointed)
                    .await;
            }
        }
        for (name, role, group) in [
            ("s-02", "administrator", None),
            ("s-40", "analyst", None),
            ("s-10", "head", Some("А")),
            ("s-11", "manager", Some("А")),
            ("s-12", "manager", Some("А")),
            ("s-13", "manager", Some("А1")),
            ("s-20", "head", Some("Б")),
            ("s-21", "manager", Some("Б")),
        ] {
            let group_id = group.map(GroupId::of_external);
            let hired = json!({ "external_id": name, "role": role, "group_id": group_id,
                                "hired_on": "2023-02-01" });
            let stream = StreamId::new("staff", staff(name).0);
            self.accounts(stream, 1, "staff.hired", &hired).await;
        }
    }

    pub(crate) fn at(&self, now: &str) {
        self.node.clock.set(now.parse().unwrap()).unwrap();
    }

    /// What somebody reads once everything that was written is counted.
    pub(crate) async fn scorecard(
        &self,
        who: &str,
        request: GetScorecardRequest,
    ) -> Result<GetScorecardResponse, Status> {
        let identity = Identity::Staff(staff(who));
        let token = self.node.tokens.issue(&identity, Duration::from_mins(10));
        let bearer = As(format!("Bearer {}", token.unwrap().0).parse().unwrap());
        let channel = InterceptedService::new(self.channel.clone(), bearer);
        let min_positions = self
            .written
            .iter()
            .zip(SERVICES)
            .map(|(written, service)| Position {
                service: service.to_owned(),
                position: written.load(Ordering::Relaxed),
            });
        let request = GetScorecardRequest {
            min_positions: min_positions.collect(),
            ..request
        };
        let answer = ReportsServiceClient::new(channel)
            .get_scorecard(request)
            .await;
        answer.map(tonic::Response::into_inner)
    }

    pub(crate) async fn contact(&self, name: &str, contact: &Contact<'_>) {
        let fields = json!({
            "account_id": AccountId::of_external("acc-1001"),
            "kind": contact.kind,
            "direction": contact.direction,
            "outcome": contact.outcome,
            "occurred_at": instant(contact.at),
            "author_id": staff(contact.author),
            "author_group_id": group(contact.group),
            "note": { "$personal": "account:1", "sealed": "0011" },
        });
        let stream = StreamId::new("interaction", InteractionId::of_external(name).0);
        let at = instant(contact.at);
        let position = record(&self.contacts, stream, 1, "interaction.logged", &fields, at).await;
        self.written[1].fetch_max(position, Ordering::Relaxed);
    }

    /// An order of an account of its own.
    pub(crate) async fn order(&self, name: &str, owner: &str, owner_group: &str, at: &str) {
        let owner_id = (!owner.is_empty()).then(|| staff(owner));
        let fields = json!({
            "order_id": OrderId::of_external(name),
            "amount": { "minor_units": 18_000_000, "currency": "RUB" },
            "ordered_at": instant(at),
            "owner_id": owner_id,
            "owner_group_id": group(owner_group),
        });
        let stream = StreamId::new("account", AccountId::of_external(name).0);
        self.accounts(stream, 1, "account.order_registered", &fields)
            .await;
    }

    pub(crate) async fn cancelled(&self, name: &str) {
        let fields = json!({ "order_id": OrderId::of_external(name), "reason": "передумали" });
        let stream = StreamId::new("account", AccountId::of_external(name).0);
        self.accounts(stream, 2, "account.order_cancelled", &fields)
            .await;
    }

    pub(crate) async fn accounts(
        &self,
        stream: StreamId,
        version: i64,
        event_type: &str,
        fields: &Value,
    ) {
        let now = self.node.clock.now();
        let position = record(&self.accounts, stream, version, event_type, fields, now).await;
        self.written[0].fetch_max(position, Ordering::Relaxed);
    }
}

pub(crate) fn staff(name: &str) -> StaffId {
    StaffId::of_external(name)
}

/// None when the name is empty.
pub(crate) fn group(name: &str) -> Option<GroupId> {
    (!name.is_empty()).then(|| GroupId::of_external(name))
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn record(
    service: &Service,
    stream: StreamId,
    version: i64,
    event_type: &str,
    fields: &Value,
    occurred_at: DateTime<Utc>,
) -> i64 {
    let now = service.node.clock.now();
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
    let event = NewEvent {
        event_id: derived_id("event", &format!("{stream}/{version}")),
        event_type: event_type.to_owned(),
        schema_version: 1,
        occurred_at,
        payload: fields.to_string().into_bytes(),
    };
    let append = Append {
        stream,
        expected: version - 1,
        events: vec![event],
        request_id: None,
        digest: None,
        metadata: serde_json::to_vec(&metadata).unwrap(),
        reservations: Vec::new(),
        now,
    };
    let mut appended = service.log.append(vec![append]).await;
    appended.remove(0).unwrap().position
}

#[expect(
    clippy::disallowed_methods,
    reason = "the caller is outside and has no peers"
)]
async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}
