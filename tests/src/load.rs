//! A load of commands to every service, with a ledger of what was sent and what was answered, and
//! the checker that holds the ledger against the logs and the views.
//!
//! Commands whose answer was lost are sent again with the same request id until there is one, so
//! that at the end every command of the ledger is acknowledged.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::{Debug, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{GetAccountRequest, ListAccountsRequest, RegisterOrderRequest},
    analytics::GetScorecardRequest,
    common::{Money, PageRequest, Recorded},
    contacts::{GetTimelineRequest, InteractionKind, LogInteractionRequest, NextStep, Outcome},
    log::{Event, ReadEventsRequest, VerifyLogRequest},
    notifications::ListRemindersRequest,
    planning::{CreateTaskRequest, ListTasksRequest, TaskKind},
};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};

use crate::{
    background::{import, request_id},
    client::Client,
    eventually,
    office::Office,
};

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";
const WRITERS: usize = 4;
/// A command that is not acknowledged for so long is lost, and a view that is so late does not come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two commands of a writer: an office, not a flood.
const BREATH: Duration = Duration::from_millis(20);

/// What one command did.
#[derive(Debug, Clone)]
enum Deed {
    Interaction { next_task_id: Option<String> },
    Order,
    Task { id: String },
}

/// A command and what was told of it.
#[derive(Debug, Clone)]
struct Entry {
    request_id: String,
    account_id: String,
    recorded: Recorded,
    deed: Deed,
}

impl Entry {
    fn service(&self) -> &'static str {
        match self.deed {
            Deed::Interaction { .. } => "contacts",
            Deed::Order => "accounts",
            Deed::Task { .. } => "planning",
        }
    }
}

/// Everything that was sent, in the order of its answers.
pub struct Ledger(Vec<Entry>);

/// A running load.
pub struct Load {
    writers: JoinSet<anyhow::Result<Vec<Entry>>>,
    done: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Writer {
    client: Client,
    account_id: String,
    assignee_id: String,
    done: Arc<AtomicBool>,
}

impl Load {
    /// Furnishes a new office and begins.
    pub async fn start(office: &Office) -> anyhow::Result<Self> {
        import(office, "admin", "staff", STAFF)?;
        let mut accounts = "external_id,name,phone,owner\n".to_owned();
        for n in 0..WRITERS {
            let _ = writeln!(accounts, "a-{n},Компания {n},+7900000010{n},s-11");
        }
        import(office, "admin", "accounts", &accounts)?;
        let client = office.client("s-11")?;
        let accounts = client
            .accounts()
            .list_accounts(ListAccountsRequest::default())
            .await?
            .into_inner()
            .accounts;
        ensure!(accounts.len() == WRITERS);
        let done = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for account in accounts {
            let writer = Writer {
                client: client.clone(),
                account_id: account.id,
                assignee_id: account.owner_id,
                done: Arc::clone(&done),
            };
            writers.spawn(writer.run());
        }
        Ok(Self { writers, done })
    }

    /// Lets every writer come to its end.
    pub async fn stop(mut self) -> anyhow::Result<Ledger> {
        self.done.store(true, Ordering::Relaxed);
        let mut entries = Vec::new();
        while let Some(written) = self.writers.join_next().await {
            entries.extend(written??);
        }
        Ok(Ledger(entries))
    }
}

impl Writer {
    async fn run(self) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while !self.done.load(Ordering::Relaxed) {
            let number = entries.len();
            // Some are sent a second time, and must get the same answer.
            let again = number % 10 == 9;
            entries.push(match number % 4 {
                0 | 2 => self.interaction(number % 4 == 2, again).await?,
                1 => self.order(again).await?,
                _ => self.task(again).await?,
            });
            tokio::time::sleep(BREATH).await;
        }
        Ok(entries)
    }

    async fn interaction(&self, with_step: bool, again: bool) -> anyhow::Result<Entry> {
        let next_step = with_step.then(|| NextStep {
            due_at: "2099-03-12T10:00:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: "Перезвонить".to_owned(),
            ..NextStep::default()
        });
        let request = LogInteractionRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            kind: InteractionKind::Call.into(),
            outcome: Outcome::Connected.into(),
            next_step,
            ..LogInteractionRequest::default()
        };
        let id = request.request_id.clone();
        let call = |request| {
            let mut client = self.client.contacts();
            async move { client.log_interaction(request).await }
        };
        let answer = settle(request, again, call).await?;
        let next_task_id = Some(answer.next_task_id).filter(|id| !id.is_empty());
        ensure!(
            next_task_id.is_some() == with_step,
            "no id of the next step"
        );
        self.entry(id, answer.recorded, Deed::Interaction { next_task_id })
    }

    async fn order(&self, again: bool) -> anyhow::Result<Entry> {
        let request = RegisterOrderRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            amount: Some(Money {
                minor_units: 10_000,
                currency: "RUB".to_owned(),
            }),
            ..RegisterOrderRequest::default()
        };
        let id = request.request_id.clone();
        let call = |request| {
            let mut client = self.client.accounts();
            async move { client.register_order(request).await }
        };
        let answer = settle(request, again, call).await?;
        self.entry(id, answer.recorded, Deed::Order)
    }

    async fn task(&self, again: bool) -> anyhow::Result<Entry> {
        let request = CreateTaskRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            assignee_id: self.assignee_id.clone(),
            due_at: "2099-03-12T11:00:00+03:00".to_owned(),
            kind: TaskKind::Call.into(),
            comment: "Позвонить".to_owned(),
            ..CreateTaskRequest::default()
        };
        let id = request.request_id.clone();
        let call = |request| {
            let mut client = self.client.planning();
            async move { client.create_task(request).await }
        };
        let answer = settle(request, again, call).await?;
        let deed = Deed::Task { id: answer.task_id };
        self.entry(id, answer.recorded, deed)
    }

    fn entry(
        &self,
        request_id: String,
        recorded: Option<Recorded>,
        deed: Deed,
    ) -> anyhow::Result<Entry> {
        Ok(Entry {
            request_id,
            account_id: self.account_id.clone(),
            recorded: recorded.context("nothing is said to be recorded")?,
            deed,
        })
    }
}

/// Sends until there is an answer.
async fn settle<Q, A, F>(request: Q, again: bool, call: impl Fn(Q) -> F) -> anyhow::Result<A>
where
    Q: Clone,
    A: PartialEq + Debug,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        match call(request.clone()).await {
            Ok(answer) => break answer.into_inner(),
            Err(status) => {
                // Unknown is what a broken connection leaves; the rest says so itself.
                let passing = matches!(
                    status.code(),
                    Code::Unavailable
                        | Code::Unknown
                        | Code::Cancelled
                        | Code::DeadlineExceeded
                        | Code::Internal
                        | Code::Unauthenticated
                );
                ensure!(passing && Instant::now() < until, "{status:?}");
                tokio::time::sleep(BREATH).await;
            }
        }
    };
    if again && let Ok(repeated) = call(request).await {
        let repeated = repeated.into_inner();
        ensure!(repeated == answer, "{repeated:?} is not {answer:?}");
    }
    Ok(answer)
}

impl Ledger {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was acknowledged is stored once, in logs without holes whose chains are whole; it had
    /// its effect once, and every view has it once.
    pub async fn check(&self, office: &Office) -> anyhow::Result<()> {
        let admin = office.client("admin")?;
        // The rules of planning and notifications come to their end first.
        let tasks = self.tasks().len();
        let made = |service: &'static str, kind: &'static str| {
            let admin = admin.clone();
            async move {
                eventually(
                    PATIENCE,
                    || async { read(&admin, service).await.unwrap_or_default() },
                    |events| count(events, kind) >= tasks,
                )
                .await
            }
        };
        let planning = made("planning", "task.created").await;
        let notifications = made("notifications", "reminder.scheduled").await;
        let accounts = read(&admin, "accounts").await?;
        let contacts = read(&admin, "contacts").await?;
        for (service, events) in [
            ("accounts", &accounts),
            ("contacts", &contacts),
            ("planning", &planning),
            ("notifications", &notifications),
        ] {
            in_order(events).context(service)?;
            self.stored_once(service, events).context(service)?;
            whole(&admin, service).await?;
        }
        ensure!(count(&contacts, "interaction.logged") == self.interactions());
        ensure!(count(&accounts, "account.order_registered") == self.orders());
        ensure!(
            count(&accounts, "account.converted_to_client") == self.accounts().len(),
            "an account is converted once"
        );
        // A redelivered contact never makes a second task.
        ensure!(
            count(&planning, "task.created") == tasks,
            "{} tasks for {tasks} promises",
            count(&planning, "task.created")
        );
        ensure!(
            count(&notifications, "reminder.scheduled") == tasks,
            "{} reminders for {tasks} tasks",
            count(&notifications, "reminder.scheduled")
        );
        self.seen_once(&office.client("s-11")?).await
    }

    fn tasks(&self) -> HashSet<&str> {
        let tasks = self.0.iter().filter_map(|entry| match &entry.deed {
            Deed::Interaction { next_task_id } => next_task_id.as_deref(),
            Deed::Order => None,
            Deed::Task { id } => Some(id.as_str()),
        });
        tasks.collect()
    }

    fn interactions(&self) -> usize {
        let is_interaction = |entry: &&Entry| matches!(entry.deed, Deed::Interaction { .. });
        self.0.iter().filter(is_interaction).count()
    }

    fn orders(&self) -> usize {
        let is_order = |entry: &&Entry| matches!(entry.deed, Deed::Order);
        self.0.iter().filter(is_order).count()
    }

    /// Contacts and orders of each account.
    fn accounts(&self) -> BTreeMap<&str, (i64, i64)> {
        let mut accounts = BTreeMap::<_, (i64, i64)>::new();
        for entry in &self.0 {
            let (interactions, orders) = accounts.entry(entry.account_id.as_str()).or_default();
            match entry.deed {
                Deed::Interaction { .. } => *interactions += 1,
                Deed::Order => *orders += 1,
                Deed::Task { .. } => {}
            }
        }
        accounts
    }

    /// Each acknowledged command is in the log once, where its answer said.
    fn stored_once(&self, service: &str, events: &[Event]) -> anyhow::Result<()> {
        let mut by_request = HashMap::<&str, Vec<&Event>>::new();
        for event in events.iter().filter(|event| !event.request_id.is_empty()) {
            let found = by_request.entry(&event.request_id).or_default();
            found.push(event);
        }
        for entry in self.0.iter().filter(|entry| entry.service() == service) {
            let found = by_request
                .get(entry.request_id.as_str())
                .map(Vec::as_slice)
                .unwrap_or_default();
            ensure!(
                found.len() == 1,
                "{entry:?} is stored {} times",
                found.len()
            );
            let position = entry.recorded.position.as_ref().map(|at| at.position);
            ensure!(
                Some(found[0].position) == position && found[0].version == entry.recorded.version,
                "{entry:?} is at {} and not where its answer says",
                found[0].position
            );
        }
        Ok(())
    }

    /// As the public API shows it: every view, in whichever service, has each of them once.
    async fn seen_once(&self, client: &Client) -> anyhow::Result<()> {
        let expected = Seen {
            accounts: self
                .accounts()
                .into_iter()
                .map(|(id, counts)| (id.to_owned(), counts))
                .collect(),
            calls: self.interactions() as i64,
            sales: self.orders() as i64,
            open_tasks: self.tasks().len() as i64,
            reminders: self.tasks().len(),
        };
        let ids: Vec<_> = expected.accounts.keys().cloned().collect();
        let seen = eventually(
            PATIENCE,
            || async { Seen::by(client, &ids).await.ok() },
            |seen| seen.as_ref() == Some(&expected),
        )
        .await;
        ensure!(
            seen.as_ref() == Some(&expected),
            "the views have {seen:?}, the ledger {expected:?}"
        );
        Ok(())
    }
}

/// What the read models of all services say.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Contacts and orders.
    accounts: BTreeMap<String, (i64, i64)>,
    calls: i64,
    sales: i64,
    open_tasks: i64,
    reminders: usize,
}

impl Seen {
    async fn by(client: &Client, account_ids: &[String]) -> anyhow::Result<Self> {
        let mut accounts = BTreeMap::new();
        for account_id in account_ids {
            let request = GetTimelineRequest {
                account_id: account_id.clone(),
                ..GetTimelineRequest::default()
            };
            let timeline = client.contacts().get_timeline(request).await?.into_inner();
            let request = GetAccountRequest {
                account_id: account_id.clone(),
                ..GetAccountRequest::default()
            };
            let card = client.accounts().get_account(request).await?.into_inner();
            let orders = card.account.context("a card")?.orders.len() as i64;
            accounts.insert(account_id.clone(), (timeline.total, orders));
        }
        let request = GetScorecardRequest::default();
        let scorecard = client.reports().get_scorecard(request).await?.into_inner();
        let total = scorecard.total.context("a total")?;
        let request = ListTasksRequest {
            only_open: true,
            ..ListTasksRequest::default()
        };
        let tasks = client.planning().list_tasks(request).await?.into_inner();
        Ok(Self {
            accounts,
            calls: total.calls,
            sales: total.sales,
            open_tasks: tasks.total,
            reminders: reminders(client).await?,
        })
    }
}

/// How many tasks the caller is to be reminded of; one that has two reminders is an error.
async fn reminders(client: &Client) -> anyhow::Result<usize> {
    let mut tasks = HashSet::new();
    let mut token = String::new();
    loop {
        let request = ListRemindersRequest {
            page: Some(PageRequest { size: 200, token }),
            ..ListRemindersRequest::default()
        };
        let page = client
            .reminders()
            .list_reminders(request)
            .await?
            .into_inner();
        for reminder in page.reminders {
            let task = reminder.task_id.clone();
            ensure!(tasks.insert(task), "{reminder:?} is the second one");
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(tasks.len());
        }
    }
}

async fn read(admin: &Client, service: &str) -> anyhow::Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let request = ReadEventsRequest {
            service: service.to_owned(),
            after_position: events.last().map_or(0, |event| event.position),
            limit: 5_000,
        };
        let page = admin.log(service).read_events(request).await?.into_inner();
        if page.events.is_empty() {
            return Ok(events);
        }
        events.extend(page.events);
    }
}

fn count(events: &[Event], event_type: &str) -> usize {
    let of_type = |event: &&Event| event.r#type == event_type;
    events.iter().filter(of_type).count()
}

/// Positions and versions without holes or doubles.
fn in_order(events: &[Event]) -> anyhow::Result<()> {
    let mut versions = BTreeMap::<&str, i64>::new();
    for (event, expected) in events.iter().zip(1..) {
        ensure!(
            event.position == expected,
            "position {expected} holds {}",
            event.position
        );
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        ensure!(
            event.version == *version,
            "version {version} of {} is {}",
            event.stream,
            event.version
        );
    }
    Ok(())
}

/// The hash chain is whole.
async fn whole(admin: &Client, service: &str) -> anyhow::Result<()> {
    let request = VerifyLogRequest {
        service: service.to_owned(),
        after_position: 0,
    };
    let mut verdicts = admin.log(service).verify_log(request).await?.into_inner();
    let mut last = None;
    while let Some(verdict) = verdicts.message().await? {
        last = Some(verdict);
    }
    let verdict = last.context("no verdict")?;
    ensure!(
        verdict.finished
            && verdict.broken_position == 0
            && verdict.verified == verdict.head_position,
        "{service}: {verdict:?}"
    );
    Ok(())
}
