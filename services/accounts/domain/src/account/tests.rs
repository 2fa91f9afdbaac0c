use es::{Personal, Subject, spec::given};
use vocabulary::{Email, PhoneNumber};

use super::*;
use crate::card;

pub(super) fn id() -> AccountId {
    AccountId::of_external("acc-1001")
}

/// Under the key of what is said of the company.
pub(super) fn why(reason: &str) -> Personal<String> {
    Personal::new(deal::subject(id()), reason.to_owned())
}

pub(super) fn owner(external_id: &str) -> Owner {
    Owner {
        id: StaffId::of_external(external_id),
        group_id: Some(GroupId::of_external("a")),
    }
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn vector() -> Card {
    Card {
        name: "ООО «Вектор-Строй»".to_owned(),
        phones: vec![PhoneNumber::parse("8 900 000-01-15").unwrap()],
        city: "Миасс".to_owned(),
        ..Card::default()
    }
}

fn registration(owner: Option<Owner>) -> Registration {
    Registration {
        id: id(),
        external_id: Some("acc-1001".to_owned()),
        card: vector(),
        owner,
        registered_at: at("2025-06-16T09:00:00Z"),
        status: None,
        origin: None,
    }
}

pub(super) fn registered(owner: Option<Owner>) -> Event {
    Event::ProspectRegistered(ProspectRegistered {
        external_id: Some("acc-1001".to_owned()),
        details: Details::of(id(), vector()),
        owner_id: owner.map(|owner| owner.id),
        owner_group_id: owner.and_then(|owner| owner.group_id),
        registered_at: at("2025-06-16T09:00:00Z"),
        status: None,
        origin: None,
    })
}

pub(super) fn order(external_id: &str) -> Order {
    Order {
        id: OrderId::of_external(external_id),
        external_id: Some(external_id.to_owned()),
        amount: Money::try_new(18_000_000, "RUB").unwrap(),
        ordered_at: at("2026-05-05T11:00:00Z"),
        precision: Precision::Instant,
        taken: Taken::Phone,
        owner: Some(owner("s-12")),
        now: None,
    }
}

pub(super) fn ordered(external_id: &str) -> Event {
    Event::OrderRegistered(OrderRegistered {
        order_id: OrderId::of_external(external_id),
        external_id: Some(external_id.to_owned()),
        amount: Money::try_new(18_000_000, "RUB").unwrap(),
        ordered_at: at("2026-05-05T11:00:00Z"),
        taken: Some(Taken::Phone),
        owner_id: Some(owner("s-12").id),
        owner_group_id: owner("s-12").group_id,
    })
}

pub(super) fn converted(external_id: &str) -> Event {
    Event::ConvertedToClient(ConvertedToClient {
        order_id: OrderId::of_external(external_id),
        converted_at: at("2026-05-05T11:00:00Z"),
    })
}

pub(super) fn transfer_to(external_id: &str, from: Option<&str>) -> Command {
    Command::Transfer {
        id: id(),
        from: from.map(StaffId::of_external),
        to: owner(external_id),
        reason: "увольнение".to_owned(),
        transfer_id: TransferId::of_external("leaving"),
    }
}

pub(super) fn transferred(from: &str, to: &str) -> Event {
    Event::OwnershipTransferred(OwnershipTransferred {
        from_owner_id: owner(from).id,
        to_owner_id: owner(to).id,
        to_owner_group_id: owner(to).group_id,
        reason: why("увольнение"),
        transfer_id: Some(TransferId::of_external("leaving")),
    })
}

#[test]
fn a_prospect_is_registered_once() {
    given::<Account>([])
        .when(Command::Register(registration(None)))
        .then([registered(None)]);
    given::<Account>([])
        .when(Command::Register(registration(Some(owner("s-11")))))
        .then([registered(Some(owner("s-11")))]);
    given::<Account>([registered(None)])
        .when(Command::Register(registration(None)))
        .then_rejected(Rejection::Exists);
}

#[test]
fn a_card_has_a_name_and_a_way_to_be_reached() {
    let Err(Rejection::Incomplete(violations)) = Account::decide(
        &State::default(),
        Command::Register(Registration {
            card: Card::default(),
            ..registration(None)
        }),
    ) else {
        panic!("an empty card")
    };
    let fields: Vec<_> = violations.iter().map(|fault| &*fault.field).collect();
    assert_eq!(fields, ["name", "phones"]);

    let only_mail = Card {
        phones: Vec::new(),
        emails: vec![Email::parse("v.sokolova@example.org").unwrap()],
        ..vector()
    };
    let outcome = Account::decide(
        &State::default(),
        Command::Register(Registration {
            card: only_mail,
            ..registration(None)
        }),
    );
    assert!(outcome.is_ok());
}

#[test]
fn only_what_differs_is_recorded() {
    let change = |changes| Command::ChangeDetails { id: id(), changes };
    given::<Account>([registered(None)])
        .when(change(Changes {
            name: Some(vector().name),
            phones: Some(vector().phones),
            city: Some("Миасс".to_owned()),
            address: Some(String::new()),
            ..Changes::default()
        }))
        .then_nothing();
    given::<Account>([registered(None)])
        .when(change(Changes {
            name: Some(vector().name),
            city: Some("Челябинск".to_owned()),
            address: Some("пр. Ленина, 1".to_owned()),
            ..Changes::default()
        }))
        .then([Event::DetailsChanged(Details {
            city: Some("Челябинск".to_owned()),
            address: Some(Personal::new(
                card::subject(id()),
                "пр. Ленина, 1".to_owned(),
            )),
            ..Details::default()
        })]);
    given::<Account>([registered(None)])
        .when(change(Changes {
            city: Some(String::new()),
            ..Changes::default()
        }))
        .then([Event::DetailsChanged(Details {
            city: Some(String::new()),
            ..Details::default()
        })]);
}

#[test]
fn the_last_way_to_be_reached_cannot_be_taken_away() {
    let change = Command::ChangeDetails {
        id: id(),
        changes: Changes {
            phones: Some(Vec::new()),
            ..Changes::default()
        },
    };
    let outcome = Account::decide(&Account::fold(&[registered(None)]), change);
    assert!(matches!(outcome, Err(Rejection::Incomplete(_))));
}

#[test]
fn only_an_account_of_the_pool_is_assigned() {
    let assigned = Event::OwnerAssigned(OwnerAssigned {
        owner_id: owner("s-11").id,
        owner_group_id: owner("s-11").group_id,
    });
    let assign = Command::AssignOwner {
        to: owner("s-11"),
        now: at("2026-03-02T09:00:00Z"),
    };
    given::<Account>([])
        .when(assign.clone())
        .then_rejected(Rejection::Unknown);
    given::<Account>([registered(None)])
        .when(assign.clone())
        .then([assigned]);
    given::<Account>([registered(Some(owner("s-11")))])
        .when(assign.clone())
        .then_nothing();
    given::<Account>([registered(Some(owner("s-12")))])
        .when(assign)
        .then_rejected(Rejection::AlreadyOwned);
}

#[test]
fn a_hand_over_names_both_sides() {
    let owned = registered(Some(owner("s-11")));
    given::<Account>([owned.clone()])
        .when(transfer_to("s-12", None))
        .then([transferred("s-11", "s-12")]);
    given::<Account>([owned.clone()])
        .when(transfer_to("s-12", Some("s-11")))
        .then([transferred("s-11", "s-12")]);
    given::<Account>([owned.clone(), transferred("s-11", "s-12")])
        .when(transfer_to("s-12", Some("s-11")))
        .then_nothing();
    given::<Account>([owned, transferred("s-11", "s-13")])
        .when(transfer_to("s-12", Some("s-11")))
        .then_rejected(Rejection::OwnerChanged);
    given::<Account>([registered(None)])
        .when(transfer_to("s-12", None))
        .then_rejected(Rejection::InPool);
}

#[test]
fn the_pool_takes_an_account_once() {
    let back = Command::ReturnToPool {
        id: id(),
        reason: "не дозвонились".to_owned(),
    };
    given::<Account>([registered(Some(owner("s-11")))])
        .when(back.clone())
        .then([Event::ReturnedToPool(ReturnedToPool {
            from_owner_id: owner("s-11").id,
            reason: why("не дозвонились"),
        })]);
    given::<Account>([registered(None)])
        .when(back)
        .then_nothing();
}

#[test]
fn the_first_order_makes_a_client_and_no_other_does() {
    let first = [ordered("З-0001"), converted("З-0001")];
    let register = |id| Command::RegisterOrder(order(id));
    let owned = || registered(Some(owner("s-12")));
    given::<Account>([owned()])
        .when(register("З-0001"))
        .then(first.clone());
    given::<Account>([owned()].into_iter().chain(first.clone()))
        .when(register("З-0001"))
        .then_nothing();
    given::<Account>([owned()].into_iter().chain(first))
        .when(register("З-0002"))
        .then([ordered("З-0002")]);
}

#[test]
fn another_order_under_a_known_number_is_refused() {
    let history = || [registered(None), ordered("З-0001"), converted("З-0001")];
    let as_is = || order("З-0001");
    let (day, next_day) = (at("2026-05-05T00:00:00Z"), at("2026-05-06T00:00:00Z"));
    let dated = |ordered_at, precision| Order {
        ordered_at,
        precision,
        ..as_is()
    };
    // From a file that knows the day only, and by somebody who does not say when.
    for same in [
        Order {
            taken: Taken::Import,
            owner: None,
            ..dated(day, Precision::Day)
        },
        dated(next_day, Precision::Unsaid),
    ] {
        given::<Account>(history())
            .when(Command::RegisterOrder(same))
            .then_nothing();
    }
    for other in [
        Order {
            amount: Money::try_new(17_000_000, "RUB").unwrap(),
            ..as_is()
        },
        Order {
            amount: Money::try_new(18_000_000, "EUR").unwrap(),
            ..as_is()
        },
        dated(day, Precision::Instant),
        dated(next_day, Precision::Day),
        dated(at("2026-05-04T00:00:00Z"), Precision::Day),
    ] {
        given::<Account>(history())
            .when(Command::RegisterOrder(other))
            .then_rejected(Rejection::OrderExists);
    }
}

#[test]
fn a_sale_of_now_is_its_present_owners() {
    let register = Command::RegisterOrder(Order {
        now: Some(at("2026-05-05T11:00:00Z")),
        ..order("З-0001")
    });
    let owned = || registered(Some(owner("s-12")));
    given::<Account>([owned()])
        .when(register.clone())
        .then([ordered("З-0001"), converted("З-0001")]);
    given::<Account>([owned(), transferred("s-12", "s-13")])
        .when(register.clone())
        .then_rejected(Rejection::OwnerChanged);
    given::<Account>([owned(), ordered("З-0001"), transferred("s-12", "s-13")])
        .when(register)
        .then_nothing();
}

#[test]
fn a_cancelled_order_keeps_the_client() {
    let cancel = |order| Command::CancelOrder {
        id: id(),
        order_id: OrderId::of_external(order),
        reason: "передумали".to_owned(),
    };
    let cancelled = Event::OrderCancelled(OrderCancelled {
        order_id: OrderId::of_external("З-0001"),
        reason: why("передумали"),
    });
    let history = [registered(None), ordered("З-0001"), converted("З-0001")];
    given::<Account>(history.clone())
        .when(cancel("З-0009"))
        .then_rejected(Rejection::OrderUnknown);
    given::<Account>(history.clone())
        .when(cancel("З-0001"))
        .then([cancelled.clone()]);

    let after = || history.clone().into_iter().chain([cancelled.clone()]);
    given::<Account>(after())
        .when(cancel("З-0001"))
        .then_nothing();
    given::<Account>(after())
        .when(Command::RegisterOrder(order("З-0001")))
        .then_rejected(Rejection::OrderExists);
    given::<Account>(after())
        .when(Command::RegisterOrder(order("З-0002")))
        .then([ordered("З-0002")]);
}

#[test]
fn an_erased_card_can_still_be_worked_with() {
    let erased = Event::ProspectRegistered(ProspectRegistered {
        external_id: None,
        details: Details {
            name: Some(Personal::Erased {
                subject: card::subject(id()),
            }),
            phones: Some(Personal::Erased {
                subject: card::subject(id()),
            }),
            ..Details::default()
        },
        owner_id: Some(owner("s-11").id),
        owner_group_id: None,
        registered_at: at("2025-06-16T09:00:00Z"),
        status: None,
        origin: None,
    });
    given::<Account>([erased.clone()])
        .when(transfer_to("s-12", None))
        .then([transferred("s-11", "s-12")]);
    given::<Account>([erased])
        .when(Command::ChangeDetails {
            id: id(),
            changes: Changes {
                city: Some("Миасс".to_owned()),
                ..Changes::default()
            },
        })
        .then([Event::DetailsChanged(Details {
            city: Some("Миасс".to_owned()),
            ..Details::default()
        })]);
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

fn forget(text: &str) -> Command {
    let phones = vec![phone(text)];
    let emails = Vec::new();
    Command::Forget {
        id: id(),
        points: Points { phones, emails },
    }
}

fn phones(subject: &Subject, texts: &[&str]) -> Personal<Vec<PhoneNumber>> {
    let phones = texts.iter().map(|text| phone(text)).collect();
    Personal::new(subject.clone(), phones)
}

#[test]
fn what_is_forgotten_goes_out_of_the_history_of_a_card_too() {
    let (first, second) = (card::subject(id()), card::subject(id()).renewed());
    let changed = Event::DetailsChanged(Details {
        phones: Some(phones(&first, &["+7 900 000-01-16", "+7 900 000-01-17"])),
        ..Details::default()
    });
    let history = || [registered(None), changed.clone()];
    let sealed_with = |phones| {
        Event::CardSealedAnew(CardSealedAnew {
            details: Details {
                name: Some(Personal::new(second.clone(), vector().name)),
                phones,
                ..Details::default()
            },
            supersedes: first.clone(),
        })
    };
    // Now on the card, and not any more.
    let now = sealed_with(Some(phones(&second, &["+7 900 000-01-17"])));
    given::<Account>(history())
        .when(forget("8 900 000-01-16"))
        .then([now.clone()]);
    let before = sealed_with(Some(phones(
        &second,
        &["+7 900 000-01-16", "+7 900 000-01-17"],
    )));
    given::<Account>(history())
        .when(forget("8 900 000-01-15"))
        .then([before]);
    given::<Account>(history())
        .when(forget("8 900 000-01-18"))
        .then_nothing();

    // What comes later is under the new key.
    let change = |number| Command::ChangeDetails {
        id: id(),
        changes: Changes {
            phones: Some(vec![phone(number)]),
            ..Changes::default()
        },
    };
    given::<Account>(history().into_iter().chain([now]))
        .when(change("+7 900 000-01-19"))
        .then([Event::DetailsChanged(Details {
            phones: Some(phones(&second, &["+7 900 000-01-19"])),
            ..Details::default()
        })]);
}

#[test]
fn a_card_that_lost_its_only_phone_can_still_be_changed() {
    let second = card::subject(id()).renewed();
    let sealed = Event::CardSealedAnew(CardSealedAnew {
        details: Details {
            name: Some(Personal::new(second.clone(), vector().name)),
            phones: Some(Personal::Erased { subject: second }),
            ..Details::default()
        },
        supersedes: card::subject(id()),
    });
    given::<Account>([registered(None)])
        .when(forget("8 900 000-01-15"))
        .then([sealed.clone()]);
    given::<Account>([registered(None), sealed])
        .when(Command::ChangeDetails {
            id: id(),
            changes: Changes {
                city: Some("Чебаркуль".to_owned()),
                ..Changes::default()
            },
        })
        .then([Event::DetailsChanged(Details {
            city: Some("Чебаркуль".to_owned()),
            ..Details::default()
        })]);
}

#[test]
fn a_company_that_was_a_person_is_forgotten_once() {
    let erase = |stop: &str| Command::Erase {
        stop_list: vec![stop.to_owned()],
    };
    let erased = Event::Erased(Erased {
        stop_list: vec!["ab".to_owned()],
    });
    given::<Account>([registered(Some(owner("s-11")))])
        .when(erase("ab"))
        .then([erased.clone()]);
    let after = || [registered(Some(owner("s-11"))), erased.clone()];
    given::<Account>(after()).when(erase("cd")).then_nothing();
    given::<Account>(after())
        .when(forget("8 900 000-01-15"))
        .then_nothing();
    given::<Account>(after())
        .when(Command::ChangeDetails {
            id: id(),
            changes: Changes::default(),
        })
        .then_rejected(Rejection::Erased);
    // It goes to another owner as all do, without a word about it.
    let Event::OwnershipTransferred(with_words) = transferred("s-11", "s-12") else {
        unreachable!("it is one");
    };
    let subject = with_words.reason.subject().clone();
    given::<Account>(after())
        .when(transfer_to("s-12", None))
        .then([Event::OwnershipTransferred(OwnershipTransferred {
            reason: Personal::Erased { subject },
            ..with_words
        })]);
}

#[test]
fn business_time_is_that_of_the_fact() {
    assert_eq!(
        Account::occurred_at(&registered(None)),
        Some(at("2025-06-16T09:00:00Z"))
    );
    assert_eq!(
        Account::occurred_at(&converted("З-0001")),
        Account::occurred_at(&ordered("З-0001"))
    );
    assert_eq!(Account::occurred_at(&transferred("s-11", "s-12")), None);
}

#[test]
fn an_order_number_is_used_once() {
    let taken = Reservation::Take {
        kind: "order",
        name: "З-0001".to_owned(),
    };
    assert_eq!(Account::reservations(&ordered("З-0001")), [taken]);
    assert_eq!(Account::reservations(&registered(None)), []);
}

fn status(from: Option<&str>, to: &str) -> Event {
    Event::StatusChanged(StatusChanged {
        from: from.map(ToOwned::to_owned),
        to: to.to_owned(),
        reason: Some(why("по звонку")),
    })
}

#[test]
fn every_change_of_status_is_recorded_once() {
    let change = |to: &str| Command::ChangeStatus {
        id: id(),
        to: to.to_owned(),
        reason: "по звонку".to_owned(),
    };
    given::<Account>([registered(None)])
        .when(change("contacted"))
        .then([status(None, "contacted")]);
    given::<Account>([registered(None), status(None, "contacted")])
        .when(change("refused"))
        .then([status(Some("contacted"), "refused")]);
    given::<Account>([registered(None), status(None, "contacted")])
        .when(change("contacted"))
        .then_nothing();
    given::<Account>([])
        .when(change("contacted"))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn of_a_company_that_is_forgotten_nobody_is_told_why() {
    let erased = Event::Erased(Erased {
        stop_list: Vec::new(),
    });
    let history = || {
        let order = [ordered("З-0001"), converted("З-0001")];
        let begun = [registered(Some(owner("s-11")))].into_iter().chain(order);
        begun.chain([erased.clone()])
    };
    let reason = || Personal::Erased {
        subject: deal::subject(id()),
    };
    given::<Account>(history())
        .when(transfer_to("s-12", None))
        .then([Event::OwnershipTransferred(OwnershipTransferred {
            from_owner_id: owner("s-11").id,
            to_owner_id: owner("s-12").id,
            to_owner_group_id: owner("s-12").group_id,
            reason: reason(),
            transfer_id: Some(TransferId::of_external("leaving")),
        })]);
    let said = "Канарейкин передумал".to_owned();
    given::<Account>(history())
        .when(Command::ReturnToPool {
            id: id(),
            reason: said.clone(),
        })
        .then([Event::ReturnedToPool(ReturnedToPool {
            from_owner_id: owner("s-11").id,
            reason: reason(),
        })]);
    given::<Account>(history())
        .when(Command::CancelOrder {
            id: id(),
            order_id: OrderId::of_external("З-0001"),
            reason: said.clone(),
        })
        .then([Event::OrderCancelled(OrderCancelled {
            order_id: OrderId::of_external("З-0001"),
            reason: reason(),
        })]);
    given::<Account>(history())
        .when(Command::ChangeStatus {
            id: id(),
            to: "refused".to_owned(),
            reason: said,
        })
        .then([Event::StatusChanged(StatusChanged {
            from: None,
            to: "refused".to_owned(),
            reason: Some(reason()),
        })]);
}

#[test]
fn what_is_said_to_the_survivor_is_said_of_the_survivor() {
    let survivor = AccountId::of_external("acc-1002");
    let moved = transfer_to("s-12", None).for_survivor(survivor);
    let decided = Account::decide(&Account::fold(&[registered(Some(owner("s-11")))]), moved);
    let events = decided.unwrap();
    let reason = events[0].reason().unwrap();
    assert_eq!(*reason.subject(), deal::subject(survivor));
}
