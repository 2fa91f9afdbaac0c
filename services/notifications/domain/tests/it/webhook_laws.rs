use es::Aggregate;
use notifications_domain::{
    Webhook,
    webhook::{Command, Event, PauseCause, State},
};
use proptest::prelude::*;

fn command() -> impl Strategy<Value = Command> {
    let causes = [PauseCause::Asked, PauseCause::Gone, PauseCause::Failing];
    prop_oneof![
        (0..3).prop_map(|number| Command::Register {
            url: format!("https://example.com/{number}"),
            events: ["*", "account.*"].map(|text| text.parse().unwrap()).into(),
            description: String::new(),
        }),
        (0..causes.len()).prop_map(move |n| Command::Pause { cause: causes[n] }),
        Just(Command::Resume),
        Just(Command::Remove),
    ]
}

fn play(commands: Vec<Command>) -> Vec<Event> {
    let mut state = State::default();
    let mut history = Vec::new();
    for command in commands {
        for event in Webhook::decide(&state, command).unwrap_or_default() {
            state = Webhook::evolve(state, &event);
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
        let state = Webhook::fold(&play(before));
        if let Ok(events) = Webhook::decide(&state, command.clone()) {
            let after = events.iter().fold(state, Webhook::evolve);
            prop_assert_eq!(Webhook::decide(&after, command).unwrap_or_default(), []);
        }
    }

    #[test]
    fn a_history_begins_once_and_ends_once(commands in prop::collection::vec(command(), 0..20)) {
        let history = play(commands);
        let begun = |event: &Event| matches!(event, Event::Registered { .. });
        prop_assert!(history.iter().skip(1).all(|event| !begun(event)));
        if let Some(end) = history.iter().position(|event| *event == Event::Removed {}) {
            prop_assert_eq!(end, history.len() - 1, "nothing happens to a webhook that is removed");
        }
    }

    #[test]
    fn every_event_survives_its_stored_form(commands in prop::collection::vec(command(), 0..8)) {
        for event in play(commands) {
            let stored = es::encode::<Webhook>(&event)?;
            let payload = stored.payload.to_string();
            let (event_type, version) = (&stored.event_type, stored.schema_version);
            let back = es::decode::<Webhook>(event_type, version, payload.as_bytes())?;
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
        prop_assert_eq!(Webhook::fold(&history), Webhook::fold(&history));
    }
}
