//! Whatever people do, in whatever order: no decision panics, none is made twice, every event
//! survives storage and every history folds.

use std::collections::BTreeMap;

use accounts_domain::{
    account::{self, Account, Order, Owner, Points, Registration},
    card::{
        Card, Changes,
        extras::{ExtraChanges, Extras, Link, Standard, Target},
    },
    catalogue::{self, Catalogue, Entry, List},
    distribution::{self, Distribution},
    field::{Decimal, Field, Kind, Value},
    group::{self, SalesGroup},
    policy::{self, Policy},
    precision::Precision,
    prospect_list::{self, Callers, Changed, Created, Criteria, ProspectList},
    staff::{self, Credentials, NewAbsence, NewDetails, Newcomer, StaffMember, Stage},
    transfer::{self, Kept, Part, Started, Transfer},
};
use chrono::{DateTime, NaiveDate, Utc};
use es::{Aggregate, Personal};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
    sample::select,
};
use vocabulary::{
    AbsenceId, AccountId, Email, GroupId, Money, OrderId, PhoneNumber, Role, StaffId, TransferId,
};

pub(crate) fn check<A: Aggregate>(commands: Vec<A::Command>) {
    let mut history: Vec<A::Event> = Vec::new();
    for command in commands {
        let Ok(events) = A::decide(&A::fold(&history), command.clone()) else {
            continue;
        };
        for event in &events {
            let stored = es::encode::<A>(event).expect("encodes");
            let payload = stored.payload.to_string();
            let back = es::decode::<A>(
                &stored.event_type,
                stored.schema_version,
                payload.as_bytes(),
            );
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
    fn catalogues_obey(commands in vec(catalogue_command(), 0..16)) {
        check::<Catalogue>(commands);
    }

    #[test]
    fn policies_obey(commands in vec(policy_command(), 0..8)) {
        check::<Policy>(commands);
    }

    #[test]
    fn accounts_obey(commands in vec(account_command(), 0..20)) {
        check::<Account>(commands);
    }

    #[test]
    fn lists_obey(commands in vec(list_command(), 0..12)) {
        check::<ProspectList>(commands);
    }

    #[test]
    fn distributions_obey(shares in vec(share(), 0..3)) {
        let planned = distribution::Planned { list_id: None, shares };
        check::<Distribution>(vec![distribution::Command::Plan(planned)]);
    }

    #[test]
    fn transfers_obey(commands in vec(transfer_command(), 0..12)) {
        check::<Transfer>(commands);
    }

    /// At no time do two people act for one who is away.
    #[test]
    fn absences_never_meet(commands in vec(staff_command(), 0..40)) {
        let mut history = Vec::new();
        for command in commands {
            let state = StaffMember::fold(&history);
            history.extend(StaffMember::decide(&state, command).unwrap_or_default());
        }
        if let staff::State::Working(working) = StaffMember::fold(&history) {
            let open = working.absences.iter().filter(|absence| absence.stage != Stage::Over);
            let open: Vec<_> = open.collect();
            for (number, one) in open.iter().enumerate() {
                for other in &open[number + 1..] {
                    prop_assert!(one.until <= other.from || other.until <= one.from);
                }
            }
        }
    }

    /// However groups are moved, one after the other: each of them has a top.
    #[test]
    fn groups_make_no_circle(moves in vec((0..5_usize, option::of(0..5_usize)), 0..40)) {
        let ids = ["a", "b", "c", "d", "e"].map(GroupId::of_external);
        let formed = group::Formed { name: String::new(), parent_id: None };
        let mut groups: BTreeMap<_, _> = ids
            .map(|id| (id, vec![group::Event::Formed(formed.clone())]))
            .into();
        let upwards = |groups: &BTreeMap<_, Vec<_>>, from: Option<GroupId>| {
            let above = |id: &GroupId| SalesGroup::fold(&groups[id]).parent_id;
            std::iter::successors(from, above).take(ids.len() + 1).collect::<Vec<_>>()
        };
        for (group, parent) in moves {
            let (id, parent_id) = (ids[group], parent.map(|parent| ids[parent]));
            let above = upwards(&groups, parent_id);
            let history = &groups[&id];
            let reason = String::new();
            let command = group::Command::Move { id, parent_id, above, reason };
            let events = SalesGroup::decide(&SalesGroup::fold(history), command);
            if let Some(history) = groups.get_mut(&id) {
                history.extend(events.unwrap_or_default());
            }
        }
        for id in ids {
            prop_assert!(upwards(&groups, Some(id)).len() <= ids.len());
        }
    }

    /// However often and late it is said that accounts were moved: never more than were planned,
    /// and it is completed when there is nothing left.
    #[test]
    fn a_transfer_moves_what_was_planned(commands in vec(transfer_command(), 0..40)) {
        let mut history = Vec::new();
        for command in commands {
            history.extend(Transfer::decide(&Transfer::fold(&history), command).unwrap_or_default());
        }
        let state = Transfer::fold(&history);
        prop_assert!(state.handled <= state.planned());
        prop_assert_eq!(state.next(usize::MAX).len() as u64, state.left());
        if let Some(completed) = &state.completed {
            prop_assert_eq!(completed.moved + completed.kept, state.handled);
            prop_assert_eq!(state.handled, state.planned());
        }
    }

    /// However the times of claims lie: who has one keeps it until it is over.
    #[test]
    fn a_claim_is_taken_from_nobody(commands in vec(account_command(), 0..40)) {
        let mut history = Vec::new();
        for command in commands {
            let before = Account::fold(&history);
            let at = match &command {
                account::Command::Claim { now, .. } => Some(*now),
                _ => None,
            };
            history.extend(Account::decide(&before, command).unwrap_or_default());
            if let Some((at, held)) = at.and_then(|at| Some((at, before.claim_at(at)?.holder))) {
                let after = Account::fold(&history);
                prop_assert_eq!(after.claim_at(at).map(|claim| claim.holder), Some(held));
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

const LEASE: chrono::TimeDelta = chrono::TimeDelta::minutes(30);

pub(crate) fn text() -> impl Strategy<Value = String> {
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

pub(crate) fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // Close enough for claims to meet.
    (0..20_000_i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default())
}

fn policy_command() -> impl Strategy<Value = policy::Command> {
    (
        option::of(any::<bool>()),
        option::of((0..3_u32, 0..3_u32)),
        text(),
    )
        .prop_map(|(only, unusual, reason)| {
            policy::Command::Change(policy::Changed {
                personal_data_by_operator_only: only,
                unusual_reading: unusual.map(|(at_least, times_usual)| policy::UnusualReading {
                    at_least,
                    times_usual,
                }),
                reason,
            })
        })
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
        (role(), text(), 0..2_u64).prop_map(|(role, reason, open_deals)| {
            staff::Command::ChangeRole {
                id: StaffId::of_external("s-11"),
                role,
                reason,
                duties: staff::Duties {
                    open_deals,
                    ..staff::Duties::default()
                },
            }
        }),
        (option::of(text()), option::of(text()), option::of(text())).prop_map(
            |(name, extension, login)| staff::Command::ChangeDetails {
                id: StaffId::of_external("s-11"),
                details: NewDetails {
                    name,
                    extension,
                    login
                },
            }
        ),
        (role(), option::of(group_id())).prop_map(|(role, group_id)| {
            let hired_on = NaiveDate::default();
            staff::Command::Rehire(staff::Rehired {
                role,
                group_id,
                hired_on,
            })
        }),
        (option::of(group_id()), text()).prop_map(|(group_id, reason)| {
            staff::Command::MoveToGroup {
                id: StaffId::of_external("s-11"),
                group_id,
                reason,
            }
        }),
        (text(), text()).prop_map(|(login, password_hash)| staff::Command::SetPassword {
            id: StaffId::of_external("s-11"),
            credentials: Credentials {
                login,
                password_hash
            },
        }),
        (text(), 0..2_u64, 0..2_u64).prop_map(|(reason, accounts, open_tasks)| {
            staff::Command::Dismiss {
                id: StaffId::of_external("s-11"),
                reason,
                duties: staff::Duties {
                    accounts,
                    open_tasks,
                    ..staff::Duties::default()
                },
            }
        }),
        new_absence().prop_map(|(absence, now)| staff::Command::MarkAbsent { absence, now }),
        (absence_id(), text(), instant()).prop_map(|(absence_id, reason, now)| {
            staff::Command::EndAbsence {
                staff_id: StaffId::of_external("s-11"),
                absence_id,
                reason,
                now,
            }
        }),
        instant().prop_map(|now| staff::Command::TurnAbsences { now }),
    ]
}

fn absence_id() -> impl Strategy<Value = AbsenceId> {
    select(vec!["a", "b", "c"]).prop_map(AbsenceId::of_external)
}

fn new_absence() -> impl Strategy<Value = (NewAbsence, DateTime<Utc>)> {
    (
        absence_id(),
        staff_id(),
        instant(),
        instant(),
        instant(),
        text(),
    )
        .prop_map(|(id, substitute_id, from, until, now, reason)| {
            let absence = NewAbsence {
                id,
                staff_id: StaffId::of_external("s-11"),
                substitute_id,
                substitute_active: true,
                from,
                until,
                reason,
            };
            (absence, now)
        })
}

fn group_command() -> impl Strategy<Value = group::Command> {
    prop_oneof![
        (text(), option::of(group_id()))
            .prop_map(|(name, parent_id)| group::Command::Form { name, parent_id }),
        (staff_id(), text())
            .prop_map(|(head_id, reason)| group::Command::AppointHead { head_id, reason }),
        text().prop_map(|name| group::Command::Rename { name }),
        (group_id(), vec(group_id(), 0..3), text()).prop_map(|(id, above, reason)| {
            let parent_id = above.first().copied();
            group::Command::Move {
                id,
                parent_id,
                above,
                reason,
            }
        }),
    ]
}

fn phones() -> impl Strategy<Value = Vec<PhoneNumber>> {
    vec("\\+7900000000[0-3]", 0..2).prop_map(|texts| {
        let parsed = texts.iter().map(|text| PhoneNumber::parse(text));
        parsed.filter_map(Result::ok).collect()
    })
}

fn emails() -> impl Strategy<Value = Vec<Email>> {
    vec("[a-c]@example\\.org", 0..2).prop_map(|texts| {
        let parsed = texts.iter().map(|text| Email::parse(text));
        parsed.filter_map(Result::ok).collect()
    })
}

fn card() -> impl Strategy<Value = Card> {
    (text(), phones(), emails(), text(), text(), extra_changes()).prop_map(
        |(name, phones, emails, city, address, extras)| Card {
            name,
            phones,
            emails,
            city,
            address,
            extras: Extras {
                rubrics: extras.rubrics.unwrap_or_default(),
                links: extras.links.unwrap_or_default(),
                custom: extras.custom,
                unknown: extras.unknown,
                catalogue_version: extras.catalogue_version,
            },
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
        extra_changes(),
    )
        .prop_map(|(name, phones, emails, city, address, extras)| Changes {
            name,
            phones,
            emails,
            city,
            address,
            extras,
            ..Changes::default()
        })
}

fn key() -> impl Strategy<Value = String> {
    select(vec!["a", "b"]).prop_map(ToOwned::to_owned)
}

fn value() -> impl Strategy<Value = Value<String>> {
    prop_oneof![
        text().prop_map(Value::Text),
        any::<bool>().prop_map(Value::YesNo),
        key().prop_map(Value::Choice),
        "[0-9]{1,3}".prop_map(|text| Decimal::parse(&text).map_or(Value::Empty, Value::Number)),
        Just(Value::Unknown),
        Just(Value::Empty),
    ]
}

fn extra_changes() -> impl Strategy<Value = ExtraChanges> {
    let link = text().prop_map(|title| Link {
        target: Target::Url(format!("https://{title}.example")),
        title,
    });
    (
        option::of(vec(key(), 0..3)),
        option::of(vec(link, 0..2)),
        btree_map(key(), value(), 0..3),
        btree_set(select(&Standard::ALL[..]), 0..3),
        0..3_i64,
    )
        .prop_map(
            |(rubrics, links, custom, unknown, catalogue_version)| ExtraChanges {
                rubrics,
                links,
                custom,
                unknown,
                catalogue_version,
            },
        )
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (key(), text(), prop::bool::weighted(0.2)).prop_map(|(key, name, closed)| Entry {
        closed,
        ..Entry::new(&key, &name)
    });
    vec(entry, 0..2)
}

fn catalogue_command() -> impl Strategy<Value = catalogue::Command> {
    use catalogue::Command;
    let list = || {
        select(vec![
            List::Status,
            List::Source,
            List::Rubric,
            List::DocumentKind,
        ])
    };
    let kind = select(vec![Kind::Text, Kind::Choice]);
    let field = (
        key(),
        text(),
        kind,
        entries(),
        any::<(bool, bool)>(),
        0..4_u32,
    )
        .prop_map(
            |(key, name, kind, choices, (required, searchable), version)| Field {
                key,
                version,
                name,
                kind,
                choices,
                required,
                searchable,
                override_reason: None,
            },
        );
    prop_oneof![
        Just(Command::Open),
        (list(), entries()).prop_map(|(list, entries)| Command::Publish { list, entries }),
        (list(), key()).prop_map(|(list, key)| Command::Withdraw { list, key }),
        field.prop_map(Command::PublishField),
        key().prop_map(|key| Command::WithdrawField { key }),
    ]
}

pub(crate) fn owner() -> impl Strategy<Value = Owner> {
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
            Command::Register(Registration {
                id, external_id: None, card, owner, registered_at, status: None, origin: None,
            })
        }),
        1 => changes().prop_map(move |changes| Command::ChangeDetails { id, changes }),
        1 => (phones(), emails()).prop_map(move |(phones, emails)| {
            Command::Forget { id, points: Points { phones, emails } }
        }),
        1 => vec(text(), 0..2).prop_map(|stop_list| Command::Erase { stop_list }),
        1 => (key(), text())
            .prop_map(move |(to, reason)| Command::ChangeStatus { id, to, reason }),
        1 => (owner(), instant()).prop_map(|(to, now)| Command::AssignOwner { to, now }),
        1 => (owner(), instant()).prop_map(|(by, now)| Command::Claim { by, now, until: now + LEASE }),
        1 => (staff_id(), instant())
            .prop_map(|(by, now)| Command::RenewClaim { by, now, until: now + LEASE }),
        1 => (staff_id(), instant()).prop_map(|(holder, now)| Command::ReleaseClaim { holder, now }),
        1 => instant().prop_map(|now| Command::ExpireClaim { now }),
        1 => (staff_id(), instant())
            .prop_map(|(by, logged_at)| Command::FirstContact { by, logged_at }),
        1 => (select(vec!["acc-1001", "acc-1002", "acc-1003"]), any::<bool>(), text(), instant())
            .prop_map(move |(survivor, survivor_is_client, reason, now)| {
                let survivor_id = AccountId::of_external(survivor);
                Command::Merge(account::Merge { id, survivor_id, survivor_is_client, reason, now })
            }),
        1 => (text(), any::<bool>())
            .prop_map(move |(reason, owner_left)| Command::Unmerge { id, reason, owner_left }),
        1 => (option::of(staff_id()), owner(), text())
            .prop_map(move |(from, to, reason)| Command::Transfer {
                id, from, to, reason, transfer_id: TransferId::of_external("leaving"),
            }),
        1 => text().prop_map(move |reason| Command::ReturnToPool { id, reason }),
        2 => (order_id(), 0..1_000_i64, (instant(), precision()), option::of(owner()), option::of(instant())).prop_map(
            |(id, minor_units, (ordered_at, precision), owner, now)| {
                Command::RegisterOrder(Order {
                    id,
                    external_id: None,
                    amount: Money { minor_units, currency: "RUB".to_owned() },
                    ordered_at,
                    precision,
                    taken: account::Taken::Other,
                    owner,
                    now,
                })
            }
        ),
        1 => (order_id(), text())
            .prop_map(move |(order_id, reason)| Command::CancelOrder { id, order_id, reason }),
    ]
}

pub(crate) fn precision() -> impl Strategy<Value = Precision> {
    select(vec![Precision::Unsaid, Precision::Day, Precision::Instant])
}

fn criteria() -> impl Strategy<Value = Criteria> {
    (text(), text()).prop_map(|(city, kind)| Criteria {
        city,
        kind,
        ..Criteria::default()
    })
}

fn callers() -> impl Strategy<Value = Callers> {
    (vec(staff_id(), 0..2), vec(group_id(), 0..2)).prop_map(|(staff_ids, group_ids)| Callers {
        staff_ids,
        group_ids,
    })
}

fn account_ids() -> impl Strategy<Value = Vec<AccountId>> {
    vec(
        select(vec!["a", "b", "c"]).prop_map(AccountId::of_external),
        0..4,
    )
}

fn share() -> impl Strategy<Value = distribution::Share> {
    (staff_id(), account_ids()).prop_map(|(staff_id, account_ids)| distribution::Share {
        staff_id,
        account_ids,
    })
}

fn transfer_command() -> impl Strategy<Value = transfer::Command> {
    use transfer::Command;
    let part = (staff_id(), staff_id(), account_ids()).prop_map(|(from, to, account_ids)| Part {
        from_owner_id: from,
        to_owner_id: to,
        account_ids,
    });
    let kept = || {
        account_ids().prop_map(|ids| {
            let kept = ids.into_iter().map(|account_id| Kept {
                account_id,
                reason: "OWNER_CHANGED".to_owned(),
            });
            kept.collect::<Vec<_>>()
        })
    };
    prop_oneof![
        1 => (option::of(staff_id()), text(), vec(part, 0..3), kept()).prop_map(
            |(from_owner_id, reason, parts, kept)| {
                let id = TransferId::of_external("leaving");
                let reason = Personal::new(transfer::subject(id, &parts), reason);
                Command::Start(Started { from_owner_id, reason, parts, kept })
            }
        ),
        4 => (0..8_u64, account_ids(), kept())
            .prop_map(|(after, moved, kept)| Command::Advance { after, moved, kept }),
        1 => (0..9_u64).prop_map(|tasks_reassigned| Command::Complete { tasks_reassigned }),
    ]
}

fn list_command() -> impl Strategy<Value = prospect_list::Command> {
    use prospect_list::Command;
    prop_oneof![
        2 => (text(), option::of(criteria()), callers()).prop_map(|(name, criteria, callers)| {
            Command::Create(Created { name, criteria, callers })
        }),
        1 => (option::of(text()), option::of(criteria()), option::of(callers())).prop_map(
            |(name, criteria, callers)| Command::Change(Changed { name, criteria, callers })
        ),
        2 => account_ids().prop_map(|account_ids| Command::Add { account_ids }),
        2 => account_ids().prop_map(|account_ids| Command::Remove { account_ids }),
        1 => text().prop_map(|reason| Command::Close { reason }),
    ]
}
