//! A list of companies with its filters and columns, kept by somebody under a name, for oneself or
//! for others too. Whoever opens it sees what they would see with the same filters typed in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use es::{Aggregate, Kind, Personal, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{GroupId, SavedViewId, StaffId};

use crate::field::Value;

/// Marker of the aggregate.
pub enum SavedView {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody keeps a list under a name.
    #[serde(rename = "saved_view.saved")]
    Saved(Saved),
    /// A kept list has another name, other filters or other columns.
    #[serde(rename = "saved_view.changed")]
    Changed(Changed),
    /// A kept list is for others too, or for its owner alone again.
    #[serde(rename = "saved_view.shared")]
    Shared(Shared),
    /// Nobody needs a kept list any more.
    #[serde(rename = "saved_view.deleted")]
    Deleted(Deleted),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    pub owner_id: StaffId,
    /// People write about others in it.
    pub name: Personal<String>,
    /// People search by names and telephones of others.
    pub filter: Personal<Filter>,
    /// In the order in which they are shown; empty: the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// What is absent stays. Name and filter come together, under another key than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Personal<Filter>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Whose key is destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Subject>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shared {
    pub with: Readers,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {}

/// Who finds a view beside its owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    #[default]
    Nobody,
    /// The members of this group and of those below, and who leads them.
    Group(GroupId),
    Everybody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    Prospect,
    Client,
}

/// Of a list of companies; what is empty lets everything pass.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_pool: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub city: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact_person: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Keys of the catalogue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rubrics: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value<String>>,
    /// Of the last contact.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_outcome: String,
}

impl Filter {
    /// What people write there in words of their own.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        let custom = self.custom.values().filter_map(text_of);
        [
            &self.query,
            &self.address,
            &self.project,
            &self.contact_person,
        ]
        .into_iter()
        .chain(custom)
    }

    fn forget(&mut self, Texts(forgotten): &Texts) {
        for text in [
            &mut self.query,
            &mut self.address,
            &mut self.project,
            &mut self.contact_person,
        ] {
            if forgotten.contains(text.as_str()) {
                text.clear();
            }
        }
        self.custom
            .retain(|_, value| text_of(value).is_none_or(|text| !forgotten.contains(text)));
    }
}

fn text_of(value: &Value<String>) -> Option<&String> {
    if let Value::Text(text) = value {
        Some(text)
    } else {
        None
    }
}

/// A view as people save it.
#[derive(Clone, PartialEq)]
pub struct Draft {
    pub name: String,
    pub filter: Filter,
    pub columns: Vec<String>,
}

/// Words as a view has them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts(pub BTreeSet<String>);

/// Never the values: they would end up in a log file.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter(…)")
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft(…)")
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts(…)")
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub saved: Option<View>,
    pub deleted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub owner_id: StaffId,
    pub name: Personal<String>,
    pub filter: Personal<Filter>,
    pub columns: Vec<String>,
    pub readers: Readers,
}

#[derive(Debug, Clone)]
pub enum Command {
    Save {
        id: SavedViewId,
        owner_id: StaffId,
        draft: Draft,
    },
    Change {
        draft: Draft,
    },
    /// Takes these out, wherever the view has them: they are about somebody who is forgotten.
    Forget {
        texts: Texts,
    },
    Share {
        with: Readers,
    },
    Delete,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such view")]
    Unknown,
    #[error("this view is there already")]
    Exists,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists => Kind::AlreadyExists,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "VIEW_UNKNOWN",
            Self::Exists => "VIEW_EXISTS",
        }
    }
}

impl Aggregate for SavedView {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "saved_view";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (&state.saved, command) {
            (
                None,
                Command::Save {
                    id,
                    owner_id,
                    draft,
                },
            ) => Ok(vec![Event::Saved(begin(id, owner_id, draft))]),
            (Some(_), Command::Save { .. }) => Err(Rejection::Exists),
            // With a view that is deleted its words are gone.
            (Some(_), Command::Delete | Command::Forget { .. }) if state.deleted => Ok(Vec::new()),
            (None, _) => Err(Rejection::Unknown),
            (Some(_), _) if state.deleted => Err(Rejection::Unknown),
            (Some(view), Command::Change { draft }) => Ok(change(view, draft)),
            (Some(view), Command::Forget { texts }) => Ok(forget(view, &texts)),
            (Some(view), Command::Share { with }) if view.readers == with => Ok(Vec::new()),
            (Some(_), Command::Share { with }) => Ok(vec![Event::Shared(Shared { with })]),
            (Some(_), Command::Delete) => Ok(vec![Event::Deleted(Deleted {})]),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state.saved, event) {
            (_, Event::Saved(saved)) => State {
                saved: Some(View {
                    owner_id: saved.owner_id,
                    name: saved.name.clone(),
                    filter: saved.filter.clone(),
                    columns: saved.columns.clone(),
                    readers: Readers::Nobody,
                }),
                deleted: false,
            },
            (Some(view), Event::Changed(changed)) => State {
                saved: Some(View {
                    name: changed.name.clone().unwrap_or(view.name),
                    filter: changed.filter.clone().unwrap_or(view.filter),
                    columns: changed.columns.clone().unwrap_or(view.columns),
                    ..view
                }),
                ..state
            },
            (Some(view), Event::Shared(shared)) => State {
                saved: Some(View {
                    readers: shared.with,
                    ..view
                }),
                ..state
            },
            (saved @ Some(_), Event::Deleted(_)) => State {
                saved,
                deleted: true,
            },
            (None, Event::Changed(_) | Event::Shared(_) | Event::Deleted(_)) => State {
                saved: None,
                ..state
            },
        }
    }
}

/// Under a key of its own: it may speak of anybody.
fn begin(id: SavedViewId, owner_id: StaffId, draft: Draft) -> Saved {
    let subject = Subject::new(SavedView::CATEGORY, Uuid::from(id));
    Saved {
        owner_id,
        name: Personal::new(subject.clone(), draft.name),
        filter: Personal::new(subject, draft.filter),
        columns: draft.columns,
    }
}

/// What was there before goes with its key: nobody needs it, and it may speak of somebody who is
/// forgotten later.
fn change(now: &View, draft: Draft) -> Vec<Event> {
    let same = now.name.get() == Some(&draft.name) && now.filter.get() == Some(&draft.filter);
    let columns = Some(draft.columns).filter(|columns| *columns != now.columns);
    if same && columns.is_none() {
        return Vec::new();
    }
    let before = now.filter.subject();
    let anew = (!same).then(|| before.renewed());
    vec![Event::Changed(Changed {
        name: anew
            .clone()
            .map(|subject| Personal::new(subject, draft.name)),
        filter: anew
            .clone()
            .map(|subject| Personal::new(subject, draft.filter)),
        columns,
        supersedes: anew.map(|_| before.clone()),
    })]
}

fn forget(now: &View, texts: &Texts) -> Vec<Event> {
    let (Some(name), Some(filter)) = (now.name.get(), now.filter.get()) else {
        return Vec::new();
    };
    let mut draft = Draft {
        name: name.clone(),
        filter: filter.clone(),
        columns: now.columns.clone(),
    };
    if texts.0.contains(&draft.name) {
        draft.name.clear();
    }
    draft.filter.forget(texts);
    change(now, draft)
}

#[cfg(test)]
mod tests;
