//! Fields that an office has agreed on for its cards: what they are, and what can stand in them.

use std::fmt;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{InvalidMoney, Money, fold_for_search, is_of_our_time, normalise};

use crate::catalogue::Entry;

/// The longest text of a field.
const MAX_TEXT: usize = 1_000;
const ROUBLES: &str = "RUB";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Number,
    Date,
    YesNo,
    Choice,
    Money,
}

/// A field as one version of it was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Permanent, as in a column of a file.
    pub key: String,
    /// 1, 2, 3 …
    pub version: u32,
    pub name: String,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Entry>,
    /// A new card must have it, if only as unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Lists can be filtered by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub searchable: bool,
    /// Why there are more required fields than common sense has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// What stands in a field. Unknown is an answer: somebody asked, and nobody knows. Empty says that
/// what was there is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Value<T> {
    Text(T),
    Number(Decimal),
    Date(NaiveDate),
    YesNo(bool),
    Choice(String),
    Money(Money),
    Unknown,
    Empty,
}

impl<T> Value<T> {
    pub fn map<U>(self, text: impl FnOnce(T) -> U) -> Value<U> {
        match self {
            Self::Text(value) => Value::Text(text(value)),
            Self::Number(number) => Value::Number(number),
            Self::Date(date) => Value::Date(date),
            Self::YesNo(yes) => Value::YesNo(yes),
            Self::Choice(key) => Value::Choice(key),
            Self::Money(money) => Value::Money(money),
            Self::Unknown => Value::Unknown,
            Self::Empty => Value::Empty,
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => Some(Kind::Text),
            Self::Number(_) => Some(Kind::Number),
            Self::Date(_) => Some(Kind::Date),
            Self::YesNo(_) => Some(Kind::YesNo),
            Self::Choice(_) => Some(Kind::Choice),
            Self::Money(_) => Some(Kind::Money),
            Self::Unknown | Self::Empty => None,
        }
    }
}

impl Field {
    /// A value as a program gives it: of the kind of the field, or none of the kinds.
    pub fn accept(&self, given: Value<String>) -> Result<Value<String>, &'static str> {
        if given.kind().is_some_and(|kind| kind != self.kind) {
            return Err(self.kind.fault());
        }
        match &given {
            Value::Text(text) => match normalise(text) {
                text if text.is_empty() => Ok(Value::Empty),
                text if text.chars().count() > MAX_TEXT => Err("is too long"),
                text if text.chars().any(char::is_control) => Err("must be one line"),
                text => Ok(Value::Text(text)),
            },
            Value::Choice(text) => self
                .choices
                .iter()
                .find(|choice| choice.is_called(text))
                .map(|choice| Value::Choice(choice.key.clone()))
                .ok_or_else(|| Kind::Choice.fault()),
            Value::Number(_)
            | Value::Date(_)
            | Value::YesNo(_)
            | Value::Money(_)
            | Value::Unknown
            | Value::Empty => Ok(given),
        }
    }

    /// A value as files have it: `12,5`, `02.03.2026`, `да`, `180 000,00`, `?`.
    pub fn read(&self, cell: &str) -> Result<Value<String>, &'static str> {
        let text = normalise(cell);
        if text.is_empty() {
            return Ok(Value::Empty);
        }
        if is_unknown(&text) {
            return Ok(Value::Unknown);
        }
        let fault = self.kind.fault();
        self.accept(match self.kind {
            Kind::Text => Value::Text(text),
            Kind::Number => Value::Number(Decimal::parse(&text).ok_or(fault)?),
            Kind::Date => Value::Date(date(&text).ok_or(fault)?),
            Kind::YesNo => Value::YesNo(yes_no(&text).ok_or(fault)?),
            Kind::Choice => Value::Choice(text),
            Kind::Money => Value::Money(money(&text).map_err(|_| fault)?),
        })
    }
}

impl Kind {
    /// What is wrong with whatever is not of this kind.
    pub fn fault(self) -> &'static str {
        match self {
            Self::Text => "must be a text",
            Self::Number => "must be a number such as 12.5",
            Self::Date => "must be a date such as 2026-03-02",
            Self::YesNo => "must be yes or no",
            Self::Choice => "must be one of the choices of the field",
            Self::Money => "must be an amount such as 180000.00 RUB",
        }
    }
}

/// How a file says that nobody knows.
pub fn is_unknown(cell: &str) -> bool {
    matches!(
        cell.trim().to_lowercase().as_str(),
        "?" | "неизвестно" | "unknown"
    )
}

fn date(text: &str) -> Option<NaiveDate> {
    // Spreadsheets add midnight.
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    ["%Y-%m-%d", "%d.%m.%Y"]
        .iter()
        .find_map(|form| NaiveDate::parse_from_str(day, form).ok())
        .filter(is_of_our_time)
}

fn yes_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "да" | "yes" | "true" | "1" | "+" => Some(true),
        "нет" | "no" | "false" | "0" | "-" => Some(false),
        _ => None,
    }
}

/// Without a currency, roubles.
fn money(text: &str) -> Result<Money, InvalidMoney> {
    let amount = text.trim_end_matches(|c: char| c.is_alphabetic() || c == '₽' || c == '.');
    let currency = match text[amount.len()..].to_uppercase().as_str() {
        "" | "₽" | "Р" | "Р." | "РУБ" | "РУБ." => ROUBLES.to_owned(),
        other => other.to_owned(),
    };
    Money::parse(amount, &currency)
}

/// A number with its digits as given: nothing of it gets lost in binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Decimal(String);

impl Decimal {
    const DIGITS: usize = 15;
    const PLACES: usize = 6;

    /// Takes `12.5`, `12,50`, `1 200`; gives `12.5`, `12.5`, `1200`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let plain = plain.replace(',', ".");
        let (negative, digits) = match plain.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
            return None;
        }
        let (whole, part) = (
            whole.trim_start_matches('0'),
            part.trim_end_matches('0').to_owned(),
        );
        if whole.len() > Self::DIGITS || part.len() > Self::PLACES {
            return None;
        }
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if part.is_empty() { "" } else { "." };
        let zero = whole == "0" && part.is_empty();
        let sign = if negative && !zero { "-" } else { "" };
        Some(Self(format!("{sign}{whole}{point}{part}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Entry {
    /// By its key or by one of its names, as people type them.
    pub fn is_called(&self, text: &str) -> bool {
        let text = fold_for_search(text);
        !text.is_empty()
            && std::iter::once(&self.key)
                .chain(std::iter::once(&self.name))
                .chain(&self.aliases)
                .any(|name| fold_for_search(name) == text)
    }

    /// Whether a text could mean either.
    pub fn shares_a_name_with(&self, other: &Self) -> bool {
        let mut names = [&other.key, &other.name].into_iter().chain(&other.aliases);
        names.any(|name| self.is_called(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind) -> Field {
        Field {
            key: "size".to_owned(),
            version: 1,
            name: "Размер".to_owned(),
            kind,
            choices: vec![Entry::new("big", "Большой")],
            required: false,
            searchable: true,
            override_reason: None,
        }
    }

    #[test]
    fn cells_as_offices_fill_them() {
        let number = |text| Value::Number(Decimal::parse(text).unwrap());
        let day = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
        let roubles = |kopecks| Value::Money(Money::try_new(kopecks, "RUB").unwrap());
        for (kind, cell, expected) in [
            (Kind::Text, " да ", Value::Text("да".to_owned())),
            (Kind::Number, "1 200,50", number("1200.5")),
            (Kind::Date, "02.03.2026", Value::Date(day)),
            (Kind::Date, "2026-03-02 00:00:00", Value::Date(day)),
            (Kind::YesNo, "Да", Value::YesNo(true)),
            (Kind::YesNo, "0", Value::YesNo(false)),
            (Kind::Choice, "большой", Value::Choice("big".to_owned())),
            (Kind::Money, "180 000,00 руб.", roubles(18_000_000)),
            (Kind::Money, "7", roubles(700)),
            (Kind::Number, "", Value::Empty),
            (Kind::Number, "?", Value::Unknown),
            (Kind::Number, "0", number("0")),
        ] {
            assert_eq!(field(kind).read(cell), Ok(expected), "{kind:?} {cell}");
        }
        for (kind, cell) in [
            (Kind::Number, "много"),
            (Kind::Number, "1.2345678"),
            (Kind::Date, "31.02.2026"),
            (Kind::YesNo, "может быть"),
            (Kind::Choice, "малый"),
            (Kind::Money, "-1"),
        ] {
            assert_eq!(field(kind).read(cell), Err(kind.fault()), "{kind:?} {cell}");
        }
    }

    #[test]
    fn a_program_says_what_it_means() {
        let text = Value::Text("12".to_owned());
        assert_eq!(
            field(Kind::Number).accept(text.clone()),
            Err(Kind::Number.fault())
        );
        assert_eq!(field(Kind::Text).accept(text.clone()), Ok(text));
        assert_eq!(
            field(Kind::Number).accept(Value::Unknown),
            Ok(Value::Unknown)
        );
        let long = Value::Text("я".repeat(MAX_TEXT + 1));
        assert!(field(Kind::Text).accept(long).is_err());
    }

    #[test]
    fn numbers_have_one_form() {
        for (text, form) in [
            ("007", "7"),
            ("-0", "0"),
            ("-0,50", "-0.5"),
            ("+3.10", "3.1"),
        ] {
            let read = Decimal::parse(text).map(|number| number.to_string());
            assert_eq!(read.as_deref(), Some(form));
        }
        for text in ["", "-", ".5", "1e3", "1234567890123456", "0x1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
