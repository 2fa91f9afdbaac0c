//! What everybody sees of a generated office, held against the oracle: every method of every
//! service, lists and counts and objects, in both directions; and again after an account went to
//! another owner, a manager to another group, a group below another one, and one left.

mod accounts;
mod changes;
mod contacts;
mod deals;
mod lists;
mod orders;
mod planning;
mod prospects;
mod records;
mod transfers;
mod walk;

use std::time::Instant;

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use tests::{
    contract,
    office::Office,
    population::{NOW, World},
};

use walk::Walk;

/// Callers at a time: more would wait for the same two cores.
const AT_ONCE: usize = 4;

/// T-023, T-025, T-028: every method of every service, called by everybody about everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_what_the_oracle_says() -> anyhow::Result<()> {
    let seed = std::env::var("KONTAKTY_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_260_310);
    println!("KONTAKTY_TEST_SEED={seed}");
    let office = Office::start(&["--clock", "controlled", "--clock-start", NOW])?;
    let mut world = World::generate(seed);
    world.load(&office).await?;
    walk_all(&office, &world).await?;

    changes::make(&office, &mut world).await?;
    walk_all(&office, &world).await
}

/// Everybody calls everything.
async fn walk_all(office: &Office, world: &World) -> anyhow::Result<()> {
    let began = Instant::now();
    let methods = contract::methods()?;
    let voided = walk::voided_reminders(office, world).await?;
    let working = (0..world.staff.len()).filter(|who| !world.staff[*who].dismissed);
    let walks = working.map(|who| {
        let (methods, voided) = (&methods, &voided);
        async move {
            let mut walk = Walk::new(office, world, who)?;
            for method in methods {
                walk.method(method, voided).await?;
            }
            anyhow::Ok(walk)
        }
    });
    let walks: Vec<_> = stream::iter(walks)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let checked: usize = walks.iter().map(|walk| walk.checked).sum();
    println!(
        "{:>6.1} s  for {checked} answers to {} people",
        began.elapsed().as_secs_f64(),
        walks.len()
    );
    let faults: Vec<_> = walks.into_iter().flat_map(|walk| walk.faults).collect();
    if !faults.is_empty() {
        // Whether it was a fault of the office and not of what it says.
        let log = office.log();
        let troubles = log.lines().filter(|line| line.contains("unavailable"));
        troubles.take(5).for_each(|line| println!("{line}"));
    }
    ensure!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    Ok(())
}
