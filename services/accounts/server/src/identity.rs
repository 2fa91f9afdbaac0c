//! The built-in login.

use api::accounts::{
    LoginRequest, LoginResponse, WhoAmIRequest, WhoAmIResponse,
    identity_service_server::IdentityService,
};
use api::rights;
use kit::{AppError, Principal, Service, timestamp};
use tonic::{Request, Response, Status};
use vocabulary::StaffId;

use crate::{
    passwords,
    views::people,
    wire::{caught_up, id_text, role_to_api},
};

pub(crate) struct Identity {
    service: Service,
}

impl Identity {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }
}

#[tonic::async_trait]
impl IdentityService for Identity {
    /// Wrong login, wrong password and dismissed are one answer, and take as long.
    async fn login(
        &self,
        request: Request<LoginRequest>,
    ) -> Result<Response<LoginResponse>, Status> {
        let (_, req) = self.service.plain(request).await?;
        if req.password.chars().count() > passwords::MAX_CHARACTERS {
            return Err(AppError::Unauthenticated.into());
        }
        match caught_up(&self.service).await {
            // With what is known: a read model that is behind must not close the door.
            Ok(()) | Err(AppError::ViewBehind) => {}
            Err(error) => return Err(error.into()),
        }
        let found = people::credentials(self.service.pool(), &req.login)
            .await
            .map_err(AppError::from)?;
        let (id, hash) = found.map_or((None, None), |found| {
            (Some(StaffId(found.staff_id)), found.password_hash)
        });
        let fits = passwords::verify(req.password, hash).await?;
        let id = id.filter(|_| fits).ok_or(AppError::Unauthenticated)?;

        let node = &self.service.node;
        let (access_token, expires_at) = node
            .tokens
            .issue(&kit::Identity::Staff(id), node.config.keys.token_ttl)
            .map_err(|error| AppError::Internal(error.to_string()))?;
        Ok(Response::new(LoginResponse {
            access_token,
            expires_at: Some(timestamp(expires_at)),
        }))
    }

    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let (ctx, _) = self.service.plain(request).await?;
        Ok(Response::new(match &ctx.principal {
            Principal::Staff { id, role, group_id } => {
                let entry = self.service.known_staff(*id).await?;
                let names = people::names_of(self.service.pool(), &[*id])
                    .await
                    .map_err(AppError::from)?;
                let name = names.into_iter().next().map(|(_, name)| name);
                WhoAmIResponse {
                    staff_id: id.to_string(),
                    external_id: entry.map(|entry| entry.external_id).unwrap_or_default(),
                    name: name.unwrap_or_default(),
                    role: role_to_api(*role).into(),
                    group_id: id_text(group_id.map(|id| id.0)),
                }
            }
            Principal::Gateway { name } => WhoAmIResponse {
                name: name.clone(),
                role: rights::Role::Gateway.into(),
                ..WhoAmIResponse::default()
            },
            Principal::Service { name } => WhoAmIResponse {
                name: name.clone(),
                role: rights::Role::Service.into(),
                ..WhoAmIResponse::default()
            },
            Principal::Anyone => return Err(AppError::Unauthenticated.into()),
        }))
    }
}
