//! The bus is wiped, full, or spoilt by hand while commands flow.

use std::time::Duration;

use anyhow::ensure;
use async_nats::jetstream;
use faults::{
    installation::Installation,
    ledger::{Entry, Outcome},
    load::Callers,
    meanwhile,
    run::Run,
    seed::Seed,
    vandal,
};

/// Slow enough for reactions, which take one event after the other, on a busy machine: the bus is
/// what is measured here.
const PACE: Duration = Duration::from_millis(400);
/// Views have to be up to date again so soon.
const BACK_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_the_bus_commands_are_answered_and_views_catch_up() -> anyhow::Result<()> {
    let installation = Installation::new().await?;
    installation.migrate(&[]).await?;
    let mut server = installation.serve(None)?;
    server.ready().await?;
    let callers = Callers {
        pause: PACE,
        ..Callers::at(&installation.address)
    };
    let mut run = Run::populate(installation, Seed::of_this_run(), &callers).await?;
    run.goes_on(50).await?;
    let began = run.load.ledger.now_ms();

    run.installation.nats.wipe().await?;
    back(&run, "wiped").await?;

    // Less than it holds already: nothing more is taken.
    run.installation.nats.limit("max_file_store: 16KB").await?;
    run.goes_on(30).await?;
    meanwhile(Duration::from_secs(2)).await;
    let url = run.installation.nats.url();
    let bus = jetstream::new(async_nats::connect(&url).await?);
    ensure!(
        behind(&run, &bus, "contacts").await?,
        "the bus was not full"
    );
    back(&run, "full").await?;
    run.installation.nats.limit("").await?;
    back(&run, "full, and then not").await?;

    let bus = jetstream::new(async_nats::connect(&url).await?);
    for service in ["accounts", "contacts", "planning"] {
        bus.delete_stream(service).await?;
    }
    back(&run, "without streams").await?;
    for service in ["accounts", "contacts", "planning"] {
        vandal::delete_consumers(&bus, service).await?;
    }
    back(&run, "without consumers").await?;

    let report = run.finish(vec![server]).await?;
    let entries = run.load.entries()?;
    let during: Vec<&Entry> = entries.iter().filter(|e| e.invoked_ms >= began).collect();
    let open = during
        .iter()
        .find(|entry| entry.outcomes.len() != answers(entry));
    ensure!(open.is_none(), "not answered at once: {open:?}");
    let longest = during.iter().map(|e| e.ended_ms - e.invoked_ms).max();
    println!(
        "{} commands answered throughout, the slowest in {longest:?} ms",
        during.len()
    );
    report.ensure_clean()
}

async fn back(run: &Run, what: &str) -> anyhow::Result<()> {
    run.goes_on(30).await?;
    let (took, last) = run.live.caught_up().await?;
    println!("{what}: views caught up within {took:?}, last {last:?}");
    ensure!(took < BACK_WITHIN, "{what}: {took:?}");
    Ok(())
}

/// Whether a stream lacks what its log has.
async fn behind(run: &Run, bus: &jetstream::Context, service: &str) -> anyhow::Result<bool> {
    let head = run.live.heads().await?.get(service).map(|head| head.0);
    let messages = match bus.get_stream(service).await {
        Ok(stream) => stream.get_info().await?.state.messages as i64,
        Err(_) => 0,
    };
    Ok(Some(messages) < head)
}

fn answers(entry: &Entry) -> usize {
    let known = |outcome: &&Outcome| !matches!(outcome, Outcome::Unknown { .. });
    entry.outcomes.iter().filter(known).count()
}
