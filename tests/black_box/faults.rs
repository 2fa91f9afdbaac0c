//! Kills under load: nothing acknowledged is lost, nothing is done twice, and all of it serves
//! again at once.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tests::{
    background::ask,
    client::{Client, SERVICES},
    load::Load,
    office::{Engine, Office},
};

/// From the kill of a service until it answers again.
const SERVING_AGAIN: Duration = Duration::from_secs(5);
/// The same for the others when it was PostgreSQL or NATS that fell: those start first.
const ENGINE_BACK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_and_double_nothing() -> anyhow::Result<()> {
    let mut office = Office::start(&[])?;
    let load = Load::start(&office).await?;
    let client = office.client("s-11")?;
    pause().await;
    let killed = Instant::now();
    office.kill_engine(Engine::Postgres)?;
    all_serve_again(&client, "PostgreSQL", killed).await?;
    let killed = Instant::now();
    office.kill_engine(Engine::Nats)?;
    all_serve_again(&client, "NATS", killed).await?;
    office.kill()?;
    office.start_again(&[])?;
    pause().await;
    finish(load, &office).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_five_processes_lose_and_double_nothing() -> anyhow::Result<()> {
    let mut office = Office::start_apart(None)?;
    let load = Load::start(&office).await?;
    let client = office.client("s-11")?;
    pause().await;
    for service in SERVICES {
        let killed = Instant::now();
        office.kill_service(service)?;
        serves_again(&client, service, killed, SERVING_AGAIN).await?;
        pause().await;
    }
    let killed = Instant::now();
    office.kill_engine(Engine::Nats)?;
    all_serve_again(&client, "NATS", killed).await?;
    let killed = Instant::now();
    office.wipe_nats()?;
    all_serve_again(&client, "a wiped NATS", killed).await?;
    let killed = Instant::now();
    office.kill_engine(Engine::Postgres)?;
    all_serve_again(&client, "PostgreSQL", killed).await?;
    finish(load, &office).await
}

async fn finish(load: Load, office: &Office) -> anyhow::Result<()> {
    let ledger = load.stop().await?;
    println!(
        "{} commands, each acknowledged, through all kills",
        ledger.len()
    );
    ensure!(ledger.len() > 100, "too few to say anything");
    let began = Instant::now();
    ledger.check(office).await?;
    println!(
        "{:>6.1} s  until logs and views were checked",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn all_serve_again(client: &Client, fallen: &str, since: Instant) -> anyhow::Result<()> {
    println!("{fallen} fell");
    // Fallen, and not merely about to: the first question after it may still find it there.
    pause().await;
    for service in SERVICES {
        serves_again(client, service, since, ENGINE_BACK).await?;
    }
    Ok(())
}

async fn serves_again(
    client: &Client,
    service: &str,
    since: Instant,
    within: Duration,
) -> anyhow::Result<()> {
    while let Err(status) = ask(client, service, Vec::new()).await {
        ensure!(since.elapsed() < within, "{service}: {status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = since.elapsed();
    println!(
        "{:>6.1} s  until {service} served again",
        took.as_secs_f64()
    );
    ensure!(took < within, "{service} took {took:?}");
    Ok(())
}

/// The load goes on meanwhile: this spaces the faults, it waits for no state.
async fn pause() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
