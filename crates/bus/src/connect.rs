use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, jetstream};

/// A black hole is noticed after two unanswered pings.
const PING: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("not the address of a NATS server")]
    Address(#[source] std::io::Error),
    #[error("NATS client not started")]
    Client(#[source] async_nats::ConnectError),
}

/// Returns at once and connects in the background, as often as it takes: a service must start, and
/// take commands, without NATS. `url` may carry user and password, or a token; `tls://` asks for TLS.
pub async fn connect(url: &str, name: &str) -> Result<Client, ConnectError> {
    let address: ServerAddr = url.parse().map_err(ConnectError::Address)?;
    let options = match (address.username(), address.password()) {
        (Some(user), Some(password)) => {
            ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
        (Some(token), None) => ConnectOptions::with_token(token.to_owned()),
        (None, _) => ConnectOptions::new(),
    };
    options
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .ping_interval(PING)
        .connection_timeout(CONNECT)
        .request_timeout(Some(REQUEST))
        .event_callback(|event| async move { report(&event) })
        .connect(address)
        .await
        .map_err(ConnectError::Client)
}

pub fn jetstream(client: Client) -> jetstream::Context {
    jetstream::ContextBuilder::new()
        .timeout(REQUEST)
        .ack_timeout(REQUEST)
        .build(client)
}

/// A name that no other process has.
pub fn instance(client: &Client) -> String {
    let unique = client.new_inbox();
    let unique = unique.rsplit('.').next().unwrap_or_default();
    // The end of it changes from one to the next; the beginning is drawn by chance.
    unique.chars().take(10).collect()
}

/// Soon at first, then about every two seconds.
fn reconnect_delay(attempt: usize) -> Duration {
    let millis = 50_u64 << attempt.min(5);
    // Processes started together differ in id, which is spread enough for so few clients.
    let jitter = u64::from(std::process::id()) * 37 % 400;
    Duration::from_millis(millis + if attempt > 1 { jitter } else { 0 })
}

fn report(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Closed | Event::Draining => tracing::info!("NATS: {event}"),
        Event::Disconnected | Event::LameDuckMode => tracing::warn!("NATS: {event}"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            tracing::error!("NATS: {event}");
        }
    }
}
