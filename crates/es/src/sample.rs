//! An aggregate with a past, for the tests of this crate.

use serde::{Deserialize, Serialize};

use crate::{Aggregate, Never, Personal, Upcaster, codec::Fields};

pub(crate) enum Lamp {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    #[serde(rename = "lamp.lit")]
    Lit { lumens: u32, colour: String },
    #[serde(rename = "lamp.given")]
    Given { to: Personal<String> },
}

impl Aggregate for Lamp {
    type State = ();
    type Command = ();
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "lamp";

    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster {
            event_type: "lamp.lit",
            from: 1,
            lift: watts_to_lumens,
        },
        Upcaster {
            event_type: "lamp.lit",
            from: 2,
            lift: |fields| {
                fields.insert("colour".to_owned(), "white".into());
            },
        },
    ];

    fn decide((): &(), (): ()) -> Result<Vec<Event>, Never> {
        Ok(vec![])
    }

    fn evolve((): (), _: &Event) {}

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::Lit { .. } => 3,
            Event::Given { .. } => 1,
        }
    }
}

fn watts_to_lumens(fields: &mut Fields) {
    if let Some(60) = fields.remove("watts").and_then(|watts| watts.as_i64()) {
        fields.insert("lumens".to_owned(), 800.into());
    }
}
