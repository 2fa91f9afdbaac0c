//! Calls to the other services of the installation: the one place that connects.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::log::{
    GetHeadRequest, ReadEventsRequest, ReadOpenedEventsRequest,
    log_service_client::LogServiceClient,
};
use bus::Fetched;
use es::Recorded;
use es_postgres::{
    Life,
    projection::{ApplyError, Batch, SourceError},
};
use futures::FutureExt;
use tokio::time::Instant;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tracing::Span;
use uuid::Uuid;

use crate::{AppError, Identity, StartError, Tokens, config::SERVICES, recorded, telemetry};

const CONNECT: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const TOKEN_LIFE: Duration = Duration::from_mins(10);
/// A thousand events with long notes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A connection to another service, as the role of a service.
pub type PeerChannel = InterceptedService<Channel, Bearer>;

/// Connections to all services, made at the first call and again whenever they break.
#[derive(Clone)]
pub struct Peers {
    channels: Arc<BTreeMap<&'static str, PeerChannel>>,
}

impl Peers {
    /// Whoever has no address of its own answers at ours.
    pub(crate) fn new(
        addresses: &BTreeMap<&'static str, String>,
        own: SocketAddr,
        tokens: &Arc<Tokens>,
    ) -> Result<Self, StartError> {
        let bearer = Bearer::new(tokens);
        let own = format!("http://{}", reachable(own));
        let channels = SERVICES.iter().map(|service| {
            let address = addresses.get(service).unwrap_or(&own);
            let endpoint = Endpoint::from_shared(address.clone())
                .map_err(|error| StartError::Other(format!("peers.{service}: {error}")))?
                .connect_timeout(CONNECT)
                .timeout(CALL)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_while_idle(true);
            #[expect(clippy::disallowed_methods, reason = "this is the one place")]
            let channel = endpoint.connect_lazy();
            let channel = InterceptedService::new(channel, bearer.clone());
            Ok((*service, channel))
        });
        Ok(Self {
            channels: Arc::new(channels.collect::<Result<_, StartError>>()?),
        })
    }

    /// For a client generated from the contract; `None` for what is no service.
    pub fn channel(&self, service: &str) -> Option<PeerChannel> {
        self.channels.get(service).cloned()
    }

    fn log(&self, service: &str) -> Result<LogServiceClient<PeerChannel>, Status> {
        let channel = self.channel(service).ok_or(AppError::Unimplemented)?;
        Ok(LogServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
    }

    /// The newest position of a service's log.
    pub async fn head(&self, service: &str) -> Result<i64, AppError> {
        let request = GetHeadRequest {
            service: service.to_owned(),
        };
        let answer = async { self.log(service)?.get_head(request).await }.await;
        match answer {
            Ok(head) => Ok(head.into_inner().position),
            Err(status) => Err(AppError::Unavailable(told(service, &status))),
        }
    }

    /// How a follower of another service's log gets what the bus did not bring.
    pub(crate) fn fetch(&self, service: &'static str) -> bus::Fetch {
        let peers = self.clone();
        Arc::new(move |after, limit| {
            let peers = peers.clone();
            async move { peers.read(service, after, limit).await }.boxed()
        })
    }

    pub(crate) async fn read(
        &self,
        service: &str,
        after: i64,
        limit: i64,
    ) -> Result<Fetched, SourceError> {
        let unavailable = |status: Status| SourceError::Unavailable(told(service, &status));
        let request = ReadEventsRequest {
            service: service.to_owned(),
            after_position: after,
            limit: limit.try_into().unwrap_or(i32::MAX),
        };
        let mut log = self.log(service).map_err(unavailable)?;
        let answer = log
            .read_events(request)
            .await
            .map_err(unavailable)?
            .into_inner();
        let events = answer.events.into_iter().map(recorded::from_api);
        let malformed = || SourceError::Unavailable(format!("{service} sent a malformed event"));
        let lives = answer.lives.iter().map(|life| {
            Some(Life {
                epoch: Uuid::parse_str(&life.epoch).ok()?,
                first_position: life.first_position,
            })
        });
        Ok(Fetched {
            batch: Batch {
                epoch: Uuid::parse_str(&answer.epoch).map_err(|_| malformed())?,
                events: events.collect::<Option<_>>().ok_or_else(malformed)?,
                head: answer.head_position,
            },
            lives: lives.collect::<Option<_>>().ok_or_else(malformed)?,
        })
    }

    /// One event of another service with its personal fields opened.
    pub async fn opened_event(&self, service: &str, position: i64) -> Result<Recorded, ApplyError> {
        let transient = |status: Status| ApplyError::Transient(told(service, &status));
        let request = ReadOpenedEventsRequest {
            service: service.to_owned(),
            after_position: position - 1,
            limit: 1,
        };
        let mut log = self.log(service).map_err(transient)?;
        let answer = log.read_opened_events(request).await.map_err(transient)?;
        answer
            .into_inner()
            .events
            .into_iter()
            .next()
            .and_then(recorded::from_api)
            .filter(|event| event.position == position)
            .ok_or_else(|| ApplyError::Transient(format!("{service} did not give {position}")))
    }
}

/// For the log: a status of ours has no personal data in its message.
fn told(service: &str, status: &Status) -> String {
    let code: Code = status.code();
    format!("{service} answered {code:?}: {}", status.message())
}

/// An address that listens everywhere cannot be called: the loopback of its kind can.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Adds our token and the trace to every call.
#[derive(Clone)]
pub struct Bearer {
    tokens: Arc<Tokens>,
    current: Arc<Mutex<Option<Current>>>,
}

struct Current {
    header: MetadataValue<Ascii>,
    renew_at: Instant,
}

impl Bearer {
    fn new(tokens: &Arc<Tokens>) -> Self {
        Self {
            tokens: Arc::clone(tokens),
            current: Arc::default(),
        }
    }

    /// The token in use, replaced at half of its life.
    fn header(&self) -> Result<MetadataValue<Ascii>, AppError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &*current
            && Instant::now() < token.renew_at
        {
            return Ok(token.header.clone());
        }
        let identity = Identity::Service("kontakty".to_owned());
        let (token, _) = self
            .tokens
            .issue(&identity, TOKEN_LIFE)
            .map_err(|error| AppError::Internal(error.to_string()))?;
        let mut header = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|error| AppError::Internal(error.to_string()))?;
        header.set_sensitive(true);
        *current = Some(Current {
            header: header.clone(),
            renew_at: Instant::now() + TOKEN_LIFE / 2,
        });
        Ok(header)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let header = self.header()?;
        request.metadata_mut().insert("authorization", header);
        let traceparent = telemetry::traceparent(&Span::current());
        if let Some(Ok(trace)) = traceparent.map(MetadataValue::try_from) {
            request.metadata_mut().insert("traceparent", trace);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_everywhere_is_called_at_the_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:8600"), "127.0.0.1:8600");
        assert_eq!(reached("[::]:8600"), "[::1]:8600");
        assert_eq!(reached("10.0.0.7:1"), "10.0.0.7:1");
    }
}
