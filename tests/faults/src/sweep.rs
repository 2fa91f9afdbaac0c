//! The kill sweep: a load goes on while the one process that serves dies again and again, each
//! time at another point, and is started anew.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use anyhow::ensure;
use tokio::time::Instant;

use crate::{
    installation::{Installation, Kill, Server},
    meanwhile, points,
    run::Run,
    seed::{Seed, one_of},
};

/// A point that is not reached within this time is tried once more at its first pass.
const PATIENCE: Duration = Duration::from_secs(8);
/// Of the second try: what is rare has to happen at all.
const LONG_PATIENCE: Duration = Duration::from_mins(1);
/// The latest pass of a point that a process dies at.
const LATEST: u32 = 30;
const VANDAL: Duration = Duration::from_millis(200);
/// Points of `kontakty migrate`, a process of its own.
const MIGRATION: &str = "migrate.";

/// Points that only poison reaches.
const PARKED: &str = "_parked";

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    pub kills: usize,
    pub hit: BTreeSet<String>,
    pub missed: BTreeSet<String>,
    /// What took longest from a start to the death.
    pub slowest: Option<(Duration, Kill)>,
}

/// An installation whose migration was killed at each of its points, and a load on it.
pub async fn start(seed: Seed) -> anyhow::Result<Run> {
    let mut rng = seed.rng("migration");
    let kills: Vec<Kill> = points::all()?
        .into_iter()
        .filter(|point| point.starts_with(MIGRATION))
        .map(|point| Kill {
            point,
            // One pass per database that is not finished; the first is sure to come.
            nth: rng.u32(1..=2),
        })
        .collect();
    ensure!(!kills.is_empty(), "the migration has no kill points");
    let (mut run, server) = Run::start_on(Installation::new().await?, seed, &kills).await?;
    println!("migration killed {} times", kills.len());
    run.let_a_vandal_rage(VANDAL);
    server.kill().await?;
    Ok(run)
}

/// Every point once, in an order by chance.
pub async fn every_point(run: &mut Run) -> anyhow::Result<Swept> {
    let mut rng = run.seed.rng("sweep");
    let mut points: Vec<String> = points::all()?
        .into_iter()
        .filter(|point| !point.starts_with(MIGRATION))
        .collect();
    rng.shuffle(&mut points);
    // Once streams are parked, views go another way: these come last.
    points.sort_by_key(|point| point.ends_with(PARKED));
    let mut swept = Swept::default();
    for point in points {
        let nth = rng.u32(1..=3);
        if !die_at(run, &point, nth, PATIENCE, &mut swept).await? {
            die_at(run, &point, 1, LONG_PATIENCE, &mut swept).await?;
        }
    }
    Ok(swept)
}

/// So many kills: at points by chance at later passes too, and at any instruction.
pub async fn at_random(run: &mut Run, kills: usize) -> anyhow::Result<Swept> {
    let mut rng = run.seed.rng("random kills");
    let points: Vec<String> = points::all()?
        .into_iter()
        .filter(|point| !point.starts_with(MIGRATION))
        .collect();
    // What was not passed so often once is not waited for again.
    let mut latest: HashMap<&str, u32> = HashMap::new();
    let mut swept = Swept::default();
    while swept.kills < kills {
        if rng.u8(..3) == 0 {
            let server = run.installation.serve(None)?;
            meanwhile(Duration::from_millis(rng.u64(200..3_000))).await;
            server.kill().await?;
            swept.kills += 1;
        } else {
            let point: &String = one_of(&mut rng, &points);
            let latest = latest.entry(point).or_insert(LATEST);
            let nth = rng.u32(1..=*latest);
            if !die_at(run, point, nth, PATIENCE, &mut swept).await? {
                *latest = nth.div_ceil(2);
            }
        }
        if swept.kills.is_multiple_of(50) {
            println!("{} kills, {} commands", swept.kills, run.load.settled());
        }
    }
    Ok(swept)
}

async fn die_at(
    run: &mut Run,
    point: &str,
    nth: u32,
    patience: Duration,
    swept: &mut Swept,
) -> anyhow::Result<bool> {
    let kill = Kill {
        point: point.to_owned(),
        nth,
    };
    if point.ends_with(PARKED) {
        run.poison().await?;
    }
    let began = Instant::now();
    let mut server: Server = run.installation.serve(Some(&kill))?;
    let died = server.dies_within(patience).await?;
    if died {
        let took = began.elapsed();
        if swept.slowest.as_ref().is_none_or(|known| known.0 < took) {
            swept.slowest = Some((took, kill));
        }
    } else {
        server.kill().await?;
        println!("{point}:{nth} not reached within {patience:?}");
    }
    if died {
        swept.kills += 1;
        swept.missed.remove(point);
        swept.hit.insert(point.to_owned());
    } else if !swept.hit.contains(point) {
        swept.missed.insert(point.to_owned());
    }
    Ok(died)
}
