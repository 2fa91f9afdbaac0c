//! A hand-over is completed when planning has said that the tasks have followed.

use accounts_domain::transfer::{Command, Rejection, Transfer};
use es::Recorded;
use es_postgres::projection::{ApplyError, Reaction};
use kit::{Service, reaction};
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
        let context = reaction::context::<Self>(&self.service, event);
        let command = Command::Complete { tasks_reassigned };
        let log = &self.service.log;
        let completed = log.execute::<Transfer>(&context, event.stream.id, command);
        match reaction::settled(completed.await)? {
            // Of a life of this log that was lost.
            Ok(_) | Err(Rejection::Unknown) => Ok(()),
            Err(rejection) => Err(ApplyError::Poison(rejection.to_string())),
        }
    }
}
