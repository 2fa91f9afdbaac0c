//! Services that hear of each other over a bus which doubles, shuffles and makes noise.

use std::collections::HashSet;

use anyhow::ensure;
use es::Recorded;
use faults::{
    check,
    installation::{Installation, Server, Settings, free_address},
    load::Callers,
    replay::{self, Stores},
    run::Run,
    scrambler,
    seed::Seed,
};
use testkit::Nats;
use tokio::task::JoinSet;
use uuid::Uuid;

const OWNERS: [&str; 3] = ["accounts", "contacts", "planning"];
const FOLLOWERS: [&str; 2] = ["notifications", "analytics"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_shuffled_and_noisy_deliveries_change_nothing() -> anyhow::Result<()> {
    let seed = Seed::of_this_run();
    let mut installation = Installation::new().await?;
    installation.migrate(&[]).await?;
    // Followers hear from their own bus, which only the scrambler fills.
    let (clean, scrambled) = (installation.nats.url(), Nats::start().await?);
    let owners_at = installation.address.clone();
    let followers_at = free_address()?;
    let peers = |services: &[&str], address: &str| {
        let peer = |service: &&str| {
            let variable = format!("KONTAKTY__PEERS__{}", service.to_uppercase());
            (variable, format!("http://{address}"))
        };
        services.iter().map(peer).collect::<Vec<_>>()
    };
    installation.settings.more = peers(&FOLLOWERS, &followers_at);
    let followers = Settings {
        nats: scrambled.url(),
        more: peers(&OWNERS, &owners_at),
        ..installation.settings.clone()
    };
    let mut carriers = JoinSet::new();
    for service in OWNERS {
        carriers.spawn(scrambler::carry(
            clean.clone(),
            scrambled.url(),
            service,
            seed,
        ));
    }
    let log = installation.engines.folder().join("followers.log");
    let mut servers = vec![
        Server::start(&installation.settings, &OWNERS, &owners_at, None, &log)?,
        Server::start(&followers, &FOLLOWERS, &followers_at, None, &log)?,
    ];
    for server in &mut servers {
        server.ready().await?;
    }
    let callers = Callers {
        reminders: followers_at,
        ..Callers::at(&owners_at)
    };
    let mut run = Run::populate(installation, seed, &callers).await?;
    run.buses = vec![
        (clean, OWNERS.to_vec()),
        (scrambled.url(), FOLLOWERS.to_vec()),
    ];
    run.poison().await?;
    run.goes_on(1_500).await?;
    ensure!(
        carriers.try_join_next().is_none(),
        "the scrambler has ended"
    );
    run.finish(servers).await?.ensure_clean()?;

    let mut again = Vec::new();
    for service in OWNERS {
        let events = check::delivered(&scrambled.url(), service).await?;
        let heard = Heard::of(&events);
        println!(
            "{service}: {} deliveries, {} of them again and {} late",
            events.len(),
            heard.again.len(),
            heard.late
        );
        ensure!(!heard.again.is_empty(), "{service}: nothing came twice");
        ensure!(heard.late > 0, "{service}: all came in order");
        again.extend(heard.again.into_iter().cloned());
    }
    who_minds_no_positions_is_found_out(&run, &again).await
}

/// How a stream was delivered.
struct Heard<'e> {
    /// What had come before.
    again: Vec<&'e Recorded>,
    /// How many came for the first time behind one with a higher position.
    late: usize,
}

impl<'e> Heard<'e> {
    fn of(events: &'e [Recorded]) -> Self {
        let (mut again, mut late) = (Vec::new(), 0);
        let (mut seen, mut highest) = (HashSet::new(), 0);
        for event in events {
            if !seen.insert(event.position) {
                again.push(event);
            } else if event.position < highest {
                late += 1;
            }
            highest = highest.max(event.position);
        }
        Self { again, late }
    }
}

/// The control: a follower that applies whatever comes, as often as it comes, has in its view what
/// the check must not accept.
async fn who_minds_no_positions_is_found_out(run: &Run, again: &[Recorded]) -> anyhow::Result<()> {
    let engines = &run.installation.engines;
    let from = run.installation.settings.database("analytics");
    let to = format!("{from}_without_positions");
    engines.disconnect(&from).await?;
    engines.copy_database(&from, &to).await?;
    let pool = engines.pool(&to).await?;
    let ids: Vec<Uuid> = again.iter().map(|event| event.stream.id).collect();
    let applied = sqlx::query(
        "insert into facts.facts
         select fact.* from unnest($1::uuid[]) as heard (id)
         cross join lateral (select * from facts.facts f where f.id = heard.id limit 1) as fact",
    )
    .bind(ids)
    .execute(&pool)
    .await?;
    println!("{} facts would be applied again", applied.rows_affected());
    let replayed = replay::settings(&run.installation, "");
    let fresh = Stores::open(&run.installation, &replayed).await?;
    let found = check::views(&run.live.with("analytics", pool), &fresh).await?;
    let named = found.counter_example.unwrap_or_default();
    ensure!(named.contains("facts"), "not found: {named}");
    Ok(())
}
