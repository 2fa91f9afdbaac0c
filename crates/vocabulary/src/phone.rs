use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A telephone number in E.164, with an extension where there is one: `+74957777777;ext=123`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PhoneNumber(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a telephone number")]
pub struct InvalidPhone;

impl PhoneNumber {
    /// Takes any usual form; national ones are read as Russian: `8 (926) 123-45-67`, `8-800-555-35-35`.
    pub fn parse(text: &str) -> Result<Self, InvalidPhone> {
        let number = rlibphonenumber::PhoneNumber::parse(text, Some(Region::RU))
            .map_err(|_| InvalidPhone)?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
            return Err(InvalidPhone);
        }
        let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        Ok(Self(match number.extension() {
            "" => e164.into_owned(),
            extension => format!("{e164};ext={extension}"),
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the whole number: it would end up in a log file.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..4).unwrap_or_default();
        write!(f, "{shown}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_offices_write_them() {
        for (text, expected) in [
            ("8 (926) 123-45-67", "+79261234567"),
            ("8-800-555-35-35", "+78005553535"),
            ("+7 800 555 35 35", "+78005553535"),
            ("8 812 555-35-35", "+78125553535"),
            ("8(495)7777777 доб. 123", "+74957777777;ext=123"),
            ("+7 727 250 00 00", "+77272500000"),
            ("+7 900 000-01-15", "+79000000115"),
            ("+351 21 123 4567", "+351211234567"),
        ] {
            assert_eq!(
                PhoneNumber::parse(text).map(|p| p.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        for text in ["", "12", "нет", "abc", "8 926"] {
            assert_eq!(PhoneNumber::parse(text), Err(InvalidPhone), "{text}");
        }
    }
}
