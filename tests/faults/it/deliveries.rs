//! Services that hear of each other over a bus which doubles, shuffles and makes noise.

use anyhow::ensure;
use faults::{
    installation::{Installation, Server, Settings, free_address},
    load::Callers,
    run::Run,
    scrambler,
    seed::Seed,
};
use testkit::Nats;
use tokio::task::JoinSet;

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
    run.finish(servers).await?.ensure_clean()
}
