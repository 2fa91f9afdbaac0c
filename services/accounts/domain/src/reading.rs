//! Who opened which card, and when somebody opens unusually many: managers who are about to leave
//! like to carry the base away.

use chrono::NaiveDate;
use es::{Aggregate, Never};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId, derived_id};

pub use crate::policy::UnusualReading;

/// How many days with an opened card tell what is usual.
pub const USUAL_DAYS: usize = 20;

/// One opening of one card. Each has a stream of its own: that a card is read makes nobody wait who
/// writes on it, and two who read it do not wait for each other.
pub enum CardView {}

/// The reading of one member of staff on one day.
pub enum Reading {}

/// Of which stream the reading of a day is.
pub fn id(staff_id: StaffId, day: NaiveDate) -> Uuid {
    derived_id("reading", &format!("{staff_id}/{day}"))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Seen {
    /// Somebody opened a card; who is the actor of the event.
    #[serde(rename = "card.viewed")]
    Viewed(Viewed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Viewed {
    pub account_id: AccountId,
    pub what: What,
}

/// What of a card was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// As it is.
    Card,
    /// As it was at some moment.
    Past,
    /// What was changed on it.
    History,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody opens unusually many cards today.
    #[serde(rename = "reading.unusual_noticed")]
    UnusualNoticed(UnusualNoticed),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnusualNoticed {
    pub staff_id: StaffId,
    /// Of the company's calendar.
    pub day: NaiveDate,
    /// Different cards so far.
    pub cards: u32,
    /// Different cards on an usual day.
    pub usual: u32,
    /// More than these was unusual.
    pub threshold: u32,
}

impl Aggregate for CardView {
    /// Recorded already.
    type State = bool;
    type Command = Viewed;
    type Event = Seen;
    type Rejection = Never;

    const CATEGORY: &'static str = "card_view";

    fn decide(recorded: &bool, viewed: Viewed) -> Result<Vec<Seen>, Never> {
        Ok(match recorded {
            true => Vec::new(),
            false => vec![Seen::Viewed(viewed)],
        })
    }

    fn evolve(_: bool, event: &Seen) -> bool {
        match event {
            Seen::Viewed(_) => true,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Day {
    pub staff_id: StaffId,
    pub day: NaiveDate,
    /// Different cards so far.
    pub cards: u32,
    /// Different cards on each of the last days with an opened card, at most [`USUAL_DAYS`].
    pub before: Vec<u32>,
    pub policy: UnusualReading,
}

impl Aggregate for Reading {
    /// Noticed already.
    type State = bool;
    type Command = Day;
    type Event = Event;
    type Rejection = Never;

    const CATEGORY: &'static str = "reading";

    fn decide(noticed: &bool, today: Day) -> Result<Vec<Event>, Never> {
        let usual = median(today.before);
        let threshold = usual
            .saturating_mul(today.policy.times_usual)
            .max(today.policy.at_least);
        if *noticed || today.cards <= threshold {
            return Ok(Vec::new());
        }
        Ok(vec![Event::UnusualNoticed(UnusualNoticed {
            staff_id: today.staff_id,
            day: today.day,
            cards: today.cards,
            usual,
            threshold,
        })])
    }

    fn evolve(_: bool, event: &Event) -> bool {
        match event {
            Event::UnusualNoticed(_) => true,
        }
    }
}

/// The one in the middle; of two the greater. 0 of none.
fn median(mut days: Vec<u32>) -> u32 {
    days.sort_unstable();
    days.get(days.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    const PETROV: StaffId = StaffId(Uuid::from_u128(11));

    fn today(cards: u32, before: &[u32]) -> Day {
        Day {
            staff_id: PETROV,
            day: NaiveDate::from_ymd_opt(2026, 3, 10).unwrap(),
            cards,
            before: before.to_vec(),
            policy: UnusualReading {
                at_least: 50,
                times_usual: 3,
            },
        }
    }

    fn noticed(cards: u32, usual: u32, threshold: u32) -> Event {
        let Day { staff_id, day, .. } = today(0, &[]);
        Event::UnusualNoticed(UnusualNoticed {
            staff_id,
            day,
            cards,
            usual,
            threshold,
        })
    }

    #[test]
    fn an_opening_is_recorded_once() {
        let viewed = Viewed {
            account_id: AccountId(Uuid::from_u128(1001)),
            what: What::Card,
        };
        given::<CardView>([])
            .when(viewed.clone())
            .then([Seen::Viewed(viewed)]);
    }

    #[test]
    fn unusual_is_more_than_both_limits() {
        given::<Reading>([]).when(today(50, &[])).then_nothing();
        given::<Reading>([])
            .when(today(51, &[]))
            .then([noticed(51, 0, 50)]);
        // Who opens 30 cards on an usual day may open 90.
        let usual = [30, 2, 31, 90, 29];
        given::<Reading>([]).when(today(90, &usual)).then_nothing();
        given::<Reading>([])
            .when(today(91, &usual))
            .then([noticed(91, 30, 90)]);
    }

    #[test]
    fn it_is_noticed_once_a_day() {
        given::<Reading>([noticed(51, 0, 50)])
            .when(today(200, &[]))
            .then_nothing();
    }

    #[test]
    fn the_median_is_the_day_in_the_middle() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![7]), 7);
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![1, 2, 8, 9]), 8);
    }
}
