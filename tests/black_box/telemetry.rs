//! What a collector gets: traces that reach from the command through the bus into the consumers, and
//! the lag of everything that follows a log, pushed over OTLP and readable as Prometheus text.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::accounts::{Card, RegisterProspectRequest};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tests::{background::request_id, eventually, office::Office};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Request, Response, Status, transport::Server};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

/// The receiving half of a collector.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn of_trace(&self) -> Vec<Span> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_trace = spans
            .iter()
            .filter(|span| span.trace_id == TRACE.to_be_bytes());
        of_trace.cloned().collect()
    }
}

#[tokio::test]
async fn a_collector_sees_command_and_consumers_and_their_lag() -> anyhow::Result<()> {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let otlp = listener.local_addr()?;
    let service = TraceServiceServer::new(collector.clone());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let serving = tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );

    let metrics = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut config = tempfile::NamedTempFile::new()?;
    write!(
        config,
        "[telemetry]\notlp_endpoint = \"http://{otlp}\"\nmetrics_listen = \"{metrics}\"\n"
    )?;
    let office = Office::start(&["--config", &config.path().to_string_lossy()])?;

    let mut admin = office.client("admin")?;
    admin.credentials.traceparent = Some(format!("00-{TRACE:032x}-b7ad6b7169203331-01").parse()?);
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "ООО «Вектор-Строй»".to_owned(),
            phones: vec!["+7 900 000-01-15".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    admin.accounts().register_prospect(request).await?;

    // The directory of another service got the event over NATS.
    let consumed = |span: &Span| {
        span.name == "consume" && attribute(span, "view").as_deref() == Some("directory")
    };
    let spans = eventually(
        Duration::from_secs(30),
        || async { collector.of_trace() },
        |spans| spans.iter().filter(|span| consumed(span)).count() >= 5,
    )
    .await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    ensure!(
        spans
            .iter()
            .any(|span| span.name.contains("RegisterProspect")),
        "no span of the command: {names:?}"
    );
    ensure!(
        spans.iter().filter(|span| consumed(span)).count() == 5,
        "the directory is kept in five services: {names:?}"
    );
    let sent = format!("{spans:?}");
    ensure!(
        !sent.contains("Вектор") && !sent.contains("9000000115"),
        "personal data in a trace"
    );

    let text = eventually(
        Duration::from_secs(10),
        || async { page(metrics, "/metrics").await.unwrap_or_default() },
        |text| lags(text).count() > 0 && lags(text).all(|(_, lag)| lag == "0"),
    )
    .await;
    for service in [
        "accounts",
        "contacts",
        "planning",
        "notifications",
        "analytics",
    ] {
        let label = format!("service=\"{service}\"");
        for kind in ["kind=\"relay\"", "kind=\"projection\""] {
            let found = lags(&text)
                .any(|(name, lag)| name.contains(&label) && name.contains(kind) && lag == "0");
            ensure!(found, "no lag of {kind} of {service}: {text}");
        }
    }
    ensure!(page(metrics, "/healthz").await?.starts_with("HTTP/1.1 200"));
    serving.abort();
    Ok(())
}

/// Names with labels, and values.
fn lags(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| line.starts_with("kontakty_log_lag"))
        .filter_map(|line| line.rsplit_once(' '))
}

async fn page(address: std::net::SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match value(found).context("a value").ok()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn value(pair: &KeyValue) -> Option<&Value> {
    pair.value.as_ref()?.value.as_ref()
}
