//! The logs of the services in this process over gRPC.

pub(crate) mod export;
mod verification;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::log::{
    Event, ExportEventsRequest, ExportEventsResponse, ExportOpenedEventsRequest,
    ExportOpenedEventsResponse, GetHeadRequest, GetHeadResponse, ReadEventsRequest,
    ReadEventsResponse, ReadOpenedEventsRequest, ReadOpenedEventsResponse, SubscribeEventsRequest,
    SubscribeEventsResponse, VerifyLogRequest, VerifyLogResponse,
    log_service_server::{self, LogServiceServer},
};
use es::Recorded;
use es_postgres::{Life, Log, Page};
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status};

use crate::{
    AppError, Ctx, Node, Sender, Snapshot, Streaming, Violations, ctx, recorded, stream,
    stream::StreamEnd,
};
use export::Range;

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
        let page = log.page(after, limit).await?;
        Ok(Read { log, page })
    }

    /// Who calls; what a log holds does not depend on whose accounts one sees.
    fn open<T>(&self, request: Request<T>) -> Result<(Ctx, T), Status> {
        let (now, zone) = (self.node.clock.now(), self.node.config.company.time_zone);
        ctx::open(request, now, zone, Arc::new(Snapshot::default()))
    }

    /// Records the access to a part of a log.
    async fn export(
        &self,
        ctx: &Ctx,
        service: &str,
        (after, up_to): (i64, i64),
        personal: bool,
    ) -> Result<(Range, String), AppError> {
        let log = self.log(service)?;
        let mut v = Violations::new();
        if after < 0 {
            v.add("after_position", "must not be negative");
        }
        if up_to < 0 {
            v.add("up_to_position", "must not be negative");
        }
        v.finish()?;
        let (context, id) = (ctx.command(), ctx.new_id());
        let range = Range::open(log, &context, id, (after, up_to), personal).await?;
        Ok((range, log.epoch().to_string()))
    }
}

struct Read<'a> {
    log: &'a Log,
    page: Page,
}

#[tonic::async_trait]
impl log_service_server::LogService for LogService {
    type SubscribeEventsStream = Streaming<SubscribeEventsResponse>;
    type ExportEventsStream = Streaming<ExportEventsResponse>;
    type ExportOpenedEventsStream = Streaming<ExportOpenedEventsResponse>;
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
        let Read { log, page } = self
            .read(&request.service, request.after_position, request.limit)
            .await?;
        let lives = log.lives().await.map_err(AppError::from)?;
        Ok(Response::new(ReadEventsResponse {
            events: to_api(page.events),
            epoch: page.epoch.to_string(),
            head_position: page.head,
            lives: lives.iter().map(life_to_api).collect(),
        }))
    }

    async fn read_opened_events(
        &self,
        request: Request<ReadOpenedEventsRequest>,
    ) -> Result<Response<ReadOpenedEventsResponse>, Status> {
        let request = request.into_inner();
        let Read { log, mut page } = self
            .read(&request.service, request.after_position, request.limit)
            .await?;
        log.open_personal(&mut page.events)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(ReadOpenedEventsResponse {
            events: to_api(page.events),
            epoch: page.epoch.to_string(),
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

    async fn export_events(
        &self,
        request: Request<ExportEventsRequest>,
    ) -> Result<Response<Self::ExportEventsStream>, Status> {
        let (ctx, request) = self.open(request)?;
        let part = (request.after_position, request.up_to_position);
        let (range, epoch) = self.export(&ctx, &request.service, part, false).await?;
        let first = ExportEventsResponse {
            events: Vec::new(),
            epoch,
            up_to_position: range.up_to,
            record_position: range.record,
        };
        Ok(stream(&self.node, "log export", |sender| async move {
            sender.send(first).await?;
            let part = |events| ExportEventsResponse {
                events,
                ..ExportEventsResponse::default()
            };
            range.send(&sender, part).await
        }))
    }

    async fn export_opened_events(
        &self,
        request: Request<ExportOpenedEventsRequest>,
    ) -> Result<Response<Self::ExportOpenedEventsStream>, Status> {
        let (ctx, request) = self.open(request)?;
        let part = (request.after_position, request.up_to_position);
        let (range, epoch) = self.export(&ctx, &request.service, part, true).await?;
        let first = ExportOpenedEventsResponse {
            events: Vec::new(),
            epoch,
            up_to_position: range.up_to,
            record_position: range.record,
        };
        Ok(stream(&self.node, "log export", |sender| async move {
            sender.send(first).await?;
            let part = |events| ExportOpenedEventsResponse {
                events,
                ..ExportOpenedEventsResponse::default()
            };
            range.send(&sender, part).await
        }))
    }

    async fn verify_log(
        &self,
        request: Request<VerifyLogRequest>,
    ) -> Result<Response<Self::VerifyLogStream>, Status> {
        let request = request.into_inner();
        let log = self.log(&request.service)?.clone();
        check_position(request.after_position)?;
        Ok(stream(&self.node, "log verification", move |sender| {
            verification::run(log, request.after_position, sender)
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

fn life_to_api(life: &Life) -> api::log::Life {
    api::log::Life {
        epoch: life.epoch.to_string(),
        first_position: life.first_position,
    }
}

fn to_api(events: Vec<Recorded>) -> Vec<Event> {
    events.into_iter().map(recorded::to_api).collect()
}

async fn subscription(
    log: Log,
    mut after: i64,
    sender: Sender<SubscribeEventsResponse>,
) -> Result<(), StreamEnd> {
    let mut head = log.head();
    let mut last_sent: Option<Instant> = None;
    let begun = log.epoch();
    loop {
        // Seen before the read: an append in between wakes us once too often, never too rarely.
        head.mark_unchanged();
        let Page { epoch, events, .. } = log.page(after, PART).await?;
        if epoch != begun {
            let restored = "the log was restored from a backup".to_owned();
            return Err(AppError::Unavailable(restored).into());
        }
        let full = events.len() as i64 == PART;
        let due = last_sent.is_none_or(|at| at.elapsed() >= HEARTBEAT);
        if !events.is_empty() || due {
            after = events.last().map_or(after, |event| event.position);
            let part = SubscribeEventsResponse {
                events: to_api(events),
                caught_up: !full,
                epoch: epoch.to_string(),
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
