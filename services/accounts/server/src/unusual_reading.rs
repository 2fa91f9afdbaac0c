//! Who opens unusually many cards is noticed, once a day.

use std::time::Duration;

use accounts_domain::{
    policy::{self, Policy},
    reading::{self, Day, Reading},
};
use es::Recorded;
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kit::{AppError, Service, reaction};
use uuid::Uuid;
use vocabulary::{Role, StaffId};

use crate::views::access;

pub(crate) struct UnusualReading {
    pub(crate) service: Service,
}

impl Reaction for UnusualReading {
    const NAME: &'static str = "unusual-reading";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &["card.viewed"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let Some(staff_id) = event.metadata.actor.staff() else {
            return Ok(());
        };
        let staff_id = StaffId(staff_id);
        // Operators and administrators read everybody's cards all day.
        let sells = |role| matches!(role, Role::Manager | Role::Head);
        let reader = self.service.directory.snapshot().staff(staff_id).cloned();
        if !reader.is_some_and(|reader| sells(reader.role)) {
            return Ok(());
        }
        let position = self.service.position(event.position);
        self.service
            .views
            .reached(&[position], Duration::MAX)
            .await?;
        let (pool, day) = (
            self.service.pool(),
            access::day_of(event, self.service.zone()),
        );
        let cards = number(access::cards_on(pool, staff_id, day).await?);
        let policy = self.service.log.load::<Policy>(policy::id()).await?;
        let policy = policy.state.unusual_reading;
        // Most days end here.
        if cards <= policy.at_least {
            return Ok(());
        }
        let before = access::cards_before(pool, staff_id, day).await?;
        let today = Day {
            staff_id,
            day,
            cards,
            before: before.into_iter().map(number).collect(),
            policy,
        };
        let context = CommandContext {
            request_id: Some(Uuid::new_v5(&event.event_id, Self::NAME.as_bytes())),
            ..reaction::context::<Self>(&self.service, event)
        };
        let log = &self.service.log;
        let noticed = log.execute::<Reading>(&context, reading::id(staff_id, day), today);
        noticed.await.map_err(AppError::from)?;
        Ok(())
    }
}

fn number(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
