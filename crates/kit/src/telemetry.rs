//! Logs and traces, and the W3C trace context that crosses services and events.
//!
//! Nothing here may hold personal data: messages and fields name ids only.

use std::{collections::HashMap, io::IsTerminal};

use es_postgres::projection::SPAN_PARENT;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    StartError,
    config::{LogFormat, Telemetry},
};

const TRACEPARENT: &str = "traceparent";

/// Flushes what was not sent yet when it is dropped: keep it until the end of `main`.
#[must_use]
#[derive(Debug)]
pub struct Guard(SdkTracerProvider);

impl Drop for Guard {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = self.0.shutdown();
    }
}

/// Starts logs on standard error and traces. Trace ids exist without a collector too, because
/// every event keeps the one it came from. Needs a Tokio runtime.
pub fn init(config: &Telemetry) -> Result<Guard, StartError> {
    let mut provider = SdkTracerProvider::builder().with_resource(resource());
    if let Some(endpoint) = &config.otlp_endpoint {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| StartError::telemetry(&error))?;
        provider = provider.with_batch_exporter(exporter);
    }
    let provider = provider.build();
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("kontakty"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(LevelFilter::INFO);

    // Filters the log only: a quiet log must not cost the traces.
    let filter =
        EnvFilter::try_new(&config.log_level).map_err(|error| StartError::telemetry(&error))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry()
        .with(traces)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| StartError::telemetry(&error))?;
    // Set already: there is but one way to do it.
    let _ = SPAN_PARENT.set(set_parent);
    Ok(Guard(provider))
}

/// How this process names itself to a collector.
pub(crate) fn resource() -> Resource {
    Resource::builder().with_service_name("kontakty").build()
}

/// Makes `span` part of the caller's trace.
pub fn accept(headers: &http::HeaderMap, span: &Span) {
    adopt(&Headers(headers), span);
}

/// Makes `span` part of the trace that an event came from.
pub fn set_parent(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    adopt(&carrier, span);
}

fn adopt(carrier: &dyn Extractor, span: &Span) {
    let parent = TraceContextPropagator::new().extract(carrier);
    if parent.has_active_span() {
        // Refused only when nobody records traces.
        let _ = span.set_parent(parent);
    }
}

/// The trace context of a span, to be kept with an event or sent with a call.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags()
        )
    })
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_continues_the_callers_trace() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let mut headers = http::HeaderMap::new();
            headers.insert(TRACEPARENT, http::HeaderValue::from_static(caller));
            let span = tracing::info_span!("call");
            accept(&headers, &span);
            let ours = traceparent(&span).unwrap();
            assert_eq!(ours[..36], caller[..36], "the same trace");
            assert_ne!(ours, caller, "another span");

            let reaction = tracing::info_span!("reaction");
            set_parent(&reaction, &ours);
            assert_eq!(traceparent(&reaction).unwrap()[..36], caller[..36]);

            let own = tracing::info_span!("own");
            set_parent(&own, "nonsense");
            assert!(traceparent(&own).is_some(), "a trace of its own");
        });
    }
}
