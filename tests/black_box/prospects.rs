//! The pool of prospects: claims, lists, distribution; and records of the same company.

mod claims;
mod lists;
mod merges;
mod s07;

use anyhow::Context;
use api::{
    accounts::{Card, ClaimProspectRequest, RegisterProspectRequest},
    common::Position,
    contacts::{GetTimelineRequest, InteractionKind, LogInteractionRequest, Outcome},
};
use tests::background::{Background, request_id};
use tonic::Status;

/// A company; nobody's when no owner is named.
async fn company(
    office: &Background,
    name: &str,
    phone: &str,
    owner: &str,
) -> anyhow::Result<String> {
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: name.to_owned(),
            phones: vec![phone.to_owned()],
            city: "Миасс".to_owned(),
            ..Card::default()
        }),
        owner_id: office.staff.get(owner).cloned().unwrap_or_default(),
        despite_duplicates: true,
        ..RegisterProspectRequest::default()
    };
    let answer = office.admin.accounts().register_prospect(request).await?;
    Ok(answer.into_inner().account_id)
}

fn claim(account_id: &str) -> ClaimProspectRequest {
    ClaimProspectRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
    }
}

fn call_to(account_id: &str, seen: &[Position]) -> LogInteractionRequest {
    LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        min_positions: seen.to_vec(),
        ..LogInteractionRequest::default()
    }
}

async fn count(office: &Background, service: &str, event_type: &str) -> anyhow::Result<usize> {
    let events = office.events(service).await?;
    let of_type = events.iter().filter(|(known, _)| known == event_type);
    Ok(of_type.count())
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> anyhow::Result<Status> {
    answer.err().context("was not refused")
}

/// Where a service's log stands: whoever is asked with it has seen everything.
async fn heads(office: &Background, service: &str) -> anyhow::Result<Vec<Position>> {
    Ok(vec![office.head(service).await?])
}

fn timeline(account_id: &str) -> GetTimelineRequest {
    GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    }
}
