//! What an office cannot begin without: its first administrator, who hires everybody else, and
//! something to choose from.

use accounts_domain::{
    catalogue::{self as domain, Catalogue},
    staff::{Command, Newcomer, Rejection, StaffMember, State},
};
use chrono::{DateTime, Utc};
use es::Actor;
use es_postgres::{CommandContext, ExecuteError};
use kit::{AppError, Service, StartError};
use secrecy::ExposeSecret;
use vocabulary::{Role, StaffId, derived_id};

use crate::passwords;

const LOGIN: &str = "admin";

/// Hires `admin` into an empty log. Replicas may do it at once: it is one request.
pub(crate) async fn administrator(service: &Service) -> Result<(), StartError> {
    hire(service).await.map_err(|error| {
        StartError::Other(format!(
            "the first administrator cannot be recorded: {error}"
        ))
    })
}

async fn hire(service: &Service) -> Result<(), AppError> {
    let config = &service.node.config.bootstrap;
    // Everything in this log begins with somebody of the staff.
    if service.log.refresh_head().await? > 0 {
        if config.administrator_password.is_some() && !has_password(service).await? {
            tracing::warn!(
                "bootstrap.administrator_password is not used: `{LOGIN}` was hired before it was \
                 set; `kontakty token` prints a token with which to call StaffService.SetPassword"
            );
        }
        return Ok(());
    }
    let password_hash = match &config.administrator_password {
        Some(password) => Some(passwords::hash(password.expose_secret().to_owned()).await?),
        None => None,
    };
    let now = service.node.clock.now();
    let id = StaffId::of_external(LOGIN);
    let newcomer = Newcomer {
        id,
        external_id: LOGIN.to_owned(),
        name: "Administrator".to_owned(),
        role: Role::Administrator,
        group_id: None,
        extension: None,
        hired_on: now.with_timezone(&service.zone()).date_naive(),
        login: password_hash.is_some().then(|| LOGIN.to_owned()),
        password_hash,
    };
    let context = context("administrator", now);
    let command = Command::Hire(newcomer);
    let hired = service.log.execute::<StaffMember>(&context, id.0, command);
    match hired.await {
        Ok(_) | Err(ExecuteError::Rejected(Rejection::Exists)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whoever left has had one, or needs none.
async fn has_password(service: &Service) -> Result<bool, AppError> {
    let id = StaffId::of_external(LOGIN);
    let administrator = service.log.load::<StaffMember>(id.0).await?;
    Ok(match administrator.state {
        State::Working(working) => working.profile.password_hash.is_some(),
        State::Dismissed(_) => true,
        State::Unknown => false,
    })
}

/// Opens the catalogue, unless there is one.
pub(crate) async fn catalogue(service: &Service) -> Result<(), StartError> {
    // Another name than the request had before lists were added: that one is answered already.
    let context = context("catalogue and documents", service.node.clock.now());
    let log = &service.log;
    let opened = log.execute::<Catalogue>(&context, domain::id(), domain::Command::Open);
    opened.await.map(drop).map_err(|error| {
        let error = AppError::from(error);
        StartError::Other(format!("the catalogue cannot be opened: {error}"))
    })
}

fn context(what: &str, now: DateTime<Utc>) -> CommandContext {
    let request_id = derived_id("bootstrap", what);
    CommandContext {
        request_id: Some(request_id),
        digest: None,
        actor: Actor::System,
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: request_id,
        causation_id: None,
        traceparent: None,
        now,
        expected_version: None,
    }
}
