//! The long sweep, on demand: `cargo run -p faults --bin kill-sweep -- --kills 500`.

use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use faults::{seed::Seed, sweep};

/// Kills the services again and again under load, then checks what must hold.
#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 500)]
    kills: usize,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let seed = args.seed.map_or_else(Seed::of_this_run, Seed::given);
    let began = Instant::now();
    let mut run = sweep::start(seed).await?;
    let every = sweep::every_point(&mut run).await?;
    ensure!(every.missed.is_empty(), "never reached: {:?}", every.missed);
    let random = sweep::at_random(&mut run, args.kills.saturating_sub(every.kills)).await?;
    let mut server = run.installation.serve(None)?;
    server.ready().await?;
    let report = run.finish(vec![server]).await?;
    println!(
        "{} kills at {} points and in between, {} commands, {:?}",
        every.kills + random.kills,
        every.hit.len(),
        run.load.settled(),
        began.elapsed()
    );
    report.ensure_clean()
}
