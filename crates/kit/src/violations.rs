//! Reads the fields of a request and collects everything that is wrong with them, so that a
//! caller hears of all faults at once.

use std::{fmt::Display, str::FromStr};

use api::common;
use chrono::{DateTime, TimeZone, Utc};
use es::Violation;
use prost_types::Timestamp;
use vocabulary::{Deadline, Email, InvalidPeriod, Period, PhoneNumber, UnknownTerm, normalise};

use crate::{AppError, SheetFormat, SheetLanguage, wire};

/// Nobody has more telephones.
const MAX_CONTACT_POINTS: usize = 20;

/// The faults of one request. What a method cannot read it notes, and answers with something
/// harmless that is never used: `finish` comes before any effect.
#[derive(Debug, Default)]
pub struct Violations {
    found: Vec<Violation>,
    prefix: String,
}

impl Violations {
    pub fn new() -> Self {
        Self::default()
    }

    /// Never put the value into the description: it may be personal.
    pub fn add(&mut self, field: impl Display, description: impl Into<String>) {
        self.add_because(Violation::INVALID, field, description);
    }

    /// As `add`, with a stable tag of its own.
    pub fn add_because(
        &mut self,
        reason: &'static str,
        field: impl Display,
        description: impl Into<String>,
    ) {
        let field = format!("{}{field}", self.prefix);
        self.found
            .push(Violation::because(reason, field, description));
    }

    /// Reads a message inside the request: its fields are reported as `field.inner`.
    pub fn within<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.clone();
        self.prefix = format!("{outer}{field}.");
        let result = read(self);
        self.prefix = outer;
        result
    }

    /// Text that must be there; normalised. `max` counts characters.
    pub fn required(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = self.optional(field, text, max);
        if text.is_empty() {
            self.add(field, "must not be empty");
        }
        text
    }

    /// Text that may be empty; normalised. `max` counts characters.
    pub fn optional(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = normalise(text);
        if text.chars().count() > max {
            self.add(field, format!("must have at most {max} characters"));
        }
        if text
            .chars()
            .any(|c| c.is_control() && !"\n\r\t".contains(c))
        {
            self.add(field, "must not contain control characters");
        }
        text
    }

    /// As `optional`, for what can end up in a header or a cell: one line.
    pub fn line(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = self.optional(field, text, max);
        if text.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']) {
            self.add(field, "must be one line");
        }
        text
    }

    /// As `line`, for what must be there.
    pub fn required_line(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = self.line(field, text, max);
        if text.is_empty() {
            self.add(field, "must not be empty");
        }
        text
    }

    /// An id that must be there.
    pub fn id<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
        self.optional_id(field, text)
    }

    /// An id that may be empty.
    pub fn optional_id<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let id = text.parse().ok();
        if id.is_none() {
            self.add(field, "must be a UUID");
        }
        id
    }

    /// When something took place: absent means now, the future is refused.
    pub fn past_instant(
        &mut self,
        field: &str,
        timestamp: Option<&Timestamp>,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let instant = self.optional_instant(field, timestamp).unwrap_or(now);
        if instant > now {
            self.add(field, "must not be in the future");
        }
        instant
    }

    /// An instant that may be absent.
    pub fn optional_instant(
        &mut self,
        field: &str,
        timestamp: Option<&Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let instant = wire::instant(timestamp?);
        if instant.is_none() {
            self.add(field, "must be an instant");
        }
        instant
    }

    /// A deadline with date, time and offset.
    pub fn deadline(&mut self, field: &str, text: &str) -> Option<Deadline> {
        self.parsed(field, Deadline::parse(text))
    }

    /// Telephone numbers in any usual form, each once.
    pub fn phones(&mut self, field: &str, texts: &[String]) -> Vec<PhoneNumber> {
        self.contact_points(field, texts, PhoneNumber::parse)
    }

    /// E-mail addresses, each once.
    pub fn emails(&mut self, field: &str, texts: &[String]) -> Vec<Email> {
        self.contact_points(field, texts, Email::parse)
    }

    /// A word of the vocabulary that must be there.
    pub fn term<T: FromStr<Err = UnknownTerm>>(&mut self, field: &str, text: &str) -> Option<T> {
        self.parsed(field, text.parse())
    }

    /// A word of the vocabulary that may be empty.
    pub fn optional_term<T: FromStr<Err = UnknownTerm>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T> {
        if text.trim().is_empty() {
            return None;
        }
        self.term(field, text)
    }

    /// A span of business time; absent and empty ends are open.
    pub fn period<Z: TimeZone>(&mut self, period: &Option<common::Period>, zone: &Z) -> Period {
        self.period_in("period", period, zone)
    }

    /// The same in a field of another name.
    pub fn period_in<Z: TimeZone>(
        &mut self,
        field: &str,
        period: &Option<common::Period>,
        zone: &Z,
    ) -> Period {
        let Some(common::Period { from, to }) = period else {
            return Period::default();
        };
        match Period::parse(from, to, zone) {
            Ok(period) => period,
            Err(error @ InvalidPeriod::Reversed) => {
                self.add(format!("{field}.from"), error.to_string());
                Period::default()
            }
            Err(error @ InvalidPeriod::Instant) => {
                for (end, text) in [("from", from), ("to", to)] {
                    if Period::parse(text, "", zone).is_err() {
                        self.add(format!("{field}.{end}"), error.to_string());
                    }
                }
                Period::default()
            }
        }
    }

    /// In which form a list is wanted.
    pub fn sheet_format(&mut self, field: &str, number: i32) -> SheetFormat {
        match common::SheetFormat::try_from(number) {
            Ok(common::SheetFormat::Unspecified | common::SheetFormat::Csv) => SheetFormat::Csv,
            Ok(common::SheetFormat::Xlsx) => SheetFormat::Xlsx,
            Err(_) => {
                self.add(field, "must be one of the contract's values");
                SheetFormat::Csv
            }
        }
    }

    /// In which language its header is wanted; empty: Russian.
    pub fn sheet_language(&mut self, field: &str, text: &str) -> SheetLanguage {
        match text.trim() {
            "" | "ru" => SheetLanguage::Russian,
            "en" => SheetLanguage::English,
            _ => {
                self.add(field, "must be ru or en");
                SheetLanguage::Russian
            }
        }
    }

    /// What a type of the vocabulary read, or its objection.
    pub fn parsed<T, E: ToString>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.add(field, error.to_string()))
            .ok()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The faults themselves, for a row of an import.
    pub fn into_inner(self) -> Vec<Violation> {
        self.found
    }

    /// Every fault at once, or nothing.
    pub fn finish(self) -> Result<(), AppError> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(AppError::Invalid(self.found))
        }
    }

    /// What was read from a request, once all of it was read without a fault.
    pub fn checked<T>(self, value: Option<T>) -> Result<T, AppError> {
        self.finish()?;
        // Whatever left it out has named its fault, so this is never reached.
        value.ok_or_else(|| AppError::Invalid(Vec::new()))
    }

    fn contact_points<T: Ord, E: ToString>(
        &mut self,
        field: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        if texts.len() > MAX_CONTACT_POINTS {
            self.add(
                field,
                format!("must have at most {MAX_CONTACT_POINTS} entries"),
            );
            return Vec::new();
        }
        let mut points = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match self.parsed(&format!("{field}[{index}]"), parse(text)) {
                // The first one is the main one: the order stays.
                Some(point) if !points.contains(&point) => points.push(point),
                _ => {}
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use vocabulary::{AccountId, TaskKind};

    use super::*;

    #[test]
    fn every_fault_is_collected() {
        let now = DateTime::from_timestamp(1_772_438_400, 0).unwrap();
        let later = wire::timestamp(now + chrono::TimeDelta::microseconds(1));
        let mut v = Violations::new();
        v.required("comment", " \u{a0} ", 10);
        v.optional("note", "ёжик", 3);
        v.line("name", "a\r\nBcc: b", 100);
        v.optional("summary", "bell \u{7}", 100);
        assert_eq!(v.id::<AccountId>("account_id", ""), None);
        assert_eq!(v.optional_id::<AccountId>("person_id", "7"), None);
        v.past_instant("occurred_at", Some(&later), now);
        v.within("next_step", |v| {
            assert_eq!(v.deadline("due_at", "2026-03-12"), None);
            assert_eq!(v.term::<TaskKind>("kind", "dance"), None);
        });
        v.phones("phones", &["8 926 123-45-67".to_owned(), "нет".to_owned()]);
        v.emails("emails", &["a@b".to_owned()]);
        let period = Some(common::Period {
            from: "март".to_owned(),
            to: "2026".to_owned(),
        });
        v.period(&period, &Tz::Europe__Moscow);

        let fields: Vec<_> = v.into_inner().into_iter().map(|v| v.field).collect();
        let expected = [
            "comment",
            "note",
            "name",
            "summary",
            "account_id",
            "person_id",
            "occurred_at",
            "next_step.due_at",
            "next_step.kind",
            "phones[1]",
            "emails[0]",
            "period.from",
            "period.to",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn good_input_is_normalised() {
        let now = DateTime::from_timestamp(1_772_438_400, 0).unwrap();
        let mut v = Violations::new();
        assert_eq!(v.required("comment", "  и\u{306} ", 1), "й");
        assert_eq!(v.past_instant("occurred_at", None, now), now);
        assert_eq!(v.optional_term::<TaskKind>("kind", ""), None);
        assert_eq!(v.term("kind", "Call"), Some(TaskKind::Call));
        let phones = ["8 926 123-45-67".to_owned(), "+79261234567".to_owned()];
        assert_eq!(v.phones("phones", &phones).len(), 1);
        assert!(v.finish().is_ok());
    }
}
