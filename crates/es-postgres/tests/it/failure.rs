use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use tokio::task::JoinSet;

use crate::{append, assert_whole, database, id, open};

/// Backends die under load: what was acknowledged is there, and nothing is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_backends_lose_and_double_nothing() {
    const WRITERS: i64 = 16;
    const EACH: i64 = 60;
    let database = database().await;
    let pool = database.pool_as("kontakty_service").await.unwrap();
    let log = open(&pool).await;
    let written = Arc::new(AtomicI64::new(0));
    let over = Arc::new(AtomicBool::new(false));

    let mut killer = JoinSet::new();
    killer.spawn({
        let (pool, over, written) = (database.pool.clone(), over.clone(), written.clone());
        async move {
            let mut ended = 0;
            while !over.load(Ordering::Relaxed) {
                let seen = written.load(Ordering::Relaxed);
                let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                            where datname = current_database() and usename like 'member%'";
                ended += sqlx::query_scalar::<_, i64>(kill)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                // The next kill when there was progress.
                while written.load(Ordering::Relaxed) < seen + 50 && !over.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await;
                }
            }
            ended
        }
    });

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (log, written) = (log.clone(), written.clone());
        writers.spawn(async move {
            for n in 0..EACH {
                let mut request = append(&format!("s{writer}"), n, &format!("{writer}/{n}"));
                if writer % 2 == 0 {
                    request.request_id = None;
                }
                let appended = log.append(vec![request]).await.remove(0).unwrap();
                assert_eq!((appended.version, appended.repeated), (n + 1, false));
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    writers.join_all().await;
    over.store(true, Ordering::Relaxed);
    assert!(killer.join_all().await[0] > 0);
    assert_whole(&log, WRITERS * EACH).await;
}

/// A caller that goes away has handed its events over all the same.
#[tokio::test]
async fn a_vanished_caller_changes_nothing() {
    let database = database().await;
    let log = open(&database.pool).await;
    let mut head = log.head();
    {
        let handing_over = log.append(vec![append("a", 0, "1")]);
        tokio::pin!(handing_over);
        // Polled once, then dropped.
        assert!(futures::poll!(&mut handing_over).is_pending());
    }
    head.wait_for(|position| *position == 1).await.unwrap();
    assert_eq!(log.read(0, 1).await.unwrap()[0].stream.id, id("a"));
}

/// The appender ends with the last clone of the log and gives its connection back.
#[tokio::test]
async fn the_appender_ends_with_the_log() {
    let database = database().await;
    let log = open(&database.pool).await;
    let mut head = log.head();
    drop(log);
    // Its end is the end of the channel.
    while head.changed().await.is_ok() {}
}
