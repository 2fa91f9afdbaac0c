//! An address of an integrator that is told of events.
//!
//! What it is told is signed with a secret that is in no event: it follows from the id of the webhook
//! under a key of the installation.

use std::{fmt, str::FromStr};

use es::{Aggregate, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub enum Webhook {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// An address is told of what is recorded from now on.
    #[serde(rename = "webhook.registered")]
    Registered {
        url: String,
        events: Vec<Pattern>,
        /// What is behind the address.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        description: String,
    },
    /// An address is told of nothing until it is resumed; what it would be told waits.
    #[serde(rename = "webhook.paused")]
    Paused { cause: PauseCause },
    /// An address is told again, beginning with what has waited.
    #[serde(rename = "webhook.resumed")]
    Resumed {},
    /// An address is never told of anything again.
    #[serde(rename = "webhook.removed")]
    Removed {},
}

/// Who or what has paused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// Somebody of the office.
    Asked,
    /// The address has answered that it is gone for good.
    Gone,
    /// The address has taken nothing for a day and a half.
    Failing,
}

impl PauseCause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Which events: those of one type (`account.order_registered`), of one kind of thing (`account.*`),
/// or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pattern(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be * or as account.* or account.order_registered")]
pub struct InvalidPattern;

impl Pattern {
    pub fn matches(&self, event_type: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => event_type == self.0,
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let (kind, what) = text.split_once('.').unwrap_or(("", ""));
        if text == "*" || (word(kind) && (what == "*" || word(what))) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPattern)
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Unknown,
    Known {
        url: String,
        stage: Stage,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Active,
    Paused,
    Removed,
}

impl State {
    fn at(self, next: Stage) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Known { url, .. } => Self::Known { url, stage: next },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Register {
        url: String,
        events: Vec<Pattern>,
        description: String,
    },
    Pause {
        cause: PauseCause,
    },
    Resume,
    Remove,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such webhook")]
    NotFound,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "WEBHOOK_NOT_FOUND",
        }
    }
}

impl Aggregate for Webhook {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "webhook";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        let reached = match state {
            State::Unknown => None,
            State::Known { stage, .. } => Some(*stage),
        };
        match (command, reached) {
            (
                Command::Register {
                    url,
                    events,
                    description,
                },
                None,
            ) => Ok(vec![Event::Registered {
                url,
                events,
                description,
            }]),
            (Command::Pause { cause }, Some(Stage::Active)) => Ok(vec![Event::Paused { cause }]),
            (Command::Resume, Some(Stage::Paused)) => Ok(vec![Event::Resumed {}]),
            (Command::Remove, Some(Stage::Active | Stage::Paused)) => Ok(vec![Event::Removed {}]),
            (Command::Register { .. }, Some(_))
            | (Command::Pause { .. }, Some(Stage::Paused))
            | (Command::Resume, Some(Stage::Active))
            | (Command::Remove, Some(Stage::Removed)) => Ok(Vec::new()),
            (Command::Pause { .. } | Command::Resume, None | Some(Stage::Removed))
            | (Command::Remove, None) => Err(Rejection::NotFound),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Registered { url, .. } => State::Known {
                url: url.clone(),
                stage: Stage::Active,
            },
            Event::Paused { .. } => state.at(Stage::Paused),
            Event::Resumed {} => state.at(Stage::Active),
            Event::Removed {} => state.at(Stage::Removed),
        }
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    const URL: &str = "https://example.com/hook";
    const PAUSED: Event = Event::Paused {
        cause: PauseCause::Asked,
    };
    const PAUSE: Command = Command::Pause {
        cause: PauseCause::Asked,
    };

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a pattern")
    }

    fn registered() -> Event {
        Event::Registered {
            url: URL.to_owned(),
            events: vec![pattern("order.*")],
            description: "1С".to_owned(),
        }
    }

    #[test]
    fn an_address_is_registered() {
        let register = Command::Register {
            url: URL.to_owned(),
            events: vec![pattern("order.*")],
            description: "1С".to_owned(),
        };
        given::<Webhook>([])
            .when(register.clone())
            .then([registered()]);
        given::<Webhook>([registered()])
            .when(register)
            .then_nothing();
    }

    #[test]
    fn it_is_paused_and_resumed() {
        given::<Webhook>([registered()]).when(PAUSE).then([PAUSED]);
        given::<Webhook>([registered(), PAUSED])
            .when(Command::Pause {
                cause: PauseCause::Gone,
            })
            .then_nothing();
        given::<Webhook>([registered(), PAUSED])
            .when(Command::Resume)
            .then([Event::Resumed {}]);
        given::<Webhook>([registered(), PAUSED, Event::Resumed {}])
            .when(Command::Resume)
            .then_nothing();
    }

    #[test]
    fn what_is_removed_stays_so() {
        given::<Webhook>([registered(), PAUSED])
            .when(Command::Remove)
            .then([Event::Removed {}]);
        let removed = [registered(), Event::Removed {}];
        given::<Webhook>(removed.clone())
            .when(Command::Remove)
            .then_nothing();
        for command in [PAUSE, Command::Resume] {
            given::<Webhook>(removed.clone())
                .when(command)
                .then_rejected(Rejection::NotFound);
        }
    }

    #[test]
    fn nobody_knows_what_was_never_registered() {
        for command in [PAUSE, Command::Resume, Command::Remove] {
            given::<Webhook>([])
                .when(command)
                .then_rejected(Rejection::NotFound);
        }
    }

    #[test]
    fn a_pattern_names_one_type_a_kind_or_all() {
        let matches = |text: &str| pattern(text).matches("account.order_registered");
        assert!(matches("*") && matches("account.*") && matches("account.order_registered"));
        assert!(!matches("order.*") && !matches("account.order_cancelled"));
        assert!(!pattern("order.*").matches("order_line.added"));
        for wrong in [
            "",
            "account",
            "account.",
            ".*",
            "**",
            "account.order*",
            "A.b",
            "a.b.c",
        ] {
            assert_eq!(wrong.parse::<Pattern>(), Err(InvalidPattern), "{wrong}");
        }
    }
}
