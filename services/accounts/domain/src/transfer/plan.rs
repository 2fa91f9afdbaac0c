//! Who gets which accounts: in proportion, or by what the cards say. The same accounts in the same
//! order make the same plan.

use vocabulary::{AccountId, StaffId};

/// One of the new owners, and how much is given to each in comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub to: StaffId,
    pub weight: u64,
}

/// What rules look at; in small letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub city: String,
    pub region: String,
    pub kind: String,
    pub status: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    City,
    Region,
    Kind,
    Status,
}

/// Accounts with this value go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub field: Field,
    pub value: String,
    pub to: StaffId,
}

/// Deals accounts out in order: the next one to whoever is furthest behind, of several to the first.
pub fn in_proportion(accounts: Vec<AccountId>, shares: &[Share]) -> Vec<(AccountId, StaffId)> {
    let mut given = vec![0_u64; shares.len()];
    let mut plan = Vec::with_capacity(accounts.len());
    for account in accounts {
        // (given + 1) / weight, compared without a division.
        let next = shares.iter().zip(&mut given).min_by(|a, b| {
            let weighed = |given: u64, other: &Share| (given + 1).saturating_mul(other.weight);
            weighed(*a.1, b.0).cmp(&weighed(*b.1, a.0))
        });
        if let Some((share, given)) = next {
            *given += 1;
            plan.push((account, share.to));
        }
    }
    plan
}

/// The first rule that fits decides; `rest`: where the others go. Gives what nobody gets, too.
pub fn by_rules(
    accounts: Vec<(AccountId, Facts)>,
    rules: &[Rule],
    rest: Option<StaffId>,
) -> (Vec<(AccountId, StaffId)>, Vec<AccountId>) {
    let (mut plan, mut left) = (Vec::new(), Vec::new());
    for (account, facts) in accounts {
        let rule = rules.iter().find(|rule| facts.of(rule.field) == rule.value);
        match rule.map(|rule| rule.to).or(rest) {
            Some(to) => plan.push((account, to)),
            None => left.push(account),
        }
    }
    (plan, left)
}

impl Facts {
    fn of(&self, field: Field) -> &str {
        match field {
            Field::City => &self.city,
            Field::Region => &self.region,
            Field::Kind => &self.kind,
            Field::Status => &self.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(count: usize) -> Vec<AccountId> {
        (0..count)
            .map(|number| AccountId::of_external(&number.to_string()))
            .collect()
    }

    fn staff(name: &str) -> StaffId {
        StaffId::of_external(name)
    }

    fn counts(count: usize, weights: &[u64]) -> Vec<usize> {
        let shares: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(number, weight)| Share {
                to: staff(&number.to_string()),
                weight: *weight,
            })
            .collect();
        let plan = in_proportion(accounts(count), &shares);
        assert_eq!(plan, in_proportion(accounts(count), &shares));
        let of = |share: &Share| plan.iter().filter(|(_, to)| *to == share.to).count();
        shares.iter().map(of).collect()
    }

    #[test]
    fn everybody_gets_the_share() {
        assert_eq!(counts(120, &[2, 1]), [80, 40]);
        assert_eq!(counts(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(counts(7, &[1_000, 1]), [7, 0]);
        assert_eq!(counts(3, &[]), [0; 0]);
    }

    #[test]
    fn whoever_comes_first_in_the_order_is_not_all_ones() {
        let shares = ["a", "b"].map(|name| Share {
            to: staff(name),
            weight: 1,
        });
        let plan = in_proportion(accounts(4), &shares);
        let receivers: Vec<_> = plan.into_iter().map(|(_, to)| to).collect();
        assert_eq!(receivers, [staff("a"), staff("b"), staff("a"), staff("b")]);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |field, value: &str, to| Rule {
            field,
            value: value.to_owned(),
            to: staff(to),
        };
        let facts = |city: &str, status: &str| Facts {
            city: city.to_owned(),
            status: status.to_owned(),
            ..Facts::default()
        };
        let [first, second, third]: [AccountId; 3] = accounts(3).try_into().unwrap();
        let cards = vec![
            (first, facts("миасс", "new")),
            (second, facts("уфа", "new")),
            (third, facts("уфа", "")),
        ];
        let rules = [
            rule(Field::City, "миасс", "a"),
            rule(Field::Status, "new", "b"),
        ];
        let expected = vec![(first, staff("a")), (second, staff("b"))];
        let (plan, left) = by_rules(cards.clone(), &rules, None);
        assert_eq!((plan, left), (expected.clone(), vec![third]));
        let (plan, left) = by_rules(cards, &rules, Some(staff("c")));
        assert_eq!(plan, [expected, vec![(third, staff("c"))]].concat());
        assert_eq!(left, []);
    }
}
