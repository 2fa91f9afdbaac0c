//! The service among logs that the test writes.

use std::sync::atomic::{AtomicI64, Ordering};

use api::{
    analytics::{
        GetScorecardRequest, GetScorecardResponse, reports_service_client::ReportsServiceClient,
    },
    common::Position,
};
use chrono::{DateTime, Utc};
use es::StreamId;
use kit::{Node, Service};
use serde_json::{Value, json};
use testkit::{
    Door, Ground,
    log::{append, event},
    record,
};
use tonic::Status;
use vocabulary::{AccountId, GroupId, InteractionId, OrderId, StaffId};

const SERVICES: [&str; 3] = ["accounts", "contacts", "analytics"];

pub(crate) struct Office {
    pub(crate) node: Node,
    door: Door,
    /// Those that the test plays.
    accounts: Service,
    contacts: Service,
    /// How far the test has written their logs.
    written: [AtomicI64; 2],
    _ground: Ground,
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
        let migrator = &analytics::MIGRATOR;
        let ground = Ground::new(&SERVICES, migrator).await.unwrap();
        let node = Node::start(ground.config(now).unwrap()).await.unwrap();
        let accounts = Service::open(&node, "accounts", migrator).await.unwrap();
        let contacts = Service::open(&node, "contacts", migrator).await.unwrap();
        let mounted = vec![analytics::start(&node).await.unwrap()];
        let office = Self {
            door: Door::open(&node, mounted).await.unwrap(),
            node,
            accounts,
            contacts,
            written: [const { AtomicI64::new(0) }; 2],
            _ground: ground,
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
        let answer = ReportsServiceClient::new(self.door.staff(who).unwrap())
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
        let mut logged = event(&self.contacts, stream, 1, "interaction.logged", &fields).unwrap();
        logged.events[0].occurred_at = instant(contact.at);
        let told = append(&self.contacts, logged).await.unwrap();
        self.written[1].fetch_max(told.position, Ordering::Relaxed);
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
        let told = record(&self.accounts, stream, version, event_type, fields)
            .await
            .unwrap();
        self.written[0].fetch_max(told.position, Ordering::Relaxed);
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
