//! The normative metric definitions, version 1: what counts, and how a share is written.
//!
//! Every report takes them from here. Another definition is another version and a rebuild of the
//! facts, never a change of this one.

use std::ops::AddAssign;

use vocabulary::{Direction, InteractionKind, Outcome};

/// Goes out with every report.
pub(crate) const VERSION: i32 = 1;

/// Outcomes that make a call effective.
const EFFECTIVE: [Outcome; 4] = [
    Outcome::MeetingBooked,
    Outcome::ProposalRequested,
    Outcome::AgreedNextStep,
    Outcome::Order,
];

/// What one fact counts as. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// An outbound call that was not to a wrong number.
    Call = 1,
    /// Such a call with an effective outcome: counts as a call too.
    EffectiveCall = 2,
    /// A meeting that was held.
    Meeting = 3,
    /// An order, unless it is cancelled as of the question.
    Sale = 4,
}

impl Metric {
    /// What an interaction counts as, if anything. Takes the terms as stored: one that is not
    /// known yet is no wrong number, not effective and no meeting.
    pub(crate) fn of_interaction(kind: &str, direction: &str, outcome: &str) -> Option<Self> {
        let is = |term: Outcome| outcome == term.as_str();
        if kind == InteractionKind::Call.as_str() {
            let counts = direction == Direction::Outbound.as_str() && !is(Outcome::WrongNumber);
            let effective = EFFECTIVE.into_iter().any(is);
            counts.then_some(if effective {
                Self::EffectiveCall
            } else {
                Self::Call
            })
        } else if kind == InteractionKind::Meeting.as_str() {
            is(Outcome::Held).then_some(Self::Meeting)
        } else {
            None
        }
    }

    pub(crate) fn code(self) -> i16 {
        self as i16
    }

    pub(crate) fn of_code(code: i16) -> Option<Self> {
        [Self::Call, Self::EffectiveCall, Self::Meeting, Self::Sale]
            .into_iter()
            .find(|metric| metric.code() == code)
    }
}

/// Sums of facts. Shares follow from sums, so the share of a group is never a mean of shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) calls: i64,
    pub(crate) effective_calls: i64,
    pub(crate) meetings: i64,
    pub(crate) sales: i64,
}

impl Figures {
    pub(crate) fn count(&mut self, metric: Metric, facts: i64) {
        match metric {
            Metric::Call => self.calls += facts,
            Metric::EffectiveCall => {
                self.calls += facts;
                self.effective_calls += facts;
            }
            Metric::Meeting => self.meetings += facts,
            Metric::Sale => self.sales += facts,
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.effective_calls += other.effective_calls;
        self.meetings += other.meetings;
        self.sales += other.sales;
    }
}

/// `15.0`: one digit, rounded half up; empty when there is nothing to take a share of.
pub(crate) fn percent(numerator: i64, denominator: i64) -> String {
    if denominator == 0 {
        return String::new();
    }
    // Integers alone: the nearest float of 0.145 lies below it and would round the wrong way.
    let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
    let tenths = (numerator * 2_000 + denominator).div_euclid(denominator * 2);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up() {
        for (numerator, denominator, expected) in [
            (36, 240, "15.0"),
            (36, 241, "14.9"), // 14.937…
            (9, 36, "25.0"),
            (1, 3, "33.3"),
            (2, 3, "66.7"),
            (1, 2000, "0.1"),  // exactly 0.05
            (3, 2000, "0.2"),  // exactly 0.15
            (29, 2000, "1.5"), // exactly 1.45, which no float is
            (49, 100_000, "0.0"),
            (0, 7, "0.0"),
            (3, 2, "150.0"),
            (1, 1, "100.0"),
            (i64::MAX, 1, "922337203685477580700.0"),
            (0, 0, ""),
            (5, 0, ""),
        ] {
            assert_eq!(
                percent(numerator, denominator),
                expected,
                "{numerator}/{denominator}"
            );
        }
    }

    #[test]
    fn an_outbound_call_counts_unless_the_number_was_wrong() {
        for outcome in Outcome::ALL {
            let expected = match outcome {
                Outcome::WrongNumber => None,
                Outcome::MeetingBooked
                | Outcome::ProposalRequested
                | Outcome::AgreedNextStep
                | Outcome::Order => Some(Metric::EffectiveCall),
                _ => Some(Metric::Call),
            };
            let outcome = outcome.as_str();
            assert_eq!(
                Metric::of_interaction("call", "outbound", outcome),
                expected,
                "{outcome}"
            );
            assert_eq!(Metric::of_interaction("call", "inbound", outcome), None);
            assert_eq!(Metric::of_interaction("email", "outbound", outcome), None);
        }
        let later = Metric::of_interaction("call", "outbound", "fax_tone");
        assert_eq!(later, Some(Metric::Call), "an outcome of a later version");
    }

    #[test]
    fn a_meeting_counts_when_it_was_held() {
        for direction in ["outbound", "inbound"] {
            let of = |outcome| Metric::of_interaction("meeting", direction, outcome);
            assert_eq!(of("held"), Some(Metric::Meeting));
            assert_eq!(of("not_held"), None);
            assert_eq!(of("order"), None);
        }
    }

    #[test]
    fn an_effective_call_is_a_call() {
        let mut figures = Figures::default();
        figures.count(Metric::Call, 144);
        figures.count(Metric::EffectiveCall, 96);
        figures.count(Metric::Meeting, 36);
        figures.count(Metric::Sale, 9);
        let expected = Figures {
            calls: 240,
            effective_calls: 96,
            meetings: 36,
            sales: 9,
        };
        assert_eq!(figures, expected);
        let mut twice = figures;
        twice += figures;
        assert_eq!((twice.calls, twice.sales), (480, 18));
    }

    #[test]
    fn codes_are_permanent() {
        let codes = [
            (Metric::Call, 1),
            (Metric::EffectiveCall, 2),
            (Metric::Meeting, 3),
            (Metric::Sale, 4),
        ];
        for (metric, code) in codes {
            assert_eq!(metric.code(), code);
            assert_eq!(Metric::of_code(code), Some(metric));
        }
        assert_eq!(Metric::of_code(0), None);
    }
}
