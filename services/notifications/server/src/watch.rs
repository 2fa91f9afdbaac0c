//! One connected frontend: everything due and not acknowledged, then each reminder as it fires.
//!
//! A delivery is recorded before it goes out, and the log decides: what was voided or acknowledged
//! a moment ago is not shown. What a connection loses on its way comes again on the next one,
//! because it was not acknowledged. What is about an account that is not seen waits until it is.

use std::{collections::HashSet, time::Duration};

use api::notifications::{ReminderState, WatchRemindersResponse};
use chrono::{DateTime, Utc};
use es::Actor;
use es_postgres::{CommandContext, ExecuteError};
use futures::future::try_join_all;
use kill_point::kill_point;
use kit::{AppError, Sender, Service, StreamEnd};
use notifications_domain::{
    Reminder,
    reminder::{Command, Event},
};
use tokio::sync::watch;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use crate::{
    doorbell::Doorbell,
    reminders::message,
    views::{
        self,
        reminders::{Row, Seen},
    },
};

/// Of all these members of staff, until the caller goes.
pub(crate) async fn run(
    service: &Service,
    doorbell: &Doorbell,
    staff_ids: Vec<StaffId>,
    out: &Sender<WatchRemindersResponse>,
) -> Result<(), StreamEnd> {
    let each = staff_ids
        .into_iter()
        .map(|id| Watch::new(service.clone(), id, out).run(doorbell));
    try_join_all(each).await.map(drop)
}

struct Watch<'a> {
    service: Service,
    staff_id: StaffId,
    out: &'a Sender<WatchRemindersResponse>,
    seen: Seen,
    /// The life of our log that `seen` is of.
    epoch: Uuid,
    /// On this connection: a delivery changes the schedule too, and must not look new.
    shown: HashSet<Uuid>,
    /// Something was due whose account was not seen.
    withheld: bool,
}

const PAGE: i64 = 100;
/// A frontend that takes nothing for so long has stopped reading; it may connect again.
const PATIENCE: Duration = Duration::from_secs(30);

impl<'a> Watch<'a> {
    fn new(service: Service, staff_id: StaffId, out: &'a Sender<WatchRemindersResponse>) -> Self {
        Self {
            epoch: service.log.epoch(),
            service,
            staff_id,
            out,
            seen: Seen::NOTHING,
            shown: HashSet::new(),
            withheld: false,
        }
    }

    async fn run(mut self, doorbell: &Doorbell) -> Result<(), StreamEnd> {
        let out = self.out;
        let mut bell = doorbell.listen(self.staff_id);
        let mut moved = self.service.directory.changed();
        out.send(sign_of_life()).await?;
        while out
            .alive(self.woken(&mut bell, &mut moved), sign_of_life)
            .await?
        {
            self.show_due().await?;
        }
        Ok(())
    }

    /// The bell has rung, or what was withheld may be seen now. False: it will ring no more.
    async fn woken(
        &mut self,
        bell: &mut watch::Receiver<()>,
        moved: &mut watch::Receiver<i64>,
    ) -> bool {
        tokio::select! {
            rung = bell.changed() => rung.is_ok(),
            Ok(()) = moved.changed(), if self.withheld => {
                self.withheld = false;
                self.seen = Seen::NOTHING;
                true
            }
        }
    }

    async fn show_due(&mut self) -> Result<(), StreamEnd> {
        let now = self.service.node.clock.now();
        let epoch = self.service.log.epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            self.seen = Seen::NOTHING;
        }
        let mut newest = self.seen.position;
        let mut after = (Seen::NOTHING.fired_until, Uuid::nil());
        loop {
            let pool = self.service.pool();
            let page =
                views::reminders::due(pool, self.staff_id, self.seen, now, after, PAGE).await?;
            let full = page.len() as i64 == PAGE;
            for row in &page {
                newest = newest.max(row.position);
                after = (row.fire_at, row.id);
            }
            self.show(page, now).await?;
            if !full {
                break;
            }
        }
        self.seen = Seen {
            fired_until: now,
            position: newest,
        };
        Ok(())
    }

    async fn show(&mut self, mut page: Vec<Row>, now: DateTime<Utc>) -> Result<(), StreamEnd> {
        page.retain(|row| !self.shown.contains(&row.id));
        self.withhold(&mut page, now).await?;
        let commands = page
            .iter()
            .map(|row| (context(row, now), row.id, Command::Deliver { at: now }))
            .collect();
        let outcomes = self.service.log.execute_many::<Reminder>(commands).await;
        kill_point!("reminders.deliveries_recorded");
        for (row, outcome) in page.iter().zip(outcomes) {
            let late_by_s = match outcome {
                Ok(outcome) => outcome.events.iter().find_map(|event| match event {
                    Event::Delivered { late_by_s } => Some(*late_by_s),
                    _ => None,
                }),
                // Voided or acknowledged since the schedule was read.
                Err(ExecuteError::Rejected(_)) => continue,
                Err(error) => return Err(AppError::from(error).into()),
            };
            let reminder = api::notifications::Reminder {
                state: ReminderState::Delivered.into(),
                late_by_s: late_by_s.unwrap_or(row.late_by_s),
                ..message(row)
            };
            self.send(WatchRemindersResponse {
                reminder: Some(reminder),
            })
            .await?;
            kill_point!("reminders.sent");
            self.shown.insert(row.id);
        }
        Ok(())
    }

    /// Leaves those that are about no account or about one that is seen.
    async fn withhold(&mut self, page: &mut Vec<Row>, now: DateTime<Utc>) -> Result<(), AppError> {
        let directory = &self.service.directory;
        let ids: Vec<_> = page.iter().filter_map(account_of).collect();
        let accounts = directory.accounts(&ids).await?;
        let scope = directory.snapshot().scope_of(self.staff_id);
        let due = page.len();
        page.retain(|row| {
            account_of(row).is_none_or(|id| {
                let account = accounts.get(&id);
                account.is_some_and(|account| account.is_visible(&scope, now))
            })
        });
        self.withheld |= page.len() < due;
        Ok(())
    }

    async fn send(&self, part: WatchRemindersResponse) -> Result<(), StreamEnd> {
        match tokio::time::timeout(PATIENCE, self.out.send(part)).await {
            Ok(sent) => Ok(sent?),
            Err(_elapsed) => Err(StreamEnd::Failed(AppError::Exhausted {
                reason: "SLOW_CLIENT",
                message: "the stream was not read",
            })),
        }
    }
}

fn account_of(row: &Row) -> Option<AccountId> {
    row.account_id.map(AccountId)
}

/// No request id: a repeated one would answer with the past instead of asking whether the reminder
/// may be shown now.
fn context(row: &Row, now: DateTime<Utc>) -> CommandContext {
    CommandContext {
        request_id: None,
        digest: None,
        actor: Actor::Policy("notifications/delivery".to_owned()),
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: row.id,
        causation_id: None,
        traceparent: None,
        now,
        expected_version: None,
    }
}

fn sign_of_life() -> WatchRemindersResponse {
    WatchRemindersResponse { reminder: None }
}
