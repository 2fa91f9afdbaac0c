//! A stranger follows the bus by the documents alone: `tests/gateway`, in Python, without any of
//! our code. What it has in the end is what the logs have, whatever the bus went through.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::{
    accounts::ListAccountsRequest,
    contacts::{InteractionKind, LogInteractionRequest, Outcome},
    log::{GetHeadRequest, ReadEventsRequest},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    background::{import, request_id},
    client::Client,
    eventually,
    office::{Office, kontakty},
};

/// In the order of the alphabet, as the consumer prints them.
const SERVICES: [&str; 4] = ["accounts", "contacts", "notifications", "planning"];
const CONSUMER: &str = "tests/gateway/consumer.py";
const PATIENCE: Duration = Duration::from_mins(1);
const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";

#[test]
fn the_documents_are_valid() -> anyhow::Result<()> {
    let check = |contract: &Path| {
        let golden =
            SERVICES.map(|service| root().join(format!("services/{service}/domain/tests/golden")));
        Command::new(python())
            .arg(root().join("tests/gateway/check.py"))
            .arg(contract)
            .args(golden)
            .output()
    };
    let said = check(&root().join("proto"))?;
    ensure!(said.status.success(), "{}", text(&said));
    println!("{}", text(&said).trim());

    // The check would see it.
    for (file, right, wrong) in [
        (
            "asyncapi.json",
            "\"action\": \"receive\"",
            "\"action\": \"take\"",
        ),
        (
            "asyncapi.json",
            "#/components/schemas/headers",
            "#/components/schemas/head",
        ),
        (ORDER_REGISTERED, "\"integer\"", "\"string\""),
    ] {
        let broken = contract_with(file, right, wrong)?;
        let said = check(broken.path())?;
        ensure!(!said.status.success(), "{file} with {wrong} is valid");
    }
    Ok(())
}

const ORDER_REGISTERED: &str = "events/accounts/account.order_registered.v1.schema.json";

/// X-20: the event stream, read by the documents alone, holds what the logs hold.
#[tokio::test]
async fn a_stranger_follows_by_the_documents() -> anyhow::Result<()> {
    let office = Office::start(&["--demo"])?;
    let folder = tempfile::tempdir()?;
    let admin = office.client("admin")?;
    let first = Gateway::start(&office, &folder.path().join("first"), &[])?;
    played(&admin).await?;
    let events = first.has_the_logs(&admin).await?;
    let types = events.iter().filter_map(|event| event.split(' ').nth(3));
    let types: BTreeSet<_> = types.collect();
    println!("{} events of {} types", events.len(), types.len());
    ensure!(types.len() >= 12, "{types:?}");

    // A consumer deleted by hand: everything comes again, and counts once.
    let jetstream = async_nats::jetstream::new(async_nats::connect(&office.nats).await?);
    let stream = jetstream.get_stream("accounts").await?;
    stream.delete_consumer("example--accounts").await?;
    let head = head(&admin, "accounts").await?;
    let again = first
        .until(|told| told.number("accounts", "duplicates") >= head)
        .await;
    ensure!(again, "{head} events did not come again: {}", first.said());
    first.has_the_logs(&admin).await?;

    // One that comes late hears only of new events; the hole shows it what it missed.
    let late = Gateway::start(
        &office,
        &folder.path().join("late"),
        &[
            "--service=accounts",
            "--deliver=new",
            "--name=late",
            "--idle=600",
        ],
    )?;
    let listening = late.until(|told| told.number("accounts", "listening") == 1);
    ensure!(listening.await, "{}", late.said());
    import(
        &office,
        "admin",
        "accounts",
        "external_id,name,phone\nacc-late,Поздняя,+79000000777\n",
    )?;
    let filled = late.until(|told| told.number("accounts", "filled") == head);
    ensure!(filled.await, "not {head} filled: {}", late.said());
    late.has_the_logs(&admin).await?;

    // And it looks at what it gets: with other documents the same messages are refused.
    let broken = contract_with(ORDER_REGISTERED, "\"integer\"", "\"string\"")?;
    let mut strict = Gateway::start(
        &office,
        &folder.path().join("strict"),
        &[
            "--service=accounts",
            "--name=strict",
            &format!("--contract={}", broken.path().display()),
        ],
    )?;
    let status = strict.child.wait()?;
    ensure!(
        !status.success(),
        "an event was taken that is against its schema"
    );
    let said = fs::read_to_string(&strict.errors)?;
    ensure!(
        said.contains("account.order_registered.v1") && said.contains("minor_units"),
        "{said}"
    );
    Ok(())
}

/// X-20: what the bus has lost comes again, to integrators too.
#[tokio::test]
async fn a_stranger_survives_the_loss_of_nats() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    import(&office, "admin", "staff", STAFF)?;
    import(
        &office,
        "admin",
        "accounts",
        "external_id,name,phone,owner\na-1,Первая,+79000000101,s-11\n",
    )?;
    let admin = office.client("admin")?;
    let folder = tempfile::tempdir()?;
    let gateway = Gateway::start(&office, &folder.path().join("copy"), &[])?;
    gateway.has_the_logs(&admin).await?;

    let manager = office.client("s-11")?;
    let account = manager
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    let account_id = account.first().context("the account")?.id.clone();
    let log_one = async || {
        let request = LogInteractionRequest {
            request_id: request_id(),
            account_id: account_id.clone(),
            kind: InteractionKind::Call.into(),
            outcome: Outcome::Connected.into(),
            summary: "Клиент думает, \"100 %\"".to_owned(),
            ..LogInteractionRequest::default()
        };
        manager.contacts().log_interaction(request).await
    };
    for _ in 0..50 {
        log_one().await?;
    }
    wipe_nats(&office)?;
    // Commands do not depend on the bus: each is answered.
    let mut refilled = false;
    for _ in 0..2_000 {
        log_one().await?;
        let jetstream = async_nats::connect(&office.nats).await.ok();
        let stream = match jetstream.map(async_nats::jetstream::new) {
            Some(jetstream) => jetstream.get_stream("contacts").await.ok(),
            None => None,
        };
        refilled = stream.is_some_and(|stream| stream.cached_info().state.messages > 50);
        if refilled {
            break;
        }
    }
    ensure!(refilled, "the stream was not filled again");
    // What was told before is told again, and counts once.
    let again = gateway.until(|told| told.number("contacts", "duplicates") >= 50);
    ensure!(again.await, "{}", gateway.said());
    let events = gateway.has_the_logs(&admin).await?;
    println!("{} events, each once; {}", events.len(), gateway.said());
    Ok(())
}

/// The office stands still while its NATS is killed and everything that it held is removed.
fn wipe_nats(office: &Office) -> anyhow::Result<()> {
    let data = office.data();
    let output = Command::new("pgrep")
        .args(["-o", "-f", "--"])
        .arg(format!("nats-server --config.*{}", data.display()))
        .output()?;
    let nats = Pid::from_raw(String::from_utf8_lossy(&output.stdout).trim().parse()?);
    let supervisor = Pid::from_raw(office.pid().cast_signed());
    kill(supervisor, Signal::SIGSTOP)?;
    let wiped = kill(nats, Signal::SIGKILL)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(fs::remove_dir_all(data.join("nats/jetstream"))?));
    kill(supervisor, Signal::SIGCONT)?;
    wiped
}

/// Waits for the demo's last act: its tasks were handed over, and the reminders with them.
async fn played(admin: &Client) -> anyhow::Result<()> {
    let heads = eventually(
        PATIENCE,
        async || {
            let planning = head(admin, "planning").await.unwrap_or_default();
            (
                planning,
                head(admin, "notifications").await.unwrap_or_default(),
            )
        },
        |heads| heads.0 > 1 && heads.1 > 2,
    )
    .await;
    ensure!(
        heads.0 > 1 && heads.1 > 2,
        "the demo was not played: {heads:?}"
    );
    Ok(())
}

async fn head(admin: &Client, service: &str) -> anyhow::Result<i64> {
    let request = GetHeadRequest {
        service: service.to_owned(),
    };
    Ok(admin
        .log(service)
        .get_head(request)
        .await?
        .into_inner()
        .position)
}

/// A running consumer.
struct Gateway {
    child: Child,
    state: PathBuf,
    errors: PathBuf,
    services: Vec<&'static str>,
    told: Arc<Mutex<Told>>,
}

/// What it last said of each service.
#[derive(Default)]
struct Told(BTreeMap<String, serde_json::Map<String, Value>>);

impl Told {
    fn number(&self, service: &str, field: &str) -> i64 {
        match self.0.get(service).and_then(|told| told.get(field)) {
            Some(Value::Bool(yes)) => i64::from(*yes),
            Some(number) => number.as_i64().unwrap_or_default(),
            None => 0,
        }
    }
}

impl Gateway {
    /// As the guide beside the documents says it, with these further arguments.
    fn start(office: &Office, state: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let token = kontakty(&[
            "token",
            "--gateway=telephony",
            "--data",
            &office.data().to_string_lossy(),
        ])?;
        let arguments = guide()?;
        let arguments = arguments.iter().map(|argument| match argument.as_str() {
            "$GRPC" => office.grpc.clone(),
            "$NATS" => office.nats.trim_start_matches("nats://").to_owned(),
            "$TOKEN" => String::from_utf8_lossy(&token.stdout).trim().to_owned(),
            "copy.sqlite" => state.display().to_string(),
            flag => flag.to_owned(),
        });
        let errors = state.with_extension("errors");
        let mut child = Command::new(python())
            .arg(root().join(CONSUMER))
            .args(arguments)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors)?)
            .spawn()
            .context("python3 cannot be started")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let told = Arc::new(Mutex::new(Told::default()));
        let heard = told.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(Value::Object(line)) = serde_json::from_str(&line) else {
                    continue;
                };
                let service = line["service"].as_str().unwrap_or_default().to_owned();
                if let Ok(mut heard) = heard.lock() {
                    heard.0.entry(service).or_default().extend(line);
                }
            }
        });
        let services = if more.contains(&"--service=accounts") {
            vec!["accounts"]
        } else {
            SERVICES.to_vec()
        };
        Ok(Self {
            child,
            state: state.to_owned(),
            errors,
            services,
            told,
        })
    }

    async fn until(&self, good: impl Fn(&Told) -> bool) -> bool {
        eventually(
            PATIENCE,
            async || self.told.lock().is_ok_and(|told| good(&told)),
            |good| *good,
        )
        .await
    }

    /// Everything it said last, and what went wrong.
    fn said(&self) -> String {
        let told = self.told.lock().map(|told| format!("{:?}", told.0));
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        format!("{}\n{errors}", told.unwrap_or_default())
    }

    /// Waits until its copy is the logs, event for event.
    async fn has_the_logs(&self, admin: &Client) -> anyhow::Result<Vec<String>> {
        let compared = eventually(PATIENCE, async || self.compared(admin).await, Result::is_ok);
        compared.await.with_context(|| self.said())
    }

    async fn compared(&self, admin: &Client) -> anyhow::Result<Vec<String>> {
        let mut recorded = Vec::new();
        for service in &self.services {
            recorded.extend(log(admin, service).await?);
        }
        let copy = Command::new(python())
            .arg(root().join(CONSUMER))
            .args(["--print", "--state"])
            .arg(&self.state)
            .output()?;
        let copy: Vec<_> = text(&copy).lines().map(str::to_owned).collect();
        let differing = copy.iter().zip(&recorded).find(|(a, b)| a != b);
        ensure!(
            copy == recorded,
            "{} copied, {} recorded, first differing: {differing:?}",
            copy.len(),
            recorded.len()
        );
        Ok(copy)
    }
}

/// As the consumer prints its copy.
async fn log(admin: &Client, service: &str) -> anyhow::Result<Vec<String>> {
    let mut events = Vec::new();
    loop {
        let request = ReadEventsRequest {
            service: service.to_owned(),
            after_position: events.len() as i64,
            limit: 1_000,
        };
        let page = admin
            .log(service)
            .read_events(request)
            .await?
            .into_inner()
            .events;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page.iter().map(|event| {
            format!(
                "{service} {} {} kontakty.{service}.{}.v{}",
                event.position, event.event_id, event.r#type, event.schema_version
            )
        }));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The arguments that the guide tells to start the consumer with.
fn guide() -> anyhow::Result<Vec<String>> {
    let guide = fs::read_to_string(root().join("proto/README.md"))?;
    let line = guide
        .lines()
        .find_map(|line| line.trim().strip_prefix("python3 ")?.strip_prefix(CONSUMER))
        .context("the guide does not say how to start the consumer")?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// A copy of the contract in which one thing is wrong.
fn contract_with(file: &str, right: &str, wrong: &str) -> anyhow::Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let status = Command::new("cp")
        .arg("-r")
        .arg(root().join("proto/."))
        .arg(copy.path())
        .status()?;
    ensure!(status.success(), "proto cannot be copied");
    let path = copy.path().join(file);
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(right), "{file} has no {right}");
    fs::write(&path, text.replacen(right, wrong, 1))?;
    Ok(copy)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// With the libraries of `tests/tools.txt`, which `tests/run` installs beside the build.
fn python() -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    while path.pop() {
        let candidate = path.join("tools/bin/python3");
        if candidate.is_file() {
            return candidate;
        }
    }
    "python3".into()
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}
