//! An account goes to another owner: what the former one still had to do there goes along, with
//! its deadlines. In the pool tasks wait, unseen by whoever does not see the account any more; the
//! next owner gets them, and so does that of an account it is merged into.
//! When all accounts of a hand-over have gone, planning says how many tasks went along.

use std::{collections::BTreeMap, time::Duration};

use api::common::Position;
use es::{Recorded, StreamId};
use es_postgres::projection::{ApplyError, Reaction};
use kill_point::kill_point;
use kit::{Service, Snapshot, reaction};
use planning_domain::{self as domain, Task, hand_over::Confirmed, task::Command};
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, TransferId};

use crate::views;

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
struct Assigned {
    #[serde(rename = "owner_id")]
    owner: StaffId,
}

#[derive(Deserialize)]
struct Merged {
    #[serde(rename = "survivor_id")]
    survivor: Uuid,
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

    async fn follow_transfer(&self, event: &Recorded) -> Result<(), ApplyError> {
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
        let snapshot = self.service.directory.snapshot();
        let tasks = views::tasks::open_of(self.service.pool(), &ids).await?;
        let (handed_over, others) = tasks
            .into_iter()
            .partition(|(_, assignee)| *assignee == from.0);
        self.give(event, handed_over, to, transfer_id).await?;
        // Not of whoever hands over, and not counted with it.
        let unseen = unseen_by_assignee(&snapshot, others, to);
        self.give(event, unseen, to, None).await
    }

    /// Somebody owns it after nobody, or after somebody whom the event does not name. What is with
    /// one who sees the account stays there.
    async fn follow_owner(&self, event: &Recorded) -> Result<(), ApplyError> {
        self.caught_up(event).await?;
        let id = AccountId(event.stream.id);
        let directory = &self.service.directory;
        let owner = match event.fields::<Assigned>() {
            // A hand-over behind it takes along, and counts, what is given here.
            Ok(assigned) => Some(assigned.owner),
            // Merged, or no longer: whoever owns what answers for it now.
            Err(_) => directory.account(id).await?.and_then(|now| now.owner_id),
        };
        let snapshot = directory.snapshot();
        let active = |id: &StaffId| snapshot.staff(*id).is_some_and(|owner| !owner.dismissed);
        let Some(owner) = owner.filter(active) else {
            return Ok(());
        };
        let ids = directory.ids_of(id).await?;
        let tasks = views::tasks::open_of(self.service.pool(), &ids).await?;
        let unseen = unseen_by_assignee(&snapshot, tasks, owner);
        self.give(event, unseen, owner, None).await
    }

    /// Groups and roles say who sees what: whoever had something to do about accounts of others may
    /// see them no more.
    async fn follow_rights(&self, event: &Recorded) -> Result<(), ApplyError> {
        self.caught_up(event).await?;
        let snapshot = self.service.directory.snapshot();
        let mut of_owners: BTreeMap<StaffId, Vec<(Uuid, Uuid)>> = BTreeMap::new();
        for (task, assignee, owner) in views::tasks::open_with_others(self.service.pool()).await? {
            let tasks = of_owners.entry(StaffId(owner)).or_default();
            tasks.push((task, assignee));
        }
        for (owner, tasks) in of_owners {
            let unseen = unseen_by_assignee(&snapshot, tasks, owner);
            self.give(event, unseen, owner, None).await?;
        }
        Ok(())
    }

    /// Each task with its assignee, who is to have it no longer.
    async fn give(
        &self,
        event: &Recorded,
        tasks: Vec<(Uuid, Uuid)>,
        to: StaffId,
        transfer_id: Option<TransferId>,
    ) -> Result<(), ApplyError> {
        kill_point!("hand_over.tasks_found");
        let context = reaction::context::<Self>(&self.service, event);
        let commands = tasks
            .into_iter()
            .map(|(id, assignee)| {
                let command = Command::HandOver {
                    from: StaffId(assignee),
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
        let followed = views::hand_overs::count(self.service.pool(), TransferId(id)).await?;
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

/// Tasks about an account of `owner` with whoever does not see it.
fn unseen_by_assignee(
    snapshot: &Snapshot,
    mut tasks: Vec<(Uuid, Uuid)>,
    owner: StaffId,
) -> Vec<(Uuid, Uuid)> {
    tasks.retain(|(_, assignee)| !snapshot.scope_of(StaffId(*assignee)).includes(owner));
    tasks
}

impl Reaction for HandOver {
    const NAME: &'static str = "hand-over";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &[
        "account.ownership_transferred",
        "account.owner_assigned",
        "account.merged",
        "account.unmerged",
        "transfer.advanced",
        "staff.moved_to_group",
        "staff.role_changed",
        "group.head_appointed",
        "group.moved",
    ];

    /// How far a hand-over is comes behind the accounts that it tells of; what was merged has the
    /// tasks of two accounts.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        let advanced = event.fields::<Advanced>().ok();
        let moved = advanced.into_iter().flat_map(|advanced| advanced.moved);
        let merged = event.fields::<Merged>().ok();
        let survivor = merged.map(|merged| merged.survivor);
        moved.chain(survivor).chain([event.stream.id]).collect()
    }

    async fn react(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        match event.event_type.as_str() {
            "account.ownership_transferred" => self.follow_transfer(event).await,
            "account.owner_assigned" | "account.merged" | "account.unmerged" => {
                self.follow_owner(event).await
            }
            "transfer.advanced" => self.advance(source, event).await,
            _ => self.follow_rights(event).await,
        }
    }
}
