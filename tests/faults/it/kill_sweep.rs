//! The process dies at every kill point once, while a load and a vandal go on.

use std::time::{Duration, Instant};

use anyhow::ensure;
use faults::{
    command::Retries,
    installation::{Installation, Kill},
    load::Callers,
    run::Run,
    seed::Seed,
    sweep,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_at_every_kill_point_breaks_nothing() -> anyhow::Result<()> {
    let began = Instant::now();
    let mut run = sweep::start(Seed::of_this_run()).await?;
    let swept = sweep::every_point(&mut run).await?;
    let mut server = run.installation.serve(None)?;
    server.ready().await?;
    let report = run.finish(vec![server]).await?;
    println!(
        "{} kills, {} commands, {:?}; the slowest {:?}",
        swept.kills,
        run.load.settled(),
        began.elapsed(),
        swept.slowest
    );
    ensure!(swept.missed.is_empty(), "never reached: {:?}", swept.missed);
    report.ensure_clean()
}

/// The control: callers who retry under fresh ids have no protection, and the checks must see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_request_ids_a_kill_doubles_commands() -> anyhow::Result<()> {
    let seed = Seed::of_this_run();
    let installation = Installation::new().await?;
    installation.migrate(&[]).await?;
    let mut server = installation.serve(None)?;
    server.ready().await?;
    let callers = Callers {
        retries: Retries::FreshId,
        ..Callers::at(&installation.address)
    };
    let mut run = Run::populate(installation, seed, &callers).await?;
    server.kill().await?;
    for nth in [20, 21, 22, 23] {
        let kill = Kill {
            point: "append.before_answer".to_owned(),
            nth,
        };
        let mut server = run.installation.serve(Some(&kill))?;
        ensure!(server.dies_within(Duration::from_secs(30)).await?);
    }
    let mut server = run.installation.serve(None)?;
    server.ready().await?;
    run.goes_on(50).await?;
    let violated = run.finish(vec![server]).await?.violated();
    ensure!(violated.contains(&"I1"), "found only {violated:?}");
    Ok(())
}
