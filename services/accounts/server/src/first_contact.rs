//! Who has claimed a prospect and logs the first interaction with it owns it from then on.

use accounts_domain::account::{Account, Command, Rejection};
use es::{CodecError, Recorded};
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kit::{Service, reaction};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use crate::owners;

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

/// History that is brought from elsewhere was no call under a claim.
fn logged_here(event: &Recorded) -> Result<Option<Logged>, CodecError> {
    let logged: Logged = event.fields()?;
    Ok(logged.external_id.is_none().then_some(logged))
}

impl Reaction for FirstContact {
    const NAME: &'static str = "first-contact";
    const SOURCES: &'static [&'static str] = &["contacts"];
    const EVENTS: &'static [&'static str] = &["interaction.logged"];

    /// The first one counts.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let logged = logged_here(event).ok().flatten();
        logged
            .map(|logged| logged.account_id.0)
            .into_iter()
            .collect()
    }

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Some(logged) = logged_here(event)? else {
            return Ok(());
        };
        // Who speaks for somebody away wins the company for that one.
        let absent = event.metadata.on_behalf_of.map(StaffId);
        let by = absent.unwrap_or(logged.author);
        // Who was dismissed since owns nothing: the claim ends by itself.
        let winner = self.service.known_staff(by).await?;
        if !winner.is_some_and(|winner| owners::can_own(&winner)) {
            return Ok(());
        }
        let command = Command::FirstContact {
            by,
            // What counts is when it was logged, however late it is heard of here.
            logged_at: event.recorded_at,
        };
        let context = CommandContext {
            request_id: Some(Uuid::new_v5(&event.event_id, Self::NAME.as_bytes())),
            on_behalf_of: Some(logged.author.0),
            ..reaction::context::<Self>(&self.service, event)
        };
        let id = logged.account_id;
        let known = self.service.log.execute::<Account>(&context, id.0, command);
        match reaction::settled(known.await)? {
            // One that was merged meanwhile has no claim, nor an account of another office.
            Ok(_) | Err(Rejection::Merged { .. } | Rejection::Unknown) => Ok(()),
            Err(rejection) => Err(ApplyError::Poison(rejection.to_string())),
        }
    }
}
