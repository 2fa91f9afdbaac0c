//! A network that is slow, swallows, and resets: between callers and services, and between
//! services and their engines.
//!
//! What protects callers is the id of their request: `a_retry_under_a_fresh_id_is_done_twice` beside
//! lost replies is the control without it.

use std::time::Duration;

use faults::{
    installation::Installation,
    load::Callers,
    meanwhile,
    proxy::{Fault, Protocol, Proxy},
    run::Run,
    seed::{Seed, one_of},
};

const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let seed = Seed::of_this_run();
    let mut installation = Installation::new().await?;
    let postgres = Proxy::start(&installation.engines.address(), Protocol::Postgres).await?;
    let nats = installation.nats.url();
    let nats = Proxy::start(nats.trim_start_matches("nats://"), Protocol::Http2).await?;
    let callers = Proxy::start(&installation.address, Protocol::Http2).await?;
    installation.settings.postgres = postgres.address();
    installation.settings.nats = format!("nats://{}", nats.address());
    installation.migrate(&[]).await?;
    let mut server = installation.serve(None)?;
    server.ready().await?;
    let people = Callers::at(&callers.address());
    let mut run = Run::populate(installation, seed, &people).await?;

    let mut rng = seed.rng("network");
    let ways = [
        ("callers", callers),
        ("PostgreSQL", postgres),
        ("NATS", nats),
    ];
    let mut faults = Vec::new();
    for _ in 0..ROUNDS {
        let (name, proxy) = one_of(&mut rng, &ways);
        let fault = match rng.u8(..3) {
            0 => Fault::Slow(Duration::from_millis(rng.u64(5..100))),
            1 => Fault::BlackHole,
            _ => Fault::Reset,
        };
        faults.push(format!("{name} {fault:?}"));
        proxy.set(fault);
        meanwhile(Duration::from_millis(rng.u64(200..2_000))).await;
        // What a black hole has swallowed was sent for good as far as its sender knows.
        proxy.set(Fault::Reset);
        meanwhile(Duration::from_millis(20)).await;
        proxy.set(Fault::None);
        run.goes_on(5).await?;
    }
    println!("{}", faults.join(", "));
    run.finish(vec![server]).await?.ensure_clean()
}
