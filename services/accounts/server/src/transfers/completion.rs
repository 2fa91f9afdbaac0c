//! A hand-over is completed when planning has said that the tasks have followed.

use accounts_domain::transfer::{Command, Rejection, Transfer};
use es::{Actor, Recorded};
use es_postgres::{
    CommandContext, ExecuteError,
    projection::{ApplyError, Reaction},
};
use kit::{AppError, Service};
use serde::Deserialize;

pub(crate) struct Completion {
    pub(crate) service: Service,
}

#[derive(Deserialize)]
struct Confirmed {
    tasks_reassigned: u64,
}

impl Reaction for Completion {
    const NAME: &'static str = "transfer-completion";
    const SOURCES: &'static [&'static str] = &["planning"];
    const EVENTS: &'static [&'static str] = &["hand_over.confirmed"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Confirmed { tasks_reassigned } = event.fields()?;
        let context = CommandContext {
            request_id: Some(event.event_id),
            digest: None,
            actor: Actor::Policy(format!("accounts/{}", Self::NAME)),
            on_behalf_of: None,
            actor_group_id: event.metadata.actor_group_id,
            correlation_id: event.metadata.correlation_id,
            causation_id: Some(event.event_id),
            traceparent: event.metadata.traceparent.clone(),
            now: self.service.node.clock.now(),
            expected_version: None,
        };
        let command = Command::Complete { tasks_reassigned };
        let log = &self.service.log;
        let completed = log.execute::<Transfer>(&context, event.stream.id, command);
        match completed.await {
            // Of a life of this log that was lost.
            Ok(_) | Err(ExecuteError::Rejected(Rejection::Unknown)) => Ok(()),
            Err(error) => Err(AppError::from(error).into()),
        }
    }
}
