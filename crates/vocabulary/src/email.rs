use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::normalise;

/// An e-mail address. Only its shape is checked: whether it exists, a letter tells.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Email(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = normalise(text);
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let clean = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| !c.is_whitespace() && !c.is_control() && !"@<>(),;:\\\"[]".contains(c))
        };
        let host = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
        if text.len() <= 254 && clean(local) && clean(domain) && host {
            Ok(Self(format!("{local}@{}", domain.to_lowercase())))
        } else {
            Err(InvalidEmail)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the address: it would end up in a log file.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(
            Email::parse(" V.Sokolova@Example.ORG ").map(|e| e.to_string()),
            Ok("V.Sokolova@example.org".to_owned())
        );
        for bad in [
            "",
            "a",
            "a@b",
            "a@.ru",
            "a b@c.ru",
            "a@b.ru\r\nBcc: x",
            "<a@b.ru>",
        ] {
            assert_eq!(Email::parse(bad), Err(InvalidEmail), "{bad}");
        }
    }
}
