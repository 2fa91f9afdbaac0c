//! What a card has beside the fields of every card: rubrics, links, fields of the office, and what
//! is known to be unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use es::{Personal, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::AccountId;

use super::under;
use crate::field::Value;

/// As people enter it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extras {
    pub rubrics: Vec<String>,
    pub links: Vec<Link>,
    /// By key; each field in force when it was entered.
    pub custom: BTreeMap<String, Value<String>>,
    pub unknown: BTreeSet<Standard>,
    /// Version of the catalogue that the custom fields were read by.
    pub catalogue_version: i64,
}

/// New values; what is absent stays.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraChanges {
    pub rubrics: Option<Vec<String>>,
    pub links: Option<Vec<Link>>,
    pub custom: BTreeMap<String, Value<String>>,
    pub unknown: BTreeSet<Standard>,
    pub catalogue_version: i64,
}

/// Never the values: they would end up in a log file.
impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extras(…)")
    }
}

impl fmt::Debug for ExtraChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtraChanges(…)")
    }
}

/// As events keep it: in a registration what is absent is not there, in a change it stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoredExtras {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rubrics: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Personal<Vec<Link>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value<Personal<String>>>,
    /// Those that became unknown.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<Standard>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue_version: Option<i64>,
}

/// Something worth a click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    pub title: String,
    #[serde(flatten)]
    pub target: Target,
}

impl Link {
    /// The account it leads to, where it leads to one.
    pub fn account(&self) -> Option<AccountId> {
        match &self.target {
            Target::AccountId(id) => Some(*id),
            Target::Url(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Url(String),
    AccountId(AccountId),
}

/// The fields of every card of which one may know that nobody knows them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Standard {
    Type,
    City,
    Region,
    Address,
    Industry,
    Project,
    Source,
}

impl Standard {
    pub const ALL: [Self; 7] = [
        Self::Type,
        Self::City,
        Self::Region,
        Self::Address,
        Self::Industry,
        Self::Project,
        Self::Source,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::City => "city",
            Self::Region => "region",
            Self::Address => "address",
            Self::Industry => "industry",
            Self::Project => "project",
            Self::Source => "source",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        Self::ALL.into_iter().find(|field| field.as_str() == text)
    }
}

impl StoredExtras {
    /// Everything that is there, nothing that is not.
    pub fn of(subject: &Subject, extras: Extras) -> Self {
        Self::default().differing(
            subject,
            ExtraChanges {
                rubrics: Some(extras.rubrics),
                links: Some(extras.links),
                custom: extras.custom,
                unknown: extras.unknown,
                catalogue_version: extras.catalogue_version,
            },
        )
    }

    /// Of `changes`, what differs from this.
    #[must_use]
    pub fn differing(&self, subject: &Subject, changes: ExtraChanges) -> Self {
        let custom: BTreeMap<_, _> = changes
            .custom
            .into_iter()
            .filter(|(key, value)| !self.has(key, value))
            .map(|(key, value)| (key, value.map(|text| Personal::new(subject.clone(), text))))
            .collect();
        let rubrics = changes
            .rubrics
            .filter(|new| self.rubrics.as_deref().unwrap_or_default() != new);
        let links = changes.links.filter(|new| match &self.links {
            None => !new.is_empty(),
            Some(now) => now.get() != Some(new),
        });
        Self {
            rubrics,
            links: links.map(|links| Personal::new(subject.clone(), links)),
            catalogue_version: (!custom.is_empty()).then_some(changes.catalogue_version),
            custom,
            unknown: &changes.unknown - &self.unknown,
        }
    }

    /// All that is personal, under another key.
    #[must_use]
    pub fn sealed_anew(&self, subject: &Subject) -> Self {
        let texts = self.custom.iter().filter_map(|(key, value)| match value {
            Value::Text(text) => Some((key.clone(), Value::Text(under(subject, text)))),
            Value::Number(_)
            | Value::Date(_)
            | Value::YesNo(_)
            | Value::Choice(_)
            | Value::Money(_)
            | Value::Unknown
            | Value::Empty => None,
        });
        Self {
            links: self.links.as_ref().map(|links| under(subject, links)),
            custom: texts.collect(),
            ..Self::default()
        }
    }

    fn has(&self, key: &str, new: &Value<String>) -> bool {
        match (self.custom.get(key), new) {
            (None, new) => *new == Value::Empty,
            (Some(Value::Text(now)), Value::Text(new)) => now.get() == Some(new),
            (Some(Value::Text(_)), _) | (Some(_), Value::Text(_)) => false,
            // No text on either side.
            (Some(now), new) => now.clone().map(|_| String::new()) == *new,
        }
    }

    /// This with what `newer` has. Fields of the card that `newer` gives values to are not unknown
    /// any more.
    #[must_use]
    pub fn changed_by(mut self, newer: &Self, given: &BTreeSet<Standard>) -> Self {
        self.custom.extend(newer.custom.clone());
        Self {
            rubrics: newer.rubrics.clone().or(self.rubrics),
            links: newer.links.clone().or(self.links),
            custom: self.custom,
            unknown: &(&self.unknown - given) | &newer.unknown,
            catalogue_version: newer.catalogue_version.or(self.catalogue_version),
        }
    }
}
