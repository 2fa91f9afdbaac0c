use std::collections::HashMap;

use http::HeaderValue;
use http_body::Body as _;
use sqlx::postgres::PgPoolOptions;
use tonic_types::StatusExt;
use tower::{ServiceExt, service_fn};
use vocabulary::StaffId;

use super::*;
use crate::{Clock, Identity, Tokens, config::Config, directory::Directory, rights::Rights};

const GET_HEAD: &str = "/kontakty.log.v1.LogService/GetHead";
const SUBSCRIBE: &str = "/kontakty.log.v1.LogService/SubscribeEvents";
const LOGIN: &str = "/kontakty.accounts.v1.IdentityService/Login";
const UPLOAD: &str = "/kontakty.accounts.v1.DocumentsService/UploadDocument";

/// A layer over nothing but keys: no database answers, and the directory knows nobody.
struct Door {
    layer: CallLayer,
    tokens: Arc<Tokens>,
    stopping: CancellationToken,
}

impl Door {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kit-door-{}-{name}", std::process::id()));
        Tokens::create_keys(&folder).unwrap();
        let tokens = Arc::new(Tokens::load(&folder).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        let pool = PgPoolOptions::new()
            .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
            .unwrap();
        let directories = HashMap::from([("accounts", Directory::new(pool))]);
        let gate = Gate::new(
            Rights::read().unwrap(),
            Arc::clone(&tokens),
            directories,
            Clock::new(&Config::default().clock),
        );
        let metrics = Metrics::new(&Config::default().telemetry).unwrap();
        let stopping = CancellationToken::new();
        Self {
            layer: CallLayer::new(gate, metrics, stopping.clone()),
            tokens,
            stopping,
        }
    }

    fn token(&self, identity: &Identity) -> String {
        let (token, _) = self
            .tokens
            .issue(identity, Duration::from_mins(10))
            .unwrap();
        format!("Bearer {token}")
    }

    fn service(&self) -> String {
        self.token(&Identity::Service("planning".to_owned()))
    }

    /// Calls a handler through the layer.
    async fn call<F>(
        &self,
        request: Request<Body>,
        handler: impl Fn(Request<Body>) -> F + Clone + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler = service_fn(move |request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let Ok(response) = self.layer.layer(handler).oneshot(request).await;
        response
    }

    async fn code(&self, request: Request<Body>) -> Code {
        code(
            &self
                .call(request, |_| async { Response::new(Body::empty()) })
                .await,
        )
    }
}

fn request(path: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn status(response: &Response<Body>) -> Option<Status> {
    Status::from_header_map(response.headers())
}

fn code(response: &Response<Body>) -> Code {
    status(response).map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn who_comes_in() {
    let door = Door::new("in");
    let gateway = door.token(&Identity::Gateway("mail".to_owned()));
    let service = door.service();
    let opened = "/kontakty.log.v1.LogService/ReadOpenedEvents";
    for (path, token, expected) in [
        (LOGIN, "", Code::Ok),
        (LOGIN, "Bearer nonsense", Code::Ok),
        ("/grpc.health.v1.Health/Check", "", Code::Ok),
        (GET_HEAD, "", Code::Unauthenticated),
        (GET_HEAD, "Bearer nonsense", Code::Unauthenticated),
        (GET_HEAD, &gateway, Code::Ok),
        (opened, &gateway, Code::PermissionDenied),
        (opened, &service, Code::Ok),
        (
            "/kontakty.log.v1.LogService/DropEverything",
            &service,
            Code::Unimplemented,
        ),
        ("/another.Service/Method", &service, Code::Unimplemented),
        ("/", &service, Code::Unimplemented),
    ] {
        let request = request(path, &[("authorization", token)]);
        assert_eq!(door.code(request).await, expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_on_the_staff_stays_outside_after_a_moment() {
    let door = Door::new("unknown");
    let token = door.token(&Identity::Staff(StaffId::of_external("nobody")));
    let begun = Instant::now();
    let request = request(GET_HEAD, &[("authorization", &token)]);
    assert_eq!(door.code(request).await, Code::Unauthenticated);
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_deadline() {
    let door = Door::new("deadline");
    for (asked, seconds) in [("3S", 2), ("1H", 30)] {
        let begun = Instant::now();
        let request = request(LOGIN, &[("grpc-timeout", asked)]);
        let response = door.call(request, |_| std::future::pending()).await;
        assert_eq!(code(&response), Code::DeadlineExceeded);
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn uploads_take_nobody_elses_place() {
    let door = Door::new("uploads");
    let token = door.token(&Identity::Staff(StaffId::of_external("nobody")));
    let upload = || door.code(request(UPLOAD, &[("authorization", &token)]));
    // Whom nobody knows is waited for; meanwhile each has its place.
    let mut waiting: Vec<_> = (0..MOST_UPLOADS).map(|_| Box::pin(upload())).collect();
    for call in &mut waiting {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(upload().await, Code::ResourceExhausted);
    assert_eq!(door.code(request(LOGIN, &[])).await, Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_silent_upload_is_not_waited_for() {
    let begun = Instant::now();
    let mut upload = Upload::new(Body::new(Silence));
    let part = std::future::poll_fn(|cx| Pin::new(&mut upload).poll_frame(cx)).await;
    assert_eq!(part.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_panic_tells_its_number_only() {
    let door = Door::new("panic");
    let id = "0192a0de-0000-7000-8000-000000000001";
    let request = request(LOGIN, &[("x-request-id", id), ("accept-language", "ru")]);
    let response = door.call(request, |_| async { panic!("secret") }).await;
    let status = status(&response).unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "internal error")
    );
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["correlation_id"], id);
    assert_eq!(details.localized_message().unwrap().locale, "ru-RU");
    assert!(!format!("{response:?}").contains("secret"));
}

#[expect(clippy::disallowed_methods, reason = "as the library makes them")]
#[tokio::test]
async fn foreign_errors_become_ours() {
    let door = Door::new("foreign");
    for (made, expected) in [
        (
            Status::out_of_range("decoded message length too large"),
            Code::ResourceExhausted,
        ),
        (
            Status::internal("failed to decode Protobuf message: x"),
            Code::InvalidArgument,
        ),
        (Status::internal("at /home"), Code::Internal),
        (Status::unknown("transport error"), Code::Internal),
        (Status::unimplemented(""), Code::Unimplemented),
        (AppError::Unimplemented.into(), Code::Unimplemented),
    ] {
        let response = door
            .call(request(LOGIN, &[]), move |_| {
                let response = made.clone().into_http();
                async move { response }
            })
            .await;
        let status = status(&response).unwrap();
        assert_eq!(status.code(), expected);
        assert!(status.get_details_error_info().is_some());
        assert!(!status.message().contains("home"));
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let door = Door::new("stop");
    let request = request(SUBSCRIBE, &[("authorization", &door.service())]);
    let response = door
        .call(request, move |request| {
            assert!(request.extensions().get::<Call>().is_some());
            async { Response::new(Body::new(Silence)) }
        })
        .await;
    let mut body = Box::pin(response.into_body());
    let mut frame = std::pin::pin!(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)));
    assert!(futures::poll!(&mut frame).is_pending());
    door.stopping.cancel();
    let frame = frame.await.unwrap().unwrap();
    let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
    assert_eq!(status.code(), Code::Unavailable);
}

/// A stream that has nothing to say.
struct Silence;

impl http_body::Body for Silence {
    type Data = prost::bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
        Poll::Pending
    }
}

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static(value));
    headers
}

#[test]
fn every_call_has_a_deadline() {
    let given = |headers: &HeaderMap| budget(headers, DEFAULT_DEADLINE, LONGEST_DEADLINE);
    let asked = |value| given(&headers("grpc-timeout", value));
    assert_eq!(given(&HeaderMap::new()), DEFAULT_DEADLINE);
    assert_eq!(asked("100m"), Duration::from_millis(90));
    assert_eq!(asked("5S"), Duration::from_millis(4_980));
    assert_eq!(asked("1H"), LONGEST_DEADLINE);
    assert_eq!(asked("99999999H"), LONGEST_DEADLINE);
    assert_eq!(asked("0n"), Duration::ZERO);
    for nonsense in ["", "S", "5", "5x", "-5S", "123456789S", "5 S"] {
        assert_eq!(asked(nonsense), DEFAULT_DEADLINE, "{nonsense}");
    }
}

#[test]
fn correlation() {
    let id = "0192a0de-0000-7000-8000-000000000001";
    assert_eq!(correlation_id(&headers("x-request-id", id)).to_string(), id);
    assert_eq!(
        correlation_id(&headers("x-request-id", "x")).get_version_num(),
        7
    );
}
