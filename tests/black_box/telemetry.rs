//! What a collector gets: traces that reach from the command through the bus into the consumers, and
//! the lag of everything that follows a log, pushed over OTLP and readable as Prometheus text.

use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::accounts::{Card, RegisterProspectRequest};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::metric::Data,
    trace::v1::Span,
};
use tests::{background::request_id, client::SERVICES, eventually, office::Office};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Request, Response, Status, transport::Server};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

/// What can be behind a log.
const KINDS: [&str; 3] = ["relay", "projection", "reaction"];

/// The receiving half of a collector.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    /// Kind and service of everything whose lag was pushed.
    lags: Arc<Mutex<BTreeSet<(String, String)>>>,
}

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
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let metrics = request
            .into_inner()
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics);
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        for metric in metrics.filter(|metric| metric.name == "kontakty.log.lag") {
            let Some(Data::Gauge(gauge)) = metric.data else {
                continue;
            };
            lags.extend(gauge.data_points.iter().filter_map(|point| {
                let label = |key| attribute(&point.attributes, key);
                Some((label("kind")?, label("service")?))
            }));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    fn of_trace(&self) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let of_trace = spans
            .iter()
            .filter(|span| span.trace_id == TRACE.to_be_bytes());
        of_trace.cloned().collect()
    }

    fn lags(&self) -> BTreeSet<(String, String)> {
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_sees_command_and_consumers_and_their_lag() -> anyhow::Result<()> {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let otlp = listener.local_addr()?;
    let traces = TraceServiceServer::new(collector.clone());
    let pushed = MetricsServiceServer::new(collector.clone());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let serving = tokio::spawn(
        Server::builder()
            .add_service(traces)
            .add_service(pushed)
            .serve_with_incoming(incoming),
    );

    let metrics = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut config = tempfile::NamedTempFile::new()?;
    write!(
        config,
        "[telemetry]\notlp_endpoint = \"http://{otlp}\"\nmetrics_listen = \"{metrics}\"\n"
    )?;
    let mut office = Office::start(&["--config", &config.path().to_string_lossy()])?;

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
        let view = attribute(&span.attributes, "view");
        span.name == "consume" && view.as_deref() == Some("directory")
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

    let expected: BTreeSet<(String, String)> = KINDS
        .iter()
        .flat_map(|kind| SERVICES.map(|service| ((*kind).to_owned(), service.to_owned())))
        .collect();
    let text = eventually(
        Duration::from_secs(10),
        || async { page(metrics, "/metrics").await.unwrap_or_default() },
        |text| lags(text).all(|(_, lag)| lag == "0") && without_lag(text).is_empty(),
    )
    .await;
    ensure!(
        without_lag(&text).is_empty(),
        "no lag of {:?}: {text}",
        without_lag(&text)
    );
    ensure!(page(metrics, "/healthz").await?.starts_with("HTTP/1.1 200"));

    // Figures are pushed once a minute, and when it ends.
    office.stop()?;
    let pushed = collector.lags();
    ensure!(pushed == expected, "pushed: {pushed:?}");
    serving.abort();
    Ok(())
}

/// Of which kind and service the text has no lag of 0.
fn without_lag(text: &str) -> Vec<(&'static str, &'static str)> {
    let pairs = KINDS
        .iter()
        .flat_map(|kind| SERVICES.map(|service| (*kind, service)));
    let missing = pairs.filter(|(kind, service)| {
        let labels = [format!("kind=\"{kind}\""), format!("service=\"{service}\"")];
        !lags(text).any(|(name, lag)| labels.iter().all(|of| name.contains(of)) && lag == "0")
    });
    missing.collect()
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

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match value(found).context("a value").ok()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn value(pair: &KeyValue) -> Option<&Value> {
    pair.value.as_ref()?.value.as_ref()
}
