//! An account goes to another owner: what the former one still had to do there goes along, with
//! its deadlines (`domain.md`, invariant 14). Accounts that return to the pool keep their tasks.
//! When all accounts of a hand-over have gone, planning says how many tasks went along.

use std::time::Duration;

use api::common::Position;
use es::{Recorded, StreamId};
use es_postgres::projection::{ApplyError, Reaction};
use kill_point::kill_point;
use kit::{Service, reaction};
use planning_domain::{self as domain, Task, hand_over::Confirmed, task::Command};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, TransferId};

use crate::{hand_overs_view, tasks_view};

pub(crate) const REASON: &str = "account handed over";

pub(crate) struct HandOver {
    service: Service,
}

#[derive(Deserialize)]
struct Transferred {
    #[serde(rename = "from_owner_id")]
    from: StaffId,
    #[serde(rename = "to_owner_id")]
    to: StaffId,
    transfer_id: Option<TransferId>,
}

#[derive(Deserialize)]
struct Advanced {
    moved: Vec<Uuid>,
    left: u64,
}

impl HandOver {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }

    /// From here on the former owner cannot plan for this account any more, and all that was
    /// planned before is in the view.
    async fn caught_up(&self, event: &Recorded) -> Result<(), ApplyError> {
        let moved = Position {
            service: "accounts".to_owned(),
            position: event.position,
        };
        // As long as a reader of its own writes would wait; then the event is tried again.
        let views = &self.service.views;
        views.reached(&[moved], Duration::MAX).await?;
        Ok(self.service.catch_up_with(self.service.name()).await?)
    }

    async fn follow(&self, event: &Recorded) -> Result<(), ApplyError> {
        let Transferred {
            from,
            to,
            transfer_id,
        } = event.fields()?;
        self.caught_up(event).await?;
        let ids = self
            .service
            .directory
            .ids_of(AccountId(event.stream.id))
            .await?;
        let tasks = tasks_view::open_of(self.service.pool(), &ids, from.0).await?;
        kill_point!("hand_over.tasks_found");
        let context = reaction::context::<Self>(&self.service, event);
        let commands = tasks
            .into_iter()
            .map(|id| {
                let command = Command::HandOver {
                    from,
                    to,
                    reason: REASON.to_owned(),
                    transfer_id,
                };
                (context.derive(&id.to_string()), id, command)
            })
            .collect();
        for outcome in self.service.log.execute_many::<Task>(commands).await {
            // A task that was closed meanwhile stays where it is: that is no refusal.
            reaction::settled(outcome)?.ok();
        }
        Ok(())
    }

    async fn advance(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Advanced { moved, left } = event.fields()?;
        // Its tasks would be missing in the count: what comes behind waits until somebody has
        // mended it, or given it up.
        if self.is_parked(source, event.position, &moved).await? {
            return Err(ApplyError::Poison("waits for a parked account".to_owned()));
        }
        if left == 0 {
            self.confirm(event).await
        } else {
            Ok(())
        }
    }

    /// Whether one of these accounts did not get through before that position.
    async fn is_parked(
        &self,
        source: &str,
        before: i64,
        accounts: &[Uuid],
    ) -> Result<bool, ApplyError> {
        let streams = accounts.iter().map(|id| StreamId::new("account", *id));
        let streams: Vec<_> = streams.map(|stream| stream.to_string()).collect();
        let parked = sqlx::query_scalar(
            "select exists (
                select from views.parked
                where name = $1 and source = $2 and stream = any($3) and position < $4
             )",
        )
        .bind(Self::NAME)
        .bind(source)
        .bind(streams)
        .bind(before);
        Ok(parked.fetch_one(self.service.pool()).await?)
    }

    /// Comes behind the last of the accounts, and so do all that followed them.
    async fn confirm(&self, event: &Recorded) -> Result<(), ApplyError> {
        self.caught_up(event).await?;
        let id = event.stream.id;
        let followed = hand_overs_view::count(self.service.pool(), TransferId(id)).await?;
        kill_point!("hand_over.tasks_counted");
        let context = reaction::context::<Self>(&self.service, event);
        let command = Confirmed {
            tasks_reassigned: followed.unsigned_abs(),
        };
        let log = &self.service.log;
        let confirmed = log.execute::<domain::HandOver>(&context, id, command);
        reaction::settled(confirmed.await)?
            .map(drop)
            .map_err(|rejection| ApplyError::Poison(rejection.to_string()))
    }
}

impl Reaction for HandOver {
    const NAME: &'static str = "hand-over";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &["account.ownership_transferred", "transfer.advanced"];

    /// How far a hand-over is comes behind the accounts that it tells of.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let mut touched = vec![event.stream.id];
        if event.event_type == "transfer.advanced"
            && let Ok(advanced) = event.fields::<Advanced>()
        {
            touched.extend(advanced.moved);
        }
        touched
    }

    async fn react(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        match event.event_type.as_str() {
            "account.ownership_transferred" => self.follow(event).await,
            "transfer.advanced" => self.advance(source, event).await,
            _ => Ok(()),
        }
    }
}
