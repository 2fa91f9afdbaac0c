//! Who has claimed a prospect and logs the first interaction with it owns it from then on.

use accounts_domain::account::{Account, Command, Rejection};
use es::{Actor, Recorded};
use es_postgres::{
    CommandContext, ExecuteError,
    projection::{ApplyError, Reaction},
};
use kit::{AppError, Service};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

pub(crate) struct FirstContact {
    pub(crate) service: Service,
}

#[derive(Deserialize)]
struct Logged {
    account_id: AccountId,
    #[serde(rename = "author_id")]
    author: StaffId,
    external_id: Option<String>,
}

impl Reaction for FirstContact {
    const NAME: &'static str = "first-contact";
    const SOURCES: &'static [&'static str] = &["contacts"];

    /// The first one counts.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let logged = event.fields::<Logged>();
        vec![logged.map_or(event.stream.id, |logged| logged.account_id.0)]
    }

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if event.event_type != "interaction.logged" {
            return Ok(());
        }
        let logged: Logged = event.fields()?;
        // History that is brought from elsewhere was no call under a claim.
        if logged.external_id.is_some() {
            return Ok(());
        }
        let command = Command::FirstContact {
            by: logged.author,
            // What counts is when it was logged, however late it is heard of here.
            logged_at: event.recorded_at,
        };
        let context = CommandContext {
            request_id: Some(Uuid::new_v5(&event.event_id, Self::NAME.as_bytes())),
            digest: None,
            actor: Actor::Policy(format!("accounts/{}", Self::NAME)),
            on_behalf_of: Some(logged.author.0),
            actor_group_id: event.metadata.actor_group_id,
            correlation_id: event.metadata.correlation_id,
            causation_id: Some(event.event_id),
            traceparent: event.metadata.traceparent.clone(),
            now: self.service.node.clock.now(),
            expected_version: None,
        };
        let id = logged.account_id;
        let known = self.service.log.execute::<Account>(&context, id.0, command);
        match known.await {
            // One that was merged meanwhile has no claim, nor an account of another office.
            Ok(_) | Err(ExecuteError::Rejected(Rejection::Merged { .. } | Rejection::Unknown)) => {
                Ok(())
            }
            Err(error) => Err(AppError::from(error).into()),
        }
    }
}
