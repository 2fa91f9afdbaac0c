use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};

/// Half-open span of business time: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeriod {
    #[error("must be a date (2026-03-02), a date and time, or an RFC 3339 instant")]
    Instant,
    #[error("must not be after its end")]
    Reversed,
}

impl Period {
    /// Reads both ends; empty is open. Dates mean midnight in `zone`.
    pub fn parse<Z: TimeZone>(from: &str, to: &str, zone: &Z) -> Result<Self, InvalidPeriod> {
        let end = |text: &str| match text.trim() {
            "" => Ok(None),
            text => parse_instant(text, zone)
                .map(Some)
                .ok_or(InvalidPeriod::Instant),
        };
        let period = Self {
            from: end(from)?,
            to: end(to)?,
        };
        match (period.from, period.to) {
            (Some(from), Some(to)) if from > to => Err(InvalidPeriod::Reversed),
            _ => Ok(period),
        }
    }
}

/// Reads `2026-03-02`, `2026-03-02 10:00`, `2026-03-02T10:00:00` (all in `zone`),
/// `02.03.2026 10:00` as Russian spreadsheets write it, or RFC 3339.
pub fn parse_instant<Z: TimeZone>(text: &str, zone: &Z) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc)).filter(is_of_our_time);
    }
    let local = [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%d.%m.%Y %H:%M:%S",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    .or_else(|| {
        ["%Y-%m-%d", "%d.%m.%Y"]
            .iter()
            .find_map(|format| NaiveDate::parse_from_str(text, format).ok())
            .map(|date| date.and_time(NaiveTime::MIN))
    })?;
    zone.from_local_datetime(&local)
        .earliest()
        .map(|instant| instant.with_timezone(&Utc))
        .filter(is_of_our_time)
}

/// Whether anybody who works today could mean it, from 1900 to 2200. Who does not has counted
/// milliseconds for seconds; and of the years 0 and 10000 no two databases write the same.
pub fn is_of_our_time(date: &impl Datelike) -> bool {
    (1900..=2200).contains(&date.year())
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn dates_are_midnights_of_the_company() {
        let moscow = FixedOffset::east_opt(3 * 3600).expect("an offset");
        let period = Period::parse("2026-03-02", "06.03.2026", &moscow).expect("a period");
        assert_eq!(period.from, parse_instant("2026-03-01T21:00:00Z", &moscow));
        assert_eq!(period.to, parse_instant("2026-03-06 00:00", &moscow));
        assert_eq!(
            Period::parse("2026-03-06", "2026-03-02", &moscow),
            Err(InvalidPeriod::Reversed)
        );
        assert_eq!(
            Period::parse("март", "", &moscow),
            Err(InvalidPeriod::Instant)
        );
    }
}
