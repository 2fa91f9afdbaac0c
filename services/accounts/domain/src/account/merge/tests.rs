use es::{Aggregate, spec::given};
use vocabulary::StaffId;

use super::{super::tests::*, *};
use crate::{
    account::{Account, ClaimGranted},
    card::Changes,
};

fn other(external_id: &str) -> AccountId {
    AccountId::of_external(external_id)
}

fn merge_into(survivor_id: AccountId, survivor_is_client: bool) -> Command {
    Command::Merge(Merge {
        id: id(),
        survivor_id,
        survivor_is_client,
        reason: "одна компания".to_owned(),
        now: at("2026-03-13T07:00:00Z"),
    })
}

fn merged_into(survivor_id: AccountId) -> Event {
    Event::Merged(Merged {
        merged_id: id(),
        survivor_id,
        reason: why("одна компания"),
    })
}

fn unmerge(owner_left: bool) -> Command {
    Command::Unmerge {
        id: id(),
        reason: "две компании".to_owned(),
        owner_left,
    }
}

fn unmerged_from(survivor_id: AccountId) -> Event {
    Event::Unmerged(Unmerged {
        survivor_id,
        reason: why("две компании"),
    })
}

#[test]
fn a_record_is_merged_into_one_other_and_never_into_itself() {
    given::<Account>([registered(None)])
        .when(merge_into(other("b"), false))
        .then([merged_into(other("b"))]);
    given::<Account>([registered(None)])
        .when(merge_into(id(), false))
        .then_rejected(Rejection::MergedWithItself);
    let merged = || [registered(None), merged_into(other("b"))];
    given::<Account>(merged())
        .when(merge_into(other("b"), false))
        .then_nothing();
    given::<Account>(merged())
        .when(merge_into(other("c"), false))
        .then_rejected(Rejection::Merged { into: other("b") });
}

#[test]
fn a_client_stays_a_client() {
    let client = || [registered(None), ordered("З-0001"), converted("З-0001")];
    given::<Account>(client())
        .when(merge_into(other("b"), false))
        .then_rejected(Rejection::ClientIntoProspect);
    given::<Account>(client())
        .when(merge_into(other("b"), true))
        .then([merged_into(other("b"))]);
}

#[test]
fn what_somebody_has_claimed_is_not_merged() {
    let until = at("2026-03-13T07:30:00Z");
    let granted = Event::ClaimGranted(ClaimGranted {
        holder_id: owner("s-13").id,
        holder_group_id: None,
        until,
        phones: None,
    });
    given::<Account>([registered(None), granted])
        .when(merge_into(other("b"), false))
        .then_rejected(Rejection::Claimed { until });
}

#[test]
fn what_is_new_is_the_survivors_and_what_was_is_corrected_where_it_stands() {
    let history = || {
        [
            registered(Some(owner("s-11"))),
            ordered("З-0001"),
            converted("З-0001"),
            merged_into(other("b")),
        ]
    };
    let change = Command::ChangeDetails {
        id: id(),
        changes: Changes::default(),
    };
    let into = other("b");
    for command in [
        change,
        transfer_to("s-12", None),
        Command::RegisterOrder(order("З-2")),
    ] {
        given::<Account>(history())
            .when(command)
            .then_rejected(Rejection::Merged { into });
    }
    let cancel = Command::CancelOrder {
        id: id(),
        order_id: order("З-0001").id,
        reason: "передумали".to_owned(),
    };
    let decided = Account::decide(&Account::fold(&history()), cancel);
    assert_eq!(decided.map(|events| events.len()), Ok(1));
}

#[test]
fn told_apart_they_are_as_they_were() {
    let before = [registered(Some(owner("s-11"))), transferred("s-11", "s-12")];
    let merged = || before.iter().cloned().chain([merged_into(other("b"))]);
    given::<Account>(merged())
        .when(unmerge(false))
        .then([unmerged_from(other("b"))]);
    let after: Vec<_> = merged().chain([unmerged_from(other("b"))]).collect();
    assert_eq!(Account::fold(&after), Account::fold(&before));
    given::<Account>(after)
        .when(unmerge(false))
        .then_rejected(Rejection::NotMerged);

    let left = Event::ReturnedToPool(ReturnedToPool {
        from_owner_id: StaffId::of_external("s-12"),
        reason: why("две компании"),
    });
    given::<Account>(merged())
        .when(unmerge(true))
        .then([unmerged_from(other("b")), left]);
}

#[test]
fn two_are_never_merged_into_each_other() {
    let name = |id: AccountId| id.to_string();
    assert_eq!(
        Account::reservations(&merged_into(other("b"))),
        [
            Reservation::Take {
                kind: "merged",
                name: name(id())
            },
            Reservation::Vacant {
                kind: "merged",
                name: name(other("b"))
            },
        ]
    );
    let free = Reservation::ReleaseAll { kind: "merged" };
    assert_eq!(Account::reservations(&unmerged_from(other("b"))), [free]);
}
