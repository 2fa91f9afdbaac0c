use es::{Aggregate, spec::given};
use vocabulary::{AccountId, PhoneNumber};

use super::{super::tests::*, *};
use crate::{
    account::{Account, Command, Order, OrderRegistered},
    card::{self, Changes, Details},
};

fn ten(minutes: i64) -> DateTime<Utc> {
    at("2026-03-13T07:00:00Z") + chrono::TimeDelta::minutes(minutes)
}

fn claim_by(who: &str, minute: i64) -> Command {
    Command::Claim {
        by: owner(who),
        now: ten(minute),
        until: ten(minute + 30),
    }
}

fn granted_to(who: &str, minute: i64) -> Event {
    Event::ClaimGranted(ClaimGranted {
        holder_id: owner(who).id,
        holder_group_id: owner(who).group_id,
        until: ten(minute + 30),
        phones: Details::of(id(), vector()).phones,
    })
}

fn expired_of(who: &str, until: i64) -> Event {
    Event::ClaimExpired(ClaimExpired {
        holder_id: owner(who).id,
        until: ten(until),
    })
}

fn released_of(who: &str, minute: i64) -> Event {
    released(owner(who).id, ten(minute))
}

fn assigned(to: &str) -> Event {
    Event::OwnerAssigned(OwnerAssigned {
        owner_id: owner(to).id,
        owner_group_id: owner(to).group_id,
    })
}

fn claimed(until: i64) -> Rejection {
    Rejection::Claimed { until: ten(until) }
}

fn claimed_pool() -> [Event; 2] {
    [registered(None), granted_to("s-13", 0)]
}

#[test]
fn one_at_a_time_claims_a_prospect_of_the_pool() {
    given::<Account>([registered(None)])
        .when(claim_by("s-13", 0))
        .then([granted_to("s-13", 0)]);
    for (who, minute) in [("s-22", 0), ("s-13", 10)] {
        given::<Account>(claimed_pool())
            .when(claim_by(who, minute))
            .then_rejected(claimed(30));
    }
    for who in ["s-11", "s-13"] {
        given::<Account>([registered(Some(owner("s-11")))])
            .when(claim_by(who, 0))
            .then_rejected(Rejection::AlreadyOwned);
    }
}

#[test]
fn a_claim_is_over_by_itself() {
    given::<Account>(claimed_pool())
        .when(claim_by("s-22", 30))
        .then([expired_of("s-13", 30), granted_to("s-22", 30)]);
    let expire = |minute| Command::ExpireClaim { now: ten(minute) };
    given::<Account>(claimed_pool())
        .when(expire(29))
        .then_nothing();
    given::<Account>(claimed_pool())
        .when(expire(45))
        .then([expired_of("s-13", 30)]);
    let over = claimed_pool().into_iter().chain([expired_of("s-13", 30)]);
    given::<Account>(over).when(expire(46)).then_nothing();
    assert_eq!(
        Account::occurred_at(&expired_of("s-13", 30)),
        Some(ten(30)),
        "however late it is said"
    );
}

#[test]
fn the_holder_renews_while_it_lasts() {
    let renew = |who: &str, minute| Command::RenewClaim {
        by: owner(who).id,
        now: ten(minute),
        until: ten(minute + 30),
    };
    let renewed = Event::ClaimRenewed(ClaimRenewed {
        holder_id: owner("s-13").id,
        until: ten(59),
    });
    given::<Account>(claimed_pool())
        .when(renew("s-13", 29))
        .then([renewed.clone()]);
    given::<Account>(claimed_pool())
        .when(renew("s-22", 29))
        .then_rejected(claimed(30));
    given::<Account>(claimed_pool())
        .when(renew("s-13", 30))
        .then_rejected(Rejection::ClaimOver);
    given::<Account>(claimed_pool().into_iter().chain([renewed]))
        .when(claim_by("s-22", 58))
        .then_rejected(claimed(59));
}

#[test]
fn a_claim_is_given_up_once() {
    let release = |who: &str, minute| Command::ReleaseClaim {
        holder: owner(who).id,
        now: ten(minute),
    };
    given::<Account>(claimed_pool())
        .when(release("s-13", 5))
        .then([released_of("s-13", 5)]);
    given::<Account>(claimed_pool())
        .when(release("s-22", 5))
        .then_rejected(claimed(30));
    given::<Account>(claimed_pool())
        .when(release("s-13", 31))
        .then([expired_of("s-13", 30)]);
    let given_up = claimed_pool().into_iter().chain([released_of("s-13", 5)]);
    given::<Account>(given_up)
        .when(claim_by("s-22", 6))
        .then([granted_to("s-22", 6)]);
}

#[test]
fn the_first_contact_in_time_makes_the_holder_the_owner() {
    let contact = |who: &str, minute| Command::FirstContact {
        by: owner(who).id,
        logged_at: ten(minute),
    };
    given::<Account>(claimed_pool())
        .when(contact("s-13", 29))
        .then([released_of("s-13", 29), assigned("s-13")]);
    for (who, minute) in [("s-22", 5), ("s-13", 30)] {
        given::<Account>(claimed_pool())
            .when(contact(who, minute))
            .then_nothing();
    }
    given::<Account>([registered(None)])
        .when(contact("s-13", 5))
        .then_nothing();
    // It was in time, but was heard of late: the claim is over, and nobody was faster.
    let over = || claimed_pool().into_iter().chain([expired_of("s-13", 30)]);
    given::<Account>(over())
        .when(contact("s-13", 29))
        .then([assigned("s-13")]);
    // Somebody has claimed it since: who spoke in time was first.
    let next = || over().chain([granted_to("s-22", 30)]);
    given::<Account>(next())
        .when(contact("s-13", 29))
        .then([released_of("s-22", 29), assigned("s-13")]);
    given::<Account>(next())
        .when(contact("s-22", 31))
        .then([released_of("s-22", 31), assigned("s-22")]);
    given::<Account>(next())
        .when(contact("s-13", 31))
        .then_nothing();
    given::<Account>(next().chain([released_of("s-22", 31), assigned("s-22")]))
        .when(contact("s-13", 29))
        .then_nothing();
    let given_up = || claimed_pool().into_iter().chain([released_of("s-13", 5)]);
    given::<Account>(given_up())
        .when(contact("s-13", 4))
        .then([assigned("s-13")]);
    given::<Account>(given_up())
        .when(contact("s-13", 6))
        .then_nothing();
}

#[test]
fn what_is_claimed_is_given_to_nobody_else() {
    let assign = |who: &str, minute| Command::AssignOwner {
        to: owner(who),
        now: ten(minute),
    };
    given::<Account>(claimed_pool())
        .when(assign("s-22", 29))
        .then_rejected(claimed(30));
    given::<Account>(claimed_pool())
        .when(assign("s-13", 29))
        .then([released_of("s-13", 29), assigned("s-13")]);
    given::<Account>(claimed_pool())
        .when(assign("s-22", 30))
        .then([expired_of("s-13", 30), assigned("s-22")]);
}

#[test]
fn who_sells_under_a_claim_owns_the_company_with_the_sale() {
    let sell = |who: Option<&str>, minute| {
        Command::RegisterOrder(Order {
            owner: who.map(owner),
            now: Some(ten(minute)),
            ..order("З-0001")
        })
    };
    let sold = |who: Option<&str>| {
        let Event::OrderRegistered(sold) = ordered("З-0001") else {
            unreachable!("it is one");
        };
        Event::OrderRegistered(OrderRegistered {
            owner_id: who.map(|who| owner(who).id),
            owner_group_id: who.and_then(|who| owner(who).group_id),
            ..sold
        })
    };
    given::<Account>(claimed_pool())
        .when(sell(Some("s-13"), 29))
        .then([
            released_of("s-13", 29),
            assigned("s-13"),
            sold(Some("s-13")),
            converted("З-0001"),
        ]);
    for (who, minute) in [("s-13", 30), ("s-22", 29)] {
        given::<Account>(claimed_pool())
            .when(sell(Some(who), minute))
            .then_rejected(Rejection::OwnerChanged);
    }
    given::<Account>(claimed_pool())
        .when(sell(None, 29))
        .then([sold(None), converted("З-0001")]);
}

fn taken(text: &str) -> Reservation {
    Reservation::Take {
        kind: "phone",
        name: text.to_owned(),
    }
}

#[test]
fn a_claim_locks_the_numbers_that_are_on_the_card() {
    assert_eq!(
        Account::reservations(&granted_to("s-13", 0)),
        [taken("+79000000115")]
    );
    let all = Reservation::ReleaseAll { kind: "phone" };
    for end in [released_of("s-13", 5), expired_of("s-13", 30)] {
        assert_eq!(Account::reservations(&end), std::slice::from_ref(&all));
    }

    let phones = vec![PhoneNumber::parse("8 900 000-01-16").unwrap()];
    let correction = || Command::ChangeDetails {
        id: id(),
        changes: Changes {
            phones: Some(phones.clone()),
            ..Changes::default()
        },
    };
    let phones = Some(Personal::new(card::subject(id()), phones.clone()));
    let changed = Event::DetailsChanged(Details {
        phones: phones.clone(),
        ..Details::default()
    });
    let numbers = Event::ClaimNumbersChanged(ClaimNumbersChanged { phones });
    assert_eq!(
        Account::reservations(&numbers),
        [all, taken("+79000000116")]
    );
    given::<Account>(claimed_pool())
        .when(correction())
        .then([changed.clone(), numbers]);
    given::<Account>(claimed_pool().into_iter().chain([released_of("s-13", 5)]))
        .when(correction())
        .then([changed]);
}

#[test]
fn an_erased_card_can_be_claimed_and_given_up() {
    let erased = Event::ClaimGranted(ClaimGranted {
        holder_id: owner("s-13").id,
        holder_group_id: None,
        until: ten(30),
        phones: Some(Personal::Erased {
            subject: card::subject(AccountId::of_external("acc-1001")),
        }),
    });
    assert_eq!(Account::reservations(&erased), []);
    given::<Account>([registered(None), erased])
        .when(Command::ExpireClaim { now: ten(30) })
        .then([expired_of("s-13", 30)]);
}
