//! How exactly people say when something happened.

use chrono::{DateTime, TimeDelta, Utc};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Nothing was said: it is the time of the command.
    Unsaid,
    /// The day that begins then, as in files.
    Day,
    Instant,
}

impl Precision {
    /// Whether what happened at `recorded` may be what is said to have happened `at` this time.
    pub(crate) fn fits(self, at: DateTime<Utc>, recorded: DateTime<Utc>) -> bool {
        match self {
            Self::Unsaid => true,
            Self::Day => (TimeDelta::zero()..TimeDelta::days(1)).contains(&(recorded - at)),
            Self::Instant => at == recorded,
        }
    }
}
