//! What becomes unknown, what is taken away, and what stays as it is.

use accounts_domain::{
    account::{Account, Command, Event, Points, Registration, State},
    card::{
        Card, Changes, Details,
        extras::{ExtraChanges, Extras, Link, Standard, StoredExtras, Target},
        subject,
    },
    field::{Decimal, Value},
};
use es::{Aggregate, Personal, spec::given};
use vocabulary::{AccountId, PhoneNumber};

fn id() -> AccountId {
    AccountId::of_external("acc-1001")
}

fn personal<T>(value: T) -> Personal<T> {
    Personal::new(subject(id()), value)
}

fn registered() -> Event {
    let card = Card {
        name: "ООО «Вектор-Строй»".to_owned(),
        phones: vec![PhoneNumber::parse("8 900 000-01-15").unwrap()],
        city: "Миасс".to_owned(),
        extras: Extras {
            custom: [
                (
                    "size".to_owned(),
                    Value::Number(Decimal::parse("0").unwrap()),
                ),
                ("note".to_owned(), Value::Text("для своих".to_owned())),
            ]
            .into(),
            unknown: [Standard::Industry].into(),
            catalogue_version: 4,
            ..Extras::default()
        },
        ..Card::default()
    };
    let register = Command::Register(Registration {
        id: id(),
        external_id: None,
        card,
        owner: None,
        registered_at: chrono::DateTime::UNIX_EPOCH,
        status: None,
        origin: None,
    });
    let events = Account::decide(&State::default(), register).unwrap();
    events.into_iter().next().unwrap()
}

fn change(changes: Changes) -> Command {
    Command::ChangeDetails { id: id(), changes }
}

fn extras(extras: ExtraChanges) -> Command {
    change(Changes {
        extras,
        ..Changes::default()
    })
}

fn changed(extras: StoredExtras) -> Event {
    Event::DetailsChanged(Details {
        extras,
        ..Details::default()
    })
}

#[test]
fn unknown_is_neither_empty_nor_zero() {
    // Known to be unknown: the value goes.
    let unknown = Changes {
        extras: ExtraChanges {
            unknown: [Standard::City, Standard::Industry].into(),
            ..ExtraChanges::default()
        },
        ..Changes::default()
    };
    let city_unknown = Event::DetailsChanged(Details {
        city: Some(String::new()),
        extras: StoredExtras {
            unknown: [Standard::City].into(),
            ..StoredExtras::default()
        },
        ..Details::default()
    });
    given::<Account>([registered()])
        .when(change(unknown))
        .then([city_unknown.clone()]);
    // Emptied: nobody has looked for it any more.
    let emptied = Changes {
        city: Some(String::new()),
        ..Changes::default()
    };
    let city_empty = Event::DetailsChanged(Details {
        city: Some(String::new()),
        ..Details::default()
    });
    given::<Account>([registered(), city_unknown.clone()])
        .when(change(emptied.clone()))
        .then([city_empty.clone()]);
    given::<Account>([registered(), city_unknown, city_empty])
        .when(change(emptied))
        .then_nothing();
    // A number of zero is a number.
    let size = |value: Value<String>| {
        extras(ExtraChanges {
            custom: [("size".to_owned(), value)].into(),
            catalogue_version: 5,
            ..ExtraChanges::default()
        })
    };
    let sized = |value| {
        changed(StoredExtras {
            custom: [("size".to_owned(), value)].into(),
            catalogue_version: Some(5),
            ..StoredExtras::default()
        })
    };
    let zero = Value::Number(Decimal::parse("0").unwrap());
    given::<Account>([registered()])
        .when(size(zero))
        .then_nothing();
    given::<Account>([registered()])
        .when(size(Value::Unknown))
        .then([sized(Value::Unknown)]);
    given::<Account>([registered(), sized(Value::Unknown)])
        .when(size(Value::Empty))
        .then([sized(Value::Empty)]);
}

#[test]
fn rubrics_links_and_texts_change_as_a_whole() {
    let link = Link {
        title: "Сайт".to_owned(),
        target: Target::Url("https://vector.example".to_owned()),
    };
    let change = || {
        extras(ExtraChanges {
            rubrics: Some(vec!["dealers".to_owned()]),
            links: Some(vec![link.clone()]),
            custom: [("note".to_owned(), Value::Text("для всех".to_owned()))].into(),
            catalogue_version: 4,
            ..ExtraChanges::default()
        })
    };
    let stored = changed(StoredExtras {
        rubrics: Some(vec!["dealers".to_owned()]),
        links: Some(personal(vec![link.clone()])),
        custom: [(
            "note".to_owned(),
            Value::Text(personal("для всех".to_owned())),
        )]
        .into(),
        catalogue_version: Some(4),
        ..StoredExtras::default()
    });
    given::<Account>([registered()])
        .when(change())
        .then([stored.clone()]);
    given::<Account>([registered(), stored])
        .when(change())
        .then_nothing();
}

/// Links and texts are under the key that is destroyed, so they go along.
#[test]
fn a_card_sealed_anew_keeps_its_links_and_texts() {
    let links = vec![Link {
        title: "Сайт".to_owned(),
        target: Target::Url("https://vector.example".to_owned()),
    }];
    let linked = changed(StoredExtras {
        links: Some(personal(links.clone())),
        ..StoredExtras::default()
    });
    let phones = vec![PhoneNumber::parse("8 900 000-01-15").unwrap()];
    let forget = Command::Forget {
        id: id(),
        points: Points {
            phones,
            emails: Vec::new(),
        },
    };
    let state = Account::fold(&[registered(), linked]);
    let events = Account::decide(&state, forget).unwrap();
    let [Event::CardSealedAnew(sealed)] = &events[..] else {
        panic!("{events:?}");
    };
    let anew = subject(id()).renewed();
    let note = Value::Text(Personal::new(anew.clone(), "для своих".to_owned()));
    let extras = StoredExtras {
        links: Some(Personal::new(anew, links)),
        custom: [("note".to_owned(), note)].into(),
        ..StoredExtras::default()
    };
    assert_eq!(sealed.details.extras, extras);
}
