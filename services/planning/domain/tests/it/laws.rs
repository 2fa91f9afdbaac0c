use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use es::{Aggregate, Personal, Rejection as _, Subject};
use planning_domain::{
    DataEntry, Task, data_entry,
    task::{Command, Created, Event, State},
};
use proptest::{collection::vec, option, prelude::*};
use uuid::Uuid;
use vocabulary::{AccountId, Deadline, InteractionId, StaffId, TaskKind};

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..2_000_i64).prop_map(|minutes| {
        DateTime::from_timestamp(1_770_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    })
}

fn deadline() -> impl Strategy<Value = Deadline> {
    (instant(), -12..=14_i32).prop_map(|(instant, hours)| {
        let offset = FixedOffset::east_opt(hours * 3600).unwrap();
        Deadline::at(instant.with_timezone(&offset))
    })
}

fn staff() -> impl Strategy<Value = StaffId> {
    (0..3_u128).prop_map(|n| StaffId(Uuid::from_u128(n)))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("  ".to_owned()), ".{1,8}"]
}

fn personal() -> impl Strategy<Value = Personal<String>> {
    let subject = || Subject::new("account", Uuid::nil());
    prop_oneof![
        text().prop_map(move |value| Personal::new(subject(), value)),
        Just(Personal::Erased { subject: subject() }),
    ]
}

fn task() -> impl Strategy<Value = Created> {
    (
        staff(),
        deadline(),
        personal(),
        option::of(personal()),
        option::of(Just(AccountId(Uuid::nil()))),
        instant(),
        prop::sample::select(TaskKind::ALL),
    )
        .prop_map(
            |(assignee_id, due_at, comment, purpose, account_id, created_at, kind)| Created {
                external_id: None,
                account_id,
                person_id: None,
                assignee_id,
                assigned_by: Some(assignee_id),
                kind,
                due_at,
                comment,
                purpose,
                origin_interaction_id: None,
                created_at,
            },
        )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (task(), any::<bool>()).prop_map(|(task, assignee_active)| Command::Create {
            task,
            assignee_active
        }),
        (task(), any::<bool>(), option::of(instant())).prop_map(
            |(task, assignee_active, completed_at)| Command::Import {
                task,
                assignee_active,
                completed_at
            }
        ),
        (staff(), any::<bool>(), text()).prop_map(|(assignee_id, assignee_active, reason)| {
            Command::Reassign {
                assignee_id,
                assignee_active,
                reason,
            }
        }),
        (staff(), staff(), text()).prop_map(|(from, to, reason)| Command::HandOver {
            from,
            to,
            reason,
            transfer_id: None,
        }),
        (deadline(), text(), instant()).prop_map(|(due_at, reason, now)| Command::Reschedule {
            due_at,
            reason,
            now
        }),
        (instant(), option::of(Just(InteractionId(Uuid::nil())))).prop_map(
            |(completed_at, interaction_id)| Command::Complete {
                completed_at,
                interaction_id
            }
        ),
        text().prop_map(|reason| Command::Cancel { reason }),
    ]
}

fn request_command() -> impl Strategy<Value = data_entry::Command> {
    prop_oneof![
        (staff(), personal()).prop_map(|(requested_by, what)| {
            data_entry::Command::Request(data_entry::Requested {
                account_id: AccountId(Uuid::nil()),
                person_id: None,
                requested_by,
                what,
            })
        }),
        staff().prop_map(|by| data_entry::Command::Complete { by }),
        (staff(), text()).prop_map(|(by, reason)| data_entry::Command::Decline { by, reason }),
    ]
}

fn then(state: State, events: &[Event]) -> State {
    events.iter().fold(state, Task::evolve)
}

proptest! {
    #[test]
    fn decisions_are_total_idempotent_and_storable(commands in vec(command(), 0..12)) {
        let mut history = Vec::new();
        let mut state = State::default();
        for command in commands {
            let events = match Task::decide(&state, command.clone()) {
                Ok(events) => events,
                Err(rejection) => {
                    prop_assert!(!rejection.reason().is_empty());
                    continue;
                }
            };
            for event in &events {
                let stored = es::encode::<Task>(event).unwrap();
                let bytes = stored.payload.to_string();
                let (event_type, version) = (&stored.event_type, stored.schema_version);
                let back = es::decode::<Task>(event_type, version, bytes.as_bytes()).unwrap();
                prop_assert_eq!(&back, event);
            }
            state = then(state, &events);
            if let Ok(again) = Task::decide(&state, command) {
                prop_assert_eq!(again, vec![]);
            }
            history.extend(events);
        }
        prop_assert_eq!(Task::fold(&history), state);
    }

    #[test]
    fn requests_are_total_idempotent_and_storable(commands in vec(request_command(), 0..8)) {
        let mut history = Vec::new();
        for command in commands {
            let state = DataEntry::fold(&history);
            let Ok(events) = DataEntry::decide(&state, command.clone()) else {
                continue;
            };
            for event in &events {
                let stored = es::encode::<DataEntry>(event).unwrap();
                let bytes = stored.payload.to_string();
                let (event_type, version) = (&stored.event_type, stored.schema_version);
                let back = es::decode::<DataEntry>(event_type, version, bytes.as_bytes()).unwrap();
                prop_assert_eq!(&back, event);
            }
            history.extend(events);
            if let Ok(again) = DataEntry::decide(&DataEntry::fold(&history), command) {
                prop_assert_eq!(again, vec![]);
            }
        }
        prop_assert!(history.len() <= 2, "asked once, closed once");
    }

    /// Whatever is decided, the first deadline stays and moves only grow.
    #[test]
    fn the_first_deadline_is_never_lost(commands in vec(command(), 1..12)) {
        let mut state = State::default();
        for command in commands {
            let before = state.clone();
            if let Ok(events) = Task::decide(&state, command) {
                state = then(state, &events);
            }
            if let (Some(before), Some(after)) = (before, &state) {
                prop_assert_eq!(before.first_due_at, after.first_due_at);
                prop_assert!(before.moves <= after.moves);
            }
        }
    }
}
