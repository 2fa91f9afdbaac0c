//! Who may call which method: read from the contract itself, where it stands beside each method.

use std::{collections::HashMap, sync::Arc};

use api::rights;
use prost_reflect::{DescriptorPool, Value};
use vocabulary::Role;

use crate::Principal;

/// A method of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// `kontakty.accounts.v1.AccountsService/GetAccount`
    pub path: Arc<str>,
    /// `AccountsService.GetAccount`
    pub name: Arc<str>,
    /// `accounts`; the part of the package that names the service.
    pub service: String,
    /// Needs no token.
    pub public: bool,
    /// None: nobody may call it.
    pub roles: Vec<rights::Role>,
    /// The answer comes in many parts, for as long as the caller listens.
    pub streams: bool,
    /// The request comes in many parts, as fast as the caller's line is.
    pub uploads: bool,
}

/// Every method that can be answered here, by path.
#[derive(Debug, Clone)]
pub struct Rights(HashMap<String, Arc<Method>>);

#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    #[error("the contract is not readable")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    #[error("the contract has no rights option")]
    NoOption,
    #[error("the rights of {0} are not readable")]
    Malformed(String),
}

const OPTION: &str = "kontakty.rights.v1.rights";

/// What every server answers, whoever asks: is it alive, what can it do.
const PUBLIC: [(&str, &str, bool); 5] = [
    ("grpc.health.v1.Health", "Check", false),
    ("grpc.health.v1.Health", "List", false),
    ("grpc.health.v1.Health", "Watch", true),
    (
        "grpc.reflection.v1.ServerReflection",
        "ServerReflectionInfo",
        true,
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection",
        "ServerReflectionInfo",
        true,
    ),
];

impl Rights {
    /// Reads the contract.
    pub fn read() -> Result<Self, RightsError> {
        let pool = DescriptorPool::decode(api::DESCRIPTORS)?;
        let option = pool
            .get_extension_by_name(OPTION)
            .ok_or(RightsError::NoOption)?;
        let mut methods = HashMap::new();
        for service in pool.services() {
            let package = service.package_name().to_owned();
            for method in service.methods() {
                let full_name = method.full_name().to_owned();
                let options = method.options();
                let rights = match options.get_extension(&option).as_ref() {
                    Value::Message(message) => message
                        .transcode_to::<rights::Rights>()
                        .map_err(|_| RightsError::Malformed(full_name))?,
                    _ => return Err(RightsError::Malformed(full_name)),
                };
                let entry = Method {
                    path: format!("{}/{}", service.full_name(), method.name()).into(),
                    name: format!("{}.{}", service.name(), method.name()).into(),
                    service: package.split('.').nth(1).unwrap_or_default().to_owned(),
                    public: rights.public,
                    roles: rights.roles().collect(),
                    streams: method.is_server_streaming(),
                    uploads: method.is_client_streaming(),
                };
                methods.insert(format!("/{}", entry.path), Arc::new(entry));
            }
        }
        for (service, method, streams) in PUBLIC {
            let entry = Method {
                path: format!("{service}/{method}").into(),
                name: format!(
                    "{}.{method}",
                    service.rsplit('.').next().unwrap_or_default()
                )
                .into(),
                service: String::new(),
                public: true,
                roles: Vec::new(),
                streams,
                uploads: false,
            };
            methods.insert(format!("/{}", entry.path), Arc::new(entry));
        }
        Ok(Self(methods))
    }

    /// By the path of an HTTP request; `None`: no such method.
    pub fn of(&self, path: &str) -> Option<&Arc<Method>> {
        self.0.get(path)
    }

    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.0.values().map(Arc::as_ref)
    }
}

impl Method {
    /// Whether this caller may call it at all; what it then sees is another question.
    pub fn allows(&self, principal: &Principal) -> bool {
        self.public || role(principal).is_some_and(|role| self.roles.contains(&role))
    }
}

fn role(principal: &Principal) -> Option<rights::Role> {
    Some(match principal {
        Principal::Staff { role, .. } => match role {
            Role::Administrator => rights::Role::Administrator,
            Role::Head => rights::Role::Head,
            Role::Manager => rights::Role::Manager,
            Role::Operator => rights::Role::Operator,
            Role::Analyst => rights::Role::Analyst,
        },
        Principal::Gateway { .. } => rights::Role::Gateway,
        Principal::Service { .. } => rights::Role::Service,
        Principal::Anyone => return None,
    })
}

#[cfg(test)]
mod tests {
    use vocabulary::StaffId;

    use super::*;

    #[test]
    fn every_method_of_the_contract_says_who_may_call_it() {
        let rights = Rights::read().unwrap();
        let pool = DescriptorPool::decode(api::DESCRIPTORS).unwrap();
        let mut count = PUBLIC.len();
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let entry = rights
                    .of(&path)
                    .unwrap_or_else(|| panic!("{path} is missing"));
                assert!(entry.public == entry.roles.is_empty(), "{path}");
                assert!(!entry.roles.contains(&rights::Role::Unspecified), "{path}");
                assert!(!entry.service.is_empty(), "{path}");
                count += 1;
            }
        }
        assert_eq!(rights.methods().count(), count);
    }

    #[test]
    fn only_what_opens_the_door_is_public() {
        let rights = Rights::read().unwrap();
        let mut public: Vec<_> = rights
            .methods()
            .filter(|method| method.public)
            .map(|method| method.path.to_string())
            .filter(|path| !path.starts_with("grpc."))
            .collect();
        public.sort();
        assert_eq!(public, ["kontakty.accounts.v1.IdentityService/Login"]);
    }

    #[test]
    fn a_method_without_rights_is_nobodys() {
        let method = Method {
            path: "".into(),
            name: "".into(),
            service: String::new(),
            public: false,
            roles: Vec::new(),
            streams: false,
            uploads: false,
        };
        let id = StaffId::of_external("a");
        for role in Role::ALL {
            let principal = Principal::Staff {
                id,
                role: *role,
                group_id: None,
            };
            assert!(!method.allows(&principal));
        }
        assert!(!method.allows(&Principal::Service {
            name: "planning".to_owned()
        }));
        assert!(!method.allows(&Principal::Anyone));
    }
}
