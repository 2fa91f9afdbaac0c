//! What an event changed on a card, field by field.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use es::Personal;
use vocabulary::{AccountId, Money};

use super::{Event, State};
use crate::{
    card::{
        Details,
        extras::{Link, StoredExtras},
    },
    field::Value,
};

/// One field changed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    pub old: Shown,
    pub new: Shown,
}

/// What was in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Empty for nothing.
    Text(String),
    /// Somebody asked, and nobody knew.
    Unknown,
    /// There was something that nobody can read any more.
    Erased,
}

impl Shown {
    fn of(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn id<T: Display>(id: Option<T>) -> Self {
        Self::Text(id.map_or_else(String::new, |id| id.to_string()))
    }
}

/// The accounts that this event links the card to.
pub fn linked(event: &Event) -> impl Iterator<Item = AccountId> {
    let links = details(event).and_then(|details| details.extras.links.as_ref()?.get());
    links.into_iter().flatten().filter_map(Link::account)
}

/// The part of a card that an event brings.
fn details(event: &Event) -> Option<&Details> {
    if let Event::ProspectRegistered(registered) = event {
        Some(&registered.details)
    } else if let Event::DetailsChanged(details) = event {
        Some(details)
    } else {
        None
    }
}

/// What became of the fields by this event; of links to accounts, those that are seen. That a card was sealed anew changed none: saying which
/// telephone left it would tell what is forgotten.
pub fn changes(
    before: &State,
    event: &Event,
    after: &State,
    seen: &BTreeSet<AccountId>,
) -> Vec<Change> {
    let fields = |details: &Details| fields(details, seen);
    let old = fields(&before.details);
    let of_card = details(event).map(fields).unwrap_or_default().into_iter();
    let of_card = of_card
        .map(|(field, new)| Change {
            old: old.get(&field).cloned().unwrap_or_else(|| Shown::of("")),
            field,
            new,
        })
        // Those who do not see what it links to need not know that something has changed.
        .filter(|change| change.field != "links" || change.old != change.new);
    let around = [
        (
            "owner",
            Shown::id(before.owner_id),
            Shown::id(after.owner_id),
        ),
        ("status", status(before), status(after)),
        ("lifecycle", lifecycle(before), lifecycle(after)),
        (
            "merged_into",
            Shown::id(before.merged_into),
            Shown::id(after.merged_into),
        ),
    ];
    let around = around
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| Change {
            field: field.to_owned(),
            old,
            new,
        });
    of_card.chain(around).collect()
}

fn status(state: &State) -> Shown {
    Shown::of(state.status.clone().unwrap_or_default())
}

fn lifecycle(state: &State) -> Shown {
    Shown::of(match (state.registered, state.client) {
        (false, _) => "",
        (true, false) => "prospect",
        (true, true) => "client",
    })
}

/// Everything that these details have a say about.
fn fields(details: &Details, seen: &BTreeSet<AccountId>) -> BTreeMap<String, Shown> {
    let plain = |text: &Option<String>| text.clone().map(Shown::Text);
    let standard = [
        (
            "name",
            details
                .name
                .as_ref()
                .map(|name| personal(name, String::clone)),
        ),
        (
            "phones",
            details
                .phones
                .as_ref()
                .map(|phones| personal(phones, |phones| list(phones))),
        ),
        (
            "emails",
            details
                .emails
                .as_ref()
                .map(|emails| personal(emails, |emails| list(emails))),
        ),
        (
            "address",
            details
                .address
                .as_ref()
                .map(|address| personal(address, String::clone)),
        ),
        ("type", plain(&details.kind)),
        ("city", plain(&details.city)),
        ("region", plain(&details.region)),
        ("industry", plain(&details.industry)),
        ("project", plain(&details.project)),
        ("source", plain(&details.source)),
    ];
    let standard = standard.into_iter();
    let mut fields: BTreeMap<_, _> = standard
        .filter_map(|(field, shown)| Some((field.to_owned(), shown?)))
        .collect();
    add_extras(&mut fields, &details.extras, seen);
    fields
}

fn add_extras(
    fields: &mut BTreeMap<String, Shown>,
    extras: &StoredExtras,
    seen: &BTreeSet<AccountId>,
) {
    if let Some(rubrics) = &extras.rubrics {
        fields.insert("rubrics".to_owned(), Shown::of(list(rubrics)));
    }
    if let Some(links) = &extras.links {
        let titles = personal(links, |links| {
            let is_seen = |link: &&Link| link.account().is_none_or(|id| seen.contains(&id));
            let titles = links.iter().filter(is_seen).map(|link| link.title.as_str());
            titles.collect::<Vec<_>>().join(", ")
        });
        fields.insert("links".to_owned(), titles);
    }
    for (key, value) in &extras.custom {
        fields.insert(format!("custom.{key}"), custom(value));
    }
    for field in &extras.unknown {
        fields.insert(field.as_str().to_owned(), Shown::Unknown);
    }
}

fn custom(value: &Value<Personal<String>>) -> Shown {
    match value {
        Value::Text(text) => personal(text, String::clone),
        Value::Number(number) => Shown::of(number.to_string()),
        Value::Date(date) => Shown::of(date.to_string()),
        Value::YesNo(yes) => Shown::of(if *yes { "yes" } else { "no" }),
        Value::Choice(key) => Shown::of(key.as_str()),
        Value::Money(money) => Shown::of(amount(money)),
        Value::Unknown => Shown::Unknown,
        Value::Empty => Shown::of(""),
    }
}

/// 250000.00 RUB
fn amount(money: &Money) -> String {
    let sign = if money.minor_units < 0 { "-" } else { "" };
    let minor = money.minor_units.unsigned_abs();
    format!(
        "{sign}{}.{:02} {}",
        minor / 100,
        minor % 100,
        money.currency
    )
}

fn personal<T>(value: &Personal<T>, text: impl Fn(&T) -> String) -> Shown {
    value
        .get()
        .map_or(Shown::Erased, |value| Shown::Text(text(value)))
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use es::Aggregate;
    use uuid::Uuid;
    use vocabulary::{AccountId, PhoneNumber, StaffId};

    use super::*;
    use crate::{
        account::{Account, Command, Owner, Registration},
        card::{
            Card, Changes,
            extras::{ExtraChanges, Standard, Target},
        },
    };

    const ID: AccountId = AccountId(Uuid::from_u128(1001));
    const PETROV: StaffId = StaffId(Uuid::from_u128(11));

    /// What was changed in which way, in the order of the events.
    fn told(history: &[Event]) -> Vec<(String, Shown, Shown)> {
        let mut state = State::default();
        let mut told = Vec::new();
        for event in history {
            let after = Account::evolve(state.clone(), event);
            let changed = changes(&state, event, &after, &BTreeSet::new()).into_iter();
            told.extend(changed.map(|change| (change.field, change.old, change.new)));
            state = after;
        }
        told
    }

    fn decided(history: &mut Vec<Event>, command: Command) {
        let state = Account::fold(history.iter());
        history.extend(Account::decide(&state, command).unwrap());
    }

    fn registered() -> Vec<Event> {
        let mut history = Vec::new();
        let card = Card {
            name: "Вектор".to_owned(),
            phones: vec![PhoneNumber::parse("+79000000555").unwrap()],
            city: "Миасс".to_owned(),
            ..Card::default()
        };
        let new = Registration {
            id: ID,
            external_id: None,
            card,
            owner: Some(Owner {
                id: PETROV,
                group_id: None,
            }),
            registered_at: "2026-03-10T06:00:00Z".parse().unwrap(),
            origin: None,
            status: None,
        };
        decided(&mut history, Command::Register(new));
        history
    }

    #[test]
    fn what_a_card_begins_with() {
        let fields: Vec<_> = told(&registered())
            .into_iter()
            .map(|(field, ..)| field)
            .collect();
        assert_eq!(fields, ["city", "name", "phones", "owner", "lifecycle"]);
    }

    #[test]
    fn a_change_says_what_was_there_before() {
        let mut history = registered();
        let changes = Changes {
            name: Some("Вектор-Строй".to_owned()),
            extras: ExtraChanges {
                unknown: [Standard::City].into(),
                ..ExtraChanges::default()
            },
            ..Changes::default()
        };
        decided(&mut history, Command::ChangeDetails { id: ID, changes });
        decided(
            &mut history,
            Command::ReturnToPool {
                id: ID,
                reason: "отказ".to_owned(),
            },
        );
        let expected = [
            ("city", Shown::of("Миасс"), Shown::Unknown),
            ("name", Shown::of("Вектор"), Shown::of("Вектор-Строй")),
            ("owner", Shown::id(Some(PETROV)), Shown::of("")),
        ];
        let expected = expected.map(|(field, old, new)| (field.to_owned(), old, new));
        assert_eq!(told(&history)[5..], expected);
    }

    #[test]
    fn a_link_is_told_to_those_who_see_where_it_leads() {
        let mut history = registered();
        let sister = AccountId(Uuid::from_u128(1002));
        let link = Link {
            title: "сестра".to_owned(),
            target: Target::AccountId(sister),
        };
        let changes = Changes {
            extras: ExtraChanges {
                links: Some(vec![link]),
                ..ExtraChanges::default()
            },
            ..Changes::default()
        };
        decided(&mut history, Command::ChangeDetails { id: ID, changes });
        let event = &history[history.len() - 1];
        assert_eq!(linked(event).collect::<Vec<_>>(), [sister]);
        let before = Account::fold(history[..history.len() - 1].iter());
        let after = Account::fold(history.iter());
        let told = |seen| super::changes(&before, event, &after, &seen);
        assert_eq!(told(BTreeSet::new()), []);
        let of_links = told(BTreeSet::from([sister]));
        assert_eq!(of_links[0].new, Shown::of("сестра"));
    }

    #[test]
    fn what_is_erased_stays_erased() {
        let mut history = registered();
        let subject = crate::card::subject(ID);
        for event in &mut history {
            if let Event::ProspectRegistered(registered) = event {
                registered.details.name = Some(Personal::Erased {
                    subject: subject.clone(),
                });
            }
        }
        let name = told(&history)
            .into_iter()
            .find(|(field, ..)| field == "name");
        assert_eq!(name.unwrap().2, Shown::Erased);
    }
}
