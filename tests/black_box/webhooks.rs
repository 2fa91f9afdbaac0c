//! Events for integrators who do not follow the bus: signed, sent until they are taken.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::{
    accounts::{OrderChannel, RegisterOrderRequest},
    common::Money,
    log::ReadEventsRequest,
    notifications::{
        ListWebhooksRequest, PauseWebhookRequest, RegisterWebhookRequest, RegisterWebhookResponse,
        RemoveWebhookRequest, ResumeWebhookRequest, Webhook, WebhookState,
    },
};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;
use tempfile::NamedTempFile;
use tests::{
    background::{Background, code, fields, import, instant, request_id},
    eventually,
};
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(30);
const NOW: &str = "2026-05-12T09:00:00+03:00";
const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1001,ООО «Вектор»,+7 900 000-01-15,s-12
";

/// What came to an address of the integrator.
#[derive(Debug, Clone)]
struct Told {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    answered: u16,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// As `proto/README.md` tells integrators to look.
    fn is_signed_with(&self, secret: &str) -> anyhow::Result<bool> {
        let key = BASE64.decode(secret.strip_prefix("whsec_").context("no secret")?)?;
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = [format!("{id}.{at}.").as_bytes(), &self.body].concat();
        let signature = self.header("webhook-signature").strip_prefix("v1,");
        let signature = BASE64.decode(signature.context("no signature")?)?;
        let key = hmac::Key::new(HMAC_SHA256, &key);
        Ok(hmac::verify(&key, &signed, &signature).is_ok())
    }
}

/// An integrator's server, for as long as the test runs.
#[derive(Clone, Default)]
struct Receiver {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
    /// To the next requests; behind them 200.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Self {
            address: format!("http://{}", listener.local_addr()?),
            ..Self::default()
        };
        let here = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who breaks off comes again.
                let _ = here.receive(stream);
            }
        });
        Ok(receiver)
    }

    fn receive(&self, stream: TcpStream) -> anyhow::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).context("no path")?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").context("no length")?;
        let mut body = vec![0; length.parse()?];
        reader.read_exact(&mut body)?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = answers.pop_front().unwrap_or(200);
        self.locked().push(Told {
            path,
            headers,
            body,
            answered,
        });
        let answer = format!("HTTP/1.1 {answered} -\r\ncontent-length: 0\r\n");
        let mut stream = reader.into_inner();
        stream.write_all(format!("{answer}connection: close\r\n\r\n").as_bytes())?;
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn will_answer(&self, answers: &[u16]) {
        let mut next = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        next.extend(answers);
    }

    /// What came, once it is so much.
    async fn told(&self, count: usize) -> anyhow::Result<Vec<Told>> {
        let told = async || self.locked().clone();
        let told = eventually(PATIENCE, told, |told| told.len() >= count).await;
        ensure!(told.len() == count, "{} of {count}: {told:?}", told.len());
        Ok(told)
    }
}

/// The settings of an office that may tell whoever is beside it, where the integrators of tests are.
fn settings() -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(b"[webhooks]\nprivate_networks = true\n")?;
    Ok(file)
}

fn arguments(settings: &NamedTempFile) -> anyhow::Result<[&str; 2]> {
    let file = settings.path().to_str().context("a name")?;
    Ok(["--config", file])
}

fn registration(url: String, events: &[&str]) -> RegisterWebhookRequest {
    RegisterWebhookRequest {
        request_id: request_id(),
        url,
        events: events.iter().map(|text| (*text).to_owned()).collect(),
        description: "1С".to_owned(),
    }
}

async fn register(
    office: &Background,
    request: &RegisterWebhookRequest,
) -> anyhow::Result<RegisterWebhookResponse> {
    let mut webhooks = office.admin.webhooks();
    let answer = webhooks.register_webhook(request.clone()).await?;
    Ok(answer.into_inner())
}

async fn resume(office: &Background, webhook_id: &str) -> anyhow::Result<()> {
    let request = ResumeWebhookRequest {
        request_id: request_id(),
        webhook_id: webhook_id.to_owned(),
    };
    office.admin.webhooks().resume_webhook(request).await?;
    Ok(())
}

async fn order(office: &Background, external_id: &str, at: &str) -> anyhow::Result<String> {
    let request = RegisterOrderRequest {
        request_id: request_id(),
        account_id: office.account("acc-1001").await?,
        external_id: external_id.to_owned(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ordered_at: Some(instant(at)),
        channel: OrderChannel::Phone.into(),
    };
    let smirnova = office.client("s-12")?;
    let answer = smirnova.accounts().register_order(request).await?;
    Ok(answer.into_inner().order_id)
}

async fn list(office: &Background) -> anyhow::Result<Vec<Webhook>> {
    let request = ListWebhooksRequest {
        min_positions: vec![office.head("notifications").await?],
    };
    let answer = office.admin.webhooks().list_webhooks(request).await?;
    Ok(answer.into_inner().webhooks)
}

/// The only webhook, once it is so.
async fn only(office: &Background, good: impl Fn(&Webhook) -> bool) -> anyhow::Result<Webhook> {
    let one = |listed: &anyhow::Result<Vec<Webhook>>| match listed.as_deref() {
        Ok([only]) => good(only),
        _ => false,
    };
    let mut listed = eventually(PATIENCE, || list(office), one).await?;
    let only = listed.pop().context("no webhook")?;
    ensure!(listed.is_empty() && good(&only), "{only:?}");
    Ok(only)
}

/// an integrator is sent what is on the bus, signed with a secret that only the two know, from
/// the registration of the webhook to its removal.
#[tokio::test]
async fn x20_an_integrator_is_told_of_what_happens() -> anyhow::Result<()> {
    let settings = settings()?;
    let office = Background::start_with(NOW, &arguments(&settings)?).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    order(&office, "З-1", "2026-05-12T08:00:00+03:00").await?;
    office.at("2026-05-12T09:01:00+03:00").await?;

    let receiver = Receiver::start()?;
    let first = registration(
        format!("{}/first", receiver.address),
        &["account.order_registered"],
    );
    let registered = register(&office, &first).await?;
    ensure!(register(&office, &first).await? == registered);
    let order_id = order(&office, "З-2", "2026-05-12T08:30:00+03:00").await?;

    let told = receiver.told(1).await?;
    let told = told.first().context("nothing")?;
    ensure!(told.path == "/first" && told.is_signed_with(&registered.secret)?);
    let forged = Told {
        body: [&told.body, b" ".as_slice()].concat(),
        ..told.clone()
    };
    ensure!(!forged.is_signed_with(&registered.secret)?);
    for (header, value) in [
        ("ce-specversion", "1.0"),
        ("ce-source", "/kontakty/accounts"),
        ("ce-type", "kontakty.accounts.account.order_registered.v1"),
        ("ce-id", told.header("webhook-id")),
        ("content-type", "application/json"),
    ] {
        ensure!(told.header(header) == value, "{header}: {told:?}");
    }
    let body: Value = serde_json::from_slice(&told.body)?;
    ensure!(body["order_id"] == order_id.as_str(), "{body}");
    let request = ReadEventsRequest {
        service: "accounts".to_owned(),
        after_position: told.header("ce-sequence").parse::<i64>()? - 1,
        limit: 1,
    };
    let read = office.admin.log("accounts").read_events(request).await?;
    let stored = read.into_inner().events.pop().context("no event")?;
    ensure!(stored.event_id == told.header("ce-id") && stored.payload == told.body);
    let webhook = only(&office, |one| one.pending == 0).await?;
    ensure!(webhook.id == registered.webhook_id && webhook.last_success_at.is_some());
    ensure!(webhook.state() == WebhookState::Active && webhook.last_failure.is_empty());

    // The secret is nowhere to be read.
    let base64 = registered.secret.trim_start_matches("whsec_");
    let request = ReadEventsRequest {
        service: "notifications".to_owned(),
        after_position: 0,
        limit: 1_000,
    };
    let read = office
        .admin
        .log("notifications")
        .read_events(request)
        .await?;
    let payloads = read
        .into_inner()
        .events
        .into_iter()
        .map(|event| event.payload);
    let payloads = payloads
        .map(String::from_utf8)
        .collect::<Result<String, _>>()?;
    ensure!(payloads.contains(&webhook.url) && !payloads.contains(base64));
    ensure!(!office.office.log().contains(base64));

    // One that is removed hears nothing, while another one does.
    let remove = RemoveWebhookRequest {
        request_id: request_id(),
        webhook_id: registered.webhook_id.clone(),
    };
    office.admin.webhooks().remove_webhook(remove).await?;
    let second = registration(format!("{}/second", receiver.address), &["account.*"]);
    let second = register(&office, &second).await?;
    ensure!(second.secret != registered.secret);
    office.at("2026-05-12T09:02:00+03:00").await?;
    order(&office, "З-3", "2026-05-12T09:00:00+03:00").await?;
    let told = receiver.told(2).await?;
    let last = told.last().context("nothing")?;
    ensure!(last.path == "/second" && last.is_signed_with(&second.secret)?);
    ensure!(!last.is_signed_with(&registered.secret)?);
    only(&office, |one| one.pending == 0).await?;
    receiver.told(2).await?;
    Ok(())
}

/// what an integrator does not take is sent again, in order, also after a fall of the office, and
/// taken once.
#[tokio::test]
async fn x20_what_is_not_taken_comes_again() -> anyhow::Result<()> {
    let settings = settings()?;
    let mut office = Background::start_with(NOW, &arguments(&settings)?).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let receiver = Receiver::start()?;
    let request = registration(receiver.address.clone(), &["account.order_registered"]);
    let registered = register(&office, &request).await?;

    receiver.will_answer(&[500, 500]);
    order(&office, "З-1", "2026-05-12T08:00:00+03:00").await?;
    receiver.told(1).await?;
    let again = Some(instant("2026-05-12T09:00:05+03:00"));
    let failing = only(&office, |one| one.next_try_at == again).await?;
    ensure!(failing.pending == 1 && failing.last_failure == "500");
    office.at("2026-05-12T09:00:05+03:00").await?;
    receiver.told(2).await?;
    let again = Some(instant("2026-05-12T09:00:35+03:00"));
    only(&office, |one| one.next_try_at == again).await?;

    order(&office, "З-2", "2026-05-12T08:30:00+03:00").await?;
    office.crash_with("2026-05-12T09:00:20+03:00", &arguments(&settings)?)?;
    let waiting = only(&office, |one| one.pending == 2).await?;
    ensure!(waiting.next_try_at == again, "{waiting:?}");
    receiver.told(2).await?;
    office.at("2026-05-12T09:00:35+03:00").await?;
    let told = receiver.told(4).await?;
    let answered: Vec<_> = told.iter().map(|one| one.answered).collect();
    ensure!(answered == [500, 500, 200, 200], "{answered:?}");
    let ids: Vec<_> = told.iter().map(|one| one.header("webhook-id")).collect();
    ensure!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3]);
    for one in &told {
        ensure!(one.is_signed_with(&registered.secret)?);
    }
    let stamps: Vec<_> = told
        .iter()
        .map(|one| one.header("webhook-timestamp"))
        .collect();
    ensure!(stamps[0] < stamps[1] && stamps[1] < stamps[2], "{stamps:?}");
    let well = only(&office, |one| one.pending == 0).await?;
    ensure!(well.next_try_at.is_none() && well.state() == WebhookState::Active);

    // An address that is gone is left alone until somebody says that it is back.
    receiver.will_answer(&[410]);
    order(&office, "З-3", "2026-05-12T08:40:00+03:00").await?;
    let gone = only(&office, |one| one.state() == WebhookState::Gone).await?;
    ensure!(gone.pending == 1 && gone.last_failure == "410", "{gone:?}");
    resume(&office, &registered.webhook_id).await?;
    receiver.told(6).await?;

    // So is one that an administrator has paused; nothing is lost by it.
    let pause = PauseWebhookRequest {
        request_id: request_id(),
        webhook_id: registered.webhook_id.clone(),
    };
    office.admin.webhooks().pause_webhook(pause).await?;
    order(&office, "З-4", "2026-05-12T08:50:00+03:00").await?;
    only(&office, |one| one.pending == 1).await?;
    receiver.told(6).await?;
    resume(&office, &registered.webhook_id).await?;
    receiver.told(7).await?;
    let well = only(&office, |one| one.pending == 0).await?;
    ensure!(well.state() == WebhookState::Active);
    Ok(())
}

/// what cannot be a webhook is refused, each fault by its field.
#[tokio::test]
async fn x20_what_cannot_be_a_webhook_is_refused() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let wrong = registration(
        "http://example.com/hook".to_owned(),
        &["account.*", "Account"],
    );
    let refused = office.admin.webhooks().register_webhook(wrong).await;
    let status = refused.err().context("it was registered")?;
    ensure!(fields(&status) == ["events[1]", "url"], "{status:?}");
    let nothing = RegisterWebhookRequest::default();
    let refused = office.admin.webhooks().register_webhook(nothing).await;
    let status = refused.err().context("it was registered")?;
    ensure!(fields(&status) == ["events", "url"], "{status:?}");
    let unknown = ResumeWebhookRequest {
        request_id: request_id(),
        webhook_id: request_id(),
    };
    let refused = office.admin.webhooks().resume_webhook(unknown).await;
    ensure!(code(&refused) == Code::NotFound, "{refused:?}");
    ensure!(list(&office).await?.is_empty());
    Ok(())
}

/// nobody makes the office speak to what is beside it: neither by an address, however it is
/// written, nor by a name that stands for one.
#[tokio::test]
async fn x20_nothing_inside_is_spoken_to() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    // Whoever connects is seen here, also without a word of TLS.
    let inside = TcpListener::bind("127.0.0.1:0")?;
    inside.set_nonblocking(true)?;
    let port = inside.local_addr()?.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        let request = registration(format!("https://{host}:{port}/"), &["*"]);
        let refused = office.admin.webhooks().register_webhook(request).await;
        let status = refused.err().context(host)?;
        ensure!(fields(&status) == ["url"], "{host}: {status:?}");
    }
    for plain in ["http://127.0.0.1", "http://localhost", "http://8.8.8.8"] {
        let request = registration(format!("{plain}:{port}/"), &["*"]);
        let refused = office.admin.webhooks().register_webhook(request).await;
        let status = refused.err().context(plain)?;
        ensure!(fields(&status) == ["url"], "{plain}: {status:?}");
    }

    let request = registration(
        format!("https://localhost:{port}/"),
        &["account.order_registered"],
    );
    register(&office, &request).await?;
    order(&office, "З-1", "2026-05-12T08:00:00+03:00").await?;
    let refused = only(&office, |one| one.next_try_at.is_some()).await?;
    ensure!(refused.last_failure == "address not allowed", "{refused:?}");
    ensure!(refused.pending == 1 && refused.last_success_at.is_none());
    let seen = inside.accept().err().context("somebody was there")?;
    ensure!(seen.kind() == ErrorKind::WouldBlock, "{seen}");
    Ok(())
}

/// what was registered when the networks of the office were open is told nothing once they are not.
#[tokio::test]
async fn x20_what_was_allowed_once_is_looked_at_again() -> anyhow::Result<()> {
    let settings = settings()?;
    let mut office = Background::start_with(NOW, &arguments(&settings)?).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let receiver = Receiver::start()?;
    let request = registration(receiver.address.clone(), &["account.order_registered"]);
    register(&office, &request).await?;
    order(&office, "З-1", "2026-05-12T08:00:00+03:00").await?;
    receiver.told(1).await?;
    only(&office, |one| one.pending == 0).await?;

    office.crash("2026-05-12T09:01:00+03:00")?;
    order(&office, "З-2", "2026-05-12T08:30:00+03:00").await?;
    let refused = only(&office, |one| one.next_try_at.is_some()).await?;
    ensure!(refused.last_failure == "address not allowed", "{refused:?}");
    receiver.told(1).await?;
    Ok(())
}
