//! An account goes to another owner: what the former one still had to do there goes along, with
//! its deadlines (`domain.md`, invariant 14). Accounts that return to the pool keep their tasks.

use std::time::Duration;

use api::common::Position;
use es::Recorded;
use es_postgres::projection::{ApplyError, Reaction};
use kill_point::kill_point;
use kit::Service;
use planning_domain::{Task, task::Command};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use crate::{policy, tasks_view};

pub(crate) const REASON: &str = "account handed over";

pub(crate) struct HandOver {
    service: Service,
}

#[derive(Deserialize)]
struct Transferred {
    from_owner_id: Uuid,
    to_owner_id: Uuid,
}

impl HandOver {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    /// From here on the former owner cannot plan for this account any more, and all that was
    /// planned before is in the view.
    async fn caught_up(&self, event: &Recorded) -> Result<(), ApplyError> {
        self.seen("accounts", event.position).await?;
        let head = self.service.log.refresh_head().await?;
        self.seen(self.service.name(), head).await
    }

    async fn seen(&self, service: &str, position: i64) -> Result<(), ApplyError> {
        let position = Position {
            service: service.to_owned(),
            position,
        };
        // As long as a reader of its own writes would wait; then the event is tried again.
        let views = &self.service.views;
        Ok(views.reached(&[position], Duration::MAX).await?)
    }
}

impl Reaction for HandOver {
    const NAME: &'static str = "hand-over";
    const SOURCES: &'static [&'static str] = &["accounts"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if event.event_type != "account.ownership_transferred" {
            return Ok(());
        }
        let Transferred {
            from_owner_id: from,
            to_owner_id: to,
        } = event.fields()?;
        self.caught_up(event).await?;
        let ids = self
            .service
            .directory
            .ids_of(AccountId(event.stream.id))
            .await?;
        let tasks = tasks_view::open_of(self.service.pool(), &ids, from).await?;
        kill_point!("hand_over.tasks_found");
        let context = policy::context(Self::NAME, event, None, self.service.node.clock.now());
        let commands = tasks
            .into_iter()
            .map(|id| {
                let command = Command::HandOver {
                    from: StaffId(from),
                    to: StaffId(to),
                    reason: REASON.to_owned(),
                };
                (context.derive(&id.to_string()), id, command)
            })
            .collect();
        for outcome in self.service.log.execute_many::<Task>(commands).await {
            // A task that was closed meanwhile stays where it is: that is no refusal.
            policy::settled(outcome)?.ok();
        }
        Ok(())
    }
}
