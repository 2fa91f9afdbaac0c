//! What happens around every call, in this order: the trace, the limit of work at once, the
//! deadline, who calls and with what right; and after the handler: panics and foreign errors
//! become ours, figures are counted.

mod upload;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty, info_span};
use uuid::Uuid;

use crate::{
    AppError,
    answer::{Answer, Tally},
    ctx::{self, Call},
    gate::{Admitted, Gate},
    messages::Language,
    metrics::Metrics,
    rights::Method,
    status::{WORDING, Wording},
    telemetry,
};
use upload::Upload;

/// For callers that set none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// Nobody waits longer for a whole answer; parts of a stream may go on coming.
const LONGEST_DEADLINE: Duration = Duration::from_secs(30);
/// For a whole request that comes in parts, over a slow line.
const LONGEST_UPLOAD: Duration = Duration::from_mins(10);
/// Handlers at work at once; more would only wait for the same database.
const MOST_AT_ONCE: usize = 2_000;
/// Uploads at once, in places of their own: lines decide how long they last, and all others go on.
const MOST_UPLOADS: usize = 64;

/// Wraps the routes of a server.
#[derive(Clone)]
pub(crate) struct CallLayer(Arc<Shared>);

struct Shared {
    gate: Gate,
    metrics: Metrics,
    stopping: CancellationToken,
    at_once: Semaphore,
    uploads: Semaphore,
}

impl CallLayer {
    pub(crate) fn new(gate: Gate, metrics: Metrics, stopping: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            gate,
            metrics,
            stopping,
            at_once: Semaphore::new(MOST_AT_ONCE),
            uploads: Semaphore::new(MOST_UPLOADS),
        }))
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    shared: Arc<Shared>,
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that said it is ready goes, a fresh one stays.
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.answer(request, ready).await) })
    }
}

impl Shared {
    async fn answer<S>(&self, request: Request<Body>, inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        let wording = Wording {
            correlation_id: correlation_id(request.headers()),
            language: Language::asked_for(request.headers()),
        };
        // What the contract does not know is never passed on.
        let Some(method) = self.gate.rights.of(request.uri().path()).cloned() else {
            return WORDING.sync_scope(wording, || refusal(AppError::Unimplemented));
        };
        let span = info_span!(
            "call",
            otel.name = %method.name,
            otel.kind = "server",
            rpc.method = %method.path,
            rpc.code = Empty,
            correlation.id = %wording.correlation_id,
        );
        telemetry::accept(request.headers(), &span);
        let tally = Tally::new(self.metrics.clone(), Arc::clone(&method.name));
        let handled = self
            .handle(&method, wording, request, inner)
            .instrument(span.clone());
        let (response, admitted) = WORDING.scope(wording, handled).await;

        let code = Status::from_header_map(response.headers()).map(|status| status.code());
        span.record("rpc.code", tracing::field::debug(code.unwrap_or(Code::Ok)));
        if let Some(code) = code {
            tally.finish(code);
            return response;
        }
        let stopping = self.stopping.clone();
        let end = admitted.filter(|_| method.streams).map(|admitted| {
            async move {
                tokio::select! {
                    () = stopping.cancelled() => AppError::Unavailable("stopping".to_owned()),
                    error = admitted.revoked() => error,
                }
            }
            .boxed()
        });
        response.map(|body| Body::new(Answer::new(body, tally, wording, end)))
    }

    /// The answer, and who was let in.
    async fn handle<S>(
        &self,
        method: &Method,
        wording: Wording,
        mut request: Request<Body>,
        mut inner: S,
    ) -> (Response<Body>, Option<Admitted>)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        let (places, default, longest) = if method.uploads {
            request = request.map(|body| Body::new(Upload::new(body)));
            (&self.uploads, LONGEST_UPLOAD, LONGEST_UPLOAD)
        } else {
            (&self.at_once, DEFAULT_DEADLINE, LONGEST_DEADLINE)
        };
        let budget = budget(request.headers(), default, longest);
        let deadline = Instant::now() + budget;
        let mut admitted = None;
        let work = async {
            let _at_work = places.try_acquire().map_err(|_| AppError::Exhausted {
                reason: "OVERLOADED",
                message: "too many calls at once",
            })?;
            let admitted = admitted.insert(self.gate.admit(method, request.headers()).await?);
            request.extensions_mut().insert(Call {
                method: Arc::clone(&method.path),
                principal: admitted.principal.clone(),
                acts_as: admitted.acts_as.clone(),
                correlation_id: wording.correlation_id,
                traceparent: telemetry::traceparent(&Span::current()),
                deadline,
            });
            let Ok(response) = inner.call(request).await;
            Ok::<_, AppError>(response)
        };
        let work = AssertUnwindSafe(work).catch_unwind();
        let response = match tokio::time::timeout(budget, work).await {
            Ok(Ok(Ok(response))) => ours(response),
            Ok(Ok(Err(error))) => refusal(error),
            Ok(Err(panic)) => refusal(AppError::Internal(said(panic.as_ref()))),
            Err(_) => refusal(AppError::DeadlineExceeded),
        };
        (response, admitted)
    }
}

fn refusal(error: AppError) -> Response<Body> {
    Status::from(error).into_http()
}

/// Errors that did not come from our handlers in our words.
fn ours(response: Response<Body>) -> Response<Body> {
    let status = Status::from_header_map(response.headers());
    match status.and_then(|status| foreign(&status)) {
        Some(error) => refusal(error),
        None => response,
    }
}

/// What an error means that the library made; `None`: it is one of ours and may go.
pub(crate) fn foreign(status: &Status) -> Option<AppError> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    match status.code() {
        Code::Ok | Code::Cancelled => None,
        Code::OutOfRange => Some(AppError::Exhausted {
            reason: "MESSAGE_TOO_LARGE",
            message: "the message is too large",
        }),
        Code::Unimplemented => Some(AppError::Unimplemented),
        Code::Unavailable => Some(AppError::Unavailable(message.to_owned())),
        Code::Internal
            if ["failed to decode", "Missing request", "protocol error"]
                .iter()
                .any(|start| message.starts_with(start)) =>
        {
            Some(AppError::violation("", "the message is not readable"))
        }
        code => Some(AppError::Internal(format!("{code:?} {message}"))),
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

fn budget(headers: &HeaderMap, default: Duration, longest: Duration) -> Duration {
    match headers
        .get("grpc-timeout")
        .and_then(|value| timeout(value.to_str().ok()?))
    {
        // A little early: the library has a timer of its own for the same header, and what that
        // one says is CANCELLED.
        Some(asked) => asked
            .saturating_sub((asked / 10).min(Duration::from_millis(20)))
            .min(longest),
        None => default,
    }
}

/// `100m`: at most eight digits and a unit.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The caller's `x-request-id` where it is a UUID, so that its log and ours can be joined.
fn correlation_id(headers: &HeaderMap) -> Uuid {
    headers
        .get("x-request-id")
        .and_then(|value| Uuid::parse_str(value.to_str().ok()?).ok())
        .unwrap_or_else(ctx::fresh_id)
}

#[cfg(test)]
mod tests;
