//! Whatever people do, in whatever order: no decision panics, none is made twice, every event
//! survives storage and every history folds.

use accounts_domain::{
    account::{self, Account, Order, Owner, Registration},
    card::{Card, Changes},
    deal::{self, Closing, Deal, Opening},
    group::{self, SalesGroup},
    pipeline::{self, Draft, Field, Pipeline, Published, Stage},
    staff::{self, Credentials, Newcomer, StaffMember},
};
use chrono::{DateTime, NaiveDate, Utc};
use es::Aggregate;
use proptest::{collection::vec, option, prelude::*, sample::select};
use vocabulary::{AccountId, Email, GroupId, Money, OrderId, PhoneNumber, Role, StaffId};

fn check<A: Aggregate>(commands: Vec<A::Command>) {
    let mut history: Vec<A::Event> = Vec::new();
    for command in commands {
        let Ok(events) = A::decide(&A::fold(&history), command.clone()) else {
            continue;
        };
        for event in &events {
            let stored = es::encode(event).expect("encodes");
            let back = es::decode(&stored.event_type, stored.payload.to_string().as_bytes());
            assert_eq!(back.ok().as_ref(), Some(event));
        }
        history.extend(events);
        if let Ok(again) = A::decide(&A::fold(&history), command) {
            assert_eq!(again, [], "the same command twice");
        }
    }
    let debug = |events: &[A::Event]| format!("{:?}", A::fold(events));
    assert_eq!(debug(&history), debug(&history));
    // No history is impossible for `evolve`, not even one read backwards.
    history.reverse();
    A::fold(&history);
}

proptest! {
    #[test]
    fn staff_obey(commands in vec(staff_command(), 0..12)) {
        check::<StaffMember>(commands);
    }

    #[test]
    fn groups_obey(commands in vec(group_command(), 0..8)) {
        check::<SalesGroup>(commands);
    }

    #[test]
    fn accounts_obey(commands in vec(account_command(), 0..20)) {
        check::<Account>(commands);
    }

    #[test]
    fn pipelines_obey(drafts in vec(draft(), 0..6)) {
        check::<Pipeline>(drafts.into_iter().map(pipeline::Command::Publish).collect());
    }

    #[test]
    fn deals_obey(commands in vec(deal_command(), 0..20)) {
        check::<Deal>(commands);
    }

    #[test]
    fn no_deal_gets_past_a_gate(commands in vec(deal_command(), 0..30)) {
        let mut history = Vec::new();
        for command in commands {
            let events = Deal::decide(&Deal::fold(&history), command).unwrap_or_default();
            for event in events {
                history.push(event.clone());
                let stage = match event {
                    deal::Event::Opened(opened) => opened.stage,
                    deal::Event::StageChanged(changed) => changed.to_stage,
                    _ => continue,
                };
                let deal = Deal::fold(&history).expect("a deal");
                let rules = conveyor();
                let required = &rules.stage(&stage).expect("a stage").required;
                prop_assert!(required.iter().all(|key| deal.details.has(key)));
            }
        }
    }

    #[test]
    fn a_company_is_converted_at_most_once(commands in vec(account_command(), 0..40)) {
        let mut history = Vec::new();
        for command in commands {
            history.extend(Account::decide(&Account::fold(&history), command).unwrap_or_default());
        }
        let count = |wanted: fn(&account::Event) -> bool| history.iter().filter(|e| wanted(e)).count();
        let orders = count(|event| matches!(event, account::Event::OrderRegistered(_)));
        let conversions = count(|event| matches!(event, account::Event::ConvertedToClient(_)));
        prop_assert_eq!(conversions, orders.min(1));
    }
}

fn text() -> impl Strategy<Value = String> {
    "[а-яё ]{0,5}"
}

/// Few enough that commands meet each other.
fn staff_id() -> impl Strategy<Value = StaffId> {
    select(vec!["s-11", "s-12", "s-13"]).prop_map(StaffId::of_external)
}

fn group_id() -> impl Strategy<Value = GroupId> {
    select(vec!["a", "b"]).prop_map(GroupId::of_external)
}

fn role() -> impl Strategy<Value = Role> {
    select(Role::ALL)
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..2_000_000_000_i64)
        .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default())
}

fn staff_command() -> impl Strategy<Value = staff::Command> {
    let hire = (text(), role(), option::of(group_id()), option::of(text())).prop_map(
        |(name, role, group_id, login)| {
            staff::Command::Hire(Newcomer {
                id: StaffId::of_external("s-11"),
                external_id: "s-11".to_owned(),
                name,
                role,
                group_id,
                extension: None,
                hired_on: NaiveDate::default(),
                password_hash: login.clone(),
                login,
            })
        },
    );
    prop_oneof![
        hire,
        (role(), text()).prop_map(|(role, reason)| staff::Command::ChangeRole { role, reason }),
        option::of(group_id()).prop_map(|group_id| staff::Command::MoveToGroup { group_id }),
        (text(), text()).prop_map(|(login, password_hash)| staff::Command::SetPassword {
            id: StaffId::of_external("s-11"),
            credentials: Credentials {
                login,
                password_hash
            },
        }),
        (text(), 0..2_u64).prop_map(|(reason, accounts_owned)| staff::Command::Dismiss {
            reason,
            accounts_owned
        }),
    ]
}

fn group_command() -> impl Strategy<Value = group::Command> {
    prop_oneof![
        (text(), option::of(group_id()))
            .prop_map(|(name, parent_id)| group::Command::Form { name, parent_id }),
        staff_id().prop_map(|head_id| group::Command::AppointHead { head_id }),
    ]
}

fn phones() -> impl Strategy<Value = Vec<PhoneNumber>> {
    vec("\\+7900[0-9]{7}", 0..2).prop_map(|texts| {
        let parsed = texts.iter().map(|text| PhoneNumber::parse(text));
        parsed.filter_map(Result::ok).collect()
    })
}

fn emails() -> impl Strategy<Value = Vec<Email>> {
    vec("[a-z]{1,4}@example\\.org", 0..2).prop_map(|texts| {
        let parsed = texts.iter().map(|text| Email::parse(text));
        parsed.filter_map(Result::ok).collect()
    })
}

fn card() -> impl Strategy<Value = Card> {
    (text(), phones(), emails(), text(), text()).prop_map(
        |(name, phones, emails, city, address)| Card {
            name,
            phones,
            emails,
            city,
            address,
            ..Card::default()
        },
    )
}

fn changes() -> impl Strategy<Value = Changes> {
    (
        option::of(text()),
        option::of(phones()),
        option::of(emails()),
        option::of(text()),
        option::of(text()),
    )
        .prop_map(|(name, phones, emails, city, address)| Changes {
            name,
            phones,
            emails,
            city,
            address,
            ..Changes::default()
        })
}

fn owner() -> impl Strategy<Value = Owner> {
    (staff_id(), option::of(group_id())).prop_map(|(id, group_id)| Owner { id, group_id })
}

fn order_id() -> impl Strategy<Value = OrderId> {
    select(vec!["З-1", "З-2", "З-3"]).prop_map(OrderId::of_external)
}

fn account_command() -> impl Strategy<Value = account::Command> {
    use account::Command;
    let id = AccountId::of_external("acc-1001");
    prop_oneof![
        3 => (card(), option::of(owner()), instant()).prop_map(move |(card, owner, registered_at)| {
            Command::Register(Registration { id, external_id: None, card, owner, registered_at })
        }),
        1 => changes().prop_map(move |changes| Command::ChangeDetails { id, changes }),
        1 => owner().prop_map(|to| Command::AssignOwner { to }),
        1 => (option::of(staff_id()), owner(), text())
            .prop_map(|(from, to, reason)| Command::Transfer { from, to, reason }),
        1 => text().prop_map(|reason| Command::ReturnToPool { reason }),
        2 => (order_id(), 0..1_000_i64, instant(), option::of(owner())).prop_map(
            |(id, minor_units, ordered_at, owner)| {
                let amount = Money { minor_units, currency: "RUB".to_owned() };
                Command::RegisterOrder(Order { id, external_id: None, amount, ordered_at, owner })
            }
        ),
        1 => (order_id(), text())
            .prop_map(|(order_id, reason)| Command::CancelOrder { order_id, reason }),
    ]
}

fn key() -> impl Strategy<Value = String> {
    select(vec![
        "amount",
        "product",
        "expected_on",
        "proposal",
        "colour",
    ])
    .prop_map(str::to_owned)
}

fn draft() -> impl Strategy<Value = Draft> {
    let stage = (text(), vec(key(), 0..9)).prop_map(|(name, required)| Stage { name, required });
    let field = key().prop_map(|key| Field {
        name: key.clone(),
        key,
    });
    let reason = option::of(text());
    (vec(stage, 0..3), vec(field, 0..3), reason).prop_map(|(stages, fields, override_reason)| {
        Draft {
            name: "Конвейер I".to_owned(),
            stages,
            fields,
            override_reason,
        }
    })
}

fn conveyor() -> Published {
    let stage = |name: &str, required: &[&str]| Stage {
        name: name.to_owned(),
        required: required.iter().map(|key| (*key).to_owned()).collect(),
    };
    Published {
        name: "Конвейер I".to_owned(),
        version: 1,
        stages: vec![
            stage("Контакт", &[]),
            stage("КП", &["proposal", "amount"]),
            stage("Договор", &["product"]),
        ],
        fields: vec![Field {
            key: "proposal".to_owned(),
            name: "КП".to_owned(),
        }],
        override_reason: None,
    }
}

fn stage_name() -> impl Strategy<Value = String> {
    select(vec!["", "контакт", "КП", "Договор", "Отгрузка"]).prop_map(str::to_owned)
}

fn deal_changes() -> impl Strategy<Value = deal::Changes> {
    let field = (select(vec!["proposal", "colour"]), text());
    (
        option::of(0..1_000_i64),
        option::of(text()),
        option::of(Just(NaiveDate::default())),
        vec(field, 0..2),
        vec(key(), 0..2),
    )
        .prop_map(
            |(amount, product, expected_on, fields, clear)| deal::Changes {
                amount: amount.map(|minor_units| Money {
                    minor_units,
                    currency: "RUB".to_owned(),
                }),
                product,
                expected_on,
                fields: fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                clear,
            },
        )
}

fn deal_command() -> impl Strategy<Value = deal::Command> {
    use deal::Command;
    let account_id = AccountId::of_external("acc-1001");
    let closing = (instant(), option::of(text()));
    let closing = closing.prop_map(|(at, lost_reason)| Closing { at, lost_reason });
    let opening = (
        stage_name(),
        option::of(owner()),
        deal_changes(),
        instant(),
        option::of(closing),
    );
    let opening = opening.prop_map(move |(stage, owner, changes, opened_at, closing)| {
        Command::Open(Box::new(Opening {
            account_id,
            external_id: None,
            pipeline_id: pipeline::id_of("Конвейер I"),
            rules: conveyor(),
            stage,
            owner,
            changes,
            opened_at,
            closing,
        }))
    });
    prop_oneof![
        4 => opening,
        3 => deal_changes().prop_map(move |changes| Command::SetFields {
            account_id,
            changes,
            rules: conveyor(),
        }),
        3 => stage_name().prop_map(|to| Command::MoveStage { to, rules: conveyor() }),
        1 => (instant(), option::of(text()), instant())
            .prop_map(|(until, reason, now)| Command::Suspend { until, reason, now }),
        1 => instant().prop_map(|at| Command::Win { at }),
        1 => (instant(), text()).prop_map(|(at, reason)| Command::Lose { at, reason }),
        1 => option::of(owner()).prop_map(|owner| Command::FollowOwner { owner }),
    ]
}
