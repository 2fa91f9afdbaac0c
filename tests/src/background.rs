//! The small company of the scenarios, and words to speak with it.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{DismissStaffRequest, ListAccountsRequest, ListGroupsRequest, ListStaffRequest},
    analytics::GetScorecardRequest,
    clock::SetClockRequest,
    common::{PageRequest, Position},
    contacts::GetInteractionRequest,
    log::{GetHeadRequest, ReadEventsRequest},
    notifications::ListRemindersRequest,
    planning::GetMyDayRequest,
};
use chrono::DateTime;
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    client::{Client, SERVICES},
    eventually,
    office::Office,
};

const STAFF: &str = "external_id,name,role,group,head,extension,hired_on
s-01,Громов Виктор Семёнович,administrator,,,100,2023-01-09
s-02,Орлова Ирина Павловна,administrator,,,101,2023-01-09
s-10,Зайцев Сергей Николаевич,head,A,s-10,110,2023-01-09
s-11,Петров Алексей Игоревич,manager,A,s-10,111,2023-01-09
s-12,Смирнова Ольга Викторовна,manager,A,s-10,112,2023-01-09
s-13,Кузнецов Денис Андреевич,manager,A,s-10,113,2026-03-02
s-20,Волкова Марина Юрьевна,head,B,s-20,120,2023-01-09
s-21,Никитин Павел Олегович,manager,B,s-20,121,2023-01-09
s-22,Фёдорова Анна Сергеевна,manager,B,s-20,122,2023-01-09
s-30,Белова Татьяна Михайловна,operator,,,130,2023-01-09
s-40,Мельник Роман Ильич,analyst,,,,2023-01-09
s-99,Лапин Егор Викторович,manager,A,s-10,,2023-01-09
";

/// An office with the background's staff, on a controlled clock.
pub struct Background {
    pub office: Office,
    pub admin: Client,
    /// By external id.
    pub staff: HashMap<String, String>,
}

impl Background {
    pub async fn start(now: &str) -> anyhow::Result<Self> {
        Self::start_with(now, &[]).await
    }

    /// With these further arguments of `kontakty up`.
    pub async fn start_with(now: &str, args: &[&str]) -> anyhow::Result<Self> {
        Self::furnish(Office::start(&arguments(now, args))?).await
    }

    /// The same in five processes.
    pub async fn start_apart(now: &str) -> anyhow::Result<Self> {
        Self::furnish(Office::start_apart(Some(now))?).await
    }

    /// `kill -9` of the whole office, which then goes on at this time.
    pub fn crash(&mut self, now: &str) -> anyhow::Result<()> {
        self.crash_with(now, &[])
    }

    /// As [`Self::crash`], then with these further arguments.
    pub fn crash_with(&mut self, now: &str, args: &[&str]) -> anyhow::Result<()> {
        self.office.kill()?;
        self.office.start_again(&arguments(now, args))
    }

    /// As [`Self::crash`], to fall by itself at a point of the code.
    pub fn crash_and_die_at(&mut self, now: &str, kill_point: &str) -> anyhow::Result<()> {
        self.office.kill()?;
        self.office
            .start_again_to_die(&arguments(now, &[]), Some(kill_point))
    }

    async fn furnish(office: Office) -> anyhow::Result<Self> {
        import(&office, "admin", "staff", STAFF)?;
        let admin = office.client("s-01")?;
        let people = admin
            .staff()
            .list_staff(ListStaffRequest::default())
            .await?
            .into_inner()
            .staff;
        let staff: HashMap<_, _> = people
            .into_iter()
            .map(|person| (person.external_id, person.id))
            .collect();
        let request = DismissStaffRequest {
            request_id: request_id(),
            staff_id: staff.get("s-99").context("s-99 is not there")?.clone(),
            reason: "уволен".to_owned(),
            ..DismissStaffRequest::default()
        };
        admin.staff().dismiss_staff(request).await?;
        Ok(Self {
            office,
            admin,
            staff,
        })
    }

    pub fn client(&self, staff: &str) -> anyhow::Result<Client> {
        self.office.client(staff)
    }

    /// Every part of the office is at this time when it returns.
    pub async fn at(&self, now: &str) -> anyhow::Result<()> {
        for service in SERVICES {
            let now = Some(instant(now));
            let mut clock = self.admin.clock(service);
            clock.set_clock(SetClockRequest { now }).await?;
        }
        Ok(())
    }

    /// Where the log of a service stands.
    pub async fn head(&self, service: &str) -> anyhow::Result<Position> {
        head(&self.admin, service).await
    }

    pub async fn caught_up(&self) -> anyhow::Result<()> {
        caught_up(&self.admin).await
    }

    /// The id of the account with this external id.
    pub async fn account(&self, external_id: &str) -> anyhow::Result<String> {
        let mut page = PageRequest::default();
        loop {
            let request = ListAccountsRequest {
                page: Some(page.clone()),
                min_positions: vec![self.head("accounts").await?],
                ..ListAccountsRequest::default()
            };
            let answer = self.admin.accounts().list_accounts(request).await?;
            let answer = answer.into_inner();
            let mut accounts = answer.accounts.into_iter();
            if let Some(found) = accounts.find(|account| account.external_id == external_id) {
                return Ok(found.id);
            }
            page.token = answer.next_page_token;
            ensure!(!page.token.is_empty(), "{external_id} is not there");
        }
    }

    /// Everything a service has recorded, as (type, stream).
    pub async fn events(&self, service: &str) -> anyhow::Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut after_position = 0;
        loop {
            let request = ReadEventsRequest {
                service: service.to_owned(),
                after_position,
                limit: 1_000,
            };
            let page = self
                .admin
                .log(service)
                .read_events(request)
                .await?
                .into_inner()
                .events;
            match page.last() {
                None => return Ok(found),
                Some(last) => after_position = last.position,
            }
            found.extend(page.into_iter().map(|event| (event.r#type, event.stream)));
        }
    }
}

/// Where the log of a service stands.
pub async fn head(admin: &Client, service: &str) -> anyhow::Result<Position> {
    let request = GetHeadRequest {
        service: service.to_owned(),
    };
    let head = admin.log(service).get_head(request).await?;
    Ok(Position {
        service: service.to_owned(),
        position: head.into_inner().position,
    })
}

/// Until every view of every service has everything that is recorded now.
pub async fn caught_up(admin: &Client) -> anyhow::Result<()> {
    let mut min_positions = Vec::new();
    for service in SERVICES {
        min_positions.push(head(admin, service).await?);
    }
    for service in SERVICES {
        let caught_up = eventually(
            Duration::from_secs(20),
            || ask(admin, service, min_positions.clone()),
            Result::is_ok,
        );
        caught_up.await.context(service)?;
    }
    Ok(())
}

/// Asks a service something, whatever it is; it answers once its views have seen these.
pub async fn ask(
    client: &Client,
    service: &str,
    min_positions: Vec<Position>,
) -> Result<(), Status> {
    match service {
        "accounts" => {
            let request = ListGroupsRequest { min_positions };
            client.staff().list_groups(request).await.map(drop)
        }
        "contacts" => {
            let request = GetInteractionRequest {
                interaction_id: request_id(),
                min_positions,
            };
            match client.contacts().get_interaction(request).await {
                // There is none with this id, which is an answer.
                Err(status) if status.code() == Code::NotFound => Ok(()),
                answer => answer.map(drop),
            }
        }
        "planning" => {
            let request = GetMyDayRequest {
                min_positions,
                ..GetMyDayRequest::default()
            };
            client.planning().get_my_day(request).await.map(drop)
        }
        "notifications" => {
            let request = ListRemindersRequest {
                min_positions,
                ..ListRemindersRequest::default()
            };
            client.reminders().list_reminders(request).await.map(drop)
        }
        _ => {
            let request = GetScorecardRequest {
                min_positions,
                ..GetScorecardRequest::default()
            };
            client.reports().get_scorecard(request).await.map(drop)
        }
    }
}

fn arguments<'a>(now: &'a str, further: &[&'a str]) -> Vec<&'a str> {
    [&["--clock", "controlled", "--clock-start", now], further].concat()
}

/// Imports CSV text; no row may be rejected.
pub fn import(office: &Office, staff: &str, kind: &str, csv: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(format!("{kind}.csv"));
    std::fs::write(&file, csv)?;
    let output = office.command(
        staff,
        &["import", kind, &file.to_string_lossy(), "--format", "json"],
    )?;
    let counts: Vec<serde_json::Value> = serde_json::from_str(&output)?;
    let rejected = counts
        .iter()
        .find(|row| row["outcome"] == "rejected")
        .and_then(|row| row["count"].as_i64());
    ensure!(rejected == Some(0), "import of {kind}: {output}");
    Ok(())
}

/// As much of a list as fits into one answer.
pub fn largest_page() -> PageRequest {
    PageRequest {
        size: 200,
        ..PageRequest::default()
    }
}

/// A new command.
#[expect(
    clippy::disallowed_methods,
    reason = "callers choose request ids by chance"
)]
pub fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// An RFC 3339 instant as the API takes it.
pub fn instant(text: &str) -> Timestamp {
    let instant = DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.timestamp())
        .unwrap_or_default();
    Timestamp {
        seconds: instant,
        nanos: 0,
    }
}

/// The fields that a refusal names, in order of the alphabet.
pub fn fields(status: &Status) -> Vec<String> {
    let mut fields: Vec<String> = status
        .get_details_bad_request()
        .map(|bad| {
            bad.field_violations
                .into_iter()
                .map(|violation| violation.field)
                .collect()
        })
        .unwrap_or_default();
    fields.sort();
    fields
}

/// The stable tag of a refusal.
pub fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// What a call came to, for comparing with an oracle.
pub fn code<T>(answer: &Result<T, Status>) -> Code {
    answer.as_ref().map_or_else(Status::code, |_| Code::Ok)
}
