use std::collections::{BTreeMap, BTreeSet};

use accounts_domain::{
    card::extras::{Link, Standard, StoredExtras},
    field::Value,
};
use serde::{Deserialize, Serialize};

/// What a card has beside the fields of every card, one JSON column. What was erased is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Extras {
    pub(crate) rubrics: Vec<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) custom: BTreeMap<String, Value<String>>,
    pub(crate) unknown: BTreeSet<Standard>,
}

impl Extras {
    /// `given`: fields of the card that got a value in the same event.
    pub(super) fn change(&mut self, newer: &StoredExtras, given: &BTreeSet<Standard>) {
        if let Some(rubrics) = &newer.rubrics {
            self.rubrics.clone_from(rubrics);
        }
        if let Some(links) = &newer.links {
            self.links = links.get().cloned().unwrap_or_default();
        }
        for (key, value) in &newer.custom {
            let value = match value {
                Value::Text(text) => text.get().cloned().map(Value::Text),
                Value::Empty => None,
                other => Some(other.clone().map(|_| String::new())),
            };
            match value {
                Some(value) => self.custom.insert(key.clone(), value),
                None => self.custom.remove(key),
            };
        }
        self.unknown = &(&self.unknown - given) | &newer.unknown;
    }

    pub(super) fn erase(&mut self) {
        self.links.clear();
        self.custom
            .retain(|_, value| !matches!(value, Value::Text(_)));
    }
}
