use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount in minor units (kopecks, cents) of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    pub minor_units: i64,
    /// ISO 4217.
    pub currency: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    #[error("must be three capital letters as in ISO 4217")]
    Currency,
    #[error("must be a decimal with at most two digits after the point")]
    Amount,
    #[error("must not be negative")]
    Negative,
}

impl Money {
    pub fn try_new(minor_units: i64, currency: &str) -> Result<Self, InvalidMoney> {
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(InvalidMoney::Currency);
        }
        if minor_units < 0 {
            return Err(InvalidMoney::Negative);
        }
        Ok(Self {
            minor_units,
            currency: currency.to_owned(),
        })
    }

    /// Reads `180000`, `180 000,50`, `180000.5` as spreadsheets write them.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, InvalidMoney> {
        let plain: String = amount
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| if c == ',' { '.' } else { c })
            .collect();
        if plain.starts_with('-') {
            return Err(InvalidMoney::Negative);
        }
        let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(InvalidMoney::Amount);
        }
        format!("{whole}{part:0<2}")
            .parse()
            .map_err(|_| InvalidMoney::Amount)
            .and_then(|minor_units| Self::try_new(minor_units, currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let minor = |text| Money::parse(text, "RUB").map(|m| m.minor_units);
        assert_eq!(minor("180 000,00"), Ok(18_000_000));
        assert_eq!(minor("180000.5"), Ok(18_000_050));
        assert_eq!(minor("7"), Ok(700));
        assert_eq!(minor("1.234"), Err(InvalidMoney::Amount));
        assert_eq!(minor("-1"), Err(InvalidMoney::Negative));
        assert_eq!(minor("сто"), Err(InvalidMoney::Amount));
        assert_eq!(minor("99999999999999999999"), Err(InvalidMoney::Amount));
        assert_eq!(Money::parse("1", "rub"), Err(InvalidMoney::Currency));
    }
}
