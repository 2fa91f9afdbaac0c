//! Mixed commands from several people at once, each sent until it is known what became of it.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use api::{
    contacts::{AddContactPersonResponse, LogInteractionResponse},
    planning::{CreateTaskResponse, RescheduleTaskResponse},
};
use chrono::TimeDelta;
use prost::Message;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    command::{Caller, Command, Retries},
    installation::Installation,
    ledger::{self, Entry, Ledger, Outcome},
    meanwhile, population, requests,
    seed::{Seed, one_of, random_id},
    watcher::{Seen, watch},
};

/// Between the commands of one person, unless a run wants another pace.
const PAUSE: Duration = Duration::from_millis(15);
/// How long the last commands may take to be settled once the load stops.
const LAST: Duration = Duration::from_mins(1);

/// How the people of a load call.
#[derive(Debug, Clone)]
pub struct Callers {
    /// Of the services, or of a proxy before them.
    pub address: String,
    /// Where notifications answers.
    pub reminders: String,
    pub retries: Retries,
    /// Between the commands of one person.
    pub pause: Duration,
}

impl Callers {
    /// As the contract wants them, all services at one address.
    pub fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            reminders: address.to_owned(),
            retries: Retries::SameId,
            pause: PAUSE,
        }
    }
}

/// Runs until it is [stopped](Load::stop).
pub struct Load {
    pub ledger: Arc<Ledger>,
    ledger_file: PathBuf,
    pub seen: Seen,
    workers: JoinSet<anyhow::Result<()>>,
    watchers: JoinSet<()>,
    stop: CancellationToken,
    give_up: CancellationToken,
    stop_watching: CancellationToken,
}

impl Load {
    pub fn start(
        installation: &Installation,
        callers: &Callers,
        seed: Seed,
    ) -> anyhow::Result<Self> {
        let path = installation.engines.folder().join("ledger.jsonl");
        let ledger = Arc::new(Ledger::create(&path)?);
        let mut load = Self {
            ledger: Arc::clone(&ledger),
            ledger_file: path,
            seen: Seen::default(),
            workers: JoinSet::new(),
            watchers: JoinSet::new(),
            stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
            stop_watching: CancellationToken::new(),
        };
        let caller = |user: &str, address: &str| -> anyhow::Result<Caller> {
            Ok(Caller {
                user: user.to_owned(),
                client: installation.client(user, address)?,
                ledger: Arc::clone(&ledger),
                retries: callers.retries,
            })
        };
        for manager in population::MANAGERS {
            let reminders = caller(manager, &callers.reminders)?;
            let watching = watch(
                reminders.client.clone(),
                manager.to_owned(),
                load.seen.clone(),
                Arc::clone(&ledger),
                load.stop_watching.clone(),
            );
            load.watchers.spawn(watching);
            let manager = Manager {
                hand: load.hand(caller(manager, &callers.address)?, callers.pause, seed),
                reminders: load.hand(reminders, callers.pause, seed),
                accounts: population::accounts_of(manager),
                staff_id: population::staff(manager),
                tasks: Vec::new(),
                promised: Vec::new(),
                seen: load.seen.clone(),
            };
            load.workers.spawn(manager.run());
        }
        let mover = load.hand(caller("admin", &callers.address)?, callers.pause, seed);
        load.workers.spawn(move_to_and_fro(mover));
        // Callers of their own, so that their choices are no other's.
        let also = |user: &str| -> anyhow::Result<Caller> {
            Ok(Caller {
                user: format!("{user}, of erasures"),
                ..caller(user, &callers.address)?
            })
        };
        let [manager, ..] = population::MANAGERS;
        let asks = load.hand(also(manager)?, callers.pause, seed);
        let confirms = load.hand(also("admin")?, callers.pause, seed);
        let accounts = population::accounts_of(manager);
        let forgetting = forget_now_and_then(asks, confirms, accounts);
        load.workers.spawn(forgetting);
        Ok(load)
    }

    fn hand(&self, caller: Caller, pause: Duration, seed: Seed) -> Hand {
        Hand {
            pause,
            rng: seed.rng(&caller.user),
            caller,
            stop: self.stop.clone(),
            give_up: self.give_up.clone(),
        }
    }

    /// Everything that was sent so far and what came of it.
    pub fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        ledger::read(&self.ledger_file)
    }

    /// How many commands were settled until now.
    pub fn settled(&self) -> u64 {
        self.ledger.settled()
    }

    /// Lets everybody finish what is begun. Frontends stay connected.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = async {
            while let Some(worker) = self.workers.join_next().await {
                worker??;
            }
            anyhow::Ok(())
        };
        if let Ok(ended) = tokio::time::timeout(LAST, ended).await {
            ended?;
        } else {
            self.give_up.cancel();
            while let Some(worker) = self.workers.join_next().await {
                worker??;
            }
        }
        Ok(())
    }

    pub async fn stop_watching(&mut self) {
        self.stop_watching.cancel();
        while self.watchers.join_next().await.is_some() {}
    }
}

/// Sends commands for somebody.
struct Hand {
    caller: Caller,
    pause: Duration,
    rng: fastrand::Rng,
    stop: CancellationToken,
    give_up: CancellationToken,
}

impl Hand {
    fn id(&mut self) -> Uuid {
        random_id(&mut self.rng)
    }

    /// The answer, if it was a good one. Now and then asks again what was answered already.
    async fn send(&mut self, command: &Command) -> anyhow::Result<Option<Vec<u8>>> {
        let outcome = self
            .caller
            .settle(command, || self.give_up.is_cancelled())
            .await?;
        let repeats = self.caller.retries == Retries::SameId && self.rng.u8(..10) == 0;
        if repeats && matches!(outcome, Outcome::Ok { .. }) {
            self.caller.attempt(command, u32::MAX).await?;
        }
        meanwhile(self.pause).await;
        Ok(outcome.answer())
    }
}

struct Task {
    id: String,
    account: String,
    version: i64,
}

/// Works on accounts of their own.
struct Manager {
    hand: Hand,
    reminders: Hand,
    accounts: Vec<String>,
    staff_id: String,
    /// Open, as far as known.
    tasks: Vec<Task>,
    /// By contacts: they will be there some time.
    promised: Vec<Task>,
    seen: Seen,
}

impl Manager {
    async fn run(mut self) -> anyhow::Result<()> {
        while !self.hand.stop.is_cancelled() {
            let account = one_of(&mut self.hand.rng, &self.accounts).clone();
            match self.hand.rng.u8(..100) {
                0..30 => self.contact(&account, None, false).await?,
                30..45 => self.contact(&account, None, true).await?,
                45..55 => {
                    let again = self.hand.rng.bool();
                    if let Some(task) = self.promised.pop().or_else(|| self.tasks.pop()) {
                        self.contact(&task.account, Some(&task.id), again).await?;
                    }
                }
                55..70 => self.plan(&account).await?,
                70..80 => self.move_a_task().await?,
                80..86 => self.close_a_task().await?,
                86..91 => {
                    let id = self.hand.id();
                    let person = requests::add_person(id, &account, "Person");
                    self.hand.send(&person).await?;
                }
                91..94 => {
                    let id = self.hand.id();
                    let prospect = requests::register_prospect(id, "Prospect");
                    self.hand.send(&prospect).await?;
                }
                94..97 => {
                    let order = requests::register_order(self.hand.id(), &account);
                    self.hand.send(&order).await?;
                }
                _ => self.acknowledge().await?,
            }
        }
        Ok(())
    }

    async fn contact(
        &mut self,
        account: &str,
        completes: Option<&str>,
        promises: bool,
    ) -> anyhow::Result<()> {
        let within = promises.then(|| minutes(&mut self.hand.rng));
        let command = requests::log_interaction(self.hand.id(), account, completes, within);
        if let Some(answer) = self.hand.send(&command).await? {
            let answer = LogInteractionResponse::decode(answer.as_slice())?;
            if !answer.next_task_id.is_empty() {
                let task = Task {
                    id: answer.next_task_id,
                    account: account.to_owned(),
                    version: 1,
                };
                self.promised.insert(0, task);
            }
        }
        Ok(())
    }

    async fn plan(&mut self, account: &str) -> anyhow::Result<()> {
        let within = minutes(&mut self.hand.rng);
        let command = requests::create_task(self.hand.id(), account, &self.staff_id, within);
        if let Some(answer) = self.hand.send(&command).await? {
            let answer = CreateTaskResponse::decode(answer.as_slice())?;
            let task = Task {
                id: answer.task_id,
                account: account.to_owned(),
                version: 1,
            };
            self.tasks.insert(0, task);
        }
        Ok(())
    }

    async fn move_a_task(&mut self) -> anyhow::Result<()> {
        let within = minutes(&mut self.hand.rng);
        let id = self.hand.id();
        // Some are told a version that is past.
        let stale = i64::from(self.hand.rng.u8(..4) == 0);
        let Some(task) = self.tasks.last_mut() else {
            return Ok(());
        };
        let expected = (task.version - stale).max(1);
        let command = requests::reschedule_task(id, &task.id, expected, within);
        if let Some(answer) = self.hand.send(&command).await? {
            let answer = RescheduleTaskResponse::decode(answer.as_slice())?;
            task.version = answer.recorded.map_or(0, |recorded| recorded.version);
        }
        Ok(())
    }

    async fn close_a_task(&mut self) -> anyhow::Result<()> {
        let id = self.hand.id();
        let Some(task) = self.tasks.pop() else {
            return Ok(());
        };
        let command = if self.hand.rng.bool() {
            requests::complete_task(id, &task.id)
        } else {
            requests::cancel_task(id, &task.id)
        };
        self.hand.send(&command).await?;
        Ok(())
    }

    async fn acknowledge(&mut self) -> anyhow::Result<()> {
        let id = self.hand.id();
        if let Some(reminder) = self.seen.one_to_acknowledge(&self.hand.caller.user) {
            let command = requests::acknowledge(id, &reminder);
            self.reminders.send(&command).await?;
        }
        Ok(())
    }
}

/// Open tasks that an account takes along. Without an end to them each hand-over would have more to
/// do than the one before, and a long run nothing else.
const LUGGAGE: usize = 5;

/// Gives the travelling accounts from one owner to the other and back, with a task to go along.
async fn move_to_and_fro(mut hand: Hand) -> anyhow::Result<()> {
    let owners = population::OWNERS.map(population::staff);
    let mut holder = [0; population::TRAVELLING];
    let mut open: [VecDeque<String>; population::TRAVELLING] = Default::default();
    while !hand.stop.is_cancelled() {
        let nth = hand.rng.usize(..population::TRAVELLING);
        let account = population::travelling_account(nth);
        let (from, to) = (&owners[holder[nth]], &owners[1 - holder[nth]]);
        let task = requests::create_task(hand.id(), &account, from, minutes(&mut hand.rng));
        if let Some(answer) = hand.send(&task).await? {
            open[nth].push_back(CreateTaskResponse::decode(answer.as_slice())?.task_id);
        }
        if open[nth].len() > LUGGAGE
            && let Some(oldest) = open[nth].pop_front()
        {
            let done = requests::complete_task(hand.id(), &oldest);
            hand.send(&done).await?;
        }
        let transfer = requests::transfer(hand.id(), &account, from, to);
        if hand.send(&transfer).await?.is_some() {
            holder[nth] = 1 - holder[nth];
        }
        meanwhile(hand.pause * 4).await;
    }
    Ok(())
}

/// Between two erasures, in pauses: services look through all cards for each.
const BETWEEN_ERASURES: u32 = 32;

/// Somebody is added, spoken with, and then erased: it takes two.
async fn forget_now_and_then(
    mut asks: Hand,
    mut confirms: Hand,
    accounts: Vec<String>,
) -> anyhow::Result<()> {
    while !asks.stop.is_cancelled() {
        let account = one_of(&mut asks.rng, &accounts).clone();
        let added = requests::add_person(asks.id(), &account, "Person to forget");
        if let Some(answer) = asks.send(&added).await? {
            let person = AddContactPersonResponse::decode(answer.as_slice())?.person_id;
            let said = requests::speak_with(asks.id(), &account, &person);
            asks.send(&said).await?;
            let asked = requests::request_erasure(asks.id(), &person);
            if asks.send(&asked).await?.is_some() {
                let confirmed = requests::confirm_erasure(confirms.id(), &person);
                confirms.send(&confirmed).await?;
            }
        }
        let pause = meanwhile(asks.pause * BETWEEN_ERASURES);
        asks.stop.run_until_cancelled(pause).await;
    }
    Ok(())
}

/// Some reminders are due at once, some never in this run.
fn minutes(rng: &mut fastrand::Rng) -> TimeDelta {
    let within = if rng.bool() { 5..15 } else { 60..90 };
    TimeDelta::minutes(rng.i64(within))
}
