use std::fmt::Debug;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::Upcaster;

/// One consistency boundary: what it remembers, what it can be told, what it then says happened.
///
/// Synchronous on purpose. Whatever a decision needs to know of the rest of the world (the time,
/// a new id, who owns an account) is looked up by the shell and placed in the command.
///
/// Laws, tested for every aggregate: `decide` never panics; deciding the same command again after
/// its events yields no events or a rejection, never other events; `evolve` is total.
pub trait Aggregate: 'static {
    type State: Default + Clone + Debug + Send + Sync;
    type Command: Clone + Debug + Send;
    /// A serde enum, externally tagged, each variant renamed to its permanent stored name
    /// (`task.rescheduled`) and holding a struct.
    type Event: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync;
    type Rejection: Rejection;

    /// First part of the stream's name: `task` in `task-0192…`.
    const CATEGORY: &'static str;

    /// How events stored in an older shape become events of today, one version at a time.
    const UPCASTERS: &'static [Upcaster] = &[];

    /// An empty vector means "already so", which is not an error.
    fn decide(
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// When it happened in business, where that differs from the time of the command.
    fn occurred_at(_event: &Self::Event) -> Option<DateTime<Utc>> {
        None
    }

    /// Raised when the stored shape of an event changes so that old readers cannot read it; then
    /// [`Self::UPCASTERS`] gets an entry from the version before.
    fn schema_version(_event: &Self::Event) -> u16 {
        1
    }

    /// Names that this event takes or gives back across all streams of the service.
    fn reservations(_event: &Self::Event) -> Vec<Reservation> {
        Vec::new()
    }

    /// The state folded from a whole history.
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self::State {
        events
            .into_iter()
            .fold(Self::State::default(), Self::evolve)
    }
}

/// A name that at most one stream holds at a time: a login, a phone under claim.
///
/// The log keeps only a keyed hash of it, because names are often personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    Take {
        kind: &'static str,
        name: String,
    },
    Release {
        kind: &'static str,
        name: String,
    },
    /// Gives back every name of a kind, also those that can be read no more.
    ReleaseAll {
        kind: &'static str,
    },
    /// Takes nothing, and is refused while another stream holds the name.
    Vacant {
        kind: &'static str,
        name: String,
    },
}

/// Why a decision was refused.
pub trait Rejection: std::error::Error + Clone + PartialEq + Send + Sync + 'static {
    fn kind(&self) -> Kind;
    /// Stable tag in SCREAMING_SNAKE_CASE: clients and tests match it, never the prose.
    fn reason(&self) -> &'static str;
    /// Every field at fault, for [`Kind::Invalid`].
    fn violations(&self) -> Vec<Violation> {
        Vec::new()
    }
    /// Figures that a client may want to show, by name: how many of what stands in the way.
    fn facts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// Of what nothing can be against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("never")]
pub enum Never {}

impl Rejection for Never {
    fn kind(&self) -> Kind {
        match *self {}
    }

    fn reason(&self) -> &'static str {
        match *self {}
    }
}

/// The five ways a well-formed command can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The input itself is wrong; the fields are named.
    Invalid,
    /// What the command speaks of does not exist.
    NotFound,
    /// What the command would make is there already.
    AlreadyExists,
    /// A rule or the present state is against it.
    FailedPrecondition,
    /// This actor may not do this.
    Forbidden,
}

/// A field and what is wrong with it. Never the value: it may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: String,
    pub description: String,
    /// Stable tag.
    pub reason: &'static str,
}

impl Violation {
    /// Of what cannot be taken as it is.
    pub const INVALID: &'static str = "INVALID";

    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::because(Self::INVALID, field, description)
    }

    /// With a tag of its own.
    pub fn because(
        reason: &'static str,
        field: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
            reason,
        }
    }
}
