//! The small company of the scenarios, and words to speak with it.

use std::{collections::HashMap, io::Write};

use anyhow::{Context, ensure};
use api::{
    accounts::{DismissStaffRequest, ListStaffRequest},
    clock::SetClockRequest,
    log::ReadEventsRequest,
};
use chrono::DateTime;
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::office::{Client, Office};

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
        let office = Office::start(&["--clock", "controlled", "--clock-start", now])?;
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
        self.admin
            .clock()
            .set_clock(SetClockRequest {
                now: Some(instant(now)),
            })
            .await?;
        Ok(())
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
                .log()
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

/// Imports CSV text; no row may be rejected.
pub fn import(office: &Office, staff: &str, kind: &str, csv: &str) -> anyhow::Result<()> {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile()?;
    file.write_all(csv.as_bytes())?;
    let output = office.command(
        staff,
        &[
            "import",
            kind,
            &file.path().to_string_lossy(),
            "--format",
            "json",
        ],
    )?;
    let counts: Vec<serde_json::Value> = serde_json::from_str(&output)?;
    let rejected = counts
        .iter()
        .find(|row| row["outcome"] == "rejected")
        .and_then(|row| row["count"].as_i64());
    ensure!(rejected == Some(0), "import of {kind}: {output}");
    Ok(())
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
