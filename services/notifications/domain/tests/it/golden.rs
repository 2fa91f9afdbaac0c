//! Files of `tests/golden` are what production has stored: they are added, never changed.

use std::{collections::BTreeSet, fs};

use es::Aggregate;
use notifications_domain::{
    Reminder,
    reminder::{Event, VoidCause},
};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, TaskId};

fn samples() -> Vec<Event> {
    vec![
        Event::Scheduled {
            task_id: TaskId(Uuid::from_u128(1)),
            account_id: Some(AccountId(Uuid::from_u128(2))),
            staff_id: StaffId(Uuid::from_u128(3)),
            due_at: "2026-03-20T08:00:00Z".parse().expect("a time"),
            fire_at: "2026-03-20T07:45:00Z".parse().expect("a time"),
        },
        Event::Voided {
            cause: VoidCause::Rescheduled,
        },
        Event::Delivered { late_by_s: 600 },
        Event::Acknowledged {},
    ]
}

/// Does not compile when an event is added: give it a sample and a golden file.
fn known(event: &Event) {
    match event {
        Event::Scheduled { .. }
        | Event::Voided { .. }
        | Event::Delivered { .. }
        | Event::Acknowledged {} => {}
    }
}

#[test]
fn every_event_reads_and_writes_as_it_was_released() {
    let mut released = BTreeSet::new();
    for event in samples() {
        known(&event);
        let stored = es::encode(&event).expect("encodes");
        let version = Reminder::schema_version(&event);
        let name = format!("{}.v{version}.json", stored.event_type);
        let text = fs::read_to_string(format!("tests/golden/{name}"))
            .unwrap_or_else(|_| panic!("tests/golden/{name} is missing"));
        let golden: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(stored.payload, golden, "{name}");
        let back: Event = es::decode(&stored.event_type, text.as_bytes()).expect("decodes");
        assert_eq!(back, event, "{name}");
        released.insert(name);
    }
    let files: BTreeSet<String> = fs::read_dir("tests/golden")
        .expect("a folder")
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    assert_eq!(files, released);
}
