//! One caller on the way through every method, and what the oracle has against the answers.

use std::{collections::BTreeSet, fmt::Display};

use anyhow::{Context, bail};
use api::{
    accounts::{ListGroupsRequest, ListStaffRequest, LoginRequest, WhoAmIRequest},
    notifications::{ListRemindersRequest, ReminderState},
};
use prost::Message;
use prost_reflect::MethodDescriptor;
use tests::{
    background::{fields, largest_page, reason},
    client::{Client, SERVICES},
    contract,
    office::Office,
    oracle,
    population::World,
};
use tonic::{Code, Response, Status};

use super::{accounts, contacts, deals, lists, orders, planning, prospects, records, transfers};

/// A command with a spent request id has passed all that is asked of its caller when the log
/// refuses it; and it changes nothing.
pub(super) const PASSED: &str = "REQUEST_ID_REUSED";
pub(super) const HIDDEN: &str = "NOT_FOUND";
pub(super) const OK: &str = "ok";

pub(super) struct Walk<'a> {
    pub(super) world: &'a World,
    pub(super) who: usize,
    pub(super) client: Client,
    pub(super) checked: usize,
    pub(super) faults: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(office: &Office, world: &'a World, who: usize) -> anyhow::Result<Self> {
        Ok(Self {
            world,
            who,
            client: office.client(&world.staff[who].external_id)?,
            checked: 0,
            faults: Vec::new(),
        })
    }

    /// Everything that can be asked of one method.
    pub(super) async fn method(
        &mut self,
        method: &MethodDescriptor,
        voided: &[(usize, String)],
    ) -> anyhow::Result<()> {
        let name = contract::name(method);
        let Some(callers) = oracle::callers(&name) else {
            bail!("the oracle does not know {name}");
        };
        if !callers.contains(&self.world.staff[self.who].role) {
            let answer = contract::call(&self.client, method, Vec::new(), 1).await;
            let said = answer
                .map(|_| ())
                .map_or_else(|status| reason(&status), |()| OK.into());
            self.expect(&name, "FORBIDDEN", &said);
            return Ok(());
        }
        let (service, method_name) = name.split_once('.').context("a name")?;
        match service {
            "IdentityService" | "StaffService" | "CatalogueService" | "PolicyService"
            | "ClockService" | "LogService" | "ViewsService" | "WebhooksService" => {
                self.of_no_account(method, method_name).await
            }
            "AccountsService" | "CardsService" => accounts::walk(self, method_name).await,
            "TransfersService" => transfers::walk(self, method_name).await,
            "ProspectsService" | "DuplicatesService" => prospects::walk(self, method_name).await,
            "DealsService" => deals::walk(self, method_name).await,
            "ImportsService" | "SavedViewsService" => lists::walk(self, method_name).await,
            "OrdersService" => orders::walk(self, method_name).await,
            "DocumentsService" => orders::documents(self, method_name).await,
            "ContactsService" => contacts::walk(self, method_name).await,
            "AccessService" => records::access(self, method_name).await,
            "ExportService" | "PersonExportService" => records::export(self, method_name).await,
            "HistoryService" => records::history(self, method_name).await,
            "DataEntryService" => records::data_entry(self, method_name).await,
            "PlanningService" => planning::walk(self, method_name).await,
            "RemindersService" => planning::reminders(self, method_name, voided).await,
            "ReportsService" => planning::scorecards(self).await,
            _ => bail!("the oracle does not know {name}"),
        }
    }

    /// Colleagues are no secret; what an administrator may do is done elsewhere.
    async fn of_no_account(&mut self, method: &MethodDescriptor, name: &str) -> anyhow::Result<()> {
        let me = &self.world.staff[self.who];
        match name {
            "Login" => {
                let request = LoginRequest {
                    login: "admin".to_owned(),
                    password: "wrong password".to_owned(),
                };
                let answer = self.client.identity().login(request).await;
                self.answer("Login", "UNAUTHENTICATED", &answer);
            }
            "WhoAmI" => {
                let answer = self.client.identity().who_am_i(WhoAmIRequest {}).await?;
                self.expect("WhoAmI", &me.id, &answer.into_inner().staff_id);
            }
            "ListStaff" => {
                let request = ListStaffRequest {
                    include_dismissed: true,
                    ..ListStaffRequest::default()
                };
                let listed = self
                    .client
                    .staff()
                    .list_staff(request)
                    .await?
                    .into_inner()
                    .staff;
                let listed = listed.into_iter().map(|person| person.external_id);
                let staff = self
                    .world
                    .staff
                    .iter()
                    .map(|person| person.external_id.clone());
                self.same("ListStaff", staff, listed);
            }
            "ListGroups" => {
                let request = ListGroupsRequest::default();
                let listed = self
                    .client
                    .staff()
                    .list_groups(request)
                    .await?
                    .into_inner()
                    .groups;
                let groups = self.world.groups.iter().map(|group| group.id.clone());
                self.same(
                    "ListGroups",
                    groups,
                    listed.into_iter().map(|group| group.id),
                );
            }
            "MarkAbsent" | "EndAbsence" => transfers::absences(self, name).await?,
            "GetHead" | "ReadEvents" | "SubscribeEvents" | "VerifyLog" | "ExportEvents" => {
                // All of them begin with the name of the log.
                for service in SERVICES {
                    let request = api::log::GetHeadRequest {
                        service: service.to_owned(),
                    };
                    let bytes = request.encode_to_vec();
                    // The first part of an export only says what will come.
                    let most = if name == "ExportEvents" {
                        usize::MAX
                    } else {
                        1
                    };
                    let parts = contract::call(&self.client, method, bytes, most).await?;
                    let personal = parts.iter().any(|part| !tokens(part, b"at").is_empty());
                    let said = if personal { "personal data" } else { OK };
                    self.expect(format!("{name} {service}"), OK, said);
                }
            }
            // The rights are all there is to it.
            _ => {
                let answer = contract::call(&self.client, method, Vec::new(), 1).await;
                let refused = answer
                    .err()
                    .map(|status| reason(&status))
                    .unwrap_or_default();
                let let_in = !matches!(refused.as_str(), "FORBIDDEN" | "UNAUTHENTICATED");
                let said = if let_in { OK } else { refused.as_str() };
                self.expect(name, OK, said);
            }
        }
        Ok(())
    }

    /// What is said to a question about one object.
    pub(super) fn answer<T: Message>(
        &mut self,
        question: impl Display,
        expected: &str,
        answer: &Result<Response<T>, Status>,
    ) {
        self.no_leak(&question, answer);
        let said = said(answer);
        self.expect(question, expected, &said);
    }

    pub(super) fn expect(&mut self, question: impl Display, expected: &str, said: &str) {
        self.checked += 1;
        if expected != said {
            let who = &self.world.staff[self.who].external_id;
            self.faults
                .push(format!("{question} by {who}: {said}, not {expected}"));
        }
    }

    /// What a list holds, without its order.
    pub(super) fn same<T: Ord + Display>(
        &mut self,
        question: impl Display,
        expected: impl IntoIterator<Item = T>,
        listed: impl IntoIterator<Item = T>,
    ) {
        let expected: BTreeSet<T> = expected.into_iter().collect();
        let listed: BTreeSet<T> = listed.into_iter().collect();
        self.checked += 1;
        let who = &self.world.staff[self.who].external_id;
        for leaked in listed.difference(&expected) {
            self.faults
                .push(format!("{question} by {who}: leaks {leaked}"));
        }
        for denied in expected.difference(&listed) {
            self.faults
                .push(format!("{question} by {who}: denies {denied}"));
        }
    }

    /// Names, summaries and comments say of which account or task they are: none of them may be of
    /// one that is hidden from the caller, whatever the method.
    pub(super) fn no_leak<T: Message>(
        &mut self,
        question: impl Display,
        answer: &Result<Response<T>, Status>,
    ) {
        let bytes = match answer {
            Ok(answer) => answer.get_ref().encode_to_vec(),
            Err(status) => [status.message().as_bytes(), status.details()].concat(),
        };
        let who = &self.world.staff[self.who].external_id;
        for account in tokens(&bytes, b"a") {
            if !self.world.sees_account(self.who, account) {
                self.faults
                    .push(format!("{question} by {who}: leaks account {account}"));
            }
        }
        for task in tokens(&bytes, b"t") {
            if !self.world.sees_task(self.who, &self.world.tasks[task]) {
                self.faults
                    .push(format!("{question} by {who}: leaks task {task}"));
            }
        }
    }
}

/// The stable word for an answer.
pub(super) fn said<T>(answer: &Result<Response<T>, Status>) -> String {
    match answer {
        Ok(_) => OK.to_owned(),
        Err(status) if status.code() == Code::InvalidArgument => match reason(status) {
            reason if reason == PASSED => reason,
            _ => format!("invalid {}", fields(status).join(", ")),
        },
        Err(status) => reason(status),
    }
}

/// The numbers of `[a017]` for these letters.
pub(super) fn tokens(bytes: &[u8], letters: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    for (start, window) in bytes.windows(2).enumerate() {
        if window[0] == b'[' && letters.contains(&window[1]) {
            let rest = &bytes[start + 2..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if rest.get(digits) == Some(&b']') {
                let number = String::from_utf8_lossy(&rest[..digits]);
                found.extend(number.parse::<usize>().ok());
            }
        }
    }
    found
}

/// Reminders that are over, by whose they are: to acknowledge one changes nothing.
pub(super) async fn voided_reminders(
    office: &Office,
    world: &World,
) -> anyhow::Result<Vec<(usize, String)>> {
    let admin = office.client("admin")?;
    let mut voided = Vec::new();
    for (index, person) in world.staff.iter().enumerate() {
        let request = ListRemindersRequest {
            staff_id: person.id.clone(),
            page: Some(largest_page()),
            ..ListRemindersRequest::default()
        };
        let ledger = admin
            .reminders()
            .list_reminders(request)
            .await?
            .into_inner()
            .reminders;
        let over = ledger
            .into_iter()
            .filter(|one| one.state() == ReminderState::Voided);
        voided.extend(over.map(|reminder| (index, reminder.id)));
    }
    Ok(voided)
}
