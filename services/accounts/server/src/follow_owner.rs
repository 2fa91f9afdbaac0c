//! Open deals belong to whom the company belongs to: they follow it to another owner, into the
//! pool, and to the owner of the company that it was merged into.

use std::time::Duration;

use accounts_domain::{
    account::Account,
    deal::{Command, Deal},
};
use es::{CodecError, Recorded};
use es_postgres::projection::{ApplyError, Reaction};
use kit::{Service, reaction};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::AccountId;

use crate::{owners, views::deals};

pub(crate) struct FollowOwner {
    service: Service,
}

#[derive(Deserialize)]
struct Opened {
    account_id: AccountId,
}

#[derive(Deserialize)]
struct Merged {
    survivor_id: AccountId,
}

impl FollowOwner {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    /// The company that answers for the one that the event is about, and those of its deals that may
    /// belong to another one than its owner now.
    async fn concerned(&self, event: &Recorded) -> Result<Option<(Uuid, Vec<Uuid>)>, ApplyError> {
        let account_id = account_of(event)?;
        // Everything opened before is in the view; what comes later is looked at itself.
        let position = self.service.position(event.position);
        let views = &self.service.views;
        views.reached(&[position], Duration::MAX).await?;
        let directory = &self.service.directory;
        let Some(account) = directory.account(account_id).await? else {
            return Ok(None);
        };
        let ids = directory.ids_of(account.id).await?;
        let deals = deals::open_of_account(self.service.pool(), &ids).await?;
        Ok((!deals.is_empty()).then_some((account.id.0, deals)))
    }
}

/// Whose deals may belong to somebody else after this event.
fn account_of(event: &Recorded) -> Result<AccountId, CodecError> {
    // The company may have changed hands while a deal was being opened.
    if event.event_type == "deal.opened" {
        return Ok(event.fields::<Opened>()?.account_id);
    }
    Ok(AccountId(event.stream.id))
}

impl Reaction for FollowOwner {
    const NAME: &'static str = "deals-follow-owner";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &[
        "account.owner_assigned",
        "account.ownership_transferred",
        "account.returned_to_pool",
        "account.merged",
        "account.unmerged",
        "deal.opened",
    ];

    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let account = account_of(event).ok();
        let survivor = event
            .fields::<Merged>()
            .ok()
            .map(|merged| merged.survivor_id);
        let touched = account.into_iter().chain(survivor).map(|id| id.0);
        touched.chain([event.stream.id]).collect()
    }

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Some((account, deals)) = self.concerned(event).await? else {
            return Ok(());
        };
        let now = self.service.node.clock.now();
        // Not whom the event names: by now it may be somebody else again.
        let account = self.service.log.load::<Account>(account).await?.state;
        let owner = account.owner_id;
        let owner = owner.map(|id| owners::owner_at(&self.service, id, now));
        let context = reaction::context::<Self>(&self.service, event);
        let commands = deals.into_iter().map(|id| {
            let command = Command::FollowOwner { owner };
            (context.derive(&id.to_string()), id, command)
        });
        let outcomes = self.service.log.execute_many::<Deal>(commands.collect());
        for outcome in outcomes.await {
            // A deal that was closed meanwhile stays whose it was.
            reaction::settled(outcome)?.ok();
        }
        Ok(())
    }
}
