//! Who somebody is here, whatever the role and the group: it outlasts a dismissal.

use es::Personal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::StaffId;

use super::{Hired, PasswordSet, subject};

#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub name: Personal<String>,
    pub extension: Option<String>,
    pub login: Option<Personal<String>>,
    pub password_hash: Option<Personal<String>>,
}

/// Only what is otherwise from here on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetailsChanged {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal<String>>,
    /// Of the telephone; empty: none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Personal<String>>,
}

/// What is to be otherwise; absent: stays.
#[derive(Clone, Default)]
pub struct NewDetails {
    pub name: Option<String>,
    /// Empty: none any more.
    pub extension: Option<String>,
    pub login: Option<String>,
}

/// Never the name or the login: they would end up in a log file.
impl std::fmt::Debug for NewDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewDetails(…)")
    }
}

impl Profile {
    pub(super) fn of(hired: &Hired) -> Self {
        Self {
            name: hired.name.clone(),
            extension: hired.extension.clone(),
            login: hired.login.clone(),
            password_hash: hired.password_hash.clone(),
        }
    }

    /// What of this is news; `None`: nothing.
    pub(super) fn differing(&self, id: StaffId, new: NewDetails) -> Option<DetailsChanged> {
        let personal = |text| Personal::new(subject(id), text);
        let extension = self.extension.as_deref().unwrap_or_default();
        let differing = DetailsChanged {
            name: new.name.map(personal).filter(|name| *name != self.name),
            extension: new.extension.filter(|new| new != extension),
            login: new
                .login
                .map(personal)
                .filter(|login| self.login.as_ref() != Some(login)),
        };
        Some(differing).filter(|differing| *differing != DetailsChanged::default())
    }

    pub(super) fn changed_by(self, changed: &DetailsChanged) -> Self {
        let extension = match &changed.extension {
            Some(extension) => Some(extension.clone()).filter(|text| !text.is_empty()),
            None => self.extension,
        };
        Self {
            name: changed.name.clone().unwrap_or(self.name),
            extension,
            login: changed.login.clone().or(self.login),
            password_hash: self.password_hash,
        }
    }

    pub(super) fn has(&self, credentials: &PasswordSet) -> bool {
        self.login.as_ref() == Some(&credentials.login)
            && self.password_hash.as_ref() == Some(&credentials.password_hash)
    }

    pub(super) fn with(self, credentials: &PasswordSet) -> Self {
        Self {
            login: Some(credentials.login.clone()),
            password_hash: Some(credentials.password_hash.clone()),
            ..self
        }
    }
}
