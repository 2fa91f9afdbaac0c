use es::{Rejection as _, spec::given};

use super::*;

pub(super) fn petrov() -> Newcomer {
    Newcomer {
        id: StaffId::of_external("s-11"),
        external_id: "s-11".to_owned(),
        name: "Петров Алексей Игоревич".to_owned(),
        role: Role::Manager,
        group_id: Some(GroupId::of_external("a")),
        extension: Some("111".to_owned()),
        hired_on: NaiveDate::from_ymd_opt(2023, 2, 1).unwrap(),
        login: Some("petrov".to_owned()),
        password_hash: None,
    }
}

fn dismissed() -> Event {
    Event::Dismissed(Dismissed {
        reason: "ушёл сам".to_owned(),
    })
}

fn dismiss(duties: Duties) -> Command {
    Command::Dismiss {
        reason: "ушёл сам".to_owned(),
        duties,
    }
}

#[test]
fn a_person_is_hired_once() {
    given::<StaffMember>([])
        .when(Command::Hire(petrov()))
        .then([hired(petrov())]);
    given::<StaffMember>([hired(petrov())])
        .when(Command::Hire(petrov()))
        .then_rejected(Rejection::Exists);
    given::<StaffMember>([hired(petrov()), dismissed()])
        .when(Command::Hire(petrov()))
        .then_rejected(Rejection::Exists);
}

#[test]
fn nobody_changes_who_was_never_hired() {
    given::<StaffMember>([])
        .when(Command::MoveToGroup { group_id: None })
        .then_rejected(Rejection::Unknown);
    given::<StaffMember>([])
        .when(dismiss(Duties::default()))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn the_same_role_and_group_are_nothing_new() {
    let change = |role| Command::ChangeRole {
        role,
        reason: "повышение".to_owned(),
    };
    given::<StaffMember>([hired(petrov())])
        .when(change(Role::Manager))
        .then_nothing();
    given::<StaffMember>([hired(petrov())])
        .when(change(Role::Head))
        .then([Event::RoleChanged(RoleChanged {
            role: Role::Head,
            reason: "повышение".to_owned(),
        })]);
    given::<StaffMember>([hired(petrov())])
        .when(Command::MoveToGroup {
            group_id: petrov().group_id,
        })
        .then_nothing();
    given::<StaffMember>([hired(petrov())])
        .when(Command::MoveToGroup { group_id: None })
        .then([Event::MovedToGroup(MovedToGroup { group_id: None })]);
}

#[test]
fn who_owns_accounts_or_has_tasks_stays() {
    for (accounts, open_deals, open_tasks, accounts_to_come, reason) in [
        (120, 3, 47, 9, "STAFF_OWNS_ACCOUNTS"),
        (120, 0, 0, 0, "STAFF_OWNS_ACCOUNTS"),
        (0, 1, 1, 1, "STAFF_OWNS_DEALS"),
        (0, 0, 1, 1, "STAFF_AWAITS_ACCOUNTS"),
        (0, 0, 0, 1, "STAFF_AWAITS_ACCOUNTS"),
        (0, 0, 1, 0, "STAFF_HAS_OPEN_TASKS"),
    ] {
        let duties = Duties {
            accounts,
            open_deals,
            open_tasks,
            accounts_to_come,
        };
        let rejection = Rejection::HasDuties(duties);
        assert_eq!(rejection.reason(), reason);
        let facts = [
            ("accounts", accounts),
            ("open_deals", open_deals),
            ("open_tasks", open_tasks),
            ("accounts_to_come", accounts_to_come),
        ];
        assert_eq!(rejection.facts(), facts);
        given::<StaffMember>([hired(petrov())])
            .when(dismiss(duties))
            .then_rejected(rejection);
    }
    given::<StaffMember>([hired(petrov())])
        .when(dismiss(Duties::default()))
        .then([dismissed()]);
}

#[test]
fn who_left_stays_as_he_was() {
    given::<StaffMember>([hired(petrov()), dismissed()])
        .when(dismiss(Duties::default()))
        .then_nothing();
    given::<StaffMember>([hired(petrov()), dismissed()])
        .when(Command::MoveToGroup { group_id: None })
        .then_rejected(Rejection::Dismissed);
}

#[test]
fn a_login_is_taken_in_any_case() {
    let id = petrov().id;
    let set = Command::SetPassword {
        id,
        credentials: Credentials {
            login: " Petrov".to_owned(),
            password_hash: "$argon2id$…".to_owned(),
        },
    };
    let events = StaffMember::decide(&StaffMember::fold(&[hired(petrov())]), set.clone());
    let taken = Reservation::Take {
        kind: "login",
        name: "petrov".to_owned(),
    };
    assert_eq!(
        events.map(|events| StaffMember::reservations(&events[0])),
        Ok(vec![taken.clone()])
    );
    assert_eq!(StaffMember::reservations(&hired(petrov())), [taken]);
    given::<StaffMember>([hired(petrov())])
        .when(set)
        .then([Event::PasswordSet(personal(
            id,
            Credentials {
                login: " Petrov".to_owned(),
                password_hash: "$argon2id$…".to_owned(),
            },
        ))]);
}

#[test]
fn an_erased_person_still_has_a_state() {
    let subject = subject(petrov().id);
    let Event::Hired(known) = hired(petrov()) else {
        panic!("hired")
    };
    let erased = Event::Hired(Hired {
        name: Personal::Erased {
            subject: subject.clone(),
        },
        login: Some(Personal::Erased { subject }),
        ..known
    });
    assert_eq!(StaffMember::reservations(&erased), []);
    given::<StaffMember>([erased])
        .when(dismiss(Duties::default()))
        .then([dismissed()]);
}
