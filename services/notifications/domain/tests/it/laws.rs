use chrono::{DateTime, TimeDelta, Utc};
use es::Aggregate;
use notifications_domain::{
    Reminder,
    reminder::{Command, Event, State, VoidCause},
};
use proptest::prelude::*;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, TaskId};

fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (-2_000_000_000_000_000_i64..4_000_000_000_000_000)
        .prop_map(|micros| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::microseconds(micros))
}

/// Few, so that strangers and owners both turn up.
fn staff() -> impl Strategy<Value = StaffId> {
    (0_u128..3).prop_map(|id| StaffId(Uuid::from_u128(id)))
}

fn cause() -> impl Strategy<Value = VoidCause> {
    prop_oneof![
        Just(VoidCause::Rescheduled),
        Just(VoidCause::Reassigned),
        Just(VoidCause::Completed),
        Just(VoidCause::Cancelled),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (staff(), any::<Option<u128>>(), time(), time()).prop_map(
            |(staff_id, account, due_at, fire_at)| Command::Schedule {
                task_id: TaskId(Uuid::from_u128(1)),
                account_id: account.map(|id| AccountId(Uuid::from_u128(id))),
                staff_id,
                due_at,
                fire_at,
            }
        ),
        cause().prop_map(|cause| Command::Void { cause }),
        time().prop_map(|at| Command::Deliver { at }),
        staff().prop_map(|by| Command::Acknowledge { by }),
    ]
}

fn play(commands: Vec<Command>) -> Vec<Event> {
    let mut state = State::default();
    let mut history = Vec::new();
    for command in commands {
        for event in Reminder::decide(&state, command).unwrap_or_default() {
            state = Reminder::evolve(state, &event);
            history.push(event);
        }
    }
    history
}

proptest! {
    #[test]
    fn the_same_command_again_changes_nothing(
        before in prop::collection::vec(command(), 0..8),
        command in command(),
    ) {
        let state = Reminder::fold(&play(before));
        if let Ok(events) = Reminder::decide(&state, command.clone()) {
            let after = events.iter().fold(state, Reminder::evolve);
            prop_assert_eq!(Reminder::decide(&after, command).unwrap_or_default(), []);
        }
    }

    #[test]
    fn a_history_is_scheduled_once_delivered_once_and_ends_once(
        commands in prop::collection::vec(command(), 0..20),
    ) {
        let history = play(commands);
        let count = |wanted: fn(&Event) -> bool| {
            history.iter().filter(|event| wanted(event)).count()
        };
        let scheduled = count(|event| matches!(event, Event::Scheduled { .. }));
        let delivered = count(|event| matches!(event, Event::Delivered { .. }));
        prop_assert!(scheduled <= 1);
        prop_assert!(delivered <= 1);
        let ended = |event: &Event| matches!(event, Event::Voided { .. } | Event::Acknowledged {});
        if let Some(end) = history.iter().position(ended) {
            prop_assert_eq!(end, history.len() - 1, "nothing happens to a reminder that is over");
        }
    }

    #[test]
    fn every_event_survives_its_stored_form(commands in prop::collection::vec(command(), 0..8)) {
        for event in play(commands) {
            let stored = es::encode::<Reminder>(&event)?;
            let payload = stored.payload.to_string();
            let (event_type, version) = (&stored.event_type, stored.schema_version);
            let back = es::decode::<Reminder>(event_type, version, payload.as_bytes())?;
            prop_assert_eq!(back, event);
        }
    }

    #[test]
    fn evolve_takes_any_order(
        commands in prop::collection::vec(command(), 0..8),
        seed in any::<usize>(),
    ) {
        let mut history = play(commands);
        let turns = if history.is_empty() { 0 } else { seed % history.len() };
        history.rotate_left(turns);
        prop_assert_eq!(Reminder::fold(&history), Reminder::fold(&history));
    }
}
