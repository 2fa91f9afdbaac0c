//! The rules that an administrator can turn.

use accounts_domain::policy::{self as domain, Changed, Command, Policy, UnusualReading};
use api::accounts::{
    self as pb, ChangePolicyRequest, ChangePolicyResponse, GetPolicyRequest, GetPolicyResponse,
    policy_service_server::PolicyService,
};
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};
use vocabulary::Role;

use crate::wire::MAX_TEXT;

pub(crate) struct Handlers {
    service: Service,
}

impl Handlers {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn change(
        &self,
        ctx: Ctx,
        req: ChangePolicyRequest,
    ) -> Result<ChangePolicyResponse, AppError> {
        let mut v = Violations::new();
        let ctx = ctx.expecting(&mut v, req.expected_version);
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        v.finish()?;
        let command = Command::Change(Changed {
            personal_data_by_operator_only: req.personal_data_by_operator_only,
            unusual_reading: req.unusual_reading.map(|unusual| UnusualReading {
                at_least: unusual.at_least,
                times_usual: unusual.times_usual,
            }),
            reason,
        });
        let context = ctx.command();
        let log = &self.service.log;
        let outcome = log.execute::<Policy>(&context, domain::id(), command);
        Ok(ChangePolicyResponse {
            recorded: Some(self.service.recorded(&outcome.await?)),
        })
    }
}

/// Who logs events edits personal data only where the office allows it, for whomever he stands in.
/// The log itself is asked: what an administrator turned a moment ago counts.
pub(crate) async fn check_may_change_personal_data(
    service: &Service,
    ctx: &Ctx,
) -> Result<(), AppError> {
    if ctx.role() != Role::Manager {
        return Ok(());
    }
    let policy = service.log.load::<Policy>(domain::id()).await?.state;
    if policy.personal_data_by_operator_only {
        return Err(AppError::forbidden(
            "PERSONAL_DATA_BY_OPERATOR",
            "personal data is edited by the operator",
        ));
    }
    Ok(())
}

#[tonic::async_trait]
impl PolicyService for Handlers {
    async fn get_policy(
        &self,
        request: Request<GetPolicyRequest>,
    ) -> Result<Response<GetPolicyResponse>, Status> {
        self.service.plain(request).await?;
        let loaded = self.service.log.load::<Policy>(domain::id()).await;
        let loaded = loaded.map_err(AppError::from)?;
        let unusual = loaded.state.unusual_reading;
        Ok(Response::new(GetPolicyResponse {
            policy: Some(pb::Policy {
                personal_data_by_operator_only: loaded.state.personal_data_by_operator_only,
                unusual_reading: Some(pb::UnusualReading {
                    at_least: unusual.at_least,
                    times_usual: unusual.times_usual,
                }),
                version: loaded.version,
            }),
        }))
    }

    async fn change_policy(
        &self,
        request: Request<ChangePolicyRequest>,
    ) -> Result<Response<ChangePolicyResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.change(ctx, req).await?))
    }
}
