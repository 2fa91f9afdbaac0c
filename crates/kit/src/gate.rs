//! Lets a call in or not: whose token it is, whether that person still works here, and whether
//! the contract lets that role call this method.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::get_current_timestamp;

use crate::{
    AppError, Clock, Identity, Principal, Tokens,
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
    clock: Clock,
}

/// Somebody who was let in.
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    /// As whom the caller may call this method: first as itself, then as those who are away. Each
    /// brings only what it sees itself: the method of one and the reach of another are nobody's rights.
    pub(crate) acts_as: Vec<Principal>,
    /// Absent for public methods.
    pass: Option<Pass>,
}

struct Pass {
    directory: Directory,
    clock: Clock,
    /// As whom the caller acts, whatever the method.
    acts_as: Vec<Principal>,
    /// Unix seconds.
    ends_at: u64,
}

impl Gate {
    pub(crate) fn new(
        rights: Rights,
        tokens: Arc<Tokens>,
        directories: HashMap<&'static str, Directory>,
        clock: Clock,
    ) -> Self {
        Self {
            rights,
            tokens,
            directories,
            clock,
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
                acts_as: vec![Principal::Anyone],
                pass: None,
            });
        }
        let mut admitted = self.identify(method, headers).await?.map_err(|refused| {
            tracing::info!(method = %method.name, %refused, "token refused");
            AppError::Unauthenticated
        })?;
        admitted.acts_as.retain(|one| method.allows(one));
        if admitted.acts_as.is_empty() {
            return Err(AppError::forbidden(
                "FORBIDDEN",
                "this role may not call this method",
            ));
        }
        Ok(admitted)
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
        let acts_as = directory.snapshot().acts_as(&principal, self.clock.now());
        Ok(Ok(Admitted {
            pass: Some(Pass {
                directory: directory.clone(),
                clock: self.clock.clone(),
                acts_as: acts_as.clone(),
                ends_at: verified.ends_at,
            }),
            acts_as,
            principal,
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
        let Some(pass) = self.pass else {
            return std::future::pending().await;
        };
        let left = Duration::from_secs(pass.ends_at.saturating_sub(get_current_timestamp()));
        tokio::select! {
            () = tokio::time::sleep(left) => AppError::Unauthenticated,
            error = pass.changed(&self.principal) => error,
        }
    }
}

impl Pass {
    async fn changed(&self, principal: &Principal) -> AppError {
        let Principal::Staff { id, role, group_id } = principal else {
            return std::future::pending().await;
        };
        let mut position = self.directory.changed();
        loop {
            let (snapshot, now) = (self.directory.snapshot(), self.clock.now());
            match snapshot.staff(*id) {
                Some(entry) if entry.dismissed => return AppError::Unauthenticated,
                Some(entry)
                    if entry.role == *role
                        && entry.group_id == *group_id
                        && snapshot.acts_as(principal, now) == self.acts_as => {}
                // The caller comes again and gets what its new place lets it see.
                _ => {
                    let what = "the rights of the caller have changed";
                    return AppError::Unavailable(what.to_owned());
                }
            }
            let turns = async {
                match snapshot.absences().next_turn(*id, now) {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = turns => {}
                moved = position.changed() => if moved.is_err() {
                    return std::future::pending().await;
                }
            }
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
