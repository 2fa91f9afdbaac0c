use es::spec::given;

use super::*;

fn account(number: usize) -> AccountId {
    AccountId::of_external(&format!("acc-{number}"))
}

fn accounts(numbers: std::ops::Range<usize>) -> Vec<AccountId> {
    numbers.map(account).collect()
}

fn plan() -> Started {
    let part = |to: &str, numbers| Part {
        from_owner_id: StaffId::of_external("s-11"),
        to_owner_id: StaffId::of_external(to),
        account_ids: accounts(numbers),
    };
    let parts = vec![part("s-12", 0..2), part("s-13", 2..3)];
    Started {
        from_owner_id: Some(StaffId::of_external("s-11")),
        reason: Personal::new(subject(id(), &parts), "уходит".to_owned()),
        parts,
        kept: Vec::new(),
    }
}

fn id() -> TransferId {
    TransferId::of_external("leaving")
}

fn started() -> Event {
    Event::Started(plan())
}

fn kept(number: usize) -> Kept {
    Kept {
        account_id: account(number),
        reason: "OWNER_CHANGED".to_owned(),
    }
}

fn advance_from(after: u64, moved: std::ops::Range<usize>, kept: &[Kept]) -> Command {
    Command::Advance {
        after,
        moved: accounts(moved),
        kept: kept.to_vec(),
    }
}

fn advanced(moved: std::ops::Range<usize>, kept: &[Kept], left: u64) -> Event {
    Event::Advanced(Advanced {
        moved: accounts(moved),
        kept: kept.to_vec(),
        left,
    })
}

#[test]
fn a_plan_is_made_once_and_only_of_something() {
    given::<Transfer>([])
        .when(Command::Start(plan()))
        .then([started()]);
    given::<Transfer>([started()])
        .when(Command::Start(plan()))
        .then_rejected(Rejection::Exists);
    let nothing = Started {
        parts: Vec::new(),
        kept: vec![kept(0)],
        ..plan()
    };
    given::<Transfer>([])
        .when(Command::Start(nothing))
        .then_nothing();
}

#[test]
fn it_goes_on_where_it_is() {
    let state = Transfer::fold(&[started(), advanced(0..1, &[], 2)]);
    let next = state.next(5);
    assert_eq!((state.planned(), state.left()), (3, 2));
    assert_eq!(
        next.iter().map(|one| one.account_id).collect::<Vec<_>>(),
        accounts(1..3)
    );
    assert_eq!(next[1].to, StaffId::of_external("s-13"));
    given::<Transfer>([started(), advanced(0..1, &[], 2)])
        .when(advance_from(1, 1..2, &[kept(2)]))
        .then([advanced(1..2, &[kept(2)], 0)]);
}

#[test]
fn who_is_late_has_nothing_to_add() {
    let before = [started(), advanced(0..2, &[], 1)];
    for late in [
        advance_from(0, 0..2, &[]),
        advance_from(2, 2..4, &[]),
        advance_from(2, 2..2, &[]),
    ] {
        given::<Transfer>(before.clone()).when(late).then_nothing();
    }
    given::<Transfer>([])
        .when(advance_from(0, 0..1, &[]))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn it_is_completed_when_all_is_moved_and_once() {
    let complete = Command::Complete {
        tasks_reassigned: 5,
    };
    given::<Transfer>([started(), advanced(0..2, &[], 1)])
        .when(complete.clone())
        .then_rejected(Rejection::Unfinished);
    let completed = Event::Completed(Completed {
        moved: 2,
        kept: 1,
        tasks_reassigned: 5,
    });
    let moved = [started(), advanced(0..2, &[kept(2)], 0)];
    given::<Transfer>(moved.clone())
        .when(complete.clone())
        .then([completed.clone()]);
    given::<Transfer>([&moved[..], &[completed]].concat())
        .when(complete)
        .then_nothing();
}

#[test]
fn its_reason_is_about_whoever_hands_over() {
    let part = |from: &str| Part {
        from_owner_id: StaffId::of_external(from),
        to_owner_id: StaffId::of_external("s-13"),
        account_ids: accounts(0..1),
    };
    let leaving = staff::subject(StaffId::of_external("s-11"));
    assert_eq!(subject(id(), &[part("s-11"), part("s-11")]), leaving);
    let own = Subject::new("transfer", id().0);
    assert_eq!(subject(id(), &[part("s-11"), part("s-12")]), own);
}
