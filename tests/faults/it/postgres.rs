//! PostgreSQL falls under load, and comes back.

use std::time::Duration;

use anyhow::ensure;
use faults::{
    check::{chains, stored_as_answered, versions},
    run::Run,
    seed::Seed,
};
use nix::sys::signal::Signal;

const TIMES: usize = 20;
/// The figure to keep is five seconds on a quiet machine, and the longest time is printed for it. A
/// test shares its two cores with others: this limit tells a hang from a delay, and no more.
const RESUMED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_lose_nothing_acknowledged() -> anyhow::Result<()> {
    let (mut run, server) = Run::start(Seed::of_this_run()).await?;
    let mut resumed = Vec::new();
    for nth in 0..TIMES {
        // An immediate shutdown, and the death of the postmaster alone.
        let signal = [Signal::SIGQUIT, Signal::SIGKILL][nth % 2];
        run.goes_on(30).await?;
        run.installation.engines.restart_postgres(signal).await?;
        resumed.push(run.goes_on(1).await?);
    }
    resumed.sort_unstable();
    println!(
        "writes resumed {:?} (median) to {:?} (longest) after PostgreSQL took connections again",
        resumed[TIMES / 2],
        resumed[TIMES - 1]
    );
    let report = run.finish(vec![server]).await?;
    ensure!(resumed[TIMES - 1] < RESUMED_WITHIN);
    report.ensure_clean()
}

/// The control: a PostgreSQL that acknowledges before it has written loses what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_does_not_wait_for_the_disk_is_found_out() -> anyhow::Result<()> {
    let (mut run, server) = Run::start(Seed::of_this_run()).await?;
    for setting in [
        "synchronous_commit = off",
        "wal_writer_delay = '10s'",
        "wal_writer_flush_after = '1GB'",
    ] {
        let statement = format!("alter system set {setting}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(run.live.of("accounts"))
            .await?;
    }
    sqlx::query("select pg_reload_conf()")
        .execute(run.live.of("accounts"))
        .await?;
    // Sessions take new settings up at their next statement.
    for _ in 0..3 {
        run.goes_on(100).await?;
        let engines = &run.installation.engines;
        engines.restart_postgres(Signal::SIGKILL).await?;
    }
    run.calm_down().await?;
    server.kill().await?;
    let entries = run.load.entries()?;
    let found = stored_as_answered(&run.live, &entries, &run.before).await?;
    println!("{:?}", found.counter_example);
    ensure!(found.counter_example.is_some(), "nothing was lost");
    // What is left is a log all the same.
    ensure!(versions(&run.live).await?.counter_example.is_none());
    ensure!(chains(&run.live).await?.counter_example.is_none());
    Ok(())
}
