//! The service among logs that the test writes.

use std::{
    future::{Future, pending},
    time::Duration,
};

use api::{
    common::Position,
    notifications::{
        ListRemindersRequest, Reminder, WatchRemindersRequest, WatchRemindersResponse,
        reminders_service_client::RemindersServiceClient,
    },
};
use chrono::{DateTime, Utc};
use es::{Actor, Metadata, StreamId};
use es_postgres::{Append, NewEvent};
use kit::{Config, Identity, Node, Service};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use testkit::{Database, Nats, Postgres};
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;
use vocabulary::{GroupId, StaffId, TaskId, derived_id};

const PATIENCE: Duration = Duration::from_secs(20);
const SERVICES: [&str; 3] = ["accounts", "planning", "notifications"];

pub(crate) struct Office {
    pub(crate) node: Node,
    channel: Channel,
    /// Those that the test plays.
    accounts: Service,
    planning: Service,
    databases: Vec<Database>,
    nats: Nats,
    keys: TempDir,
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

impl Office {
    /// Administrator s-02; group А with head s-10 and managers s-11, s-12; group Б with s-21.
    pub(crate) async fn open(now: &str) -> Self {
        let postgres = Postgres::shared().await.unwrap();
        let mut databases = Vec::new();
        for _ in SERVICES {
            let database = postgres.fresh_database(&notifications::MIGRATOR).await;
            databases.push(database.unwrap());
        }
        let nats = Nats::start().await.unwrap();
        let keys = TempDir::new().unwrap();
        kit::create_keys(keys.path()).unwrap();
        let office = Self::start(databases, nats, keys, now).await;
        let mut last = None;
        for (name, role, group) in [
            ("s-02", "administrator", None),
            ("s-10", "head", Some("А")),
            ("s-11", "manager", Some("А")),
            ("s-12", "manager", Some("А")),
            ("s-21", "manager", Some("Б")),
        ] {
            let group_id = group.map(GroupId::of_external);
            let hired = json!({ "external_id": name, "role": role, "group_id": group_id,
                                "hired_on": "2023-02-01" });
            let stream = StreamId::new("staff", staff(name).0);
            last = Some(record(&office.accounts, stream, 1, "staff.hired", &hired).await);
        }
        for group in ["А", "Б"] {
            let stream = StreamId::new("group", GroupId::of_external(group).0);
            let formed = json!({ "name": group });
            last = Some(record(&office.accounts, stream, 1, "group.formed", &formed).await);
        }
        let all = ListRemindersRequest {
            min_positions: last.into_iter().collect(),
            ..Default::default()
        };
        office.reminders("s-02").list_reminders(all).await.unwrap();
        office
    }

    async fn start(databases: Vec<Database>, nats: Nats, keys: TempDir, now: &str) -> Self {
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        for (service, database) in SERVICES.iter().zip(&databases) {
            config
                .database
                .urls
                .insert(*service, database.url.clone().into());
        }
        config.nats.url = nats.url().into();
        config.keys.folder = keys.path().to_owned();
        config.clock.mode = kit::config::ClockMode::Controlled;
        config.clock.start = Some(now.parse().unwrap());
        let node = Node::start(config).await.unwrap();
        let migrator = &notifications::MIGRATOR;
        let accounts = Service::open(&node, "accounts", migrator).await.unwrap();
        let planning = Service::open(&node, "planning", migrator).await.unwrap();
        let mounted = vec![notifications::start(&node).await.unwrap()];
        let server = node.clone();
        node.tasks.spawn("server", async move {
            kit::serve(&server, mounted, pending()).await.unwrap();
        });
        Self {
            channel: connect(&format!("http://{}", node.address())).await,
            node,
            accounts,
            planning,
            databases,
            nats,
            keys,
        }
    }

    /// The process ends, and another one begins that has forgotten what it had reacted to.
    pub(crate) async fn restart_and_react_again(self) -> Self {
        let now = self.node.clock.now().to_rfc3339();
        assert!(self.node.stop(PATIENCE).await);
        sqlx::query("update views.cursors set position = 0 where name = 'task_reminders'")
            .execute(self.database())
            .await
            .unwrap();
        Self::start(self.databases, self.nats, self.keys, &now).await
    }

    fn database(&self) -> &PgPool {
        &self.databases[2].pool
    }

    pub(crate) fn at(&self, now: &str) {
        self.node.clock.set(now.parse().unwrap()).unwrap();
    }

    pub(crate) fn reminders(
        &self,
        who: &str,
    ) -> RemindersServiceClient<InterceptedService<Channel, As>> {
        let identity = Identity::Staff(staff(who));
        let token = self.node.tokens.issue(&identity, Duration::from_mins(10));
        let bearer = As(format!("Bearer {}", token.unwrap().0).parse().unwrap());
        RemindersServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) async fn watch(&self, who: &str) -> Watched {
        let mut caller = self.reminders(who);
        let answer = caller.watch_reminders(WatchRemindersRequest {}).await;
        Watched(answer.unwrap().into_inner())
    }

    /// What planning says of a task; returns when notifications has reacted to it.
    pub(crate) async fn task(&self, name: &str, version: i64, event_type: &str, fields: Value) {
        let stream = StreamId::new("task", task(name).0);
        let told = record(&self.planning, stream, version, event_type, &fields).await;
        self.reacted(told.position).await;
    }

    pub(crate) async fn created(&self, name: &str, assignee: &str, due_at: &str) {
        let fields = json!({ "assignee_id": staff(assignee), "kind": "call", "due_at": due_at,
                             "created_at": due_at });
        self.task(name, 1, "task.created", fields).await;
    }

    pub(crate) async fn dismissed(&self, who: &str) {
        let stream = StreamId::new("staff", staff(who).0);
        record(
            &self.accounts,
            stream,
            2,
            "staff.dismissed",
            &json!({ "reason": "ушёл" }),
        )
        .await;
    }

    pub(crate) async fn reacted(&self, position: i64) {
        until(|| async {
            let reached: Option<i64> = sqlx::query_scalar(
                "select position from views.cursors where name = 'task_reminders'",
            )
            .fetch_optional(self.database())
            .await
            .unwrap();
            reached.is_some_and(|reached| reached >= position)
        })
        .await;
    }

    /// Type and number of the events that notifications has recorded.
    pub(crate) async fn events(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select type, count(*) from log.events group by type order by type")
            .fetch_all(self.database())
            .await
            .unwrap()
    }

    /// The whole ledger of somebody, up to date with the log.
    pub(crate) async fn ledger(&self, who: &str) -> Vec<Reminder> {
        let position = sqlx::query_scalar("select max(position) from log.head")
            .fetch_one(self.database())
            .await
            .unwrap();
        let request = ListRemindersRequest {
            min_positions: vec![Position {
                service: "notifications".to_owned(),
                position,
            }],
            ..Default::default()
        };
        let answer = self.reminders(who).list_reminders(request).await.unwrap();
        answer.into_inner().reminders
    }
}

/// A connected frontend.
pub(crate) struct Watched(Streaming<WatchRemindersResponse>);

impl Watched {
    /// The next reminder, past all signs of life.
    pub(crate) async fn next(&mut self) -> Reminder {
        let next = async {
            loop {
                let part = self.0.message().await.unwrap().expect("the stream goes on");
                if let Some(reminder) = part.reminder {
                    return reminder;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("a reminder")
    }

    pub(crate) async fn ended(&mut self) -> Status {
        let end = async {
            loop {
                match self.0.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream ended without a reason"),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("an end")
    }
}

pub(crate) fn staff(name: &str) -> StaffId {
    StaffId::of_external(name)
}

pub(crate) fn task(name: &str) -> TaskId {
    TaskId::of_external(name)
}

pub(crate) fn instant(timestamp: Option<&prost_types::Timestamp>) -> DateTime<Utc> {
    kit::instant(timestamp.unwrap()).unwrap()
}

/// Looks again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(so: impl Fn() -> F) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it to become so");
}

async fn record(
    service: &Service,
    stream: StreamId,
    version: i64,
    event_type: &str,
    fields: &Value,
) -> Position {
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
        occurred_at: now,
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
    let appended = service.log.append(vec![append]).await.remove(0).unwrap();
    service.position(appended.position)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the caller is outside and has no peers"
)]
async fn connect(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.connect().await.unwrap()
}
