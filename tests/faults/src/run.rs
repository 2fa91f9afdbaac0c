//! One run: an installation under load, something that breaks, and all checks at the end.

use std::time::Duration;

use anyhow::{Context, ensure};
use tests::client::SERVICES;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    check::{self, Report},
    installation::{Installation, Kill, Server},
    load::{Callers, Load},
    meanwhile, poison, population,
    replay::{self, Stores},
    seed::{Seed, random_id},
    vandal,
};

/// Nothing is settled for so long: there is no use in waiting.
const STUCK: Duration = Duration::from_mins(1);
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

pub struct Run {
    pub seed: Seed,
    chance: fastrand::Rng,
    pub installation: Installation,
    pub load: Load,
    pub live: Stores,
    pub before: check::Baseline,
    /// Which services publish on which bus.
    pub buses: Vec<(String, Vec<&'static str>)>,
    vandals: JoinSet<()>,
    stop_vandals: CancellationToken,
}

impl Run {
    /// A new installation, migrated and serving, with people and a load.
    pub async fn start(seed: Seed) -> anyhow::Result<(Self, Server)> {
        Self::start_on(Installation::new().await?, seed, &[]).await
    }

    /// `kills`: where the migration is interrupted before it may end.
    pub async fn start_on(
        installation: Installation,
        seed: Seed,
        kills: &[Kill],
    ) -> anyhow::Result<(Self, Server)> {
        installation.migrate(kills).await?;
        let mut server = installation.serve(None)?;
        server.ready().await?;
        let callers = Callers::at(&installation.address);
        Ok((Self::populate(installation, seed, &callers).await?, server))
    }

    /// On services that are ready: people, accounts, and a load.
    pub async fn populate(
        installation: Installation,
        seed: Seed,
        callers: &Callers,
    ) -> anyhow::Result<Self> {
        population::found(&installation)?;
        let live = Stores::open(&installation, &installation.settings).await?;
        live.settled(&[]).await?;
        let before = check::Baseline::of(&live).await?;
        let load = Load::start(&installation, callers, seed)?;
        Ok(Self {
            chance: seed.rng("poison"),
            seed,
            load,
            live,
            before,
            buses: vec![(installation.nats.url(), SERVICES.to_vec())],
            installation,
            vandals: JoinSet::new(),
            stop_vandals: CancellationToken::new(),
        })
    }

    /// Leaves events in two logs that nobody can apply, each in a stream of its own.
    pub async fn poison(&mut self) -> anyhow::Result<()> {
        let stream = random_id(&mut self.chance);
        poison::tasks(&self.live, stream).await?;
        poison::contact(&self.live, stream).await
    }

    pub fn let_a_vandal_rage(&mut self, every: Duration) {
        let url = self.installation.nats.url();
        let stop = self.stop_vandals.clone();
        self.vandals
            .spawn(vandal::rage(url, self.seed, every, stop));
    }

    /// Waits until so many more commands are settled: the system works, whatever happened.
    pub async fn goes_on(&self, commands: u64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let (mut moved, mut last) = (began, self.load.settled());
        let until = last + commands;
        while last < until {
            meanwhile(Duration::from_millis(5)).await;
            let now = self.load.settled();
            if now > last {
                (moved, last) = (Instant::now(), now);
            }
            ensure!(moved.elapsed() < STUCK, "no progress for {STUCK:?}");
        }
        Ok(began.elapsed())
    }

    /// Ends the load on the running services, poisons two logs, lets everybody catch up, stops the
    /// services and checks all.
    pub async fn finish(&mut self, servers: Vec<Server>) -> anyhow::Result<Report> {
        self.calm_down().await?;
        self.poison().await?;
        let took = self.live.settled(&[]).await?;
        println!("views and reactions at the ends of the logs after {took:?}");
        self.all_shown().await?;
        self.load.stop_watching().await;
        let mut streams = Vec::new();
        for (url, services) in &self.buses {
            streams.push(check::bus(url, services, &self.live).await?);
        }
        for server in servers {
            server.stop().await.context("a service does not stop")?;
        }
        let fresh = replay::build(&self.installation, &self.live).await?;
        let ledger = self.load.entries()?;
        let seen = self.load.seen.all();
        let mut report = check::all(&self.live, &fresh, &ledger, &seen, &self.before).await?;
        for found in streams {
            report.add(found);
        }
        report.print();
        Ok(report)
    }

    /// Gives frontends time to be shown what was recorded last.
    async fn all_shown(&self) -> anyhow::Result<()> {
        let ledger = self.load.entries()?;
        let shown = || async {
            let seen = self.load.seen.all();
            check::reminders(&self.live, &ledger, &seen).await
        };
        let is_good = |found: &anyhow::Result<check::Finding>| {
            found
                .as_ref()
                .is_ok_and(|found| found.counter_example.is_none())
        };
        tests::eventually(SHOWN_WITHIN, shown, is_good).await?;
        Ok(())
    }

    /// Ends the load and the vandals, not the services.
    pub async fn calm_down(&mut self) -> anyhow::Result<()> {
        self.stop_vandals.cancel();
        while self.vandals.join_next().await.is_some() {}
        self.load.stop().await
    }
}
