use es::{Rejection as _, Subject, spec::given};
use uuid::Uuid;

use super::*;

const PETROV: StaffId = StaffId(Uuid::from_u128(11));
const SMIRNOVA: StaffId = StaffId(Uuid::from_u128(12));
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1001));

fn at(text: &str) -> Deadline {
    Deadline::parse(text).unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-03-10T09:00:00+03:00").instant()
}

fn call() -> Created {
    Created {
        external_id: None,
        account_id: Some(ACCOUNT),
        person_id: None,
        assignee_id: PETROV,
        assigned_by: Some(PETROV),
        kind: TaskKind::Call,
        due_at: at("2026-03-12T10:00:00+03:00"),
        comment: comment("Уточнить объём закупки бетона"),
        purpose: None,
        origin_interaction_id: None,
        created_at: now(),
    }
}

fn comment(text: &str) -> Personal<String> {
    Personal::new(subject(), text.to_owned())
}

fn subject() -> Subject {
    Subject::new("account", ACCOUNT.0)
}

/// Under the key of the comment.
fn reason(text: &str) -> Personal<String> {
    comment("").beside(text.to_owned())
}

fn create(task: Created) -> Command {
    Command::Create {
        task,
        assignee_active: true,
    }
}

fn created() -> Event {
    Event::Created(call())
}

fn completed() -> Event {
    Event::Completed(Completed {
        completed_at: now(),
        interaction_id: None,
    })
}

fn cancelled() -> Event {
    Event::Cancelled(Cancelled {
        reason: reason("клиент отказался"),
    })
}

fn reschedule(due_at: &str, reason: &str) -> Command {
    Command::Reschedule {
        due_at: at(due_at),
        reason: reason.to_owned(),
        now: now(),
    }
}

fn reassign(assignee_id: StaffId, reason: &str) -> Command {
    Command::Reassign {
        assignee_id,
        assignee_active: true,
        reason: reason.to_owned(),
    }
}

fn cancel(reason: &str) -> Command {
    Command::Cancel {
        reason: reason.to_owned(),
    }
}

fn complete() -> Command {
    Command::Complete {
        completed_at: now(),
        interaction_id: None,
    }
}

fn invalid(faults: &[(&str, &str)]) -> Rejection {
    Rejection::Invalid(
        faults
            .iter()
            .map(|&(field, description)| Violation::new(field, description))
            .collect(),
    )
}

#[test]
fn a_promise_whose_words_are_erased_is_still_a_promise() {
    let erased = Personal::Erased { subject: subject() };
    let task = Created {
        comment: erased.clone(),
        ..call()
    };
    let created = Event::Created(task.clone());
    given::<Task>([]).when(create(task)).then([created.clone()]);
    // It goes on, and nobody is told why.
    given::<Task>([created.clone()])
        .when(reassign(SMIRNOVA, "отпуск"))
        .then([Event::Reassigned(Reassigned {
            from_assignee_id: PETROV,
            to_assignee_id: SMIRNOVA,
            reason: erased.clone(),
            transfer_id: None,
        })]);
    given::<Task>([created.clone()])
        .when(reschedule("2026-03-16T10:00:00+03:00", "просил позже"))
        .then([Event::Rescheduled(Rescheduled {
            from_due_at: call().due_at,
            due_at: at("2026-03-16T10:00:00+03:00"),
            reason: erased.clone(),
        })]);
    given::<Task>([created])
        .when(cancel("клиент отказался"))
        .then([Event::Cancelled(Cancelled { reason: erased })]);
}

#[test]
fn a_complete_task_is_created_once() {
    given::<Task>([]).when(create(call())).then([created()]);
    given::<Task>([created()])
        .when(create(call()))
        .then_nothing();
    given::<Task>([created(), completed()])
        .when(create(call()))
        .then_nothing();
}

#[test]
fn all_faults_of_a_task_are_named_at_once() {
    let command = Command::Create {
        task: Created {
            due_at: at("2026-03-09T10:00:00+03:00"),
            comment: comment("   "),
            ..call()
        },
        assignee_active: false,
    };
    given::<Task>([]).when(command).then_rejected(invalid(&[
        ("assignee_id", "must be an active member of staff"),
        ("due_at", "must not be in the past"),
        ("comment", "must say what to do"),
    ]));
}

#[test]
fn missing_facts_do_not_hide_the_faults_of_the_others() {
    let fields = |faults: Vec<Violation>| -> Vec<String> {
        faults.into_iter().map(|fault| fault.field).collect()
    };
    assert_eq!(fields(creation_faults(None, None, " ", now())), ["comment"]);
    assert_eq!(
        fields(creation_faults(Some(false), None, "", now())),
        ["assignee_id", "comment"]
    );
    assert_eq!(
        fields(creation_faults(Some(true), None, "x", now())),
        [""; 0]
    );
}

#[test]
fn an_imported_task_may_lie_in_the_past() {
    let task = Created {
        external_id: Some("t-1".to_owned()),
        due_at: at("2026-03-01T10:00:00+03:00"),
        ..call()
    };
    let import = |assignee_active, completed_at| Command::Import {
        task: task.clone(),
        assignee_active,
        completed_at,
    };
    given::<Task>([])
        .when(import(true, None))
        .then([Event::Created(task.clone())]);
    given::<Task>([])
        .when(import(false, Some(now())))
        .then([Event::Created(task.clone()), completed()]);
    given::<Task>([])
        .when(import(false, None))
        .then_rejected(invalid(&[(
            "assignee_id",
            "must be an active member of staff",
        )]));
    given::<Task>([])
        .when(import(true, Some(now() - chrono::TimeDelta::days(1))))
        .then_rejected(invalid(&[(
            "completed_at",
            "must not be before the task was created",
        )]));
}

#[test]
fn rescheduling_keeps_the_first_deadline_and_counts() {
    let moved = |from: &str, to: &str| {
        Event::Rescheduled(Rescheduled {
            from_due_at: at(from),
            due_at: at(to),
            reason: reason("просил позже"),
        })
    };
    let (first, second, third) = (
        "2026-03-12T10:00:00+03:00",
        "2026-03-13T10:00:00+03:00",
        "2026-03-16T10:00:00+03:00",
    );
    given::<Task>([created(), moved(first, second)])
        .when(reschedule(third, "просил позже"))
        .then([moved(second, third)]);
    let task = Task::fold(&[created(), moved(first, second), moved(second, third)]).unwrap();
    assert_eq!(
        (task.first_due_at, task.due_at, task.moves),
        (at(first), at(third), 2)
    );
    given::<Task>([created()])
        .when(reschedule(first, "тот же срок"))
        .then_nothing();
    given::<Task>([created()])
        .when(reschedule("2026-03-09T10:00:00+03:00", " "))
        .then_rejected(invalid(&[
            ("due_at", "must not be in the past"),
            ("reason", "must say why"),
        ]));
}

#[test]
fn reassigning_needs_a_reason_and_somebody_active() {
    given::<Task>([created()])
        .when(reassign(SMIRNOVA, "отпуск"))
        .then([Event::Reassigned(Reassigned {
            from_assignee_id: PETROV,
            to_assignee_id: SMIRNOVA,
            reason: reason("отпуск"),
            transfer_id: None,
        })]);
    given::<Task>([created()])
        .when(reassign(PETROV, "отпуск"))
        .then_nothing();
    given::<Task>([created()])
        .when(Command::Reassign {
            assignee_id: SMIRNOVA,
            assignee_active: false,
            reason: String::new(),
        })
        .then_rejected(invalid(&[
            ("assignee_id", "must be an active member of staff"),
            ("reason", "must say why"),
        ]));
}

#[test]
fn a_hand_over_moves_only_what_is_open_and_of_the_former_owner() {
    let hand_over = |from| Command::HandOver {
        from,
        to: SMIRNOVA,
        reason: "account handed over".to_owned(),
        transfer_id: Some(TransferId(Uuid::from_u128(40))),
    };
    given::<Task>([created()])
        .when(hand_over(PETROV))
        .then([Event::Reassigned(Reassigned {
            from_assignee_id: PETROV,
            to_assignee_id: SMIRNOVA,
            reason: reason("account handed over"),
            transfer_id: Some(TransferId(Uuid::from_u128(40))),
        })]);
    for history in [
        vec![],
        vec![created(), completed()],
        vec![created(), cancelled()],
    ] {
        given::<Task>(history)
            .when(hand_over(PETROV))
            .then_nothing();
    }
    given::<Task>([created()])
        .when(hand_over(StaffId(Uuid::from_u128(10))))
        .then_nothing();
}

#[test]
fn completed_and_cancelled_are_final() {
    given::<Task>([created()])
        .when(complete())
        .then([completed()]);
    given::<Task>([created()])
        .when(cancel("клиент отказался"))
        .then([cancelled()]);
    given::<Task>([created(), completed()])
        .when(complete())
        .then_nothing();
    given::<Task>([created(), cancelled()])
        .when(cancel("ещё раз"))
        .then_nothing();

    let other = "2026-03-16T10:00:00+03:00";
    for command in [
        cancel("поздно"),
        reschedule(other, "поздно"),
        reassign(SMIRNOVA, "поздно"),
    ] {
        given::<Task>([created(), completed()])
            .when(command)
            .then_rejected(Rejection::Completed);
    }
    for command in [
        complete(),
        reschedule(other, "поздно"),
        reassign(SMIRNOVA, "поздно"),
    ] {
        given::<Task>([created(), cancelled()])
            .when(command)
            .then_rejected(Rejection::Cancelled);
    }
    assert_eq!(Rejection::Cancelled.reason(), "TASK_CANCELLED");
}

#[test]
fn cancelling_needs_a_reason() {
    given::<Task>([created()])
        .when(cancel(" "))
        .then_rejected(invalid(&[("reason", "must say why")]));
}

#[test]
fn nothing_happens_to_a_task_that_is_not_there() {
    for command in [
        complete(),
        cancel("нет такой"),
        reassign(SMIRNOVA, "нет такой"),
        reschedule("2026-03-16T10:00:00+03:00", "нет такой"),
    ] {
        given::<Task>([])
            .when(command)
            .then_rejected(Rejection::Absent);
    }
}
