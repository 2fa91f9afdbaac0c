//! What is there already: in the base, and further up in the file.

use std::collections::{HashMap, HashSet};

use accounts_domain::{
    account::Registration,
    import_batch::{Outcome, Row},
};
use kit::{AppError, Service};
use vocabulary::{AccountId, Email, ImportId, PhoneNumber};

use super::Read;
use crate::views::{
    companies::{self, Holder},
    imports,
};

pub(super) struct Seen {
    /// By the id that follows from the external id.
    ids: HashMap<AccountId, Holder>,
    phones: HashMap<String, Holder>,
    /// In lower case.
    emails: HashMap<String, Holder>,
    /// Companies that rows before mean, of this file.
    meant: HashSet<AccountId>,
    /// Companies that this file has brought already, when it broke off, and by which row.
    made: HashMap<AccountId, i64>,
    /// A file has a name; without one, what has the same external id was imported before.
    named: bool,
}

impl Seen {
    pub(super) async fn load(
        service: &Service,
        file: Option<ImportId>,
        rows: &[Read],
    ) -> Result<Self, AppError> {
        let rows = || rows.iter().filter_map(|(_, row)| row.as_ref().ok());
        let ids: Vec<_> = rows().map(|row| row.id).collect();
        let phones: Vec<_> = rows().flat_map(|row| row.card.phones.clone()).collect();
        let emails: Vec<_> = rows().flat_map(|row| &row.card.emails).map(key).collect();
        let pool = service.pool();
        let known = service.directory.accounts(&ids).await?;
        let mut phones = companies::holders(pool, &phones).await?;
        let mut emails = companies::holders_of_emails(pool, &emails).await?;
        // A merged record answers with its survivor.
        let holders = || phones.values().chain(emails.values());
        let of_points: Vec<_> = holders().map(|holder| holder.account_id).collect();
        let survivors = service.directory.accounts(&of_points).await?;
        for holder in phones.values_mut().chain(emails.values_mut()) {
            if let Some(account) = survivors.get(&holder.account_id) {
                *holder = Holder {
                    account_id: account.id,
                    owner_id: account.owner_id,
                };
            }
        }
        let (mut meant, mut made) = (HashSet::new(), HashMap::new());
        if let Some(file) = file {
            let answering = known.values().map(|account| account.id);
            let all: Vec<_> = answering.chain(of_points).chain(ids).collect();
            meant = imports::meant(pool, file, &all).await?;
            made = companies::made_by(pool, file, &all).await?;
        }
        let ids = known.into_iter().map(|(id, account)| {
            let holder = Holder {
                account_id: account.id,
                owner_id: account.owner_id,
            };
            (id, holder)
        });
        Ok(Self {
            ids: ids.collect(),
            phones,
            emails,
            meant,
            made,
            named: file.is_some(),
        })
    }

    /// The file had registered it before it broke off.
    pub(super) fn has_made(&self, id: AccountId) -> bool {
        self.made.contains_key(&id)
    }

    pub(super) fn fate(&mut self, number: i64, row: &Registration) -> Row {
        let of_id = self.ids.get(&row.id).copied();
        let there = of_id.or_else(|| self.reached_by(row));
        let own = self.made.get(&row.id) == Some(&number);
        let (outcome, holder) = match there {
            Some(holder) if !own => {
                let before = !self.meant.insert(holder.account_id);
                let repeated = before || (of_id.is_some() && !self.named);
                let outcome = if repeated {
                    Outcome::Repeated
                } else {
                    Outcome::Matched
                };
                (outcome, holder)
            }
            _ => {
                let holder = Holder {
                    account_id: row.id,
                    owner_id: row.owner.map(|owner| owner.id),
                };
                self.meant.insert(row.id);
                (Outcome::Created, holder)
            }
        };
        self.ids.entry(row.id).or_insert(holder);
        for phone in &row.card.phones {
            self.phones.entry(phone.to_string()).or_insert(holder);
        }
        for email in &row.card.emails {
            self.emails.entry(key(email)).or_insert(holder);
        }
        Row {
            row: number,
            outcome,
            account_id: Some(holder.account_id),
            owner_id: holder.owner_id.filter(|_| outcome == Outcome::Matched),
            faults: Vec::new(),
        }
    }

    fn reached_by(&self, row: &Registration) -> Option<Holder> {
        let mut phones = row.card.phones.iter().map(PhoneNumber::as_str);
        let mut emails = row.card.emails.iter().map(key);
        let by_phone = phones.find_map(|phone| self.phones.get(phone));
        by_phone
            .or_else(|| emails.find_map(|email| self.emails.get(&email)))
            .copied()
    }
}

/// Nobody tells capitals apart.
pub(super) fn key(email: &Email) -> String {
    email.to_string().to_lowercase()
}
