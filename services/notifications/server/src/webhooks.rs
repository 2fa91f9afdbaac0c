//! Webhooks: integrators who cannot follow the bus are sent its events.
//!
//! What a webhook is to be told of is noted first ([`intents`]), then sent, then noted as sent
//! ([`delivery`], in the [`outbox`]), so that nothing is lost by a fall and nothing is sent by a
//! replay.

mod delivery;
mod intents;
mod outbox;
mod reach;
mod signature;

use api::notifications::{
    ListWebhooksRequest, ListWebhooksResponse, PauseWebhookRequest, PauseWebhookResponse,
    RegisterWebhookRequest, RegisterWebhookResponse, RemoveWebhookRequest, RemoveWebhookResponse,
    ResumeWebhookRequest, ResumeWebhookResponse, Webhook, WebhookState,
    webhooks_service_server::WebhooksService,
};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, StartError, Violations, timestamp};
use notifications_domain::{
    self as domain,
    webhook::{Command, Pattern, PauseCause},
};
use reqwest::Url;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use vocabulary::WebhookId;

use self::{delivery::Delivery, intents::Intents, reach::Reach, signature::Secrets};
use crate::views::{
    self,
    webhooks::{Row, WebhooksView},
};

const MAX_URL: usize = 2_000;
const MAX_DESCRIPTION: usize = 200;
const MOST_PATTERNS: usize = 50;

pub(crate) struct Webhooks {
    service: Service,
    secrets: Secrets,
    reach: Reach,
    /// Something may be to be sent.
    bell: watch::Sender<()>,
}

impl Webhooks {
    /// Notes what is to be sent from now on, and sends it in the replica that leads.
    pub(crate) async fn start(service: &Service) -> Result<Self, StartError> {
        let webhooks = Self {
            secrets: Secrets::of(&service.node),
            reach: Reach {
                private_networks: service.node.config.webhooks.private_networks,
            },
            bell: watch::Sender::default(),
            service: service.clone(),
        };
        service.project(WebhooksView).await?;
        service.react(Intents::new(service, &webhooks.bell));
        Delivery::start(service, &webhooks.secrets, webhooks.reach, &webhooks.bell)?;
        Ok(webhooks)
    }

    async fn register(
        &self,
        ctx: &Ctx,
        req: &RegisterWebhookRequest,
    ) -> Result<RegisterWebhookResponse, AppError> {
        let mut v = Violations::new();
        let url = url(&mut v, &req.url, self.reach);
        let events = patterns(&mut v, &req.events);
        let description = v.line("description", &req.description, MAX_DESCRIPTION);
        v.finish()?;
        let command = Command::Register {
            url,
            events,
            description,
        };
        let log = &self.service.log;
        let outcome = log
            .execute_new::<domain::Webhook>(&ctx.command(), ctx.new_id(), command)
            .await?;
        Ok(RegisterWebhookResponse {
            webhook_id: outcome.id.to_string(),
            secret: self.secrets.of_webhook(outcome.id).shown(),
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    async fn execute(
        &self,
        ctx: &Ctx,
        webhook_id: &str,
        command: Command,
    ) -> Result<Outcome<domain::Webhook>, AppError> {
        let mut v = Violations::new();
        let id = v.id::<WebhookId>("webhook_id", webhook_id);
        let id = v.checked(id)?;
        let log = &self.service.log;
        Ok(log
            .execute::<domain::Webhook>(&ctx.command(), id.0, command)
            .await?)
    }

    async fn resume(
        &self,
        ctx: &Ctx,
        webhook_id: &str,
    ) -> Result<Outcome<domain::Webhook>, AppError> {
        let outcome = self.execute(ctx, webhook_id, Command::Resume).await?;
        outbox::try_at_once(self.service.pool(), outcome.id).await?;
        self.bell.send_replace(());
        Ok(outcome)
    }

    async fn remove(
        &self,
        ctx: &Ctx,
        webhook_id: &str,
    ) -> Result<Outcome<domain::Webhook>, AppError> {
        let outcome = self.execute(ctx, webhook_id, Command::Remove).await?;
        // Nothing of it would be sent; what is left here by a fall goes with its age.
        outbox::forget(self.service.pool(), outcome.id).await?;
        Ok(outcome)
    }
}

#[tonic::async_trait]
impl WebhooksService for Webhooks {
    async fn register_webhook(
        &self,
        request: Request<RegisterWebhookRequest>,
    ) -> Result<Response<RegisterWebhookResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        Ok(Response::new(self.register(&ctx, &request).await?))
    }

    async fn pause_webhook(
        &self,
        request: Request<PauseWebhookRequest>,
    ) -> Result<Response<PauseWebhookResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let command = Command::Pause {
            cause: PauseCause::Asked,
        };
        let outcome = self.execute(&ctx, &request.webhook_id, command).await?;
        Ok(Response::new(PauseWebhookResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn resume_webhook(
        &self,
        request: Request<ResumeWebhookRequest>,
    ) -> Result<Response<ResumeWebhookResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.resume(&ctx, &request.webhook_id).await?;
        Ok(Response::new(ResumeWebhookResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn remove_webhook(
        &self,
        request: Request<RemoveWebhookRequest>,
    ) -> Result<Response<RemoveWebhookResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let outcome = self.remove(&ctx, &request.webhook_id).await?;
        Ok(Response::new(RemoveWebhookResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_webhooks(
        &self,
        request: Request<ListWebhooksRequest>,
    ) -> Result<Response<ListWebhooksResponse>, Status> {
        self.service.query(request).await?;
        let rows = views::webhooks::list(self.service.pool()).await;
        let rows = rows.map_err(AppError::from)?;
        Ok(Response::new(ListWebhooksResponse {
            webhooks: rows.into_iter().map(message).collect(),
        }))
    }
}

/// An address that may be told: nobody on the way can read along, and nothing inside is spoken to.
fn url(v: &mut Violations, text: &str, reach: Reach) -> String {
    let text = v.required_line("url", text, MAX_URL);
    if text.is_empty() {
        return text;
    }
    let url = Url::parse(&text).ok().filter(|url| {
        let safe = url.scheme() == "https" || reach.admits(url);
        let bare = url.username().is_empty() && url.password().is_none();
        safe && bare && url.has_host() && url.fragment().is_none()
    });
    match url {
        Some(url) if reach.admits(&url) => return url.into(),
        Some(_) => v.add(
            "url",
            "must be a public address, not one of this machine or of a private network",
        ),
        None => v.add(
            "url",
            "must be an https address without a name, a password or a # in it",
        ),
    }
    String::new()
}

fn patterns(v: &mut Violations, given: &[String]) -> Vec<Pattern> {
    if given.is_empty() || given.len() > MOST_PATTERNS {
        v.add("events", format!("must have 1 to {MOST_PATTERNS} entries"));
        return Vec::new();
    }
    let mut patterns = Vec::new();
    for (index, text) in given.iter().enumerate() {
        match text.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(domain::webhook::InvalidPattern) => v.add(
                format!("events[{index}]"),
                domain::webhook::InvalidPattern.to_string(),
            ),
        }
    }
    patterns
}

fn message(row: Row) -> Webhook {
    let state = match row.paused_for.as_deref() {
        None => WebhookState::Active,
        Some(views::webhooks::GONE) => WebhookState::Gone,
        Some(views::webhooks::FAILING) => WebhookState::Failing,
        Some(_) => WebhookState::Paused,
    };
    Webhook {
        id: row.id.to_string(),
        url: row.url,
        events: row.events,
        description: row.description,
        state: state.into(),
        registered_at: Some(timestamp(row.registered_at)),
        pending: row.pending,
        last_success_at: row.last_success_at.map(timestamp),
        last_failure_at: row.last_failure_at.map(timestamp),
        last_failure: row.last_failure.unwrap_or_default(),
        next_try_at: row.next_try_at.map(timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(text: &str, private_networks: bool) -> bool {
        let mut v = Violations::new();
        url(&mut v, text, Reach { private_networks });
        v.finish().is_err()
    }

    #[test]
    fn only_what_nobody_can_read_along_may_be_told() {
        for good in [
            "https://example.com/hook?x=1",
            "https://example.com:8443/",
            "https://8.8.8.8/",
        ] {
            assert!(!faulty(good, false) && !faulty(good, true), "{good}");
        }
        for inside in [
            "https://127.0.0.1/hook",
            "http://127.0.0.1:8080/hook",
            "http://localhost/hook",
            "http://[::1]:80/",
            "http://intranet/hook",
        ] {
            assert!(faulty(inside, false) && !faulty(inside, true), "{inside}");
        }
        for bad in [
            "http://8.8.8.8/hook",
            "https://169.254.169.254/",
            "ftp://example.com/",
            "ftp://127.0.0.1/",
            "https://user:secret@example.com/",
            "http://user:secret@127.0.0.1/",
            "https://example.com/#part",
            "example.com",
            "",
        ] {
            assert!(faulty(bad, false) && faulty(bad, true), "{bad}");
        }
    }
}
