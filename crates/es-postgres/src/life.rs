//! The lives of a log: one restored from a backup gives its positions out a second time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{keys::Keys, log::raise};

/// Up to its first position a life is the same as the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub epoch: Uuid,
    pub first_position: i64,
}

/// How far the newest of `lives`, oldest first, has the events of the life `epoch`. `None`: that is
/// a life which this log does not remember.
pub fn common(lives: &[Life], epoch: Uuid) -> Option<i64> {
    let known = lives.iter().position(|life| life.epoch == epoch)?;
    let later = lives.iter().skip(known + 1);
    Some(
        later
            .map(|life| life.first_position - 1)
            .min()
            .unwrap_or(i64::MAX),
    )
}

/// What this process knows of the log without asking.
pub(crate) struct Known {
    epoch: Mutex<Uuid>,
    /// As they were asked for last.
    pub(crate) lives: Mutex<Vec<Life>>,
    pub(crate) head: watch::Sender<i64>,
    pub(crate) keys: Keys,
}

impl Known {
    pub(crate) fn new(epoch: Uuid, head: i64, keys: Keys) -> Self {
        Self {
            epoch: Mutex::new(epoch),
            lives: Mutex::default(),
            head: watch::Sender::new(head),
            keys,
        }
    }

    pub(crate) fn epoch(&self) -> Uuid {
        *self.locked()
    }

    /// The log stands at `position` in the life `epoch`.
    pub(crate) fn see(&self, epoch: Uuid, position: i64) {
        let mut known = self.locked();
        if *known == epoch {
            raise(&self.head, position);
            return;
        }
        tracing::warn!(%epoch, before = %*known, position, "the log was restored from a backup");
        *known = epoch;
        // A key that was made after the backup is in no database any more.
        self.keys.forget();
        self.head.send_replace(position);
    }

    fn locked(&self) -> MutexGuard<'_, Uuid> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_have_in_common_what_was_before_every_restore_between_them() {
        let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
        let life = |epoch, first_position| Life {
            epoch,
            first_position,
        };
        let lives = [life(first, 1), life(second, 1_001), life(third, 501)];
        assert_eq!(common(&lives, first), Some(500));
        assert_eq!(common(&lives, second), Some(500));
        assert_eq!(common(&lives, third), Some(i64::MAX));
        assert_eq!(common(&lives[..2], first), Some(1_000));
        assert_eq!(common(&lives[..2], third), None);
    }
}
