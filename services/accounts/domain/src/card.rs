//! What is known of a company: as people enter it, and as events keep it.

pub mod extras;

use std::{collections::BTreeSet, fmt};

use es::{Personal, Subject, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, Email, PhoneNumber};

use extras::{ExtraChanges, Extras, Standard, StoredExtras};

/// A card as it comes in: normalised, empty where nothing is known.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Card {
    pub name: String,
    pub kind: String,
    pub phones: Vec<PhoneNumber>,
    pub emails: Vec<Email>,
    pub city: String,
    pub region: String,
    pub address: String,
    pub industry: String,
    pub project: String,
    pub source: String,
    pub extras: Extras,
}

/// New values of some fields; absent ones stay.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub phones: Option<Vec<PhoneNumber>>,
    pub emails: Option<Vec<Email>>,
    pub city: Option<String>,
    pub region: Option<String>,
    pub address: Option<String>,
    pub industry: Option<String>,
    pub project: Option<String>,
    pub source: Option<String>,
    pub extras: ExtraChanges,
}

impl Changes {
    /// Whether it says who this is and how they can be reached, which managers edit only where the
    /// office allows it. The rest of a card is about the sale.
    pub fn touch_personal_data(&self) -> bool {
        self.name.is_some()
            || self.phones.is_some()
            || self.emails.is_some()
            || self.address.is_some()
            || self.extras.unknown.contains(&Standard::Address)
    }

    fn standard_mut(&mut self, field: Standard) -> &mut Option<String> {
        match field {
            Standard::Type => &mut self.kind,
            Standard::City => &mut self.city,
            Standard::Region => &mut self.region,
            Standard::Address => &mut self.address,
            Standard::Industry => &mut self.industry,
            Standard::Project => &mut self.project,
            Standard::Source => &mut self.source,
        }
    }
}

/// Never the values: they would end up in a log file.
impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(…)")
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes(…)")
    }
}

/// A company's details as events keep them. In a registration an absent field is unknown, in a
/// change it stays; an empty value says that it was taken away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<Personal<Vec<PhoneNumber>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emails: Option<Personal<Vec<Email>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<String>>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(flatten)]
    pub extras: StoredExtras,
}

/// The kind of [`subject`].
pub const SUBJECT: &str = "account";

/// Whose key a new company's data is under.
pub fn subject(id: AccountId) -> Subject {
    Subject::new(SUBJECT, id.0)
}

impl Details {
    /// Everything that is known, nothing that is not.
    pub fn of(id: AccountId, card: Card) -> Self {
        let subject = subject(id);
        let mut details = Self {
            name: personal(&subject, card.name),
            phones: personal_list(&subject, card.phones),
            emails: personal_list(&subject, card.emails),
            address: personal(&subject, card.address),
            kind: known(card.kind),
            city: known(card.city),
            region: known(card.region),
            industry: known(card.industry),
            project: known(card.project),
            source: known(card.source),
            extras: StoredExtras::of(&subject, card.extras),
        };
        let known = details.given();
        details
            .extras
            .unknown
            .retain(|field| !known.contains(field));
        details
    }

    /// Whose key this is under; another one once the card was sealed anew.
    pub fn subject(&self, id: AccountId) -> Subject {
        let points = [
            self.name.as_ref().map(Personal::subject),
            self.phones.as_ref().map(Personal::subject),
            self.emails.as_ref().map(Personal::subject),
            self.address.as_ref().map(Personal::subject),
        ];
        let known = points.into_iter().flatten().next().cloned();
        known.unwrap_or_else(|| subject(id))
    }

    /// All that is personal, under a new key and without these telephones and addresses.
    #[must_use]
    pub fn sealed_anew(&self, id: AccountId, phones: &[PhoneNumber], emails: &[Email]) -> Self {
        let subject = self.subject(id).renewed();
        Self {
            name: self.name.as_ref().map(|name| under(&subject, name)),
            phones: without(&subject, self.phones.as_ref(), phones),
            emails: without(&subject, self.emails.as_ref(), emails),
            address: self
                .address
                .as_ref()
                .map(|address| under(&subject, address)),
            extras: self.extras.sealed_anew(&subject),
            ..Self::default()
        }
    }

    /// Of `changes`, what differs from this.
    #[must_use]
    pub fn differing(&self, id: AccountId, mut changes: Changes) -> Self {
        let subject = self.subject(id);
        // What becomes unknown loses its value, and what is emptied is not unknown any more.
        for field in changes.extras.unknown.clone() {
            *changes.standard_mut(field) = Some(String::new());
        }
        let freed = &self.extras.unknown - &changes.extras.unknown;
        let freed = |field| freed.contains(&field);
        let address = match changes.address {
            Some(address) if freed(Standard::Address) => {
                Some(Personal::new(subject.clone(), address))
            }
            address => differing_personal(&subject, self.address.as_ref(), address),
        };
        Self {
            name: differing_personal(&subject, self.name.as_ref(), changes.name),
            phones: differing_personal(&subject, self.phones.as_ref(), changes.phones),
            emails: differing_personal(&subject, self.emails.as_ref(), changes.emails),
            address,
            kind: differing(self.kind.as_ref(), changes.kind, freed(Standard::Type)),
            city: differing(self.city.as_ref(), changes.city, freed(Standard::City)),
            region: differing(
                self.region.as_ref(),
                changes.region,
                freed(Standard::Region),
            ),
            industry: differing(
                self.industry.as_ref(),
                changes.industry,
                freed(Standard::Industry),
            ),
            project: differing(
                self.project.as_ref(),
                changes.project,
                freed(Standard::Project),
            ),
            source: differing(
                self.source.as_ref(),
                changes.source,
                freed(Standard::Source),
            ),
            extras: self.extras.differing(&subject, changes.extras),
        }
    }

    /// This with the fields of `newer` that are there.
    #[must_use]
    pub fn changed_by(self, newer: &Self) -> Self {
        Self {
            name: newer.name.clone().or(self.name),
            phones: newer.phones.clone().or(self.phones),
            emails: newer.emails.clone().or(self.emails),
            address: newer.address.clone().or(self.address),
            kind: newer.kind.clone().or(self.kind),
            city: newer.city.clone().or(self.city),
            region: newer.region.clone().or(self.region),
            industry: newer.industry.clone().or(self.industry),
            project: newer.project.clone().or(self.project),
            source: newer.source.clone().or(self.source),
            extras: self.extras.changed_by(&newer.extras, &newer.given()),
        }
    }

    /// Those of the fields that could be unknown which this has a say about.
    pub fn given(&self) -> BTreeSet<Standard> {
        [
            (Standard::Type, self.kind.is_some()),
            (Standard::City, self.city.is_some()),
            (Standard::Region, self.region.is_some()),
            (Standard::Address, self.address.is_some()),
            (Standard::Industry, self.industry.is_some()),
            (Standard::Project, self.project.is_some()),
            (Standard::Source, self.source.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, given)| given.then_some(field))
        .collect()
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A company has a name and can be reached, by phone or by e-mail. What is erased is no fault.
    pub fn faults(&self) -> Vec<Violation> {
        let mut faults = Vec::new();
        if is_blank(self.name.as_ref(), String::is_empty) {
            faults.push(Violation::new("name", "must not be empty"));
        }
        if is_blank(self.phones.as_ref(), Vec::is_empty)
            && is_blank(self.emails.as_ref(), Vec::is_empty)
        {
            faults.push(Violation::new(
                "phones",
                "must hold a phone, or emails an e-mail",
            ));
        }
        faults
    }
}

fn is_blank<T>(value: Option<&Personal<T>>, empty: impl Fn(&T) -> bool) -> bool {
    match value {
        None => true,
        Some(Personal::Known { value, .. }) => empty(value),
        Some(Personal::Erased { .. }) => false,
    }
}

fn known(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn personal(subject: &Subject, text: String) -> Option<Personal<String>> {
    known(text).map(|text| Personal::new(subject.clone(), text))
}

fn personal_list<T>(subject: &Subject, items: Vec<T>) -> Option<Personal<Vec<T>>> {
    Some(items)
        .filter(|items| !items.is_empty())
        .map(|items| Personal::new(subject.clone(), items))
}

fn under<T: Clone>(subject: &Subject, value: &Personal<T>) -> Personal<T> {
    let subject = subject.clone();
    match value.get() {
        Some(value) => Personal::new(subject, value.clone()),
        None => Personal::Erased { subject },
    }
}

/// A list that loses its last entry is erased: that the company cannot be reached is not its fault.
fn without<T: Clone + PartialEq>(
    subject: &Subject,
    points: Option<&Personal<Vec<T>>>,
    forgotten: &[T],
) -> Option<Personal<Vec<T>>> {
    let mut points = points.map(|points| under(subject, points));
    if let Some(Personal::Known { subject, value }) = &mut points {
        let before = value.len();
        value.retain(|point| !forgotten.contains(point));
        if value.is_empty() && before > 0 {
            let subject = subject.clone();
            points = Some(Personal::Erased { subject });
        }
    }
    points
}

/// `freed`: it was unknown, and that it is empty is news.
fn differing(now: Option<&String>, new: Option<String>, freed: bool) -> Option<String> {
    new.filter(|new| freed || now.map_or("", String::as_str) != new)
}

fn differing_personal<T: Default + PartialEq>(
    subject: &Subject,
    now: Option<&Personal<T>>,
    new: Option<T>,
) -> Option<Personal<T>> {
    new.filter(|new| match now {
        None => *new != T::default(),
        Some(now) => now.get() != Some(new),
    })
    .map(|new| Personal::new(subject.clone(), new))
}
