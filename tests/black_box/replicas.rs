//! Two replicas of every service on one PostgreSQL and one NATS: they behave as one, also when one
//! is killed, and when the leader falls asleep and wakes up too late.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::ListAccountsRequest, log::ReadEventsRequest, notifications::ListRemindersRequest,
    views::views_service_client::ViewsServiceClient,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    client::{Client, SERVICES},
    eventually,
    mixed_load::{Promise, promise},
    office::{binary, kontakty},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// PostgreSQL and NATS, and what a replica needs to know of them.
struct Engines {
    child: Child,
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Engines {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("kontakty-replicas-")
            .tempdir()?;
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let mut child = Command::new(binary())
            .args(["engines", "--data"])
            .arg(folder.path().join("engines"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let line = ready(&mut child)?;
        let field = |name: &str| {
            let mut parts = line.split(' ');
            let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.map(str::to_owned).context("a ready line")
        };
        let (owner, nats) = (field("postgres")?, field("nats")?);
        let host = owner.rsplit_once('@').context("an address")?.1.to_owned();
        let mut settings = vec![
            ("KONTAKTY__NATS__URL".to_owned(), nats),
            (
                "KONTAKTY__SERVER__LISTEN".to_owned(),
                "127.0.0.1:0".to_owned(),
            ),
            (
                "KONTAKTY__TELEMETRY__LOG_FORMAT".to_owned(),
                "json".to_owned(),
            ),
            (
                "KONTAKTY__KEYS__FOLDER".to_owned(),
                keys(folder.path()).display().to_string(),
            ),
            (
                "KONTAKTY__DOCUMENTS__STORAGE".to_owned(),
                folder.path().join("documents").display().to_string(),
            ),
        ];
        for service in SERVICES {
            settings.push((
                format!("KONTAKTY__DATABASE__{}", service.to_uppercase()),
                format!("postgres://replica_{service}:secret@{host}/replica_{service}"),
            ));
        }
        let engines = Self {
            child,
            folder,
            settings,
        };
        let migrated = Command::new(binary())
            .args(["migrate", "--owner-url", &format!("{owner}/postgres")])
            .envs(engines.settings.iter().cloned())
            .output()?;
        ensure!(
            migrated.status.success(),
            "{}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        Ok(engines)
    }

    fn client(&self, grpc: &str) -> anyhow::Result<Client> {
        self.client_as(grpc, "admin")
    }

    fn client_as(&self, grpc: &str, staff: &str) -> anyhow::Result<Client> {
        let folder = self.folder.path().display().to_string();
        let output = kontakty(&["token", "--staff", staff, "--data", &folder])?;
        ensure!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout)?;
        Client::new(grpc, Some(token.trim()))
    }
}

fn keys(folder: &Path) -> PathBuf {
    folder.join("keys")
}

impl Drop for Engines {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let _ = self.child.wait();
    }
}

/// All services in one process of several.
struct Replica {
    child: Child,
    log: PathBuf,
    grpc: String,
}

impl Replica {
    fn start(engines: &Engines, name: &str) -> anyhow::Result<Self> {
        let log = engines.folder.path().join(format!("{name}.log"));
        let mut child = Command::new(binary())
            .args(["serve", "all"])
            .envs(engines.settings.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let line = ready(&mut child)?;
        let mut parts = line.split(' ');
        let grpc = parts.find_map(|part| part.strip_prefix("grpc="));
        let grpc = grpc.context("an address")?.to_owned();
        Ok(Self { child, log, grpc })
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id() as i32), signal)?)
    }

    /// The numbers under which it has led, by service.
    fn terms(&self) -> anyhow::Result<BTreeMap<String, Vec<i64>>> {
        let mut terms = BTreeMap::<_, Vec<i64>>::new();
        for line in std::fs::read_to_string(&self.log)?.lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let fields = &line;
            if let (Some("leading"), Some(service), Some(fence)) = (
                fields["message"].as_str(),
                fields["service"].as_str(),
                fields["fence"].as_i64(),
            ) {
                terms.entry(service.to_owned()).or_default().push(fence);
            }
        }
        Ok(terms)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.signal(Signal::SIGCONT);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(child: &mut Child) -> anyhow::Result<String> {
    let mut out = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(
            out.read_line(&mut line)? > 0,
            "it ended before it was ready"
        );
        if let Some(ready) = line.trim().strip_prefix("ready ") {
            let ready = ready.to_owned();
            std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
            return Ok(ready);
        }
    }
}

#[tokio::test]
async fn two_replicas_behave_as_one_whatever_happens_to_either() -> anyhow::Result<()> {
    let engines = Engines::start()?;
    let mut one = Replica::start(&engines, "one")?;
    let other = Replica::start(&engines, "other")?;
    let account = account(&engines, &one).await?;
    let mut made: Vec<Promise> = Vec::new();

    // Each takes commands; the other one shows them.
    let both = [
        engines.client_as(&one.grpc, "s-11")?,
        engines.client_as(&other.grpc, "s-11")?,
    ];
    made.extend(load(&both, &account, Duration::from_secs(5)).await?);
    let first = one.terms()?;
    ensure!(first.len() == 5 && other.terms()?.is_empty(), "{first:?}");

    // The leader falls asleep, and another one takes over meanwhile.
    one.signal(Signal::SIGSTOP)?;
    let until = Instant::now() + PATIENCE;
    let second = loop {
        made.extend(load(&both[1..], &account, Duration::from_secs(2)).await?);
        let second = other.terms()?;
        if second.len() == 5 {
            break second;
        }
        ensure!(Instant::now() < until, "not all took over: {second:?}");
    };
    one.signal(Signal::SIGCONT)?;
    made.extend(load(&both, &account, Duration::from_secs(5)).await?);

    // It is killed, and comes back.
    one.child.kill()?;
    one.child.wait()?;
    let gone = one.terms()?;
    made.extend(load(&both[1..], &account, Duration::from_secs(3)).await?);
    one = Replica::start(&engines, "one again")?;
    let back = engines.client_as(&one.grpc, "s-11")?;
    made.extend(load(&[back, both[1].clone()], &account, Duration::from_secs(3)).await?);

    // Whoever led later had a higher number.
    for (service, numbers) in &second {
        let before = &first[service];
        ensure!(
            before.iter().max() < numbers.iter().min(),
            "{service}: {before:?}, {numbers:?}"
        );
    }
    ensure!(gone.len() == 5, "{gone:?}");
    println!(
        "{} contacts, each acknowledged, by two replicas",
        made.len()
    );
    check(&engines, &one, &made).await
}

/// A manager and an account; the first administrator is in the log already.
async fn account(engines: &Engines, replica: &Replica) -> anyhow::Result<String> {
    let import = |kind: &str, csv: &str| -> anyhow::Result<()> {
        let file = engines.folder.path().join("rows.csv");
        std::fs::write(&file, csv)?;
        let output = Command::new(binary())
            .args(["import", kind])
            .arg(&file)
            .args(["--server", &format!("http://{}", replica.grpc), "--data"])
            .arg(engines.folder.path())
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    };
    import(
        "staff",
        "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n",
    )?;
    import(
        "accounts",
        "external_id,name,phone,owner\na-1,Первая,+79000000101,s-11\n",
    )?;
    let client = engines.client_as(&replica.grpc, "s-11")?;
    let accounts = client
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    Ok(accounts.first().context("the account")?.id.clone())
}

/// Two writers for each replica.
async fn load(clients: &[Client], account: &str, time: Duration) -> anyhow::Result<Vec<Promise>> {
    let stop = Instant::now() + time;
    let writers = clients.iter().chain(clients).map(async |client| {
        let mut made = Vec::new();
        while Instant::now() < stop {
            made.push(promise(client, account).await?);
            // Whose fault it would be is no question of quantity.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(made)
    });
    let made = futures::future::join_all(writers).await;
    Ok(made
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat())
}

async fn check(engines: &Engines, replica: &Replica, made: &[Promise]) -> anyhow::Result<()> {
    let admin = engines.client(&replica.grpc)?;
    // Each once, dense.
    let contacts = events(&admin, "contacts").await?;
    for (index, event) in contacts.iter().enumerate() {
        ensure!(
            event.position == index as i64 + 1,
            "position {}",
            event.position
        );
    }
    let logged = contacts
        .iter()
        .filter(|event| event.r#type == "interaction.logged");
    let mut streams: Vec<_> = logged.map(|event| event.stream.clone()).collect();
    streams.sort();
    let mut expected: Vec<_> = made
        .iter()
        .map(|promise| format!("interaction-{}", promise.interaction_id))
        .collect();
    expected.sort();
    ensure!(
        streams == expected,
        "{} stored of {}",
        streams.len(),
        expected.len()
    );

    // Each promise has become one task, and each task one reminder.
    let count = async |service: &str, kind: &str| {
        let events = events(&admin, service).await.unwrap_or_default();
        events.iter().filter(|event| event.r#type == kind).count()
    };
    for (service, kind) in [
        ("planning", "task.created"),
        ("notifications", "reminder.scheduled"),
    ] {
        let found = eventually(
            PATIENCE,
            || count(service, kind),
            |found| *found >= made.len(),
        )
        .await;
        ensure!(found == made.len(), "{found} {kind} of {}", made.len());
    }
    let manager = engines.client_as(&replica.grpc, "s-11")?;
    let reminders = manager
        .reminders()
        .list_reminders(ListRemindersRequest::default())
        .await?
        .into_inner()
        .reminders;
    ensure!(!reminders.is_empty(), "no reminder is listed");

    // Every view equals a replay.
    let mut views = ViewsServiceClient::new(admin.authenticated("accounts"));
    let listed = views
        .list_views(api::views::ListViewsRequest::default())
        .await?;
    for view in listed.into_inner().views {
        if view.kind() != api::views::FollowerKind::View {
            continue;
        }
        let name = format!("{}/{}", view.service, view.name);
        let output = Command::new(binary())
            .args(["rebuild", &name, "--check"])
            .args(["--server", &format!("http://{}", replica.grpc), "--data"])
            .arg(engines.folder.path())
            .output()?;
        ensure!(output.status.success(), "{output:?}");
    }
    Ok(())
}

async fn events(client: &Client, service: &str) -> anyhow::Result<Vec<api::log::Event>> {
    let mut found: Vec<api::log::Event> = Vec::new();
    loop {
        let request = ReadEventsRequest {
            service: service.to_owned(),
            after_position: found.last().map_or(0, |event| event.position),
            limit: 0,
        };
        let page = client
            .log(service)
            .read_events(request)
            .await?
            .into_inner()
            .events;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}
