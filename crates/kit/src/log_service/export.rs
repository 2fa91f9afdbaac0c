//! What is taken out of the office: logs, and lists of cards. Each time is an event of the log that
//! it is taken from, recorded before the first row leaves.

use std::collections::BTreeMap;

use es::{Aggregate, Never};
use es_postgres::{CommandContext, Log, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppError, Sender, StreamEnd};

/// What one message holds at most.
const PART: i64 = 200;

/// One access to a range of a log, or to a list.
#[derive(Debug)]
pub enum Export {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    pub after_position: i64,
    pub up_to_position: i64,
    /// With personal fields opened.
    pub personal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardsExported {
    /// `accounts` or `persons`.
    pub what: String,
    /// `csv` or `xlsx`.
    pub format: String,
    /// How many of them there were.
    pub rows: u64,
    /// What they were chosen by. Texts that people typed are not repeated here: they may be somebody's
    /// name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody took cards out of the office; who is the actor of the event.
    #[serde(rename = "cards.exported")]
    CardsExported(CardsExported),
    /// Somebody took a range of this log out of the office.
    #[serde(rename = "log.exported")]
    Exported(Exported),
}

impl Aggregate for Export {
    /// Recorded already.
    type State = bool;
    /// What is about to happen.
    type Command = Event;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "export";

    fn decide(recorded: &bool, exported: Event) -> Result<Vec<Event>, Never> {
        Ok(match recorded {
            true => Vec::new(),
            false => vec![exported],
        })
    }

    fn evolve(_: bool, event: &Event) -> bool {
        match event {
            Event::Exported(_) | Event::CardsExported(_) => true,
        }
    }
}

/// A range that may now be read.
pub(crate) struct Range {
    log: Log,
    after: i64,
    personal: bool,
    pub(crate) up_to: i64,
    /// Where the access is recorded.
    pub(crate) record: i64,
}

impl Range {
    /// Records the access. `up_to` 0: the newest event of now.
    pub(crate) async fn open(
        log: &Log,
        context: &CommandContext,
        id: Uuid,
        (after, up_to): (i64, i64),
        personal: bool,
    ) -> Result<Self, AppError> {
        let head = log.refresh_head().await?;
        let up_to = if up_to == 0 { head } else { up_to.min(head) };
        let exported = Exported {
            after_position: after,
            up_to_position: up_to,
            personal,
        };
        let exported = Event::Exported(exported);
        let recorded: Outcome<Export> = log.execute_new(context, id, exported).await?;
        Ok(Self {
            log: log.clone(),
            after,
            personal,
            up_to: if up_to > after { up_to } else { 0 },
            record: recorded.position,
        })
    }

    /// Sends the range part by part, as fast as the caller takes it.
    pub(crate) async fn send<T>(
        self,
        sender: &Sender<T>,
        part: impl Fn(Vec<api::log::Event>) -> T,
    ) -> Result<(), StreamEnd> {
        let mut after = self.after;
        while after < self.up_to {
            let mut events = self.log.read(after, PART.min(self.up_to - after)).await?;
            after = events.last().map_or(self.up_to, |event| event.position);
            if self.personal {
                self.log.open_personal(&mut events).await?;
            }
            let events = events.into_iter().map(crate::recorded::to_api).collect();
            sender.send(part(events)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use es::{
        golden::{family, faults},
        spec::given,
    };

    use super::*;

    #[test]
    fn an_access_is_recorded_once() {
        let exported = Event::Exported(Exported {
            after_position: 0,
            up_to_position: 7,
            personal: true,
        });
        given::<Export>([]).when(exported.clone()).then([exported]);
    }

    #[test]
    fn every_stored_form_still_reads() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let faults = faults(
            &folder,
            &[family::<Export>(), family::<crate::erasure::Erasure>()],
        );
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
