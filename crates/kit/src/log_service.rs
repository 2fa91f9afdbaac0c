//! The logs of the services in this process over gRPC.

use std::{collections::BTreeMap, time::Duration};

use api::log::{
    Event, GetHeadRequest, GetHeadResponse, ReadEventsRequest, ReadEventsResponse,
    ReadOpenedEventsRequest, ReadOpenedEventsResponse, SubscribeEventsRequest,
    SubscribeEventsResponse, VerifyLogRequest, VerifyLogResponse,
    log_service_server::{self, LogServiceServer},
};
use es::Recorded;
use es_postgres::{Log, Verdict};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tonic::{Request, Response, Status};

use crate::{
    AppError, Node, Sender, Streaming, Violations, recorded, stream,
    stream::{Closed, StreamEnd},
};

const DEFAULT_LIMIT: i64 = 1_000;
const MAX_LIMIT: i64 = 5_000;
/// What one message of a subscription holds at most.
const PART: i64 = 500;
/// A quiet subscription shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Back-up of the wake-up call, for appends of other replicas.
const POLL: Duration = Duration::from_secs(1);

/// Reads logs for analysts, gateways and other services.
pub(crate) struct LogService {
    logs: BTreeMap<&'static str, Log>,
    node: Node,
}

impl LogService {
    /// For the services that are open now.
    pub(crate) fn server(node: &Node) -> LogServiceServer<Self> {
        LogServiceServer::new(Self {
            logs: node.logs(),
            node: node.clone(),
        })
    }

    fn log(&self, service: &str) -> Result<&Log, AppError> {
        self.logs
            .get(service)
            .ok_or(AppError::NotFound { what: "log" })
    }

    async fn read(&self, service: &str, after: i64, limit: i32) -> Result<Read<'_>, AppError> {
        let log = self.log(service)?;
        check_position(after)?;
        let limit = match limit {
            ..0 => return Err(AppError::violation("limit", "must not be negative")),
            0 => DEFAULT_LIMIT,
            limit => i64::from(limit).min(MAX_LIMIT),
        };
        let events = log.read(after, limit).await?;
        Ok(Read { log, events })
    }
}

struct Read<'a> {
    log: &'a Log,
    events: Vec<Recorded>,
}

#[tonic::async_trait]
impl log_service_server::LogService for LogService {
    type SubscribeEventsStream = Streaming<SubscribeEventsResponse>;
    type VerifyLogStream = Streaming<VerifyLogResponse>;

    async fn get_head(
        &self,
        request: Request<GetHeadRequest>,
    ) -> Result<Response<GetHeadResponse>, Status> {
        let log = self.log(&request.get_ref().service)?;
        let position = log.refresh_head().await.map_err(AppError::from)?;
        let newest = log.read(position - 1, 1).await.map_err(AppError::from)?;
        Ok(Response::new(GetHeadResponse {
            position,
            epoch: log.epoch().to_string(),
            hash: newest
                .first()
                .map_or_else(Vec::new, |event| event.hash.to_vec()),
        }))
    }

    async fn read_events(
        &self,
        request: Request<ReadEventsRequest>,
    ) -> Result<Response<ReadEventsResponse>, Status> {
        let request = request.into_inner();
        let Read { log, events } = self
            .read(&request.service, request.after_position, request.limit)
            .await?;
        Ok(Response::new(ReadEventsResponse {
            events: to_api(events)?,
            epoch: log.epoch().to_string(),
            head_position: *log.head().borrow(),
        }))
    }

    async fn read_opened_events(
        &self,
        request: Request<ReadOpenedEventsRequest>,
    ) -> Result<Response<ReadOpenedEventsResponse>, Status> {
        let request = request.into_inner();
        let Read { log, mut events } = self
            .read(&request.service, request.after_position, request.limit)
            .await?;
        log.open_personal(&mut events)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(ReadOpenedEventsResponse {
            events: to_api(events)?,
            epoch: log.epoch().to_string(),
        }))
    }

    async fn subscribe_events(
        &self,
        request: Request<SubscribeEventsRequest>,
    ) -> Result<Response<Self::SubscribeEventsStream>, Status> {
        let request = request.into_inner();
        let log = self.log(&request.service)?.clone();
        check_position(request.after_position)?;
        Ok(stream(&self.node, "log subscription", move |sender| {
            subscription(log, request.after_position, sender)
        }))
    }

    async fn verify_log(
        &self,
        request: Request<VerifyLogRequest>,
    ) -> Result<Response<Self::VerifyLogStream>, Status> {
        let log = self.log(&request.get_ref().service)?.clone();
        Ok(stream(&self.node, "log verification", move |sender| {
            verification(log, sender)
        }))
    }
}

fn check_position(after: i64) -> Result<(), AppError> {
    let mut v = Violations::new();
    if after < 0 {
        v.add("after_position", "must not be negative");
    }
    v.finish()
}

fn to_api(events: Vec<Recorded>) -> Result<Vec<Event>, AppError> {
    events
        .into_iter()
        .map(recorded::to_api)
        .collect::<Result<_, _>>()
        .map_err(|error| AppError::Internal(error.to_string()))
}

async fn subscription(
    log: Log,
    mut after: i64,
    sender: Sender<SubscribeEventsResponse>,
) -> Result<(), StreamEnd> {
    let mut head = log.head();
    let mut last_sent: Option<Instant> = None;
    loop {
        // Seen before the read: an append in between wakes us once too often, never too rarely.
        head.mark_unchanged();
        let events = log.read(after, PART).await?;
        let full = events.len() as i64 == PART;
        let due = last_sent.is_none_or(|at| at.elapsed() >= HEARTBEAT);
        if !events.is_empty() || due {
            after = events.last().map_or(after, |event| event.position);
            let part = SubscribeEventsResponse {
                events: to_api(events)?,
                caught_up: !full,
            };
            sender.send(part).await?;
            last_sent = Some(Instant::now());
        }
        if !full {
            tokio::select! {
                () = sender.closed() => return Ok(()),
                // Whichever comes first, or neither: look again.
                _ = timeout(POLL, head.changed()) => {}
            }
        }
    }
}

async fn verification(log: Log, sender: Sender<VerifyLogResponse>) -> Result<(), StreamEnd> {
    let head_position = log.refresh_head().await?;
    let (progress, seen) = watch::channel(0);
    let verified = log.verify(0, |verified| {
        progress.send_replace(verified);
    });
    let verdict = tokio::select! {
        verdict = verified => verdict?,
        Closed = reports(&sender, seen, head_position) => return Ok(()),
    };
    sender.send(verdict_to_api(verdict)).await?;
    Ok(())
}

/// Sends how far the check has come until nobody listens.
async fn reports(
    sender: &Sender<VerifyLogResponse>,
    mut seen: watch::Receiver<i64>,
    head_position: i64,
) -> Closed {
    while seen.changed().await.is_ok() {
        let part = VerifyLogResponse {
            verified: *seen.borrow_and_update(),
            head_position,
            ..VerifyLogResponse::default()
        };
        if sender.send(part).await.is_err() {
            return Closed;
        }
    }
    std::future::pending().await
}

fn verdict_to_api(verdict: Verdict) -> VerifyLogResponse {
    let (broken_position, fault) = verdict
        .fault
        .map_or_else(Default::default, |fault| (fault.position, fault.what));
    VerifyLogResponse {
        verified: verdict.verified,
        head_position: verdict.head,
        finished: true,
        broken_position,
        fault,
    }
}
