//! Versions of a view beside the one that serves.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use es_postgres::{
    Lease, Log,
    projection::{BuildError, Builder, OwnLog, Rebuild, Share, State, Version, prepare, standings},
};
use futures::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{
    append, log,
    projection::{Tally, counts, note, parked, run},
};

type OfOwnLog = Box<dyn Fn(&'static str, Option<Share>) -> OwnLog + Send + Sync>;
type Heads = Box<dyn Fn(&'static str) -> BoxFuture<'static, Result<i64, BuildError>> + Send + Sync>;

pub(crate) fn builder(log: &Log, view: Arc<Tally>, fence: i64) -> Builder<Tally, OfOwnLog, Heads> {
    let (own, heads) = (log.clone(), log.clone());
    Builder {
        pool: log.pool().clone(),
        projection: view,
        fence,
        source: Box::new(move |_, share| OwnLog::of::<Tally>(own.clone(), share)),
        head: Box::new(move |_| {
            let log = heads.clone();
            async move { Ok(log.refresh_head().await.unwrap()) }.boxed()
        }),
    }
}

/// Somebody leads; gives the number.
pub(crate) async fn lead(log: &Log) -> i64 {
    Lease::acquire(log.pool()).await.fence()
}

pub(crate) async fn ask(log: &Log, state: State, workers: u32) -> bool {
    Rebuild::ask(log.pool(), "tally", state, workers, "a test")
        .await
        .unwrap()
}

async fn state(log: &Log) -> Option<State> {
    let rebuild = Rebuild::of(log.pool(), "tally").await.unwrap();
    rebuild.map(|rebuild| rebuild.state)
}

fn mended() -> Arc<Tally> {
    let view = Arc::new(Tally::default());
    view.mended.store(true, Ordering::Relaxed);
    view
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_live_one_and_gives_it_back() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let live = Arc::new(Tally::default());
    for text in ["good", "bad", "later"] {
        note(&log, "1", text).await;
    }
    run(&log, &live, 3).await.unwrap();
    assert_eq!(counts(&log).await, [1]);
    let fence = lead(&log).await;
    let never = CancellationToken::new();
    assert!(
        !ask(&log, State::Returning, 1).await,
        "there is no former one"
    );

    assert!(ask(&log, State::Building, 1).await);
    assert!(!ask(&log, State::Checking, 1).await, "one thing at a time");
    let next = builder(&log, mended(), fence);
    assert!(next.replace(Version::Next, 1, &never).await.unwrap());
    // Statements that this pool has prepared mean the new tables.
    assert_eq!(counts(&log).await, [3]);
    assert_eq!(parked(&log, "tally").await, [0; 0]);
    assert_eq!(parked(&log, "tally~former").await, [2, 3]);
    assert_eq!(state(&log).await, Some(State::Kept));
    note(&log, "1", "last").await;
    run(&log, &mended(), 4).await.unwrap();
    assert_eq!(counts(&log).await, [4]);

    // Another one, so that the former one has nothing parked.
    assert!(ask(&log, State::Building, 1).await);
    assert!(next.replace(Version::Next, 1, &never).await.unwrap());
    note(&log, "1", "very last").await;
    run(&log, &mended(), 5).await.unwrap();
    assert!(ask(&log, State::Returning, 1).await);
    sqlx::query("insert into \"tally~former\".streams values ('mark', 9)")
        .execute(log.pool())
        .await
        .unwrap();
    assert!(next.replace(Version::Former, 1, &never).await.unwrap());
    assert_eq!(counts(&log).await, [5, 9], "the former one, caught up");
    assert!(Version::Former.exists(log.pool(), "tally").await.unwrap());

    Version::Former.discard(log.pool(), "tally").await.unwrap();
    Rebuild::settle(log.pool(), "tally").await.unwrap();
    assert_eq!(state(&log).await, None);
    let names: Vec<String> = standings(log.pool())
        .await
        .unwrap()
        .into_iter()
        .map(|standing| standing.name)
        .collect();
    assert_eq!(names, ["tally"]);
}

#[tokio::test]
async fn a_version_that_cannot_apply_more_than_the_live_one_does_not_replace_it() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    for text in ["good", "bad"] {
        note(&log, "1", text).await;
    }
    run(&log, &mended(), 2).await.unwrap();
    let fence = lead(&log).await;
    let cancel = CancellationToken::new();
    let next = builder(&log, Arc::new(Tally::default()), fence);
    let stop = async {
        while parked(&log, "tally~next").await.is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        cancel.cancel();
    };
    let (replaced, ()) = tokio::join!(next.replace(Version::Next, 1, &cancel), stop);
    assert!(!replaced.unwrap());
    assert_eq!(counts(&log).await, [2]);
}

#[tokio::test]
async fn a_check_names_the_table_that_differs() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    for card in ["1", "2"] {
        note(&log, card, "good").await;
    }
    run(&log, &mended(), 2).await.unwrap();
    let next = builder(&log, mended(), lead(&log).await);
    let never = CancellationToken::new();
    assert_eq!(next.check(1, &never).await.unwrap(), Some(Vec::new()));

    sqlx::query("update tally.streams set events = 7")
        .execute(log.pool())
        .await
        .unwrap();
    let different = "table streams: 2 rows only in the live version, 2 only in the new one";
    assert_eq!(
        next.check(1, &never).await.unwrap(),
        Some(vec![different.to_owned()])
    );
}

#[tokio::test]
async fn several_workers_build_the_same_also_when_interrupted() {
    const EVENTS: i64 = 12_000;
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let appends = (0..EVENTS)
        .map(|nth| append(&format!("s{}", nth % 1_000), nth / 1_000, &nth.to_string()))
        .collect();
    for appended in log.append(appends).await {
        appended.unwrap();
    }
    run(&log, &mended(), EVENTS).await.unwrap();
    ask(&log, State::Building, 3).await;

    // The first leader is interrupted in the middle; the second goes on where that one was.
    let cancel = CancellationToken::new();
    let first = builder(&log, mended(), lead(&log).await);
    let interrupt = async {
        while positions(&log)
            .await
            .iter()
            .all(|position| *position < 2_000)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
    };
    let (replaced, ()) = tokio::join!(first.replace(Version::Next, 3, &cancel), interrupt);
    assert!(!replaced.unwrap());
    let before = positions(&log).await;
    assert_eq!(before.len(), 3, "{before:?}");
    assert!(
        before.iter().any(|position| *position < EVENTS),
        "{before:?}"
    );

    let second = builder(&log, mended(), lead(&log).await);
    let never = CancellationToken::new();
    let checked = second.check(3, &never).await.unwrap();
    assert_eq!(checked, Some(Vec::new()));
    assert!(second.replace(Version::Next, 3, &never).await.unwrap());
    assert_eq!(counts(&log).await, [12; 1_000]);
}

/// Of the workers.
async fn positions(log: &Log) -> Vec<i64> {
    let standings = standings(log.pool()).await.unwrap();
    standings
        .into_iter()
        .filter(|standing| standing.name.starts_with("tally~next#"))
        .map(|standing| standing.position)
        .collect()
}

#[tokio::test]
async fn a_leader_that_wakes_up_too_late_writes_nothing() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    note(&log, "1", "good").await;
    run(&log, &mended(), 1).await.unwrap();
    let never = CancellationToken::new();

    let asleep = builder(&log, mended(), lead(&log).await);
    let fence = lead(&log).await;
    assert!(fence > asleep.fence);
    // Nothing is built yet: it may build, but not replace the live one.
    let refused = asleep.replace(Version::Next, 1, &never).await;
    assert!(matches!(refused, Err(BuildError::Deposed)), "{refused:?}");

    // The new leader has begun: the old one cannot even build.
    let awake = builder(&log, mended(), fence);
    assert_eq!(awake.check(1, &never).await.unwrap(), Some(Vec::new()));
    note(&log, "1", "later").await;
    run(&log, &mended(), 2).await.unwrap();
    let refused = asleep.check(1, &never).await;
    assert!(matches!(refused, Err(BuildError::Deposed)), "{refused:?}");
    let written: i64 = sqlx::query_scalar(
        "select position from views.cursors where name = 'tally~next' and fence = $1",
    )
    .bind(fence)
    .fetch_one(log.pool())
    .await
    .unwrap();
    assert_eq!(written, 1);
    assert!(awake.replace(Version::Next, 1, &never).await.unwrap());
    assert_eq!(counts(&log).await, [2]);
}
