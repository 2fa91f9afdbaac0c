//! Two replicas of every service on one PostgreSQL and one NATS: they behave as one, also when one
//! is killed, and when the leader falls asleep and wakes up too late.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    log::ReadEventsRequest, notifications::ListRemindersRequest,
    views::views_service_client::ViewsServiceClient,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    client::Client,
    eventually,
    mixed_load::{Promise, promise, set_up},
    office::{Office, binary, spawn},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// All services in one process of several.
struct Replica {
    child: Child,
    log: PathBuf,
    grpc: String,
}

impl Replica {
    fn start(
        office: &Office,
        environment: &[(String, String)],
        name: &str,
    ) -> anyhow::Result<Self> {
        let log = office.data().join(format!("{name}.log"));
        let mut replica = Command::new(binary());
        replica
            .args(["serve", "all"])
            .envs(environment.iter().cloned())
            .env("KONTAKTY__SERVER__LISTEN", "127.0.0.1:0");
        let (child, ready) = spawn(replica, &log)?;
        let grpc = ready.field("grpc");
        Ok(Self { child, log, grpc })
    }

    fn client(&self, office: &Office) -> anyhow::Result<Client> {
        Client::new(&self.grpc, Some(&office.token("s-11")?))
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

#[tokio::test]
async fn two_replicas_behave_as_one_whatever_happens_to_either() -> anyhow::Result<()> {
    let (mut office, environment) = Office::start_engines()?;
    let mut one = Replica::start(&office, &environment, "one")?;
    let other = Replica::start(&office, &environment, "other")?;
    office.grpc.clone_from(&one.grpc);
    let account = set_up(&office, 1).await?.pop().context("an account")?;
    let mut made: Vec<Promise> = Vec::new();

    // Each takes commands; the other one shows them.
    let both = [one.client(&office)?, other.client(&office)?];
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
    one = Replica::start(&office, &environment, "one again")?;
    office.grpc.clone_from(&one.grpc);
    let back = one.client(&office)?;
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
    check(&office, &made).await
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

async fn check(office: &Office, made: &[Promise]) -> anyhow::Result<()> {
    let admin = office.client("admin")?;
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
    let reminders = office
        .client("s-11")?
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
        office.command("admin", &["rebuild", &name, "--check"])?;
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
