//! How commands are told which services are meant, and what they say to a name that is none.

use std::str::FromStr;

use kit::config::SERVICES;

/// For clap: one service.
pub(crate) fn one(name: &str) -> Result<&'static str, String> {
    let mut services = SERVICES.into_iter();
    let known = services.find(|service| *service == name);
    known.ok_or_else(|| {
        format!(
            "there is no service `{name}`; there are {}",
            SERVICES.join(", ")
        )
    })
}

/// One service, or `all`.
#[derive(Debug, Clone)]
pub(crate) struct Services(Vec<&'static str>);

impl FromStr for Services {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self(SERVICES.to_vec()));
        }
        let service = one(name).map_err(|unknown| format!("{unknown} and all"))?;
        Ok(Self(vec![service]))
    }
}

impl Services {
    pub(crate) fn names(&self) -> &[&'static str] {
        &self.0
    }

    /// Each that is in any of these, once, in the order in which they start.
    pub(crate) fn together(named: &[Self]) -> Vec<&'static str> {
        let mut services = SERVICES.to_vec();
        services.retain(|service| named.iter().any(|named| named.0.contains(service)));
        services
    }
}

/// A view or reaction: `SERVICE/NAME`.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) service: &'static str,
    pub(crate) name: String,
}

impl FromStr for Follower {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, name) = text
            .split_once('/')
            .ok_or("it is named as SERVICE/NAME, such as contacts/timeline")?;
        Ok(Self {
            service: one(service)?,
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_by_one_or_as_all() {
        let named = |names: &[&str]| -> Result<Vec<_>, String> {
            let named: Vec<Services> = names
                .iter()
                .map(|name| name.parse::<Services>())
                .collect::<Result<_, _>>()?;
            Ok(Services::together(&named))
        };
        assert_eq!(
            named(&["planning", "accounts", "planning"]).unwrap(),
            ["accounts", "planning"]
        );
        assert_eq!(named(&["planning", "all"]).unwrap(), SERVICES);
        let unknown = "there is no service `sales`; there are accounts, contacts, planning, \
                       notifications, analytics";
        assert_eq!(
            named(&["all", "sales"]).unwrap_err(),
            format!("{unknown} and all")
        );
        assert_eq!(one("all").unwrap_err(), unknown.replace("sales", "all"));
        assert_eq!("sales/timeline".parse::<Follower>().unwrap_err(), unknown);
        let timeline: Follower = "contacts/timeline".parse().unwrap();
        assert_eq!(
            (timeline.service, &timeline.name[..]),
            ("contacts", "timeline")
        );
    }
}
