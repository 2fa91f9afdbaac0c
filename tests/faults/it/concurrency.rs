//! 64 appenders with pauses, killed sessions and rolled-back transactions; three subscribers.

use anyhow::ensure;
use es_postgres::{Log, MIGRATOR, MasterKey};
use faults::{
    appenders::{Appending, Raced, race},
    seed::Seed,
};
use sqlx::PgPool;
use testkit::{Database, Postgres};

const EACH: usize = 60;

async fn database() -> anyhow::Result<(Database, PgPool)> {
    let database = Postgres::shared().await?.fresh_database(&MIGRATOR).await?;
    let service = database.pool_as("kontakty_service").await?;
    Ok((database, service))
}

async fn race_with(replicas: usize) -> anyhow::Result<Raced> {
    let (database, service) = database().await?;
    let mut logs = Vec::new();
    for _ in 0..replicas {
        logs.push(Log::open(service.clone(), "accounts", MasterKey::new([7; 32])).await?);
    }
    let appending = Appending::Log(logs);
    let raced = race(appending, &database.pool, EACH, Seed::of_this_run()).await?;
    report(&raced);
    Ok(raced)
}

fn report(raced: &Raced) {
    println!(
        "{} stored, {} conflicts, {} unknown, {} sessions killed",
        raced.count("stored"),
        raced.count("conflict"),
        raced.count("unknown"),
        raced.sessions_killed
    );
}

fn ensure_a_race(raced: &Raced) -> anyhow::Result<()> {
    ensure!(raced.count("conflict") > 100, "hardly any conflicts");
    ensure!(raced.sessions_killed > 10, "hardly any kills");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appenders_race_and_nobody_misses_anything() -> anyhow::Result<()> {
    let raced = race_with(1).await?;
    ensure_a_race(&raced)?;
    raced.judge()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appenders_of_two_replicas_race_and_nobody_misses_anything() -> anyhow::Result<()> {
    let raced = race_with(2).await?;
    ensure_a_race(&raced)?;
    raced.judge()
}

/// The control: positions from a sequence are given before they can be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_sequence_is_found_out() -> anyhow::Result<()> {
    let (database, service) = database().await?;
    let appending = Appending::plain_sequence(&database.pool, service).await?;
    let raced = race(appending, &database.pool, EACH, Seed::of_this_run()).await?;
    report(&raced);
    let verdict = raced.judge();
    println!("{verdict:?}");
    ensure!(
        verdict.is_err_and(|fault| fault.to_string().contains("never saw")),
        "a sequence must lose events for those who read behind it"
    );
    Ok(())
}
