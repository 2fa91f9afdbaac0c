//! Sends what webhooks are to be told of, in the replica that leads.
//!
//! Each webhook for itself: one that is down or slow holds up no other. It is sent one event after
//! another, and waits with all of them behind one that it does not take.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use es::{Actor, Recorded};
use es_postgres::{CommandContext, ExecuteError};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use kit::{AppError, Service, StartError, Term};
use notifications_domain::{
    Webhook,
    webhook::{Command, PauseCause, Stage, State},
};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::{
    sync::watch,
    time::{interval, sleep},
};
use uuid::Uuid;

use super::{
    outbox::{self, Intent},
    reach::{NotAllowed, Reach, Resolver},
    signature::Secrets,
};

/// After the first failure, the second, and so on; after the last one the webhook is paused.
const PAUSES: [TimeDelta; 8] = [
    TimeDelta::seconds(5),
    TimeDelta::seconds(30),
    TimeDelta::minutes(2),
    TimeDelta::minutes(10),
    TimeDelta::hours(1),
    TimeDelta::hours(3),
    TimeDelta::hours(8),
    TimeDelta::hours(24),
];
const ANSWER: Duration = Duration::from_secs(10);
/// In case another replica changes something without our hearing of it, or something is not there.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const SWEEP: Duration = Duration::from_hours(1);
/// Events that are read from the outbox at a time.
const ROUND: i64 = 100;

/// Attributes of a CloudEvent that travel otherwise over HTTP: this one is `content-type`,
const CONTENT_TYPE: &str = "ce-datacontenttype";
/// and this one, only of use to tools of ours, may be longer than web servers let a header be.
const METADATA: &str = "ce-metadata";

#[derive(Clone)]
pub(super) struct Delivery(Arc<Parts>);

struct Parts {
    service: Service,
    secrets: Secrets,
    bell: watch::Sender<()>,
    reach: Reach,
    https: Client,
    http: Client,
}

/// Why an event was not taken.
struct Failure {
    /// For administrators: never an address.
    why: String,
    /// Nothing will ever be taken there.
    gone: bool,
}

impl Delivery {
    pub(super) fn start(
        service: &Service,
        secrets: &Secrets,
        reach: Reach,
        bell: &watch::Sender<()>,
    ) -> Result<(), StartError> {
        let client = |secure| {
            let client = Client::builder()
                .timeout(ANSWER)
                .redirect(redirect::Policy::none())
                // A proxy would look names up by itself, and connect wherever they lead.
                .no_proxy()
                .dns_resolver(Resolver { reach, secure })
                .user_agent("kontakty")
                .build();
            client.map_err(|error| StartError::Other(format!("webhooks: {error}")))
        };
        let delivery = Self(Arc::new(Parts {
            service: service.clone(),
            secrets: secrets.clone(),
            bell: bell.clone(),
            reach,
            https: client(true)?,
            http: client(false)?,
        }));
        service.lead("webhooks", move |Term { over, .. }| {
            let delivery = delivery.clone();
            async move {
                // What is under way is sent again by the next leader, with the same id.
                over.run_until_cancelled(delivery.0.run().boxed()).await;
            }
        });
        Ok(())
    }
}

impl Parts {
    async fn run(&self) {
        let mut bell = self.bell.subscribe();
        let mut rounds = FuturesUnordered::new();
        let mut busy = HashSet::new();
        let mut sweep = interval(SWEEP);
        loop {
            bell.mark_unchanged();
            let next = match self.due().await {
                Ok((due, next)) => {
                    for id in due {
                        if busy.insert(id) {
                            rounds.push(self.round(id).boxed());
                        }
                    }
                    next
                }
                Err(error) => {
                    tracing::warn!("webhooks wait: {error}");
                    None
                }
            };
            tokio::select! {
                Some(id) = rounds.next() => {
                    busy.remove(&id);
                }
                Ok(()) = bell.changed() => {}
                () = self.sleep_until(next) => {}
                _ = sweep.tick() => self.sweep().await,
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Who can be sent something now, and when the next one can.
    async fn due(&self) -> Result<(Vec<Uuid>, Option<DateTime<Utc>>), sqlx::Error> {
        let (pool, now) = (self.service.pool(), self.service.node.clock.now());
        let due = outbox::due(pool, now).await?;
        Ok((due, outbox::next_try_at(pool, now).await?))
    }

    async fn sleep_until(&self, at: Option<DateTime<Utc>>) {
        match at {
            Some(at) => self.service.node.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    async fn sweep(&self) {
        let now = self.service.node.clock.now();
        match outbox::sweep(self.service.pool(), now).await {
            Ok(0) => {}
            Ok(lost) => tracing::warn!(lost, "events that webhooks never took are given up"),
            Err(error) => tracing::warn!("the outbox is not swept: {error}"),
        }
    }

    /// Sends to one webhook until nothing is left, something fails or it is another one's turn to be
    /// looked at.
    async fn round(&self, id: Uuid) -> Uuid {
        match self.send_open(id).await {
            Ok(true) => {}
            // The view has not heard of its pause yet.
            Ok(false) => sleep(LOOK_AGAIN).await,
            Err(error) => {
                tracing::warn!(webhook = %id, "a webhook waits: {error}");
                sleep(LOOK_AGAIN).await;
            }
        }
        id
    }

    /// False: it is not to be told of anything at the moment.
    async fn send_open(&self, id: Uuid) -> Result<bool, AppError> {
        let pool = self.service.pool();
        for intent in outbox::open(pool, id, ROUND).await? {
            // The log decides: what was removed a moment ago is sent nothing.
            let State::Known { url, stage } = self.service.log.load::<Webhook>(id).await?.state
            else {
                return Ok(false);
            };
            match stage {
                Stage::Active => {}
                Stage::Paused | Stage::Removed => return Ok(false),
            }
            let Intent {
                event_id,
                source,
                position,
            } = intent;
            let found = self.service.sealed_event(&source, position).await?;
            let Some((epoch, event)) = found.filter(|(_, event)| event.event_id == event_id) else {
                tracing::warn!(webhook = %id, source, position, "its log has lost an event to be sent");
                outbox::drop_one(pool, id, event_id).await?;
                continue;
            };
            match self.send(id, &url, &source, epoch, &event).await {
                Ok(()) => {
                    let now = self.service.node.clock.now();
                    outbox::taken(pool, id, event_id, now).await?;
                }
                Err(failure) => {
                    self.failed(id, &event, failure).await?;
                    break;
                }
            }
        }
        Ok(true)
    }

    async fn send(
        &self,
        id: Uuid,
        url: &str,
        source: &str,
        epoch: Uuid,
        event: &Recorded,
    ) -> Result<(), Failure> {
        let failure = |why: &str| Failure {
            why: why.to_owned(),
            gone: false,
        };
        let url = Url::parse(url).map_err(|_| failure("no address"))?;
        // It was registered under another setting, or by an older version.
        if !self.reach.admits(&url) {
            return Err(failure(&NotAllowed.to_string()));
        }
        let client = if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        };
        let message_id = event.event_id.to_string();
        let now = self.service.node.clock.now().timestamp();
        let secret = self.secrets.of_webhook(id);
        let mut request = client
            .post(url)
            .header("webhook-id", &message_id)
            .header("webhook-timestamp", now)
            .header(
                "webhook-signature",
                secret.sign(&message_id, now, &event.payload),
            );
        for (name, values) in bus::to_headers(source, epoch, event).iter() {
            let name: &str = match name.as_ref() {
                METADATA => continue,
                CONTENT_TYPE => "content-type",
                name => name,
            };
            for value in values {
                request = request.header(name, value.as_str());
            }
        }
        let answer = request.body(event.payload.clone()).send().await;
        let status = answer
            .map_err(|error| {
                if NotAllowed::is_behind(&error) {
                    return failure(&NotAllowed.to_string());
                }
                failure(if error.is_timeout() {
                    "no answer in time"
                } else if error.is_connect() {
                    "no connection"
                } else {
                    "no answer"
                })
            })?
            .status();
        if status.is_success() {
            return Ok(());
        }
        Err(Failure {
            why: status.as_u16().to_string(),
            gone: status == StatusCode::GONE,
        })
    }

    async fn failed(&self, id: Uuid, event: &Recorded, failure: Failure) -> Result<(), AppError> {
        let (pool, now) = (self.service.pool(), self.service.node.clock.now());
        let Failure { why, gone } = failure;
        let failures = outbox::failures(pool, id).await?;
        let pause = PAUSES.get(failures).filter(|_| !gone);
        let next_try_at = pause.map(|pause| now + *pause);
        tracing::info!(webhook = %id, failures, gone, "a webhook has not taken an event: {why}");
        outbox::failed(pool, id, &why, now, next_try_at).await?;
        if next_try_at.is_some() {
            return Ok(());
        }
        let cause = if gone {
            PauseCause::Gone
        } else {
            PauseCause::Failing
        };
        let context = self.because_of(event, now);
        let command = Command::Pause { cause };
        let log = &self.service.log;
        match log.execute::<Webhook>(&context, id, command).await {
            // Removed meanwhile.
            Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// No request id: the same event may be refused again once the webhook is resumed.
    fn because_of(&self, event: &Recorded, now: DateTime<Utc>) -> CommandContext {
        CommandContext {
            request_id: None,
            digest: None,
            actor: Actor::Policy(format!("{}/webhooks", self.service.name())),
            on_behalf_of: None,
            actor_group_id: None,
            correlation_id: event.metadata.correlation_id,
            causation_id: Some(event.event_id),
            traceparent: event.metadata.traceparent.clone(),
            now,
            expected_version: None,
        }
    }
}
