//! The service among logs that the test writes.

use std::time::Duration;

use api::{
    common::Position,
    notifications::{
        ListRemindersRequest, Reminder, WatchRemindersRequest, WatchRemindersResponse,
        reminders_service_client::RemindersServiceClient,
    },
};
use chrono::{DateTime, Utc};
use es::StreamId;
use kit::{Node, Service};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{Caller, Door, Ground, record};
use tonic::{Status, Streaming};
use vocabulary::{GroupId, StaffId, TaskId};

const PATIENCE: Duration = Duration::from_secs(20);
const SERVICES: [&str; 3] = ["accounts", "planning", "notifications"];

pub(crate) struct Office {
    pub(crate) node: Node,
    door: Door,
    /// Those that the test plays.
    accounts: Service,
    planning: Service,
    ground: Ground,
}

impl Office {
    /// Administrator s-02; group А with head s-10 and managers s-11, s-12; group Б with s-21.
    pub(crate) async fn open(now: &str) -> Self {
        let ground = Ground::new(&SERVICES, &notifications::MIGRATOR).await;
        let office = Self::start(ground.unwrap(), now).await;
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
            last = Some(office.of_accounts(stream, 1, "staff.hired", &hired).await);
        }
        for group in ["А", "Б"] {
            let stream = StreamId::new("group", GroupId::of_external(group).0);
            let formed = json!({ "name": group });
            last = Some(office.of_accounts(stream, 1, "group.formed", &formed).await);
        }
        let all = ListRemindersRequest {
            min_positions: last.into_iter().collect(),
            ..Default::default()
        };
        office.reminders("s-02").list_reminders(all).await.unwrap();
        office
    }

    async fn start(ground: Ground, now: &str) -> Self {
        let node = Node::start(ground.config(now).unwrap()).await.unwrap();
        let migrator = &notifications::MIGRATOR;
        let accounts = Service::open(&node, "accounts", migrator).await.unwrap();
        let planning = Service::open(&node, "planning", migrator).await.unwrap();
        let mounted = vec![notifications::start(&node).await.unwrap()];
        Self {
            door: Door::open(&node, mounted).await.unwrap(),
            node,
            accounts,
            planning,
            ground,
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
        Self::start(self.ground, &now).await
    }

    fn database(&self) -> &PgPool {
        &self.ground.databases[2].pool
    }

    pub(crate) fn at(&self, now: &str) {
        self.node.clock.set(now.parse().unwrap()).unwrap();
    }

    pub(crate) fn reminders(&self, who: &str) -> RemindersServiceClient<Caller> {
        RemindersServiceClient::new(self.door.staff(who).unwrap())
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
        self.reacted(told.unwrap().position).await;
    }

    pub(crate) async fn created(&self, name: &str, assignee: &str, due_at: &str) {
        let fields = json!({ "assignee_id": staff(assignee), "kind": "call", "due_at": due_at,
                             "created_at": due_at });
        self.task(name, 1, "task.created", fields).await;
    }

    pub(crate) async fn dismissed(&self, who: &str) {
        let stream = StreamId::new("staff", staff(who).0);
        let left = json!({ "reason": "ушёл" });
        self.of_accounts(stream, 2, "staff.dismissed", &left).await;
    }

    async fn of_accounts(
        &self,
        stream: StreamId,
        version: i64,
        event_type: &str,
        fields: &Value,
    ) -> Position {
        let told = record(&self.accounts, stream, version, event_type, fields).await;
        told.unwrap()
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
