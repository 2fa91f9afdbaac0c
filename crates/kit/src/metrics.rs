//! Figures of one process: OpenTelemetry instruments, read as Prometheus text and, when a collector
//! is configured, pushed to it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use es_postgres::projection::{Progress, Reached};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, MeterProvider},
};
use opentelemetry_otlp::{MetricExporter, WithExportConfig};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tokio::sync::watch;

use crate::{StartError, config::Telemetry, tasks::Tasks, telemetry::resource};

/// The instruments; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
    calls: Counter<u64>,
    durations: Histogram<f64>,
    followers: Arc<Mutex<Vec<Followers>>>,
}

/// All views or all reactions of a service, or its relay.
#[derive(Debug)]
enum Followers {
    Relay {
        service: &'static str,
        head: watch::Receiver<i64>,
        published: watch::Receiver<i64>,
    },
    Views {
        kind: &'static str,
        service: &'static str,
        progress: Progress,
    },
}

impl Followers {
    /// Names and how far, one for each.
    fn all(&self) -> Vec<([KeyValue; 4], Reached)> {
        let named = |kind, service, name, source| {
            [
                KeyValue::new("kind", kind),
                KeyValue::new("service", service),
                KeyValue::new("name", name),
                KeyValue::new("source", source),
            ]
        };
        match self {
            Self::Relay {
                service,
                head,
                published,
            } => {
                let reached = Reached {
                    position: *published.borrow(),
                    head: *head.borrow(),
                    parked: 0,
                };
                vec![(named("relay", *service, "bus", *service), reached)]
            }
            Self::Views {
                kind,
                service,
                progress,
            } => progress
                .all()
                .into_iter()
                .map(|(view, source, reached)| (named(*kind, *service, view, source), reached))
                .collect(),
        }
    }
}

impl Metrics {
    pub fn new(config: &Telemetry) -> Result<Self, StartError> {
        let registry = Registry::new();
        let text = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| StartError::telemetry(&error))?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(text);
        if let Some(endpoint) = &config.otlp_endpoint {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()
                .map_err(|error| StartError::telemetry(&error))?;
            provider = provider.with_periodic_exporter(exporter);
        }
        let provider = provider.build();
        let meter = provider.meter("kontakty");
        let followers = Arc::<Mutex<Vec<Followers>>>::default();
        let observed = Arc::clone(&followers);
        meter
            .i64_observable_gauge("kontakty.log.lag")
            .with_description("Events that a follower of a log has still before it.")
            .with_callback(move |gauge| {
                for (names, reached) in every(&observed) {
                    gauge.observe(reached.lag(), &names);
                }
            })
            .build();
        let observed = Arc::clone(&followers);
        meter
            .i64_observable_gauge("kontakty.log.parked")
            .with_description("Streams held back by an event that could not be applied.")
            .with_callback(move |gauge| {
                for (names, reached) in every(&observed) {
                    gauge.observe(reached.parked as i64, &names);
                }
            })
            .build();
        Ok(Self {
            calls: meter
                .u64_counter("kontakty.calls")
                .with_description("Answered calls by method and code.")
                .build(),
            durations: meter
                .f64_histogram("kontakty.call.duration")
                .with_unit("s")
                .with_description("Time to the answer by method.")
                .with_boundaries(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                ])
                .build(),
            registry,
            provider,
            followers,
        })
    }

    /// A call was answered. `method` is one of ours, never what a stranger sent.
    pub fn call(&self, method: &str, code: tonic::Code, elapsed: Duration) {
        let method = KeyValue::new("method", method.to_owned());
        let code = KeyValue::new("code", format!("{code:?}"));
        self.durations
            .record(elapsed.as_secs_f64(), std::slice::from_ref(&method));
        self.calls.add(1, &[method, code]);
    }

    /// From now on shows how far the views, or the reactions, of a service are behind.
    pub(crate) fn follow_views(
        &self,
        kind: &'static str,
        service: &'static str,
        progress: &Progress,
    ) {
        self.follow(Followers::Views {
            kind,
            service,
            progress: progress.clone(),
        });
    }

    /// From now on shows how far the bus is behind the log of a service.
    pub(crate) fn follow_relay(
        &self,
        service: &'static str,
        head: watch::Receiver<i64>,
        published: watch::Receiver<i64>,
    ) {
        self.follow(Followers::Relay {
            service,
            head,
            published,
        });
    }

    fn follow(&self, followers: Followers) {
        unpoisoned(&self.followers).push(followers);
    }

    /// Everything in the text format of Prometheus.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Sends what was not sent yet.
    pub fn shut_down(&self) {
        // There is nobody left to tell.
        let _ = self.provider.shutdown();
    }

    /// Answers `/metrics` and `/healthz` beside the gRPC port.
    pub(crate) async fn serve(&self, listen: SocketAddr, tasks: &Tasks) -> Result<(), StartError> {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .map_err(|source| StartError::Listen {
                address: listen,
                source,
            })?;
        let metrics = self.clone();
        let failure = tasks.failure();
        let routes = Router::new()
            .route(
                "/metrics",
                get(move || async move {
                    metrics
                        .text()
                        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
                }),
            )
            .route(
                "/healthz",
                get(move || async move {
                    match failure.borrow().clone() {
                        None => (StatusCode::OK, "ok".to_owned()),
                        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
                    }
                }),
            );
        tasks.spawn("metrics", async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
        Ok(())
    }
}

fn every(followers: &Mutex<Vec<Followers>>) -> Vec<([KeyValue; 4], Reached)> {
    unpoisoned(followers)
        .iter()
        .flat_map(Followers::all)
        .collect()
}

/// The list stays whole whatever happened to their last writer.
fn unpoisoned<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn calls_and_lag_show_in_the_text() {
        let metrics = Metrics::new(&Config::default().telemetry).unwrap();
        metrics.call("accounts/GetAccount", tonic::Code::NotFound, Duration::ZERO);
        let progress = Progress::default();
        metrics.follow_views("projection", "contacts", &progress);
        progress
            .sender("timeline", "accounts")
            .send_replace(Reached {
                position: 100,
                head: 120,
                parked: 3,
            });
        metrics.follow_relay("contacts", watch::channel(7).1, watch::channel(5).1);

        let text = metrics.text().unwrap();
        for part in [
            "kontakty_calls_total{code=\"NotFound\",method=\"accounts/GetAccount\"} 1",
            "kontakty_log_lag{kind=\"projection\",name=\"timeline\",service=\"contacts\",source=\"accounts\"} 20",
            "kontakty_log_parked{kind=\"projection\",name=\"timeline\",service=\"contacts\",source=\"accounts\"} 3",
            "kontakty_log_lag{kind=\"relay\",name=\"bus\",service=\"contacts\",source=\"contacts\"} 2",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
