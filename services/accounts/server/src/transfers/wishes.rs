//! Reads a plan: by list, by share or by rule.

use std::collections::HashMap;

use accounts_domain::transfer::plan::{Field, Rule, Share, by_rules, in_proportion};
use api::accounts::{
    TransferField, TransferList, TransferOrder, TransferPlan, TransferRules, TransferShares,
    transfer_plan::How,
};
use kit::{AppError, Service, Violations};
use vocabulary::{AccountId, StaffId, fold_for_search, normalise};

use super::plan::Wishes;
use crate::{
    owners,
    views::companies::{self, Order},
    wire::MAX_NAME,
};

/// Accounts of one hand-over.
const MOST: usize = 10_000;
const MOST_RECEIVERS: usize = 200;
const MOST_WEIGHT: i32 = 1_000;

enum Way {
    List(Vec<(AccountId, StaffId)>),
    Shares(Vec<Share>, Order),
    Rules(Vec<Rule>, Option<StaffId>),
}

/// What was read so far, and where each receiver was named.
struct Reading {
    v: Violations,
    receivers: Vec<(String, StaffId)>,
}

pub(super) async fn read(
    service: &Service,
    v: Violations,
    plan: Option<TransferPlan>,
) -> Result<Wishes, AppError> {
    let plan = plan.unwrap_or_default();
    let mut reading = Reading {
        v,
        receivers: Vec::new(),
    };
    let way = reading.way(plan.how);
    let Reading { mut v, receivers } = reading;
    let from = match way {
        Some(Way::List(_)) => v.optional_id("plan.from_owner_id", &plan.from_owner_id),
        _ => v.id::<StaffId>("plan.from_owner_id", &plan.from_owner_id),
    };
    if let Some(id) = from
        && service.known_staff(id).await?.is_none()
    {
        v.add("plan.from_owner_id", "is not a member of staff");
    }
    let mut wishes = Wishes {
        from,
        ..Wishes::default()
    };
    for (field, id) in receivers {
        if from == Some(id) {
            v.add(&field, "must be another one than from_owner_id");
        }
        if !wishes.receivers.contains(&id) {
            wishes.receivers.push(id);
            owners::candidate(service, &mut v, &field, Some(id)).await?;
        }
    }
    let way = v.checked(way)?;
    fill(service, &mut wishes, way).await?;
    Ok(wishes)
}

async fn fill(service: &Service, wishes: &mut Wishes, way: Way) -> Result<(), AppError> {
    let order = match &way {
        Way::List(_) | Way::Rules(..) => Order::Name,
        Way::Shares(_, order) => *order,
    };
    let owned = match (&way, wishes.from) {
        (Way::List(_), _) | (_, None) => Vec::new(),
        (_, Some(from)) => {
            let pool = service.pool();
            let owned = companies::of_owner(pool, from, order, MOST as i64).await?;
            let all = companies::count_of_owner(pool, from).await?;
            wishes.beyond = (all - owned.len() as i64).max(0);
            owned
        }
    };
    match way {
        Way::List(gifts) => wishes.gifts = gifts,
        Way::Shares(shares, _) => {
            let accounts = owned.into_iter().map(|(id, _)| id).collect();
            wishes.gifts = in_proportion(accounts, &shares);
        }
        Way::Rules(rules, rest) => {
            (wishes.gifts, wishes.left) = by_rules(owned, &rules, rest);
        }
    }
    Ok(())
}

impl Reading {
    fn way(&mut self, how: Option<How>) -> Option<Way> {
        match how {
            Some(How::List(list)) => Some(self.list(list)),
            Some(How::Shares(shares)) => Some(self.shares(shares)),
            Some(How::Rules(rules)) => Some(self.rules(rules)),
            None => {
                self.v.add("plan", "must say who gets what");
                None
            }
        }
    }

    fn receiver(&mut self, field: String, text: &str) -> Option<StaffId> {
        let id: Option<StaffId> = self.v.id(&field, text);
        self.receivers.extend(id.map(|id| (field, id)));
        id
    }

    /// All of them, or none where there are too many or too few.
    fn several<T>(&mut self, field: &str, given: Vec<T>) -> Vec<T> {
        if given.is_empty() || given.len() > MOST_RECEIVERS {
            self.v
                .add(field, format!("must have 1 to {MOST_RECEIVERS} entries"));
            return Vec::new();
        }
        given
    }

    fn list(&mut self, list: TransferList) -> Way {
        let mut gifts = Vec::new();
        let parts = self.several("plan.list.parts", list.parts);
        let named: usize = parts.iter().map(|part| part.account_ids.len()).sum();
        if named > MOST {
            self.v.add(
                "plan.list.parts",
                format!("must have at most {MOST} accounts"),
            );
            return Way::List(gifts);
        }
        let mut receivers = HashMap::new();
        for (number, part) in parts.into_iter().enumerate() {
            let field = format!("plan.list.parts[{number}]");
            let to = self.receiver(format!("{field}.to_owner_id"), &part.to_owner_id);
            for (index, text) in part.account_ids.iter().enumerate() {
                let field = format!("{field}.account_ids[{index}]");
                let gift: Option<(AccountId, StaffId)> = self.v.id(&field, text).zip(to);
                if let Some((id, to)) = gift
                    && *receivers.entry(id).or_insert(to) != to
                {
                    self.v.add(&field, "is there twice");
                }
                gifts.extend(gift);
            }
        }
        Way::List(gifts)
    }

    fn shares(&mut self, shares: TransferShares) -> Way {
        let order = match TransferOrder::try_from(shares.order) {
            Ok(TransferOrder::Unspecified | TransferOrder::Name) => Order::Name,
            Ok(TransferOrder::LastContact) => Order::LastContact,
            Err(_) => {
                self.v
                    .add("plan.shares.order", "must be one of the contract's values");
                Order::Name
            }
        };
        let mut read = Vec::new();
        let shares = self.several("plan.shares.shares", shares.shares);
        for (number, share) in shares.into_iter().enumerate() {
            let field = format!("plan.shares.shares[{number}]");
            if !(1..=MOST_WEIGHT).contains(&share.weight) {
                self.v.add(
                    format!("{field}.weight"),
                    format!("must be a number from 1 to {MOST_WEIGHT}"),
                );
            }
            let to = self.receiver(format!("{field}.to_owner_id"), &share.to_owner_id);
            read.extend(to.map(|to| Share {
                to,
                weight: u64::from(share.weight.unsigned_abs()),
            }));
        }
        Way::Shares(read, order)
    }

    fn rules(&mut self, rules: TransferRules) -> Way {
        let mut read = Vec::new();
        let named = self.several("plan.rules.rules", rules.rules);
        for (number, rule) in named.into_iter().enumerate() {
            let path = format!("plan.rules.rules[{number}]");
            let field = match TransferField::try_from(rule.field) {
                Ok(TransferField::City) => Some(Field::City),
                Ok(TransferField::Region) => Some(Field::Region),
                Ok(TransferField::Type) => Some(Field::Kind),
                Ok(TransferField::Status) => Some(Field::Status),
                Ok(TransferField::Unspecified) | Err(_) => {
                    self.v.add(
                        format!("{path}.field"),
                        "must be one of the contract's values",
                    );
                    None
                }
            };
            let value = self
                .v
                .optional(&format!("{path}.value"), &rule.value, MAX_NAME);
            let to = self.receiver(format!("{path}.to_owner_id"), &rule.to_owner_id);
            read.extend(field.zip(to).map(|(field, to)| Rule {
                value: match field {
                    // A key, not a word.
                    Field::Status => normalise(&value),
                    Field::City | Field::Region | Field::Kind => fold_for_search(&value),
                },
                field,
                to,
            }));
        }
        let rest = (!rules.rest_owner_id.trim().is_empty()).then(|| {
            let field = "plan.rules.rest_owner_id".to_owned();
            self.receiver(field, &rules.rest_owner_id)
        });
        Way::Rules(read, rest.flatten())
    }
}
