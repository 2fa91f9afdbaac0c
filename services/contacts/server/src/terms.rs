//! The words of contacts, as the contract numbers them and as everything else here names them.

use api::contacts;
use vocabulary::{Direction, ErasureGround, InteractionKind, Outcome, UnknownTerm};

/// Contract and vocabulary have the same names; a test holds them together.
macro_rules! numbered {
    ($($term:ident: $prefix:literal, $read:ident, $write:ident;)*) => {$(
        /// Unspecified, and a number that the contract does not have, are no words.
        pub(crate) fn $read(number: i32) -> Result<$term, UnknownTerm> {
            let term = contacts::$term::try_from(number).unwrap_or_default();
            term.as_str_name().trim_start_matches($prefix).parse()
        }

        pub(crate) fn $write(term: &str) -> i32 {
            let name = format!("{}{}", $prefix, term.to_uppercase());
            contacts::$term::from_str_name(&name).unwrap_or_default().into()
        }
    )*};
}

numbered! {
    InteractionKind: "INTERACTION_KIND_", kind, kind_number;
    Direction: "DIRECTION_", direction, direction_number;
    Outcome: "OUTCOME_", outcome, outcome_number;
    ErasureGround: "ERASURE_GROUND_", ground, ground_number;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_number_and_back() {
        for term in InteractionKind::ALL {
            assert_eq!(kind(kind_number(term.as_str())), Ok(*term));
        }
        for term in Direction::ALL {
            assert_eq!(direction(direction_number(term.as_str())), Ok(*term));
        }
        for term in Outcome::ALL {
            assert_eq!(outcome(outcome_number(term.as_str())), Ok(*term));
        }
        for term in ErasureGround::ALL {
            assert_eq!(ground(ground_number(term.as_str())), Ok(*term));
        }
        assert!(kind(0).is_err());
        assert!(outcome(99).is_err());
    }
}
