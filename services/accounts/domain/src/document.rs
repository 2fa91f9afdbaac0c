//! Documents: a proposal, a contract, a regulation. What is recorded is which bytes they are; the
//! bytes themselves lie elsewhere, under their hash. A new version leaves the one before readable.

use es::{Aggregate, Never, Personal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, DealId, DocumentId};

use crate::deal;

/// Marker of the aggregate: a document of a company. Those of a deal are in the stream of the deal,
/// whose gates ask for them.
pub enum Document {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A company got a document, or a document a new version.
    #[serde(rename = "document.attached")]
    Attached(Attached),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attached {
    pub document_id: DocumentId,
    pub account_id: AccountId,
    /// 1, 2, 3 …
    pub version: u32,
    /// Key of the catalogue.
    pub kind: String,
    /// Usually the name of the file.
    pub title: Personal<String>,
    pub media_type: String,
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// A version as it comes in. Its bytes are stored already.
#[derive(Clone, PartialEq)]
pub struct Version {
    pub document_id: DocumentId,
    pub account_id: AccountId,
    pub kind: String,
    pub title: String,
    pub media_type: String,
    pub size: u64,
    pub sha256: String,
}

/// Never the title: it would end up in a log file.
impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Version({}, {})", self.document_id, self.sha256)
    }
}

impl Version {
    /// After `last`; `None`: that is the same one.
    pub(crate) fn after(self, last: Option<&Attached>) -> Option<Attached> {
        let new = Attached {
            document_id: self.document_id,
            account_id: self.account_id,
            version: last.map_or(1, |last| last.version.saturating_add(1)),
            kind: self.kind,
            title: Personal::new(deal::subject(self.account_id), self.title),
            media_type: self.media_type,
            size: self.size,
            sha256: self.sha256,
        };
        let same = last.is_some_and(|last| {
            let version = last.version;
            *last
                == Attached {
                    version,
                    ..new.clone()
                }
        });
        (!same).then_some(new)
    }
}

impl Aggregate for Document {
    /// The last version.
    type State = Option<Attached>;
    type Command = Version;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "document";

    fn decide(last: &Option<Attached>, version: Version) -> Result<Vec<Event>, Never> {
        let attached = version.after(last.as_ref());
        Ok(attached.map(Event::Attached).into_iter().collect())
    }

    fn evolve(_: Option<Attached>, event: &Event) -> Option<Attached> {
        match event {
            Event::Attached(attached) => Some(attached.clone()),
        }
    }
}

/// Marker of the aggregate: one reading of a document.
pub enum Access {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum AccessEvent {
    /// Somebody was given a document; recorded before its first byte left.
    #[serde(rename = "document.accessed")]
    Accessed(Accessed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accessed {
    pub document_id: DocumentId,
    pub version: u32,
    pub account_id: AccountId,
    /// Absent: it is a document of the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal_id: Option<DealId>,
    pub sha256: String,
}

impl Aggregate for Access {
    /// Recorded already.
    type State = bool;
    type Command = Accessed;
    type Event = AccessEvent;
    type Rejection = Never;

    const CATEGORY: &'static str = "document_access";

    fn decide(recorded: &bool, accessed: Accessed) -> Result<Vec<AccessEvent>, Never> {
        Ok(match recorded {
            true => Vec::new(),
            false => vec![AccessEvent::Accessed(accessed)],
        })
    }

    fn evolve(_: bool, event: &AccessEvent) -> bool {
        match event {
            AccessEvent::Accessed(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn version(sha256: &str) -> Version {
        Version {
            document_id: DocumentId::of_external("КП-77"),
            account_id: AccountId::of_external("acc-1001"),
            kind: "proposal".to_owned(),
            title: "КП-77.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 4,
            sha256: sha256.to_owned(),
        }
    }

    fn attached(number: u32, sha256: &str) -> Event {
        let first = version(sha256).after(None).unwrap();
        Event::Attached(Attached {
            version: number,
            ..first
        })
    }

    #[test]
    fn other_bytes_are_another_version() {
        given::<Document>([])
            .when(version("a0"))
            .then([attached(1, "a0")]);
        given::<Document>([attached(1, "a0")])
            .when(version("a0"))
            .then_nothing();
        given::<Document>([attached(1, "a0")])
            .when(version("b1"))
            .then([attached(2, "b1")]);
        // Back to what it was is news, too.
        given::<Document>([attached(1, "a0"), attached(2, "b1")])
            .when(version("a0"))
            .then([attached(3, "a0")]);
    }
}
