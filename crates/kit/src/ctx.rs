//! What a handler knows of the call it answers.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use api::Command;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use es::Actor;
use es_postgres::CommandContext;
use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Status};
use uuid::Uuid;
use vocabulary::{Role, StaffId, derived_id};

use crate::{
    AppError, Principal, Violations,
    directory::{Scope, Snapshot},
};

/// A call that was let in. Only the layer can make one, so a handler that has it is authorised.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `kontakty.accounts.v1.AccountsService/GetAccount`
    pub(crate) method: Arc<str>,
    pub(crate) principal: Principal,
    /// As whom the caller may call this method; never empty.
    pub(crate) acts_as: Vec<Principal>,
    pub(crate) correlation_id: Uuid,
    pub(crate) traceparent: Option<String>,
    pub(crate) deadline: Instant,
}

/// The caller, the moment and what the caller sees. The same from the first line of a handler to
/// its last.
#[derive(Clone)]
pub struct Ctx {
    pub principal: Principal,
    pub now: DateTime<Utc>,
    call: Call,
    request_id: Option<Uuid>,
    digest: Option<[u8; 32]>,
    expected_version: Option<i64>,
    zone: Tz,
    scope: Scope,
    /// Who is away and through whom the caller came to what the call is about.
    through: Arc<OnceLock<StaffId>>,
    directory: Arc<Snapshot>,
}

/// Builds the context of a call from what the layer found out.
pub(crate) fn open<T>(
    request: Request<T>,
    now: DateTime<Utc>,
    zone: Tz,
    directory: Arc<Snapshot>,
) -> Result<(Ctx, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    let call = extensions
        .remove::<Call>()
        .ok_or_else(|| AppError::Internal("the call did not come through the layer".to_owned()))?;
    let ctx = Ctx {
        principal: call.principal.clone(),
        now,
        scope: directory.scope(&call.acts_as),
        through: Arc::default(),
        request_id: None,
        digest: None,
        expected_version: None,
        call,
        zone,
        directory,
    };
    // Who may not call this method at all calls it for somebody who is away.
    if let Some(Principal::Staff { id, .. }) = ctx.call.acts_as.first()
        && ctx.staff() != Some(*id)
    {
        let _ = ctx.through.set(*id);
    }
    Ok((ctx, message))
}

/// As [`open`], for a request that changes something: with its id and the digest that binds the
/// id to this caller, this method and this content.
pub(crate) fn open_command<T: Command + Message>(
    request: Request<T>,
    now: DateTime<Utc>,
    zone: Tz,
    directory: Arc<Snapshot>,
    digests: &[u8; 32],
) -> Result<(Ctx, T), Status> {
    let (ctx, message) = open(request, now, zone, directory)?;
    let ctx = ctx.commanding(message.request_id(), &message, digests)?;
    Ok((ctx, message))
}

/// Under a key: the log keeps it for ever, and nobody is to find a password or the telephone of
/// somebody who is forgotten by trying all there are.
fn digest(key: &[u8; 32], call: &Call, message: &impl Message) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    // Lengths first, so that no part can be read as the end of the one before.
    let caller = serde_json::to_vec(&who(&call.principal)).unwrap_or_default();
    for part in [call.method.as_bytes(), &caller, &message.encode_to_vec()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Who acts, without role and group: a promotion between a call and its retry changes nothing.
fn who(principal: &Principal) -> Actor {
    match principal {
        Principal::Staff { id, .. } => Actor::Staff(id.0),
        Principal::Gateway { name } => Actor::Gateway(name.clone()),
        Principal::Service { name } => Actor::Policy(name.clone()),
        Principal::Anyone => Actor::System,
    }
}

impl Ctx {
    pub(crate) fn commanding(
        mut self,
        request_id: &str,
        content: &impl Message,
        digests: &[u8; 32],
    ) -> Result<Self, AppError> {
        let mut v = Violations::new();
        self.request_id = v.optional_id("request_id", request_id);
        v.finish()?;
        self.digest = Some(digest(digests, &self.call, content));
        Ok(self)
    }

    /// What the log needs to know of the call.
    pub fn command(&self) -> CommandContext {
        CommandContext {
            request_id: self.request_id,
            digest: self.digest,
            actor: who(&self.principal),
            on_behalf_of: self.through.get().map(|id| id.0),
            actor_group_id: match &self.principal {
                Principal::Staff { group_id, .. } => group_id.map(|id| id.0),
                _ => None,
            },
            correlation_id: self.call.correlation_id,
            causation_id: None,
            traceparent: self.call.traceparent.clone(),
            now: self.now,
            expected_version: self.expected_version,
        }
    }

    /// With the version that the caller has seen, which is the field `expected_version`; 0: any.
    #[must_use]
    pub fn expecting(mut self, v: &mut Violations, version: i64) -> Self {
        if version < 0 {
            v.add("expected_version", "must not be negative");
        }
        self.expected_version = (version != 0).then_some(version);
        self
    }

    /// An id for something new.
    pub fn new_id(&self) -> Uuid {
        fresh_id()
    }

    /// The id to record as author. Who is not staff gets an id of its own that nobody else has.
    pub fn staff_id(&self) -> StaffId {
        match &self.principal {
            Principal::Staff { id, .. } => *id,
            Principal::Gateway { name } => StaffId(derived_id("gateway", name)),
            Principal::Service { name } => StaffId(derived_id("service", name)),
            Principal::Anyone => StaffId(Uuid::nil()),
        }
    }

    /// `None` for gateways and services.
    pub fn staff(&self) -> Option<StaffId> {
        match &self.principal {
            Principal::Staff { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The role; services are trusted as administrators, gateways as little as operators.
    pub fn role(&self) -> Role {
        match &self.principal {
            Principal::Staff { role, .. } => *role,
            Principal::Service { .. } => Role::Administrator,
            Principal::Gateway { .. } | Principal::Anyone => Role::Operator,
        }
    }

    /// As whom the caller acts: first as itself, then as those who are away; only those who may
    /// call this method.
    pub fn acts_as(&self) -> impl Iterator<Item = (StaffId, Role)> {
        let all = self.call.acts_as.iter();
        all.map(|one| match one {
            Principal::Staff { id, role, .. } => (*id, *role),
            _ => (self.staff_id(), self.role()),
        })
    }

    /// Whether it is the caller, or somebody away for whom the caller acts.
    pub fn is(&self, id: StaffId) -> bool {
        self.acts_as().any(|(acted, _)| acted == id)
    }

    /// Something of this member of staff is what the call is about. Whoever reaches it only for
    /// somebody who is away acts on behalf of that one, and the log says so.
    pub fn about(&self, owner: StaffId) {
        if let Some(away) = self.on_behalf_of(owner) {
            // What came first is what the call is about.
            let _ = self.through.set(away);
        }
    }

    /// Through whom who is away the caller reaches what is of this member of staff.
    fn on_behalf_of(&self, owner: StaffId) -> Option<StaffId> {
        let itself = |one: &&Principal| matches!(one, Principal::Staff { id, .. } if *id == owner);
        let reaches = |one: &&Principal| self.directory.own_scope(one).includes(owner);
        let all = &self.call.acts_as;
        let through = all.iter().find(itself).or_else(|| all.iter().find(reaches));
        match through {
            Some(Principal::Staff { id, .. }) if self.staff() != Some(*id) => Some(*id),
            _ => None,
        }
    }

    /// What the log needs to know of one of many things that the call is about: of this member of
    /// staff, or of nobody.
    pub fn command_about(&self, owner: Option<StaffId>) -> CommandContext {
        let command = self.command();
        let through = owner.and_then(|owner| self.on_behalf_of(owner));
        CommandContext {
            on_behalf_of: through.map(|id| id.0).or(command.on_behalf_of),
            ..command
        }
    }

    /// Whose accounts, tasks and figures the caller sees.
    pub fn sees(&self) -> &Scope {
        &self.scope
    }

    /// The same by a directory that knows more than at the beginning of the call.
    pub fn sees_by(&self, directory: &Snapshot) -> Scope {
        directory.scope(&self.call.acts_as)
    }

    /// Whether the caller may give this member of staff something to do, by a directory that may
    /// know more than at the beginning of the call.
    pub fn may_plan_for(&self, directory: &Snapshot, assignee: StaffId) -> bool {
        let all = &self.call.acts_as;
        all.iter().any(|one| directory.plans_for(one, assignee))
    }

    /// In which dates are days.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Staff and groups as they were when the call came in.
    pub fn directory(&self) -> &Snapshot {
        &self.directory
    }

    pub fn correlation_id(&self) -> Uuid {
        self.call.correlation_id
    }

    /// How long the caller still waits: what a call to another service may take.
    pub fn remaining(&self) -> Duration {
        self.call.deadline.saturating_duration_since(Instant::now())
    }
}

/// The one place where ids are drawn: they rise with time, which keeps indexes compact.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn fresh_id() -> Uuid {
    Uuid::now_v7()
}
