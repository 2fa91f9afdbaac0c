//! Instants as they travel.

use chrono::{DateTime, SubsecRound, Utc};
use prost_types::Timestamp;
use vocabulary::is_of_our_time;

/// An instant for an answer.
pub fn timestamp(instant: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: instant.timestamp(),
        nanos: instant.timestamp_subsec_nanos() as i32,
    }
}

/// An instant of a request, to the microsecond as PostgreSQL keeps it; `None` when it is none.
pub fn instant(timestamp: &Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)?;
    DateTime::from_timestamp(timestamp.seconds, nanos)
        .filter(is_of_our_time)
        .map(|instant| instant.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_back_to_the_microsecond() {
        let sent = Timestamp {
            seconds: 1_772_438_400,
            nanos: 123_456_789,
        };
        let read = instant(&sent).unwrap();
        assert_eq!(
            timestamp(read),
            Timestamp {
                nanos: 123_456_000,
                ..sent
            }
        );
        for nanos in [-1, 1_000_000_000] {
            assert_eq!(instant(&Timestamp { seconds: 0, nanos }), None);
        }
        for seconds in [i64::MIN, -3_000_000_000, 1_772_438_400_000, i64::MAX] {
            assert_eq!(instant(&Timestamp { seconds, nanos: 0 }), None, "{seconds}");
        }
    }
}
