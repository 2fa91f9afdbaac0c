use api::log::{GetHeadRequest, log_service_client::LogServiceClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Told, health_client::HealthClient,
};

use super::*;
use crate::{Config, create_keys};

/// A server without services; it needs neither database nor bus.
struct Server {
    node: Node,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), ServeError>>,
}

impl Server {
    async fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kit-serve-{}-{name}", std::process::id()));
        create_keys(&folder).unwrap();
        let mut config = Config::default();
        config.keys.folder.clone_from(&folder);
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.server.cors_origins = vec!["https://office.example.org".to_owned()];
        let node = Node::start(config).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();

        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let serving = node.clone();
        node.tasks.spawn("server", async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let _ = end.send(serve(&serving, Vec::new(), stopped).await);
        });
        Self { node, stop, ended }
    }

    #[expect(clippy::disallowed_methods, reason = "a caller from outside")]
    async fn connect(&self) -> Channel {
        let address = format!("http://{}", self.node.address());
        Endpoint::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// What the server answers to the text of a request.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.node.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.to_lowercase()
    }
}

#[tokio::test]
async fn health_is_told_and_streams_end_at_the_stop() {
    let server = Server::start("health").await;
    let mut health = HealthClient::new(server.connect().await);
    let overall = HealthCheckRequest::default();
    let mut watch = health.watch(overall).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), Told::Serving);

    server.stop.send(()).unwrap();
    let mut told = Vec::new();
    let end = loop {
        match watch.message().await {
            Ok(Some(message)) => told.push(message.status()),
            Ok(None) => panic!("the stream ended without saying why"),
            Err(status) => break status,
        }
    };
    assert!(told.iter().all(|status| *status == Told::NotServing));
    assert_eq!(end.code(), Code::Unavailable);
    drop(health);
    server.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let server = Server::start("strangers").await;
    let mut log = LogServiceClient::new(server.connect().await);
    let refused = log.get_head(GetHeadRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn browsers_of_our_origin_may_call() {
    let server = Server::start("browsers").await;
    let preflight = |origin| {
        format!(
            "OPTIONS /kontakty.log.v1.LogService/GetHead HTTP/1.1\r\nHost: x\r\n\
             Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: authorization,x-grpc-web\r\n\
             Connection: close\r\n\r\n"
        )
    };
    let ours = server.raw(&preflight("https://office.example.org")).await;
    for part in [
        "access-control-allow-origin: https://office.example.org",
        "authorization",
        "x-grpc-web",
    ] {
        assert!(ours.contains(part), "{part} is not in\n{ours}");
    }
    let others = server.raw(&preflight("https://example.com")).await;
    assert!(!others.contains("access-control-allow-origin"), "{others}");

    let call = server
        .raw(
            "POST /kontakty.log.v1.LogService/GetHead HTTP/1.1\r\nHost: x\r\n\
             Origin: https://office.example.org\r\nContent-Type: application/grpc-web+proto\r\n\
             Content-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0",
        )
        .await;
    assert!(
        call.contains("access-control-expose-headers: grpc-message,grpc-status"),
        "{call}"
    );
    assert!(call.contains("grpc-status: 16"), "{call}");
}
