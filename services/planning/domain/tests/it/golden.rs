use std::{ffi::OsStr, fs, path::Path};

use es::Aggregate;
use planning_domain::{Task, task::Event};
use serde_json::Value;

/// The golden file of an event's present form. An event without one does not compile here.
fn golden(event: &Event) -> &'static str {
    match event {
        Event::Created(_) => include_str!("../golden/task.created.v1.json"),
        Event::Reassigned(_) => include_str!("../golden/task.reassigned.v1.json"),
        Event::Rescheduled(_) => include_str!("../golden/task.rescheduled.v1.json"),
        Event::Completed(_) => include_str!("../golden/task.completed.v1.json"),
        Event::Cancelled(_) => include_str!("../golden/task.cancelled.v1.json"),
    }
}

#[test]
fn every_form_ever_released_still_reads_and_writes_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().and_then(OsStr::to_str).unwrap();
        let (event_type, version) = name.rsplit_once(".v").unwrap();
        let stored = fs::read_to_string(&path).unwrap();

        let event: Event = es::decode(event_type, stored.as_bytes()).unwrap();
        assert_eq!(Task::schema_version(&event).to_string(), version, "{name}");
        assert_eq!(stored, golden(&event), "{name}");
        let written = es::encode(&event).unwrap();
        assert_eq!(written.event_type, event_type);
        let expected: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(written.payload, expected, "{name}");
        read += 1;
    }
    assert!(read >= 5, "{read} golden files");
}

#[test]
fn erased_comments_do_not_stop_a_reader() {
    let mut stored: Value =
        serde_json::from_str(include_str!("../golden/task.created.v1.json")).unwrap();
    for field in ["comment", "purpose"] {
        stored[field].as_object_mut().unwrap().remove("clear");
    }
    let event: Event = es::decode("task.created", stored.to_string().as_bytes()).unwrap();
    assert!(Task::fold(&[event]).is_some());
}
