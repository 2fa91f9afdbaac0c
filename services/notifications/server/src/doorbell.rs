//! Wakes those who listen when something may be due for them. One loop per process looks at the
//! schedule, so that a thousand listeners do not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use kit::Service;
use tokio::sync::watch;
use vocabulary::StaffId;

use crate::views::{
    self,
    reminders::{ScheduleView, Seen},
};

/// Clones share the listeners.
#[derive(Clone, Default)]
pub(crate) struct Doorbell(Arc<Mutex<HashMap<StaffId, watch::Sender<()>>>>);

/// In case another replica moves the schedule without our hearing of it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Doorbell {
    /// Rings at once, because something may be due already, and whenever something may be.
    pub(crate) fn listen(&self, staff_id: StaffId) -> watch::Receiver<()> {
        let mut listener = self.listeners().entry(staff_id).or_default().subscribe();
        listener.mark_changed();
        listener
    }

    /// Follows time and schedule. Begins by ringing for everybody: what happened before is for
    /// each listener to find out.
    pub(crate) async fn run(&self, service: &Service) -> Result<(), sqlx::Error> {
        let pool = service.pool();
        let clock = &service.node.clock;
        let mut moved = service.view_changed::<ScheduleView>();
        let mut seen = Seen {
            fired_until: clock.now(),
            position: views::reminders::newest_position(pool).await?,
        };
        self.ring(|_| true);
        let mut epoch = service.log.epoch();
        loop {
            moved.mark_unchanged();
            if epoch != service.log.epoch() {
                // Restored from a backup: positions begin again behind what it had.
                epoch = service.log.epoch();
                seen.position = 0;
                self.ring(|_| true);
            }
            let now = clock.now();
            let fired = views::reminders::whose_fired(pool, seen, now).await?;
            let fired: HashMap<_, _> = fired.into_iter().collect();
            self.ring(|staff_id| fired.contains_key(&staff_id.0));
            seen = Seen {
                fired_until: now,
                position: fired.into_values().fold(seen.position, i64::max),
            };
            let next = views::reminders::next_fire_at(pool, now).await?;
            tokio::select! {
                () = sleep_until(service, next) => {}
                Ok(()) = moved.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Comes after the look at the schedule: whoever begins to listen later looks later.
    fn ring(&self, whose: impl Fn(StaffId) -> bool) {
        self.listeners().retain(|staff_id, bell| {
            if whose(*staff_id) {
                bell.send_replace(());
            }
            bell.receiver_count() > 0
        });
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<StaffId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep_until(service: &Service, at: Option<DateTime<Utc>>) {
    match at {
        Some(at) => service.node.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_at_once_and_then_for_its_own() {
        let doorbell = Doorbell::default();
        let petrov = StaffId::of_external("petrov");
        let mut here = doorbell.listen(petrov);
        let mut at_home = doorbell.listen(petrov);
        let mut smirnova = doorbell.listen(StaffId::of_external("smirnova"));
        let mut rung = || {
            [&mut here, &mut at_home, &mut smirnova].map(|listener| {
                let rung = listener.has_changed().unwrap();
                listener.mark_unchanged();
                rung
            })
        };
        assert_eq!(rung(), [true, true, true]);
        assert_eq!(rung(), [false, false, false]);
        doorbell.ring(|staff_id| staff_id == petrov);
        assert_eq!(rung(), [true, true, false]);
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let doorbell = Doorbell::default();
        drop(doorbell.listen(StaffId::of_external("petrov")));
        doorbell.ring(|_| true);
        assert!(doorbell.listeners().is_empty());
    }
}
