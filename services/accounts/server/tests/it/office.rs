//! The accounts service with the staff of the scenarios in it.

use api::{
    accounts::{
        self as pb, accounts_service_client::AccountsServiceClient,
        deals_service_client::DealsServiceClient,
        duplicates_service_client::DuplicatesServiceClient,
        identity_service_client::IdentityServiceClient, orders_service_client::OrdersServiceClient,
        prospects_service_client::ProspectsServiceClient, staff_service_client::StaffServiceClient,
        transfers_service_client::TransfersServiceClient,
    },
    common::Position,
};
use kit::{Config, Mounted, Node, Service};
use testkit::{Caller, Door, Ground};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;
use vocabulary::{AccountId, StaffId};

pub(crate) const ADMIN_PASSWORD: &str = "correct horse";
pub(crate) const NOW: &str = "2026-03-02T09:00:00+03:00";

pub(crate) struct Office {
    pub(crate) node: Node,
    door: Door,
    ground: Ground,
}

impl Office {
    /// With its first administrator and nobody else.
    pub(crate) async fn empty() -> Self {
        Self::configured(|_| {}).await
    }

    async fn configured(change: impl FnOnce(&mut Config)) -> Self {
        // Who has something to do is not dismissed: planning is asked, and has nothing here.
        let ground = Ground::new(&["accounts", "planning"], &accounts::MIGRATOR)
            .await
            .unwrap();
        let mut config = ground.config(NOW).unwrap();
        config.bootstrap.administrator_password = Some(ADMIN_PASSWORD.into());
        change(&mut config);
        let node = Node::start(config).await.unwrap();
        let planning = Service::open(&node, "planning", &accounts::MIGRATOR);
        let planning = Mounted::new(planning.await.unwrap());
        let accounts = accounts::start(&node).await.unwrap();
        Self {
            door: Door::open(&node, vec![accounts, planning]).await.unwrap(),
            node,
            ground,
        }
    }

    /// With the staff of the scenarios' background.
    pub(crate) async fn staffed() -> Self {
        Self::staffed_and_configured(|_| {}).await
    }

    pub(crate) async fn staffed_and_configured(change: impl FnOnce(&mut Config)) -> Self {
        let office = Self::configured(change).await;
        let rows = [
            ("s-02", "Орлова Ирина Павловна", "administrator", "", ""),
            ("s-10", "Зайцев Сергей Николаевич", "head", "А", "s-10"),
            ("s-11", "Петров Алексей Игоревич", "manager", "А", "s-10"),
            ("s-12", "Смирнова Ольга Викторовна", "manager", "А", "s-10"),
            ("s-20", "Волкова Марина Юрьевна", "head", "Б", "s-20"),
            ("s-21", "Никитин Павел Олегович", "manager", "Б", "s-20"),
            ("s-30", "Белова Татьяна Михайловна", "operator", "", ""),
            ("s-40", "Мельник Роман Ильич", "analyst", "", ""),
        ];
        let rows = rows
            .iter()
            .zip(1..)
            .map(|(row, number)| staff_row(number, *row));
        let request = pb::ImportStaffRequest {
            rows: rows.collect(),
            dry_run: false,
        };
        let answer = office.staff("admin").import_staff(request).await.unwrap();
        let answer = answer.into_inner();
        for result in &answer.results {
            assert_eq!(
                result.outcome().as_str_name(),
                "OUTCOME_CREATED",
                "{result:?}"
            );
        }
        office.settle(answer.position).await;
        office
    }

    pub(crate) fn accounts(&self, who: &str) -> AccountsServiceClient<Caller> {
        AccountsServiceClient::new(self.caller(who))
    }

    pub(crate) fn prospects(&self, who: &str) -> ProspectsServiceClient<Caller> {
        ProspectsServiceClient::new(self.caller(who))
    }

    pub(crate) fn duplicates(&self, who: &str) -> DuplicatesServiceClient<Caller> {
        DuplicatesServiceClient::new(self.caller(who))
    }

    pub(crate) fn deals(&self, who: &str) -> DealsServiceClient<Caller> {
        DealsServiceClient::new(self.caller(who))
    }

    pub(crate) fn orders(&self, who: &str) -> OrdersServiceClient<Caller> {
        OrdersServiceClient::new(self.caller(who))
    }

    pub(crate) fn transfers(&self, who: &str) -> TransfersServiceClient<Caller> {
        TransfersServiceClient::new(self.caller(who))
    }

    pub(crate) fn staff(&self, who: &str) -> StaffServiceClient<Caller> {
        StaffServiceClient::new(self.caller(who))
    }

    pub(crate) fn identity(&self) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.door.channel.clone())
    }

    pub(crate) fn identity_with(&self, token: &str) -> IdentityServiceClient<Caller> {
        IdentityServiceClient::new(self.door.with(token).unwrap())
    }

    fn caller(&self, who: &str) -> Caller {
        self.door.staff(who).unwrap()
    }

    /// Until the views have this: whoever is asked next sees it.
    pub(crate) async fn settle(&self, position: Option<Position>) {
        let request = pb::ListGroupsRequest {
            min_positions: position.into_iter().collect(),
        };
        self.staff("admin").list_groups(request).await.unwrap();
    }

    /// Until the views have everything that is recorded now.
    pub(crate) async fn up_to_date(&self) {
        let log = self.node.logs().remove("accounts").unwrap();
        let position = log.refresh_head().await.unwrap();
        self.settle(Some(Position {
            service: "accounts".to_owned(),
            position,
        }))
        .await;
    }

    /// How many events of a type were recorded.
    pub(crate) async fn events(&self, event_type: &str) -> i64 {
        sqlx::query_scalar("select count(*) from log.events where type = $1")
            .bind(event_type)
            .fetch_one(&self.ground.databases[0].pool)
            .await
            .unwrap()
    }

    /// Until so many events of a type were recorded, by a rule that follows others; and until the
    /// views have them.
    pub(crate) async fn recorded(&self, event_type: &str, count: i64) {
        let log = self.node.logs().remove("accounts").unwrap();
        let mut head = log.head();
        while self.events(event_type).await < count {
            head.changed().await.unwrap();
        }
        let position = *head.borrow();
        self.settle(Some(Position {
            service: "accounts".to_owned(),
            position,
        }))
        .await;
    }

    /// A company with a phone of its own, by the administrator.
    pub(crate) async fn company(&self, external_id: &str, phone: &str, owner: &str) -> AccountId {
        let request = pb::RegisterProspectRequest {
            external_id: external_id.to_owned(),
            despite_duplicates: true,
            card: Some(card(external_id, phone)),
            owner_id: match owner {
                "" => String::new(),
                owner => StaffId::of_external(owner).to_string(),
            },
            ..Default::default()
        };
        let answer = self
            .accounts("s-02")
            .register_prospect(request)
            .await
            .unwrap();
        let answer = answer.into_inner();
        self.settle(answer.recorded.unwrap().position).await;
        answer.account_id.parse().unwrap()
    }

    pub(crate) async fn listed(&self, who: &str, request: pb::ListAccountsRequest) -> Vec<String> {
        let answer = self.accounts(who).list_accounts(request).await.unwrap();
        let accounts = answer.into_inner().accounts.into_iter();
        accounts.map(|account| account.card.unwrap().name).collect()
    }
}

pub(crate) fn staff_row(
    row: i64,
    (external_id, name, role, group, head): (&str, &str, &str, &str, &str),
) -> pb::StaffRow {
    pb::StaffRow {
        row,
        external_id: external_id.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
        group: group.to_owned(),
        head: head.to_owned(),
        hired_on: "2023-02-01".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn card(name: &str, phone: &str) -> pb::Card {
    pb::Card {
        name: name.to_owned(),
        phones: vec![phone.to_owned()],
        ..Default::default()
    }
}

pub(crate) fn staff_id(external_id: &str) -> String {
    StaffId::of_external(external_id).to_string()
}

/// Code, reason and the fields at fault.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(
    answer: Result<tonic::Response<T>, Status>,
) -> (Code, String, Vec<String>) {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let fields = details.bad_request().map(|request| {
        let violations = request.field_violations.iter();
        violations
            .map(|violation| violation.field.clone())
            .collect()
    });
    (
        status.code(),
        reason.unwrap_or_default(),
        fields.unwrap_or_default(),
    )
}
