use es::{Aggregate, Rejection as _, spec::given};

use super::{
    super::{Command, Dismissed, Duties, StaffMember, tests::petrov},
    *,
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn hired() -> Event {
    super::super::hired(petrov())
}

fn absence(number: &str, from: &str, until: &str) -> NewAbsence {
    NewAbsence {
        id: AbsenceId::of_external(number),
        staff_id: petrov().id,
        substitute_id: StaffId::of_external("s-12"),
        substitute_active: true,
        from: at(from),
        until: at(until),
        reason: "отпуск".to_owned(),
    }
}

const FROM: &str = "2026-04-01T06:00:00Z";
const UNTIL: &str = "2026-04-15T06:00:00Z";
const BEFORE: &str = "2026-03-20T06:00:00Z";
const DURING: &str = "2026-04-07T06:00:00Z";

fn leave() -> NewAbsence {
    absence("a", FROM, UNTIL)
}

fn mark(absence: NewAbsence) -> Command {
    Command::MarkAbsent {
        absence,
        now: at(BEFORE),
    }
}

fn reason(text: &str) -> Personal<String> {
    Personal::new(subject(petrov().id), text.to_owned())
}

fn marked_absent() -> Event {
    Event::MarkedAbsent(MarkedAbsent {
        absence_id: leave().id,
        substitute_id: leave().substitute_id,
        from: at(FROM),
        until: at(UNTIL),
        reason: reason("отпуск"),
    })
}

fn started() -> Event {
    Event::SubstitutionStarted(SubstitutionStarted {
        absence_id: leave().id,
        substitute_id: leave().substitute_id,
        started_at: at(FROM),
    })
}

fn ended_at(when: &str, why: Option<&str>) -> Event {
    Event::SubstitutionEnded(SubstitutionEnded {
        absence_id: leave().id,
        substitute_id: leave().substitute_id,
        ended_at: at(when),
        reason: why.map(reason),
    })
}

fn end(now: &str) -> Command {
    Command::EndAbsence {
        staff_id: petrov().id,
        absence_id: leave().id,
        reason: "вернулся".to_owned(),
        now: at(now),
    }
}

fn turn(now: &str) -> Command {
    Command::TurnAbsences { now: at(now) }
}

#[test]
fn an_absence_is_marked_with_all_its_faults_named() {
    given::<StaffMember>([hired()])
        .when(mark(leave()))
        .then([marked_absent()]);
    let wrong = NewAbsence {
        substitute_active: false,
        ..absence("a", "2026-03-19T06:00:00Z", "2026-03-19T06:00:00Z")
    };
    let faults = faults(&wrong, at(BEFORE));
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["substitute_id", "from", "until"]);
    let rejection = Rejection::AbsenceInvalid(faults.clone());
    assert_eq!(rejection.violations(), faults);
    given::<StaffMember>([hired()])
        .when(mark(wrong))
        .then_rejected(rejection);
    let own = NewAbsence {
        substitute_id: petrov().id,
        ..absence("a", FROM, "2028-04-15T06:00:00Z")
    };
    assert_eq!(super::faults(&own, at(BEFORE)).len(), 2);
}

#[test]
fn two_absences_never_meet() {
    let before = [hired(), marked_absent()];
    for (from, until) in [
        (FROM, UNTIL),
        (BEFORE, "2026-04-01T06:00:01Z"),
        ("2026-04-15T05:59:59Z", "2026-04-16T06:00:00Z"),
    ] {
        given::<StaffMember>(before.clone())
            .when(mark(absence("b", from, until)))
            .then_rejected(Rejection::AbsenceOverlaps);
    }
    let after = absence("b", UNTIL, "2026-04-16T06:00:00Z");
    let state = StaffMember::fold(&before);
    assert!(StaffMember::decide(&state, mark(after)).is_ok());
    // What was ended early leaves room.
    let again = [
        &before[..],
        &[started(), ended_at(DURING, Some("вернулся"))],
    ]
    .concat();
    let state = StaffMember::fold(&again);
    assert!(StaffMember::decide(&state, mark(leave())).is_ok());
}

#[test]
fn it_begins_and_ends_by_itself_and_once() {
    let marked = [hired(), marked_absent()];
    given::<StaffMember>(marked.clone())
        .when(turn(BEFORE))
        .then_nothing();
    given::<StaffMember>(marked.clone())
        .when(turn(FROM))
        .then([started()]);
    let running = [&marked[..], &[started()]].concat();
    given::<StaffMember>(running.clone())
        .when(turn(DURING))
        .then_nothing();
    given::<StaffMember>(running.clone())
        .when(turn(UNTIL))
        .then([ended_at(UNTIL, None)]);
    // Nobody looked in between.
    given::<StaffMember>(marked)
        .when(turn("2026-05-01T06:00:00Z"))
        .then([started(), ended_at(UNTIL, None)]);
    given::<StaffMember>([&running[..], &[ended_at(UNTIL, None)]].concat())
        .when(turn("2026-05-01T06:00:00Z"))
        .then_nothing();
}

#[test]
fn it_is_ended_before_its_time() {
    let marked = [hired(), marked_absent()];
    given::<StaffMember>(marked.clone())
        .when(end(BEFORE))
        .then([Event::AbsenceCancelled(AbsenceCancelled {
            absence_id: leave().id,
            reason: reason("вернулся"),
        })]);
    given::<StaffMember>(marked.clone())
        .when(end(DURING))
        .then([started(), ended_at(DURING, Some("вернулся"))]);
    let ended = [
        &marked[..],
        &[started(), ended_at(DURING, Some("вернулся"))],
    ]
    .concat();
    given::<StaffMember>(ended).when(end(DURING)).then_nothing();
    given::<StaffMember>(marked)
        .when(end(UNTIL))
        .then([started(), ended_at(UNTIL, None)]);
    given::<StaffMember>([hired()])
        .when(end(DURING))
        .then_rejected(Rejection::AbsenceUnknown);
}

#[test]
fn who_has_left_is_not_absent() {
    let left = Event::Dismissed(Dismissed {
        reason: reason("ушёл сам"),
    });
    let history = [hired(), marked_absent(), left];
    given::<StaffMember>(history.clone())
        .when(turn(FROM))
        .then_nothing();
    given::<StaffMember>(history)
        .when(mark(leave()))
        .then_rejected(Rejection::Dismissed);
    let dismiss = Command::Dismiss {
        id: petrov().id,
        reason: "ушёл сам".to_owned(),
        duties: Duties::default(),
    };
    let state = StaffMember::fold(&[hired(), marked_absent()]);
    assert!(StaffMember::decide(&state, dismiss).is_ok());
}
