//! What people read when something is refused: by reason for the whole, by phrase for each field.
//!
//! The text of a status is English and for developers; clients choose by reason, never by prose.

mod faults;
mod refusals;

use std::borrow::Cow;

use http::{HeaderMap, header::ACCEPT_LANGUAGE};
use tonic::Code;

use crate::status::WORDING;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Russian,
    English,
}

impl Language {
    /// The first one of the caller's that we speak; `None`: the caller asks for neither.
    pub(crate) fn asked_for(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
        accepted.split(',').find_map(|range| {
            let primary = range.trim().split(['-', ';']).next()?;
            match primary.to_ascii_lowercase().as_str() {
                "ru" => Some(Self::Russian),
                "en" => Some(Self::English),
                _ => None,
            }
        })
    }

    pub(crate) fn locale(self) -> &'static str {
        match self {
            Self::Russian => "ru-RU",
            Self::English => "en-US",
        }
    }

    fn of<T>(self, russian: T, english: T) -> T {
        match self {
            Self::Russian => russian,
            Self::English => english,
        }
    }
}

/// Why the whole was refused: by reason where there is something particular to say, else by code.
pub(crate) fn refusal(reason: &str, code: Code, language: Language) -> &'static str {
    let known = by_reason(reason, language);
    known.unwrap_or_else(|| {
        let (russian, english) = by_code(code);
        language.of(russian, english)
    })
}

/// What is wrong with a field: sources say it in English, and that is what is looked up.
pub(crate) fn fault(text: &str, language: Language) -> Cow<'_, str> {
    let translated = match language {
        Language::English => None,
        Language::Russian => faults::TABLE
            .iter()
            .find_map(|(english, russian)| fill(english, russian, text)),
    };
    translated.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A fault of a row of an import in the language of the caller who is being answered.
pub fn in_words(text: String, reason: &str) -> String {
    let language = WORDING.try_with(|wording| wording.language).ok().flatten();
    let Some(language) = language else {
        return text;
    };
    worded(&text, reason, language).into_owned()
}

/// The same: what a rule and not the form of a field is against has a text by its reason.
pub(crate) fn worded<'t>(text: &'t str, reason: &str, language: Language) -> Cow<'t, str> {
    match fault(text, language) {
        Cow::Borrowed(_) if language != Language::English => {
            Cow::Borrowed(by_reason(reason, language).unwrap_or(text))
        }
        told => told,
    }
}

fn by_reason(reason: &str, language: Language) -> Option<&'static str> {
    refusals::TABLE
        .iter()
        .find(|(known, ..)| *known == reason)
        .map(|(_, russian, english)| language.of(*russian, *english))
}

/// `text` in the other language, if it is what the pattern says; `{}` stands for a number or a list.
fn fill(pattern: &str, other: &str, text: &str) -> Option<String> {
    match pattern.split_once("{}") {
        None => (pattern == text).then(|| other.to_owned()),
        Some((before, after)) => {
            let value = text.strip_prefix(before)?.strip_suffix(after)?;
            Some(other.replace("{}", value))
        }
    }
}

fn by_code(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::NotFound => ("Не найдено.", "Not found."),
        Code::AlreadyExists => ("Такая запись уже есть.", "This is there already."),
        Code::PermissionDenied => ("У вас нет права на это действие.", "You may not do this."),
        Code::FailedPrecondition => (
            "Это действие сейчас невозможно.",
            "This cannot be done now.",
        ),
        _ => (
            "Не получилось. Повторите или обратитесь в поддержку.",
            "That did not work. Try again or ask support.",
        ),
    }
}

#[cfg(test)]
mod tests;
