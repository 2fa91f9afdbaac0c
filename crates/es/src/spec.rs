//! Given events, when a command, then events or a rejection: how decisions are tested.

use std::fmt::Debug;

use crate::{Aggregate, codec};

pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        events: events.into_iter().collect(),
    }
}

pub struct Given<A: Aggregate> {
    events: Vec<A::Event>,
}

pub struct Decided<A: Aggregate> {
    before: Vec<A::Event>,
    command: A::Command,
    outcome: Result<Vec<A::Event>, A::Rejection>,
}

impl<A: Aggregate> Given<A> {
    #[must_use]
    pub fn when(self, command: A::Command) -> Decided<A> {
        let outcome = A::decide(&A::fold(&self.events), command.clone());
        Decided {
            before: self.events,
            command,
            outcome,
        }
    }
}

impl<A: Aggregate> Decided<A>
where
    A::Rejection: Debug,
{
    /// Exactly these events; each survives its stored form; the same command again adds nothing.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            self.outcome.as_ref().ok(),
            Some(&expected),
            "{:?}",
            self.outcome
        );
        for event in &expected {
            let stored = codec::encode::<A>(event).map(|encoded| {
                codec::decode::<A>(
                    &encoded.event_type,
                    encoded.schema_version,
                    encoded.payload.to_string().as_bytes(),
                )
            });
            assert!(
                matches!(stored, Ok(Ok(ref back)) if back == event),
                "not storable: {event:?}"
            );
        }
        let after = A::fold(self.before.iter().chain(&expected));
        if let Ok(again) = A::decide(&after, self.command) {
            assert_eq!(again, [], "the same command twice must change nothing more");
        }
    }

    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub fn then_rejected(self, expected: A::Rejection) {
        assert_eq!(self.outcome.err(), Some(expected));
    }
}
