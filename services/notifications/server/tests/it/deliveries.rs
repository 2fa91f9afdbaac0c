use api::notifications::{AcknowledgeReminderRequest, Reminder, ReminderState};
use serde_json::json;
use tonic::{Code, Response};

use crate::office::{Office, instant, staff, task, until};

fn acknowledge(reminder: &Reminder) -> AcknowledgeReminderRequest {
    AcknowledgeReminderRequest {
        reminder_id: reminder.id.clone(),
        ..Default::default()
    }
}

/// A task that is moved or handed on voids its reminders; one that comes late says by how much.
#[tokio::test]
async fn only_the_reminder_of_the_task_as_it_is_now_is_shown() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    let mut petrov = office.watch("s-11").await;
    office
        .created("t-1", "s-11", "2026-03-20T11:00:00+03:00")
        .await;
    office.at("2026-03-20T09:50:00+03:00");
    let moved = json!({ "from_due_at": "2026-03-20T11:00:00+03:00",
                        "due_at": "2026-03-20T12:30:00+03:00", "reason": "занят" });
    office.task("t-1", 2, "task.rescheduled", moved).await;
    office.at("2026-03-20T12:00:00+03:00");
    let given = json!({ "from_assignee_id": staff("s-11"), "to_assignee_id": staff("s-12"),
                        "reason": "передача" });
    office.task("t-1", 3, "task.reassigned", given).await;
    office
        .created("t-2", "s-11", "2026-03-20T12:31:00+03:00")
        .await;

    office.at("2026-03-20T12:25:00+03:00");
    let mut smirnova = office.watch("s-12").await;
    let shown = smirnova.next().await;
    assert_eq!(shown.task_id, task("t-1").to_string());
    assert_eq!(shown.staff_id, staff("s-12").to_string());
    assert_eq!(
        instant(shown.fire_at.as_ref()).to_rfc3339(),
        "2026-03-20T09:15:00+00:00"
    );
    assert_eq!(shown.state(), ReminderState::Delivered);
    assert_eq!(shown.late_by_s, 600, "she was not connected at 12:15");

    // The first thing he ever gets is of another task.
    assert_eq!(petrov.next().await.task_id, task("t-2").to_string());
    let ledger = office.ledger("s-11").await;
    let fates: Vec<_> = ledger
        .iter()
        .map(|reminder| (reminder.state(), reminder.void_cause.as_str()))
        .collect();
    assert_eq!(
        fates,
        [
            (ReminderState::Voided, "rescheduled"),
            (ReminderState::Voided, "reassigned"),
            (ReminderState::Delivered, ""),
        ]
    );
    assert_eq!(ledger[2].late_by_s, 540);
}

#[tokio::test]
async fn it_comes_again_until_it_is_acknowledged() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    office
        .created("t-1", "s-11", "2026-03-20T11:00:00+03:00")
        .await;
    let mut here = office.watch("s-11").await;
    let mut at_home = office.watch("s-11").await;
    office.at("2026-03-20T10:45:00+03:00");
    let first = here.next().await;
    assert_eq!(first.late_by_s, 0);
    assert_eq!(
        at_home.next().await,
        first,
        "every frontend of the person shows it"
    );
    assert_eq!(office.watch("s-11").await.next().await, first);

    let foreign = office
        .reminders("s-12")
        .acknowledge_reminder(acknowledge(&first))
        .await;
    assert_eq!(foreign.unwrap_err().code(), Code::NotFound);
    let mut petrov = office.reminders("s-11");
    let seen = petrov.acknowledge_reminder(acknowledge(&first)).await;
    let recorded = |answer: Response<api::notifications::AcknowledgeReminderResponse>| {
        answer.into_inner().recorded.unwrap()
    };
    let seen = recorded(seen.unwrap());
    assert_eq!(seen.version, 3);
    let again = petrov.acknowledge_reminder(acknowledge(&first)).await;
    assert_eq!(recorded(again.unwrap()).version, 3);

    office
        .created("t-2", "s-11", "2026-03-20T10:50:00+03:00")
        .await;
    let mut later = office.watch("s-11").await;
    for connection in [&mut here, &mut at_home, &mut later] {
        let next = connection.next().await;
        assert_eq!(next.task_id, task("t-2").to_string());
        assert_eq!(next.late_by_s, 0, "it could not come before its task");
    }
    let delivered = office
        .events()
        .await
        .into_iter()
        .find(|(name, _)| name == "reminder.delivered");
    assert_eq!(
        delivered,
        Some(("reminder.delivered".to_owned(), 2)),
        "once each"
    );
}

#[tokio::test]
async fn what_is_done_is_not_shown_again() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    office
        .created("t-1", "s-11", "2026-03-20T11:00:00+03:00")
        .await;
    office
        .created("t-2", "s-11", "2026-03-20T11:05:00+03:00")
        .await;
    office.at("2026-03-20T10:50:00+03:00");
    let mut watched = office.watch("s-11").await;
    assert_eq!(watched.next().await.task_id, task("t-1").to_string());
    assert_eq!(watched.next().await.task_id, task("t-2").to_string());
    office
        .task(
            "t-1",
            2,
            "task.completed",
            json!({ "completed_at": "2026-03-20T10:51:00Z" }),
        )
        .await;
    let again = office.watch("s-11").await.next().await;
    assert_eq!(again.task_id, task("t-2").to_string());
}

#[tokio::test]
async fn many_come_in_order_and_each_once() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    for minute in 0..40 {
        for half in [0, 30] {
            let due_at = format!("2026-03-20T10:{minute:02}:{half:02}+03:00");
            let name = format!("t-{minute:02}-{half:02}");
            office.created(&name, "s-11", &due_at).await;
        }
    }
    let mut watched = office.watch("s-11").await;
    office.at("2026-03-20T10:00:00+03:00");
    let mut shown = Vec::new();
    for _ in 0..31 {
        shown.push(instant(watched.next().await.fire_at.as_ref()));
    }
    office.at("2026-03-20T11:00:00+03:00");
    for _ in 31..80 {
        shown.push(instant(watched.next().await.fire_at.as_ref()));
    }
    assert!(shown.is_sorted_by(|a, b| a < b));
    until(|| async {
        office
            .events()
            .await
            .contains(&("reminder.delivered".to_owned(), 80))
    })
    .await;
}

#[tokio::test]
async fn who_is_dismissed_hears_no_more() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    let mut watched = office.watch("s-11").await;
    office.dismissed("s-11").await;
    let status = watched.ended().await;
    assert!(
        [Code::Unauthenticated, Code::PermissionDenied].contains(&status.code()),
        "{status:?}"
    );
}
