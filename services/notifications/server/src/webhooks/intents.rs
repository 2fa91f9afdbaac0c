//! The rule that notes, of every event of every service, which webhooks are to be told of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Reaction};
use kit::{Service, config::SERVICES};
use notifications_domain::{Webhook, webhook::Pattern};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::outbox;
use crate::views;

/// The view of webhooks follows our own log and is hardly ever behind.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
/// By how much the clocks of two services may differ: an event too many harms less than one too few.
const CLOCKS: TimeDelta = TimeDelta::seconds(5);

pub(super) struct Intents {
    service: Service,
    bell: watch::Sender<()>,
    wishes: watch::Sender<Arc<[Wish]>>,
    /// The life and the position of our log that `wishes` are of.
    seen: Mutex<Option<(Uuid, i64)>>,
}

struct Wish {
    webhook_id: Uuid,
    events: Vec<Pattern>,
    from: DateTime<Utc>,
}

impl Wish {
    fn has(&self, event: &Recorded) -> bool {
        event.recorded_at >= self.from
            && self
                .events
                .iter()
                .any(|wanted| wanted.matches(&event.event_type))
    }
}

impl Intents {
    pub(super) fn new(service: &Service, bell: &watch::Sender<()>) -> Self {
        Self {
            service: service.clone(),
            bell: bell.clone(),
            wishes: watch::Sender::new(Arc::default()),
            seen: Mutex::default(),
        }
    }

    fn told(&self, event: &Recorded) -> Vec<Uuid> {
        // What becomes of a webhook is nobody's but the office's.
        if event.stream.category == Webhook::CATEGORY {
            return Vec::new();
        }
        if event.recorded_at < self.service.node.clock.now() - outbox::KEPT {
            return Vec::new();
        }
        let wishes = self.wishes.borrow();
        let told = wishes.iter().filter(|wish| wish.has(event));
        told.map(|wish| wish.webhook_id).collect()
    }
}

impl Reaction for Intents {
    const NAME: &'static str = "webhook_intents";
    const SOURCES: &'static [&'static str] = &SERVICES;
    /// Those that somebody wishes for.
    const EVENTS: &'static [&'static str] = &[];

    /// A webhook that was registered before an event was recorded is told of it, however far the view
    /// is: so our log is asked where it stands once the events are here.
    async fn look(&self) -> Result<(), ApplyError> {
        let mut seen = self.seen.lock().await;
        let log = &self.service.log;
        let head = log.refresh_head().await?;
        let now = (log.epoch(), head);
        if *seen == Some(now) {
            return Ok(());
        }
        let known = self.service.position(head);
        self.service.views.reached(&[known], PATIENCE).await?;
        let rows = views::webhooks::wishes(self.service.pool()).await?;
        let wishes = rows.into_iter().map(|(webhook_id, events, registered_at)| {
            let events = events.iter().filter_map(|text| text.parse().ok());
            Wish {
                webhook_id,
                events: events.collect(),
                from: registered_at - CLOCKS,
            }
        });
        self.wishes.send_replace(wishes.collect());
        *seen = Some(now);
        Ok(())
    }

    fn concerns(&self, event: &Recorded) -> bool {
        !self.told(event).is_empty()
    }

    async fn react(&self, source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let told = self.told(event);
        outbox::intend(self.service.pool(), &told, source, event).await?;
        self.bell.send_replace(());
        Ok(())
    }
}
