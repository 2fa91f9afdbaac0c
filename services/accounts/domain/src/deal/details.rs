//! What is known of a deal: as people enter it, and as events keep it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::NaiveDate;
use es::{Personal, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Money};

use crate::pipeline::{AMOUNT, EXPECTED_ON, PRODUCT, Published};

/// The kind of [`subject`].
pub const SUBJECT: &str = "deals";

/// Whose key is what is said in deals with a company, and why something was done with it: another
/// key than that of its card, which gets a new one whenever somebody on it is forgotten.
pub fn subject(account_id: AccountId) -> Subject {
    Subject::new(SUBJECT, account_id.0)
}

/// What was said, under that key. Empty: of a company that is forgotten, or what nobody can read any
/// more.
pub(crate) fn said(account_id: AccountId, text: String) -> Personal<String> {
    let subject = subject(account_id);
    if text.is_empty() {
        Personal::Erased { subject }
    } else {
        Personal::new(subject, text)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// When it is expected to be won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_on: Option<NaiveDate>,
    /// What the pipeline's own fields say, by their keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Personal<String>>,
}

/// New values; what is not there stays.
#[derive(Clone, Default, PartialEq)]
pub struct Changes {
    pub amount: Option<Money>,
    pub product: Option<String>,
    pub expected_on: Option<NaiveDate>,
    pub fields: BTreeMap<String, String>,
    /// Keys of what is to be taken away.
    pub clear: Vec<String>,
}

/// Never the values: they would end up in a log file.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes(…)")
    }
}

impl Changes {
    /// Fields that deals of this pipeline do not have.
    pub(super) fn faults(&self, rules: &Published) -> Vec<Violation> {
        let known =
            |key: &str| [AMOUNT, PRODUCT, EXPECTED_ON].contains(&key) || rules.has_field(key);
        let set = self.fields.keys().filter(|key| !rules.has_field(key));
        let cleared = self.clear.iter().filter(|key| !known(key));
        let set = set.map(|key| format!("fields.{key}"));
        let cleared = cleared.map(|key| format!("clear.{key}"));
        set.chain(cleared)
            .map(|field| Violation::new(field, "is no field of these deals"))
            .collect()
    }
}

impl Details {
    pub(super) fn of(account_id: AccountId, changes: Changes) -> Self {
        let subject = subject(account_id);
        let fields = changes.fields.into_iter();
        Self {
            amount: changes.amount,
            product: changes.product,
            expected_on: changes.expected_on,
            fields: fields
                .map(|(key, value)| (key, Personal::new(subject.clone(), value)))
                .collect(),
        }
    }

    /// What is erased was there once: that is enough for a gate.
    pub fn has(&self, key: &str) -> bool {
        match key {
            AMOUNT => self.amount.is_some(),
            PRODUCT => self.product.is_some(),
            EXPECTED_ON => self.expected_on.is_some(),
            key => self.fields.contains_key(key),
        }
    }

    /// Of `changes`, what differs from this: what is set, and what is taken away.
    pub(super) fn differing(&self, account_id: AccountId, changes: Changes) -> (Self, Vec<String>) {
        let clear = changes.clear.clone();
        let mut set = Self::of(account_id, changes);
        let cleared = clear
            .into_iter()
            .filter(|key| self.has(key) && !set.has(key));
        let cleared: BTreeSet<_> = cleared.collect();
        set.amount = set.amount.filter(|new| self.amount.as_ref() != Some(new));
        set.product = set.product.filter(|new| self.product.as_ref() != Some(new));
        set.expected_on = set
            .expected_on
            .filter(|new| self.expected_on.as_ref() != Some(new));
        set.fields
            .retain(|key, new| self.fields.get(key) != Some(new));
        (set, cleared.into_iter().collect())
    }

    #[must_use]
    pub(super) fn changed_by(mut self, set: &Self, cleared: &[String]) -> Self {
        for key in cleared {
            match key.as_str() {
                AMOUNT => self.amount = None,
                PRODUCT => self.product = None,
                EXPECTED_ON => self.expected_on = None,
                key => drop(self.fields.remove(key)),
            }
        }
        self.fields.extend(set.fields.clone());
        Self {
            amount: set.amount.clone().or(self.amount),
            product: set.product.clone().or(self.product),
            expected_on: set.expected_on.or(self.expected_on),
            fields: self.fields,
        }
    }
}
