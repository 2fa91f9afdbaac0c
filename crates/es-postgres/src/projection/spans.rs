use std::sync::OnceLock;

use es::Recorded;
use tracing::Span;

/// Makes a span the child of a remote one, given as a W3C `traceparent`. Set by whoever sets up
/// telemetry; this crate knows nothing of how traces leave the process.
pub static SPAN_PARENT: OnceLock<fn(&Span, &str)> = OnceLock::new();

/// The trace of the command that made the event.
pub fn trace_parent(event: &Recorded) -> Option<&str> {
    event.metadata.traceparent.as_deref()
}

/// The span in which `view` works on `event`; none if the event has no trace to belong to.
pub(super) fn consume(view: &str, service: &str, event: &Recorded) -> Span {
    let Some(traceparent) = trace_parent(event) else {
        return Span::none();
    };
    let span = tracing::info_span!(
        "consume",
        view,
        source = service,
        position = event.position,
        event_type = event.event_type,
        traceparent,
    );
    if let Some(set_parent) = SPAN_PARENT.get() {
        set_parent(&span, traceparent);
    }
    span
}
