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

/// Under the key of who it is about.
fn why(reason: &str) -> Personal<String> {
    Personal::new(subject(petrov().id), reason.to_owned())
}

fn dismissed() -> Event {
    Event::Dismissed(Dismissed {
        reason: why("ушёл сам"),
    })
}

fn dismiss(duties: Duties) -> Command {
    Command::Dismiss {
        id: petrov().id,
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

fn to_group(group_id: Option<GroupId>, reason: &str) -> Command {
    Command::MoveToGroup {
        id: petrov().id,
        group_id,
        reason: reason.to_owned(),
    }
}

#[test]
fn nobody_changes_who_was_never_hired() {
    given::<StaffMember>([])
        .when(to_group(None, ""))
        .then_rejected(Rejection::Unknown);
    given::<StaffMember>([])
        .when(dismiss(Duties::default()))
        .then_rejected(Rejection::Unknown);
}

fn change_role(role: Role, duties: Duties) -> Command {
    Command::ChangeRole {
        id: petrov().id,
        role,
        reason: "повышение".to_owned(),
        duties,
    }
}

#[test]
fn who_owns_something_stays_somebody_who_can_own() {
    let duties = Duties {
        accounts: 120,
        open_tasks: 47,
        ..Duties::default()
    };
    for role in [Role::Operator, Role::Analyst] {
        given::<StaffMember>([hired(petrov())])
            .when(change_role(role, duties))
            .then_rejected(Rejection::HasDuties(duties));
        let changed = Event::RoleChanged(RoleChanged {
            role,
            reason: why("повышение"),
        });
        given::<StaffMember>([hired(petrov())])
            .when(change_role(role, Duties::default()))
            .then([changed.clone()]);
        // Already so, whatever is left from former days.
        given::<StaffMember>([hired(petrov()), changed])
            .when(change_role(role, duties))
            .then_nothing();
    }
    given::<StaffMember>([hired(petrov())])
        .when(change_role(Role::Head, duties))
        .then([Event::RoleChanged(RoleChanged {
            role: Role::Head,
            reason: why("повышение"),
        })]);
}

#[test]
fn the_same_role_and_group_are_nothing_new() {
    let change = |role| change_role(role, Duties::default());
    given::<StaffMember>([hired(petrov())])
        .when(change(Role::Manager))
        .then_nothing();
    given::<StaffMember>([hired(petrov())])
        .when(change(Role::Head))
        .then([Event::RoleChanged(RoleChanged {
            role: Role::Head,
            reason: why("повышение"),
        })]);
    given::<StaffMember>([hired(petrov())])
        .when(to_group(petrov().group_id, "ближе к дому"))
        .then_nothing();
    given::<StaffMember>([hired(petrov())])
        .when(to_group(None, ""))
        .then([Event::MovedToGroup(MovedToGroup {
            group_id: None,
            reason: None,
        })]);
    given::<StaffMember>([hired(petrov())])
        .when(to_group(None, "повышение"))
        .then([Event::MovedToGroup(MovedToGroup {
            group_id: None,
            reason: Some(why("повышение")),
        })]);
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
        .when(to_group(None, ""))
        .then_rejected(Rejection::Dismissed);
}

const FORMER_LOGIN: Reservation = Reservation::ReleaseAll { kind: "login" };

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
        Ok(vec![FORMER_LOGIN, taken.clone()])
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

fn change(details: NewDetails) -> Command {
    Command::ChangeDetails {
        id: petrov().id,
        details,
    }
}

fn known(text: &str) -> Personal<String> {
    Personal::new(subject(petrov().id), text.to_owned())
}

#[test]
fn only_what_is_given_and_new_changes() {
    let married = NewDetails {
        name: Some("Сидоров Алексей Игоревич".to_owned()),
        ..NewDetails::default()
    };
    let renamed = Event::DetailsChanged(DetailsChanged {
        name: Some(known("Сидоров Алексей Игоревич")),
        ..DetailsChanged::default()
    });
    given::<StaffMember>([hired(petrov())])
        .when(change(married))
        .then([renamed.clone()]);
    let same = NewDetails {
        name: Some("Сидоров Алексей Игоревич".to_owned()),
        extension: Some("111".to_owned()),
        login: Some("petrov".to_owned()),
    };
    given::<StaffMember>([hired(petrov()), renamed.clone()])
        .when(change(same.clone()))
        .then_nothing();
    given::<StaffMember>([hired(petrov())])
        .when(change(NewDetails {
            extension: Some(String::new()),
            ..same
        }))
        .then([Event::DetailsChanged(DetailsChanged {
            name: Some(known("Сидоров Алексей Игоревич")),
            extension: Some(String::new()),
            ..DetailsChanged::default()
        })]);
    given::<StaffMember>([])
        .when(change(NewDetails::default()))
        .then_rejected(Rejection::Unknown);
    given::<StaffMember>([hired(petrov()), dismissed()])
        .when(change(NewDetails::default()))
        .then_rejected(Rejection::Dismissed);
    assert_eq!(StaffMember::reservations(&renamed), []);
}

#[test]
fn another_login_frees_the_former_one() {
    let login = NewDetails {
        login: Some("Sidorov".to_owned()),
        ..NewDetails::default()
    };
    let changed = Event::DetailsChanged(DetailsChanged {
        login: Some(known("Sidorov")),
        ..DetailsChanged::default()
    });
    let taken = Reservation::Take {
        kind: "login",
        name: "sidorov".to_owned(),
    };
    assert_eq!(StaffMember::reservations(&changed), [FORMER_LOGIN, taken]);
    given::<StaffMember>([hired(petrov())])
        .when(change(login))
        .then([changed.clone()]);

    // The password stays, under the new login.
    let set = |login: &str| Command::SetPassword {
        id: petrov().id,
        credentials: Credentials {
            login: login.to_owned(),
            password_hash: "$argon2id$…".to_owned(),
        },
    };
    let password_set = Event::PasswordSet(PasswordSet {
        login: known("petrov"),
        password_hash: known("$argon2id$…"),
    });
    given::<StaffMember>([hired(petrov()), password_set, changed])
        .when(set("Sidorov"))
        .then_nothing();
}

#[test]
fn who_left_may_come_again() {
    let back = Rehired {
        role: Role::Operator,
        group_id: None,
        hired_on: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap(),
    };
    let rehired = Event::Rehired(back.clone());
    let rehire = || Command::Rehire(back.clone());
    given::<StaffMember>([])
        .when(rehire())
        .then_rejected(Rejection::Unknown);
    given::<StaffMember>([hired(petrov())])
        .when(rehire())
        .then_rejected(Rejection::WorksHere);
    given::<StaffMember>([hired(petrov()), dismissed()])
        .when(rehire())
        .then([rehired.clone()]);

    let history = [hired(petrov()), dismissed(), rehired];
    given::<StaffMember>(history.clone())
        .when(change(NewDetails {
            name: Some(petrov().name),
            extension: petrov().extension,
            login: petrov().login,
        }))
        .then_nothing();
    given::<StaffMember>(history.clone())
        .when(change_role(Role::Operator, Duties::default()))
        .then_nothing();
    given::<StaffMember>(history)
        .when(dismiss(Duties::default()))
        .then([dismissed()]);
}
