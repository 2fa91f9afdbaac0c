//! The server: which services answer here, and everything between the socket and the handlers.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    io,
    time::Duration,
};

use api::{
    Limited, clock::clock_service_server::ClockServiceServer,
    log::log_service_server::LogServiceServer, views::views_service_server::ViewsServiceServer,
};
use http::{HeaderName, HeaderValue, Method, Request, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    Node, RightsError, Service, clock_service::ClockService, config, connections, gate::Gate,
    layer::CallLayer, log_service::LogService, rights::Rights, views_service::ViewsService,
};

/// How long calls that are being answered may go on after the stop.
const GRACE: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);
const STREAMS_PER_CONNECTION: u32 = 200;
const HEADER_BYTES: u32 = 32 << 10;
/// A page of the log; whoever needs more asks in parts.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("this process serves already")]
    Again,
    #[error("the socket cannot be used")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Rights(#[from] RightsError),
    #[error("the descriptions of the contract cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// The gRPC services of one service.
pub struct Mounted {
    service: Service,
    max_request_bytes: usize,
    names: Vec<&'static str>,
    routes: Vec<Mount>,
}

type Mount = Box<dyn FnOnce(Routes) -> Routes + Send>;

impl Mounted {
    pub fn new(service: impl Borrow<Service>) -> Self {
        let service = service.borrow();
        Self {
            service: service.clone(),
            max_request_bytes: service.node.config.server.max_request_bytes,
            names: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Adds a generated server, with the limits of this process.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "nobody adds these up")]
    pub fn add<S>(mut self, server: S) -> Self
    where
        S: Limited
            + NamedService
            + tower::Service<Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let server = server.limited(self.max_request_bytes, MAX_ANSWER_BYTES);
        self.names.push(S::NAME);
        self.routes
            .push(Box::new(|routes| routes.add_service(server)));
        self
    }
}

/// Answers at the address of the node until `stop` resolves; returns when the last call is
/// answered or the grace period is over.
pub async fn serve(
    node: &Node,
    mounted: Vec<Mounted>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let listener = TcpListener::from_std(node.take_listener().ok_or(ServeError::Again)?)?;
    let config = &node.config.server;
    let mut directories = HashMap::new();
    let mut names = vec![
        "",
        LogServiceServer::<LogService>::NAME,
        ClockServiceServer::<ClockService>::NAME,
        ViewsServiceServer::<ViewsService>::NAME,
    ];
    // What every process answers, whichever services are in it.
    let request_bytes = config.max_request_bytes;
    let mut routes = Routes::default()
        .add_service(LogService::server(node).limited(request_bytes, MAX_ANSWER_BYTES))
        .add_service(ClockService::server(node).limited(request_bytes, MAX_ANSWER_BYTES));
    let mut services = BTreeMap::new();
    for mounted in mounted {
        let service = mounted.service;
        directories.insert(service.name(), service.directory.clone());
        services.insert(service.name(), service);
        names.extend(mounted.names);
        for mount in mounted.routes {
            routes = mount(routes);
        }
    }
    routes =
        routes.add_service(ViewsService::server(services).limited(request_bytes, MAX_ANSWER_BYTES));
    let (health, health_server) = tonic_health::server::health_reporter();
    routes = routes.add_service(health_server);
    if config.reflection {
        routes = with_reflection(routes)?;
    }

    let stopping = CancellationToken::new();
    let gate = Gate::new(
        Rights::read()?,
        node.tokens.clone(),
        directories,
        node.clock.clone(),
    );
    let calls = CallLayer::new(gate, node.metrics.clone(), stopping.clone());
    let server = Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_max_header_list_size(HEADER_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .layer(cors(config))
        .layer(GrpcWebLayer::new())
        .layer(calls)
        .add_routes(routes.prepare())
        .serve_with_incoming_shutdown(
            connections::accept(listener, config.max_connections),
            stopping.clone().cancelled_owned(),
        );

    set_health(&health, &names, ServingStatus::Serving).await;
    let until_stop = async {
        let mut failure = node.tasks.failure();
        tokio::select! {
            () = stop => {}
            () = node.tasks.stopping().cancelled_owned() => {}
            // Not healthy, but not dead: whoever watches decides.
            () = async {
                let _ = failure.wait_for(Option::is_some).await;
                set_health(&health, &names, ServingStatus::NotServing).await;
                std::future::pending::<()>().await;
            } => {}
        }
        set_health(&health, &names, ServingStatus::NotServing).await;
        stopping.cancel();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => Ok(result?),
        () = until_stop => {
            tracing::warn!("some calls were cut off at the end of the grace period");
            Ok(())
        }
    }
}

fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(api::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(builder().build_v1()?)
        .add_service(builder().build_v1alpha()?))
}

async fn set_health(health: &HealthReporter, names: &[&str], status: ServingStatus) {
    for name in names {
        health.set_service_status(name, status).await;
    }
}

/// Headers are listed one by one: the wildcard of the standard does not cover `authorization`.
fn cors(config: &config::Server) -> CorsLayer {
    let names = |names: &[&'static str]| -> Vec<_> {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect()
    };
    let origins = if config.cors_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins = config.cors_origins.iter();
        AllowOrigin::list(origins.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        .allow_headers(
            [
                vec![
                    header::ACCEPT_LANGUAGE,
                    header::AUTHORIZATION,
                    header::CONTENT_TYPE,
                ],
                names(&[
                    "grpc-timeout",
                    "traceparent",
                    "x-grpc-web",
                    "x-request-id",
                    "x-user-agent",
                ]),
            ]
            .concat(),
        )
        .expose_headers(names(&[
            "grpc-message",
            "grpc-status",
            "grpc-status-details-bin",
        ]))
        .max_age(PREFLIGHT_AGE)
}

#[cfg(test)]
mod tests;
