use accounts_domain::{account::Event, card::Details};
use chrono::{DateTime, Utc};
use es::Personal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{fold_for_parts, fold_for_search};

use super::extras::Extras;
use crate::collation::sort_key;

/// A company as its table holds it; it goes in and out as JSON, a whole batch in one parameter.
/// What was erased is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Company {
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) client: bool,
    pub(crate) name: String,
    name_folded: String,
    /// As PostgreSQL writes bytes: `\x…`.
    pub(crate) name_sort: String,
    pub(crate) kind: String,
    kind_folded: String,
    pub(crate) phones: Vec<String>,
    /// Of all phones, for those who remember only a part.
    phone_digits: String,
    pub(crate) emails: Vec<String>,
    pub(crate) city: String,
    city_folded: String,
    pub(crate) region: String,
    region_folded: String,
    pub(crate) address: String,
    pub(crate) industry: String,
    pub(crate) project: String,
    pub(crate) source: String,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) registered_at: DateTime<Utc>,
    pub(crate) version: i64,
    #[serde(default)]
    pub(crate) erased: bool,
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) extras: Extras,
    pub(crate) merged_into: Option<Uuid>,
    /// The file that brought it.
    pub(crate) import_id: Option<Uuid>,
    pub(crate) import_row: Option<i64>,
    /// Everything that parts of words are looked for in.
    words: Option<String>,
    /// Of these, what other forms of words are looked for in.
    texts: Option<String>,
    address_words: Option<String>,
    project_words: Option<String>,
}

impl Company {
    pub(crate) fn new(account_id: Uuid) -> Self {
        let mut company = Self {
            account_id,
            ..Self::default()
        };
        company.rename(String::new());
        company
    }

    pub(crate) fn apply(&mut self, event: &Event, version: i64) {
        self.version = version;
        self.apply_event(event);
        if matches!(
            event,
            Event::ProspectRegistered(_)
                | Event::DetailsChanged(_)
                | Event::CardSealedAnew(_)
                | Event::Erased(_)
        ) {
            self.fold();
        }
    }

    fn apply_event(&mut self, event: &Event) {
        match event {
            Event::ProspectRegistered(registered) => {
                self.external_id.clone_from(&registered.external_id);
                self.owner_id = registered.owner_id.map(|owner| owner.0);
                self.registered_at = registered.registered_at;
                self.status.clone_from(&registered.status);
                self.import_id = registered.origin.map(|origin| origin.import_id.0);
                self.import_row = registered.origin.map(|origin| origin.row);
                self.change(&registered.details);
            }
            Event::DetailsChanged(details) => self.change(details),
            Event::CardSealedAnew(sealed) => self.change(&sealed.details),
            Event::Erased(_) => self.erase(),
            Event::StatusChanged(changed) => self.status = Some(changed.to.clone()),
            Event::OwnerAssigned(assigned) => self.owner_id = Some(assigned.owner_id.0),
            Event::OwnershipTransferred(transferred) => {
                self.owner_id = Some(transferred.to_owner_id.0);
            }
            Event::ReturnedToPool(_) => self.owner_id = None,
            Event::ConvertedToClient(_) => self.client = true,
            Event::Merged(merged) => self.merged_into = Some(merged.survivor_id.0),
            Event::Unmerged(_) => self.merged_into = None,
            Event::OrderRegistered(_)
            | Event::OrderCancelled(_)
            | Event::ClaimGranted(_)
            | Event::ClaimRenewed(_)
            | Event::ClaimNumbersChanged(_)
            | Event::ClaimReleased(_)
            | Event::ClaimExpired(_) => {}
        }
    }

    fn change(&mut self, details: &Details) {
        if let Some(name) = &details.name {
            self.rename(known(name));
        }
        if let Some(phones) = &details.phones {
            let phones = phones.get().map_or(&[][..], Vec::as_slice);
            self.phones = phones.iter().map(ToString::to_string).collect();
            self.phone_digits = digits(&self.phones.join(" "));
        }
        if let Some(emails) = &details.emails {
            let emails = emails.get().map_or(&[][..], Vec::as_slice);
            self.emails = emails.iter().map(ToString::to_string).collect();
        }
        if let Some(address) = &details.address {
            self.address = known(address);
        }
        if let Some(kind) = &details.kind {
            self.kind.clone_from(kind);
            self.kind_folded = fold_for_search(kind);
        }
        if let Some(city) = &details.city {
            self.city.clone_from(city);
            self.city_folded = fold_for_search(city);
        }
        if let Some(region) = &details.region {
            self.region.clone_from(region);
            self.region_folded = fold_for_search(region);
        }
        set(&mut self.industry, details.industry.as_ref());
        set(&mut self.project, details.project.as_ref());
        set(&mut self.source, details.source.as_ref());
        self.extras.change(&details.extras, &details.given());
    }

    /// What is left says that there was a company.
    fn erase(&mut self) {
        self.rename(String::new());
        self.phones.clear();
        self.phone_digits.clear();
        self.emails.clear();
        self.address.clear();
        self.extras.erase();
        self.erased = true;
    }

    fn fold(&mut self) {
        let texts = [
            &self.kind,
            &self.city,
            &self.region,
            &self.address,
            &self.industry,
            &self.project,
        ]
        .map(String::as_str)
        .join(" ");
        self.words = Some(fold_for_parts(&format!("{} {texts}", self.name)));
        self.texts = Some(fold_for_search(&texts));
        self.address_words = Some(fold_for_parts(&self.address));
        self.project_words = Some(fold_for_parts(&self.project));
    }

    fn rename(&mut self, name: String) {
        self.name_folded = fold_for_search(&name);
        self.name_sort = bytes(&sort_key(&name));
        self.name = name;
    }
}

fn known(text: &Personal<String>) -> String {
    text.get().cloned().unwrap_or_default()
}

fn set(field: &mut String, new: Option<&String>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

/// Digits of each number, numbers apart.
fn digits(phones: &str) -> String {
    phones
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == ' ')
        .collect()
}

fn bytes(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_postgres_writes_them() {
        assert_eq!(bytes(&[0, 0xab, 0x1f]), "\\x00ab1f");
        assert_eq!(
            digits("+74957777777;ext=12 +79001112233"),
            "7495777777712 79001112233"
        );
    }
}
