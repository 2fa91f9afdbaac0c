//! The one place that knows the time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::watch;

use crate::config::{self, ClockMode};

/// The time of the office: real, or moved by hand so that a test can play a month in a second.
/// Timers follow it too.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Real,
    Controlled(Arc<watch::Sender<DateTime<Utc>>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockRefusal {
    #[error("the office runs on real time")]
    Real,
    #[error("the clock cannot go backwards")]
    Backwards,
}

impl Clock {
    pub fn new(config: &config::Clock) -> Self {
        match config.mode {
            ClockMode::Real => Self(Kind::Real),
            ClockMode::Controlled => Self::controlled(config.start.unwrap_or_else(wall)),
        }
    }

    /// A clock that stands still until it is set.
    pub fn controlled(start: DateTime<Utc>) -> Self {
        Self(Kind::Controlled(Arc::new(watch::Sender::new(truncated(
            start,
        )))))
    }

    /// In whole microseconds, because that is what PostgreSQL keeps: what is answered must equal
    /// what is read back.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::Real => truncated(wall()),
            Kind::Controlled(now) => *now.borrow(),
        }
    }

    pub fn is_controlled(&self) -> bool {
        matches!(self.0, Kind::Controlled(_))
    }

    /// Moves a controlled clock; timers that are due then fire.
    pub fn set(&self, to: DateTime<Utc>) -> Result<(), ClockRefusal> {
        let Kind::Controlled(now) = &self.0 else {
            return Err(ClockRefusal::Real);
        };
        let to = truncated(to);
        let mut outcome = Ok(());
        now.send_if_modified(|now| {
            if to < *now {
                outcome = Err(ClockRefusal::Backwards);
            }
            let forward = to > *now;
            *now = to.max(*now);
            forward
        });
        outcome
    }

    /// Returns once the clock shows `at` or later.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        // The wall clock can be corrected while we sleep: look at it again now and then.
        const LOOK_AGAIN: Duration = Duration::from_secs(30);
        match &self.0 {
            Kind::Real => {
                while let Ok(left) = (at - wall()).to_std()
                    && !left.is_zero()
                {
                    tokio::time::sleep(left.min(LOOK_AGAIN)).await;
                }
            }
            Kind::Controlled(now) => {
                // An error would mean that the sender is gone, and we hold it.
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
        }
    }
}

fn truncated(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.trunc_subsecs(6)
}

#[expect(clippy::disallowed_methods, reason = "everyone else asks the clock")]
fn wall() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn nine() -> DateTime<Utc> {
        "2026-03-02T06:00:00.123456789Z".parse().unwrap()
    }

    #[test]
    fn time_has_microseconds() {
        assert_eq!(
            Clock::controlled(nine()).now().to_rfc3339(),
            "2026-03-02T06:00:00.123456+00:00"
        );
        let now = Clock(Kind::Real).now();
        assert_eq!(now, now.trunc_subsecs(6));
    }

    #[test]
    fn a_clock_never_goes_backwards() {
        let clock = Clock::controlled(nine());
        assert_eq!(clock.set(nine()), Ok(()));
        assert_eq!(
            clock.set(nine() - TimeDelta::seconds(1)),
            Err(ClockRefusal::Backwards)
        );
        assert_eq!(clock.now(), truncated(nine()));
        assert_eq!(Clock(Kind::Real).set(nine()), Err(ClockRefusal::Real));
    }

    #[tokio::test]
    async fn timers_follow_the_clock() {
        let clock = Clock::controlled(nine());
        let alarm = nine() + TimeDelta::days(30);
        let timer = clock.sleep_until(alarm);
        let advance = async {
            clock.set(alarm - TimeDelta::days(1)).unwrap();
            clock.set(alarm + TimeDelta::days(1)).unwrap();
        };
        tokio::join!(timer, advance);
        Clock(Kind::Real).sleep_until(nine()).await;
    }
}
