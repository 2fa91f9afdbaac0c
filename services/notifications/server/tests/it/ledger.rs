use api::{
    common::PageRequest,
    notifications::{ListRemindersRequest, ReminderState},
};
use serde_json::json;
use tonic::Code;

use crate::office::{Office, instant, staff, task};

fn of(who: &str) -> ListRemindersRequest {
    ListRemindersRequest {
        staff_id: staff(who).to_string(),
        ..Default::default()
    }
}

#[tokio::test]
async fn history_does_not_flood_anybody() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    office
        .created("old", "s-11", "2024-05-01T10:00:00+03:00")
        .await;
    office
        .created("yesterday", "s-11", "2026-03-19T10:00:00+03:00")
        .await;
    let completed = json!({ "completed_at": "2024-05-02T10:00:00Z" });
    office.task("old", 2, "task.completed", completed).await;
    let ledger = office.ledger("s-11").await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].task_id, task("yesterday").to_string());
    assert_eq!(instant(ledger[0].fire_at.as_ref()), office.node.clock.now());

    // A plan for the future is reminded of, however old the task is.
    office
        .created("forgotten", "s-12", "2024-05-01T10:00:00+03:00")
        .await;
    let moved = json!({ "from_due_at": "2024-05-01T10:00:00+03:00",
                        "due_at": "2026-03-20T12:00:00+03:00", "reason": "вспомнили" });
    office.task("forgotten", 2, "task.rescheduled", moved).await;
    let ledger = office.ledger("s-12").await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].state(), ReminderState::Scheduled);
}

#[tokio::test]
async fn reacting_a_second_time_changes_nothing() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    office
        .created("t-1", "s-11", "2026-03-20T11:00:00+03:00")
        .await;
    let moved = json!({ "from_due_at": "2026-03-20T11:00:00+03:00",
                        "due_at": "2026-03-20T12:30:00+03:00", "reason": "занят" });
    office.task("t-1", 2, "task.rescheduled", moved).await;
    office
        .task("t-1", 3, "task.cancelled", json!({ "reason": "лишнее" }))
        .await;
    office
        .created("t-2", "s-11", "2026-03-20T11:00:00+03:00")
        .await;
    let before = (office.events().await, office.ledger("s-11").await);

    let office = office.restart_and_react_again().await;
    office.reacted(4).await;
    assert_eq!((office.events().await, office.ledger("s-11").await), before);
}

#[tokio::test]
async fn a_ledger_is_seen_by_its_person_and_those_above() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    for index in 0..5 {
        let name = format!("t-{index}");
        let due_at = format!("2026-03-20T11:0{index}:00+03:00");
        office.created(&name, "s-11", &due_at).await;
    }
    for (who, whose, sees) in [
        ("s-11", "s-11", true),
        ("s-10", "s-11", true),
        ("s-02", "s-11", true),
        ("s-12", "s-11", false),
        ("s-21", "s-11", false),
        ("s-11", "s-10", false),
        ("s-10", "s-21", false),
        ("s-02", "nobody", false),
    ] {
        office.ledger("s-11").await; // the view has everything
        let answer = office.reminders(who).list_reminders(of(whose)).await;
        let found = answer.map(|answer| answer.into_inner().reminders.len());
        match found {
            Ok(found) => assert!(sees && found == 5, "{who} sees {found} of {whose}"),
            Err(status) => assert!(
                !sees && status.code() == Code::NotFound,
                "{who} of {whose}: {status:?}"
            ),
        }
    }
    let one = ListRemindersRequest {
        task_id: task("t-3").to_string(),
        ..of("s-11")
    };
    let answer = office.reminders("s-10").list_reminders(one).await.unwrap();
    assert_eq!(answer.into_inner().reminders.len(), 1);
}

#[tokio::test]
async fn pages_follow_time() {
    let office = Office::open("2026-03-20T09:00:00+03:00").await;
    for index in [3, 1, 4, 0, 2] {
        let name = format!("t-{index}");
        let due_at = format!("2026-03-20T11:0{index}:00+03:00");
        office.created(&name, "s-11", &due_at).await;
    }
    office.ledger("s-11").await;
    let mut found = Vec::new();
    let mut token = String::new();
    let mut petrov = office.reminders("s-11");
    loop {
        let request = ListRemindersRequest {
            page: Some(PageRequest { size: 2, token }),
            ..Default::default()
        };
        let answer = petrov.list_reminders(request).await.unwrap().into_inner();
        assert!(answer.reminders.len() <= 2);
        found.extend(
            answer
                .reminders
                .into_iter()
                .map(|reminder| reminder.task_id),
        );
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..5)
        .map(|index| task(&format!("t-{index}")).to_string())
        .collect();
    assert_eq!(found, expected);

    let faulty = ListRemindersRequest {
        staff_id: "я".to_owned(),
        task_id: "задание".to_owned(),
        ..Default::default()
    };
    let status = petrov.list_reminders(faulty).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
