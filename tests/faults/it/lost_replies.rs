//! Answers that are lost on their way, after what they say was committed.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use faults::{
    command::{Caller, Command, Retries},
    installation::Installation,
    ledger::Outcome,
    load::Callers,
    meanwhile,
    population::{MANAGERS, accounts_of, staff},
    proxy::{Protocol, Proxy},
    requests,
    run::Run,
    seed::{Seed, one_of, random_id},
};
use futures::future::try_join_all;

const LOST: usize = 1_000;

/// The retry gets what the lost answer said, byte for byte, and nothing is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_lost_after_commit_is_given_again() -> anyhow::Result<()> {
    let (mut run, server) = Run::start(Seed::of_this_run()).await?;
    let lanes = MANAGERS.map(|user| lose_replies(&run, user, LOST / MANAGERS.len()));
    let lost: usize = try_join_all(lanes).await?.into_iter().sum();
    println!("{lost} replies lost after commit, each given again byte for byte");
    ensure!(lost >= LOST);
    run.finish(vec![server]).await?.ensure_clean()
}

/// Sends commands over a connection that breaks whenever an answer has begun.
async fn lose_replies(run: &Run, user: &str, count: usize) -> anyhow::Result<usize> {
    let proxy = Proxy::start(&run.installation.address, Protocol::Http2).await?;
    let caller = Caller {
        user: format!("{user} behind a proxy"),
        client: run.installation.client(user, &proxy.address())?,
        ledger: Arc::clone(&run.load.ledger),
        retries: Retries::SameId,
    };
    let mut rng = run.seed.rng(("lost replies", user));
    let mut lost = 0;
    while lost < count {
        let command = some_command(user, &mut rng);
        let before = proxy.lost().len();
        proxy.lose_a_reply();
        let first = caller.attempt(&command, 1).await?;
        ensure!(matches!(first, Outcome::Unknown { .. }), "{first:?}");
        let kept = proxy.lost();
        ensure!(kept.len() == before + 1, "{} replies lost", kept.len());
        let second = caller.settle(&command, || false).await?;
        let second = second.answer().context("refused at the second try")?;
        // Without a message it was "try again later", and nothing was committed.
        if let Some(first) = kept.last().filter(|message| !message.is_empty()) {
            ensure!(second == *first, "{second:?} is not {first:?}");
            lost += 1;
        }
    }
    Ok(lost)
}

fn some_command(user: &str, rng: &mut fastrand::Rng) -> Command {
    let id = random_id(rng);
    let account = one_of(rng, &accounts_of(user)).clone();
    let soon = TimeDelta::minutes(90);
    match rng.u8(..6) {
        0 => requests::log_interaction(id, &account, None, None),
        1 => requests::log_interaction(id, &account, None, Some(soon)),
        2 => requests::create_task(id, &account, &staff(user), soon),
        3 => requests::add_person(id, &account, "Person"),
        4 => requests::register_prospect(id, "Prospect"),
        _ => requests::register_order(id, &account),
    }
}

/// The services resolve lost answers of PostgreSQL themselves: callers hear of nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_postgresql_that_are_lost_are_looked_up() -> anyhow::Result<()> {
    const TIMES: usize = 200;
    let seed = Seed::of_this_run();
    let mut installation = Installation::new().await?;
    let proxy = Proxy::start(&installation.engines.address(), Protocol::Postgres).await?;
    installation.settings.postgres = proxy.address();
    let (mut run, server) = Run::start_on(installation, seed, &[]).await?;
    for _ in 0..TIMES {
        proxy.lose_a_reply();
        meanwhile(Duration::from_millis(50)).await;
    }
    println!("{} replies of PostgreSQL lost", proxy.lost().len());
    ensure!(proxy.lost().len() >= TIMES / 2, "hardly any was lost");
    run.finish(vec![server]).await?.ensure_clean()
}

/// The control: whoever retries under another id gets another answer, and has it done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_under_a_fresh_id_is_done_twice() -> anyhow::Result<()> {
    let seed = Seed::of_this_run();
    let installation = Installation::new().await?;
    installation.migrate(&[]).await?;
    let mut server = installation.serve(None)?;
    server.ready().await?;
    let proxy = Proxy::start(&installation.address, Protocol::Http2).await?;
    let callers = Callers {
        address: proxy.address(),
        retries: Retries::FreshId,
        ..Callers::at(&installation.address)
    };
    let mut run = Run::populate(installation, seed, &callers).await?;
    for _ in 0..20 {
        proxy.lose_a_reply();
        run.goes_on(3).await?;
    }
    let violated = run.finish(vec![server]).await?.violated();
    ensure!(violated.contains(&"I1"), "found only {violated:?}");
    Ok(())
}
