//! What an office has agreed on for its cards: the statuses, sources and rubrics to choose from,
//! and fields of its own. Nothing is ever removed: what is withdrawn can no longer be chosen, and
//! cards that have it keep it.

mod defaults;

use std::collections::BTreeMap;

use es::{Aggregate, Kind as Refusal, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{derived_id, fold_for_search};

use crate::field::{Field, Kind};

/// Marker of the aggregate. An office has one.
pub enum Catalogue {}

/// Of the one there is.
pub fn id() -> Uuid {
    derived_id("catalogue", "office")
}

/// More required fields than this are filled with rubbish, unless somebody says why.
pub const MOST_REQUIRED: usize = 7;

/// Columns that files have anyway.
const TAKEN_KEYS: [&str; 19] = [
    "id",
    "external_id",
    "name",
    "type",
    "phone",
    "email",
    "city",
    "region",
    "address",
    "industry",
    "project",
    "source",
    "owner",
    "registered_at",
    "status",
    "rubrics",
    "lifecycle",
    "links",
    "erased",
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A list got new entries, or known ones other names.
    #[serde(rename = "catalogue.entries_published")]
    EntriesPublished(EntriesPublished),
    /// An entry can be chosen no more.
    #[serde(rename = "catalogue.entry_withdrawn")]
    EntryWithdrawn(EntryWithdrawn),
    /// Cards got a field, or a field a new version.
    #[serde(rename = "catalogue.field_published")]
    FieldPublished(Field),
    /// Cards are asked for a field no more.
    #[serde(rename = "catalogue.field_withdrawn")]
    FieldWithdrawn(FieldWithdrawn),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntriesPublished {
    pub list: List,
    /// New, or with new names.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryWithdrawn {
    pub list: List,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldWithdrawn {
    pub key: String,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum List {
    Status,
    Source,
    Rubric,
    DocumentKind,
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Permanent: what cards keep.
    pub key: String,
    /// What people read.
    pub name: String,
    /// What files may call it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Of a status: nobody works with an account in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
}

impl Entry {
    pub fn new(key: &str, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
            aliases: Vec::new(),
            closed: false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    lists: BTreeMap<List, Vec<Offer<Entry>>>,
    /// All versions of each field, oldest first; in the order of their first publication.
    fields: Vec<Offer<Vec<Field>>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Offer<T> {
    pub what: T,
    pub active: bool,
}

impl State {
    pub fn entries(&self, list: List) -> &[Offer<Entry>] {
        self.lists.get(&list).map_or(&[], Vec::as_slice)
    }

    /// What can be chosen under this name.
    pub fn choose(&self, list: List, text: &str) -> Option<&Entry> {
        called(self.entries(list), text).find_map(|offer| offer.active.then_some(&offer.what))
    }

    /// What was ever called so, rather what can be chosen: for filters.
    pub fn find(&self, list: List, text: &str) -> Option<&Entry> {
        let withdrawn = || {
            called(self.entries(list), text)
                .next()
                .map(|offer| &offer.what)
        };
        self.choose(list, text).or_else(withdrawn)
    }

    /// The status that new accounts get.
    pub fn first_status(&self) -> Option<&Entry> {
        let mut active = self.entries(List::Status).iter();
        active.find(|offer| offer.active).map(|offer| &offer.what)
    }

    /// Keys of the statuses with which nobody works with an account.
    pub fn closed_statuses(&self) -> Vec<String> {
        let statuses = self.entries(List::Status).iter().map(|offer| &offer.what);
        let closed = statuses.filter(|status| status.closed);
        closed.map(|status| status.key.clone()).collect()
    }

    /// The fields in force.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let active = self.fields.iter().filter(|offer| offer.active);
        active.filter_map(|offer| offer.what.last())
    }

    /// All fields there ever were, each with all its versions.
    pub fn field_versions(&self) -> &[Offer<Vec<Field>>] {
        &self.fields
    }

    /// A field in force.
    pub fn field(&self, key: &str) -> Option<&Field> {
        self.fields().find(|field| field.key == key)
    }

    fn offered(&self, key: &str) -> Option<&Offer<Vec<Field>>> {
        let mut all = self.fields.iter();
        all.find(|offer| offer.what.last().is_some_and(|field| field.key == key))
    }

    fn offered_mut(&mut self, key: &str) -> Option<&mut Offer<Vec<Field>>> {
        let mut all = self.fields.iter_mut();
        all.find(|offer| offer.what.last().is_some_and(|field| field.key == key))
    }
}

/// What has this key, before what has this name.
fn called<'a>(offers: &'a [Offer<Entry>], text: &str) -> impl Iterator<Item = &'a Offer<Entry>> {
    let by_key = offers.iter().filter(move |offer| offer.what.key == text);
    by_key.chain(
        offers
            .iter()
            .filter(move |offer| offer.what.is_called(text)),
    )
}

#[derive(Debug, Clone)]
pub enum Command {
    /// What an office begins with, in every list that has nothing yet.
    Open,
    Publish {
        list: List,
        entries: Vec<Entry>,
    },
    Withdraw {
        list: List,
        key: String,
    },
    /// Its version is the next one, whatever it says.
    PublishField(Field),
    WithdrawField {
        key: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("this cannot be published")]
    Invalid(Vec<Violation>),
    #[error("there is no such entry")]
    EntryUnknown,
    #[error("there is no such field")]
    FieldUnknown,
    #[error("a field never changes its kind: publish another one")]
    KindFixed,
    #[error("more than {MOST_REQUIRED} required fields need a reason")]
    TooManyRequired,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Refusal {
        match self {
            Self::Invalid(_) => Refusal::Invalid,
            Self::EntryUnknown | Self::FieldUnknown => Refusal::NotFound,
            Self::KindFixed | Self::TooManyRequired => Refusal::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "CATALOGUE_INVALID",
            Self::EntryUnknown => "ENTRY_UNKNOWN",
            Self::FieldUnknown => "FIELD_UNKNOWN",
            Self::KindFixed => "FIELD_KIND_FIXED",
            Self::TooManyRequired => "TOO_MANY_REQUIRED_FIELDS",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) => violations.clone(),
            Self::EntryUnknown | Self::FieldUnknown | Self::KindFixed | Self::TooManyRequired => {
                Vec::new()
            }
        }
    }
}

impl Aggregate for Catalogue {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "catalogue";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Open => Ok(open(state)),
            Command::Publish { list, entries } => publish(state, list, entries),
            Command::Withdraw { list, key } => {
                let mut entries = state.entries(list).iter();
                match entries.find(|offer| offer.what.key == key) {
                    None => Err(Rejection::EntryUnknown),
                    Some(offer) if !offer.active => Ok(Vec::new()),
                    Some(_) => Ok(vec![Event::EntryWithdrawn(EntryWithdrawn { list, key })]),
                }
            }
            Command::PublishField(field) => publish_field(state, field),
            Command::WithdrawField { key } => match state.offered(&key) {
                None => Err(Rejection::FieldUnknown),
                Some(offer) if !offer.active => Ok(Vec::new()),
                Some(_) => Ok(vec![Event::FieldWithdrawn(FieldWithdrawn { key })]),
            },
        }
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::EntriesPublished(published) => {
                let list = state.lists.entry(published.list).or_default();
                for entry in &published.entries {
                    let offer = Offer {
                        what: entry.clone(),
                        active: true,
                    };
                    match list.iter_mut().find(|known| known.what.key == entry.key) {
                        Some(known) => *known = offer,
                        None => list.push(offer),
                    }
                }
            }
            Event::EntryWithdrawn(withdrawn) => {
                let list = state.lists.entry(withdrawn.list).or_default();
                let known = list
                    .iter_mut()
                    .find(|known| known.what.key == withdrawn.key);
                if let Some(known) = known {
                    known.active = false;
                }
            }
            Event::FieldPublished(field) => match state.offered_mut(&field.key) {
                Some(offer) => {
                    offer.what.push(field.clone());
                    offer.active = true;
                }
                None => state.fields.push(Offer {
                    what: vec![field.clone()],
                    active: true,
                }),
            },
            Event::FieldWithdrawn(withdrawn) => {
                if let Some(offer) = state.offered_mut(&withdrawn.key) {
                    offer.active = false;
                }
            }
        }
        state
    }
}

fn open(now: &State) -> Vec<Event> {
    [
        (List::Status, defaults::statuses()),
        (List::Source, defaults::sources()),
        (List::DocumentKind, defaults::document_kinds()),
    ]
    .into_iter()
    .filter(|(list, _)| now.entries(*list).is_empty())
    .map(|(list, entries)| Event::EntriesPublished(EntriesPublished { list, entries }))
    .collect()
}

fn publish(now: &State, list: List, entries: Vec<Entry>) -> Result<Vec<Event>, Rejection> {
    let mut faults = faults_of_entries("entries", &entries);
    if list != List::Status {
        faults.extend(closed_among("entries", &entries));
    }
    for (index, entry) in entries.iter().enumerate() {
        // What this publication itself changes is compared above.
        let others = now.entries(list).iter().filter(|offer| {
            offer.active && entries.iter().all(|entry| entry.key != offer.what.key)
        });
        if others
            .map(|offer| &offer.what)
            .any(|other| other.shares_a_name_with(entry))
        {
            let fault = "has the name of another entry";
            faults.push(Violation::new(format!("entries[{index}]"), fault));
        }
    }
    if !faults.is_empty() {
        return Err(Rejection::Invalid(faults));
    }
    let is_so = |entry: &Entry| {
        let mut known = now.entries(list).iter();
        known.any(|offer| offer.active && offer.what == *entry)
    };
    let entries: Vec<_> = entries.into_iter().filter(|e| !is_so(e)).collect();
    Ok(if entries.is_empty() {
        Vec::new()
    } else {
        vec![Event::EntriesPublished(EntriesPublished { list, entries })]
    })
}

fn publish_field(now: &State, field: Field) -> Result<Vec<Event>, Rejection> {
    let mut faults = faults_of_entries("choices", &field.choices);
    faults.extend(closed_among("choices", &field.choices));
    if !is_key(&field.key) {
        faults.push(Violation::new("key", KEY_FAULT));
    } else if TAKEN_KEYS.contains(&field.key.as_str()) {
        faults.push(Violation::new("key", "is a field that every card has"));
    }
    if field.name.is_empty() {
        faults.push(Violation::new("name", "must not be empty"));
    }
    if (field.kind == Kind::Choice) == field.choices.is_empty() {
        let fault = "must be there for a choice, and for nothing else";
        faults.push(Violation::new("choices", fault));
    }
    if !faults.is_empty() {
        return Err(Rejection::Invalid(faults));
    }
    let offer = now.offered(&field.key);
    let former = offer.and_then(|offer| offer.what.last());
    if former.is_some_and(|former| former.kind != field.kind) {
        return Err(Rejection::KindFixed);
    }
    let version = former.map_or(0, |former| former.version);
    let as_it_is = former.cloned().map(|former| Field {
        override_reason: field.override_reason.clone(),
        ..former
    });
    let same = Field { version, ..field };
    if offer.is_some_and(|offer| offer.active) && as_it_is.as_ref() == Some(&same) {
        return Ok(Vec::new());
    }
    let others = now
        .fields()
        .filter(|other| other.required && other.key != same.key);
    if same.required && same.override_reason.is_none() && others.count() >= MOST_REQUIRED {
        return Err(Rejection::TooManyRequired);
    }
    Ok(vec![Event::FieldPublished(Field {
        version: version + 1,
        ..same
    })])
}

pub(crate) const KEY_FAULT: &str =
    "must be 1 to 40 small Latin letters, digits and _, beginning with a letter";

pub(crate) fn is_key(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase();
    text.len() <= 40
        && text.starts_with(letters)
        && text
            .chars()
            .all(|c| letters(c) || c.is_ascii_digit() || c == '_')
}

/// Accounts are in a status, and in no other entry.
fn closed_among(field: &str, entries: &[Entry]) -> Vec<Violation> {
    let entries = entries.iter().enumerate();
    entries
        .filter(|(_, entry)| entry.closed)
        .map(|(index, _)| {
            Violation::new(format!("{field}[{index}].closed"), "is for statuses only")
        })
        .collect()
}

/// Whoever reads a file must know which one is meant, so no two have the same name.
fn faults_of_entries(field: &str, entries: &[Entry]) -> Vec<Violation> {
    let mut faults = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if !is_key(&entry.key) {
            faults.push(Violation::new(format!("{field}[{index}].key"), KEY_FAULT));
        }
        if fold_for_search(&entry.name).is_empty() {
            let fault = "must not be empty";
            faults.push(Violation::new(format!("{field}[{index}].name"), fault));
        }
        let before = entries.get(..index).unwrap_or_default();
        if before.iter().any(|other| other.shares_a_name_with(entry)) {
            let fault = "is there twice";
            faults.push(Violation::new(format!("{field}[{index}]"), fault));
        }
    }
    faults
}

#[cfg(test)]
mod tests;
