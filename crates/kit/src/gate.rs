//! Lets a call in or not: whose token it is, whether that person still works here, and whether
//! the contract lets that role call this method.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::get_current_timestamp;

use crate::{
    AppError, Identity, Principal, Tokens,
    auth::Refused,
    directory::Directory,
    rights::{Method, Rights},
};

/// Events need a moment: somebody hired just now may have a token before this service has heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// All that is needed to decide who may come in.
pub(crate) struct Gate {
    pub(crate) rights: Rights,
    tokens: Arc<Tokens>,
    directories: HashMap<&'static str, Directory>,
}

/// Somebody who was let in.
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    /// Absent for public methods.
    pass: Option<Pass>,
}

struct Pass {
    directory: Directory,
    /// Unix seconds.
    ends_at: u64,
}

impl Gate {
    pub(crate) fn new(
        rights: Rights,
        tokens: Arc<Tokens>,
        directories: HashMap<&'static str, Directory>,
    ) -> Self {
        Self {
            rights,
            tokens,
            directories,
        }
    }

    pub(crate) async fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Admitted, AppError> {
        if method.public {
            return Ok(Admitted {
                principal: Principal::Anyone,
                pass: None,
            });
        }
        let admitted = self.identify(method, headers).await?.map_err(|refused| {
            tracing::info!(method = %method.name, %refused, "token refused");
            AppError::Unauthenticated
        })?;
        if method.allows(&admitted.principal) {
            Ok(admitted)
        } else {
            Err(AppError::forbidden(
                "FORBIDDEN",
                "this role may not call this method",
            ))
        }
    }

    async fn identify(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Result<Admitted, Refused>, AppError> {
        let verified = match bearer(headers).and_then(|token| self.tokens.verify(token)) {
            Ok(verified) => verified,
            Err(refused) => return Ok(Err(refused)),
        };
        let directory = self.directory(&method.service)?;
        let principal = match verified.identity {
            Identity::Staff(id) => {
                let mut changed = directory.changed();
                let known = changed.wait_for(|_| directory.snapshot().staff(id).is_some());
                // Neither patience running out nor the end of the process changes what is known.
                let _ = tokio::time::timeout(PATIENCE, known).await;
                match directory.snapshot().staff(id) {
                    None => return Ok(Err(Refused::Unknown)),
                    Some(entry) if entry.dismissed => return Ok(Err(Refused::Dismissed)),
                    Some(entry) => Principal::Staff {
                        id,
                        role: entry.role,
                        group_id: entry.group_id,
                    },
                }
            }
            Identity::Gateway(name) => Principal::Gateway { name },
            Identity::Service(name) => Principal::Service { name },
        };
        Ok(Ok(Admitted {
            principal,
            pass: Some(Pass {
                directory: directory.clone(),
                ends_at: verified.ends_at,
            }),
        }))
    }

    /// The directory of the service that owns the method. What belongs to no service, such as the
    /// log and the clock, can ask any.
    fn directory(&self, service: &str) -> Result<&Directory, AppError> {
        self.directories
            .get(service)
            .or_else(|| self.directories.get("accounts"))
            .or_else(|| self.directories.values().next())
            .ok_or_else(|| AppError::Internal("no service is mounted here".to_owned()))
    }
}

impl Admitted {
    /// Returns when a stream must end because its caller may no longer have it.
    pub(crate) async fn revoked(self) -> AppError {
        let Some(Pass { directory, ends_at }) = self.pass else {
            return std::future::pending().await;
        };
        let left = Duration::from_secs(ends_at.saturating_sub(get_current_timestamp()));
        tokio::select! {
            () = tokio::time::sleep(left) => AppError::Unauthenticated,
            error = changed(&directory, &self.principal) => error,
        }
    }
}

async fn changed(directory: &Directory, principal: &Principal) -> AppError {
    let Principal::Staff { id, role, group_id } = principal else {
        return std::future::pending().await;
    };
    let mut position = directory.changed();
    loop {
        match directory.snapshot().staff(*id) {
            Some(entry) if entry.dismissed => return AppError::Unauthenticated,
            Some(entry) if entry.role == *role && entry.group_id == *group_id => {}
            // The caller comes again and gets what its new place lets it see.
            _ => return AppError::Unavailable("the rights of the caller have changed".to_owned()),
        }
        if position.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refused::Missing)?;
    if values.next().is_some() {
        return Err(Refused::Malformed);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(Refused::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Refused::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_bearer_token() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), Err(Refused::Missing));
        for (value, expected) in [
            ("Bearer a.b.c", Ok("a.b.c")),
            ("bearer a.b.c", Ok("a.b.c")),
            ("Basic a.b.c", Err(Refused::Malformed)),
            ("a.b.c", Err(Refused::Malformed)),
        ] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), expected, "{value}");
        }
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer d.e.f"));
        assert_eq!(bearer(&headers), Err(Refused::Malformed));
    }
}
