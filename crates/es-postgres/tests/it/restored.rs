//! A log that was restored from a backup, and who had read it.

use std::sync::{Arc, Mutex, atomic::Ordering};

use es::Recorded;
use es_postgres::{
    AppendError, Log, LogError,
    projection::{
        ApplyError, Lost, OwnLog, Reached, Reaction, RunError, Version, cursor, prepare,
        run_reaction,
    },
};
use sqlx::AssertSqlSafe;
use testkit::Database;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    append, assert_whole, log, open,
    projection::{NOTES, Tally, counts, note, run},
    rebuild::{builder, lead},
};

/// As a backup of the log's tables would: what came later is gone, and what is kept beside them is
/// as it was.
async fn restore(database: &Database, position: i64) {
    let sql = format!(
        "alter table log.events disable trigger append_only;
         delete from log.events where position > {position};
         update log.head set position = {position},
             hash = (select hash from log.events where position = {position});
         alter table log.events enable always trigger append_only;
         select log.begin_epoch();"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&database.pool)
        .await
        .unwrap();
}

fn view() -> Arc<Tally> {
    let view = Arc::new(Tally::default());
    view.mended.store(true, Ordering::Relaxed);
    view
}

#[tokio::test]
async fn a_view_that_has_seen_what_is_lost_is_built_anew() {
    let (database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    for text in ["one", "two", "lost", "lost too"] {
        note(&log, "1", text).await;
    }
    run(&log, &view(), 4).await.unwrap();
    let former = cursor(log.pool(), "tally", "accounts").await.unwrap();
    restore(&database, 2).await;
    let log = open(log.pool()).await;
    for text in ["three", "four", "five"] {
        note(&log, "2", text).await;
    }

    let stopped = run(&log, &view(), 5).await;
    assert!(
        matches!(stopped, Err(RunError::Stale { .. })),
        "{stopped:?}"
    );
    assert_eq!(counts(&log).await, [4], "it still serves");
    let cursor = async || cursor(log.pool(), "tally", "accounts").await.unwrap();
    assert_eq!(cursor().await.position, 2, "a reader of later events waits");
    // After a restart, too.
    assert!(run(&log, &view(), 5).await.is_err());

    let never = CancellationToken::new();
    let next = builder(&log, view(), lead(&log).await);
    assert!(next.replace(Version::Next, 1, &never).await.unwrap());
    assert_eq!(counts(&log).await, [2, 3]);
    assert_ne!(cursor().await.epoch, former.epoch);
    note(&log, "2", "six").await;
    run(&log, &view(), 6).await.unwrap();
    assert_eq!(counts(&log).await, [2, 4]);
}

#[tokio::test]
async fn a_view_that_has_seen_nothing_of_what_is_lost_goes_on() {
    let (database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    note(&log, "1", "one").await;
    note(&log, "1", "two").await;
    run(&log, &view(), 2).await.unwrap();
    note(&log, "1", "lost").await;
    restore(&database, 2).await;
    // The process has not heard of it.
    let (view, elsewhere) = (view(), open(log.pool()).await);
    let (reached, _) = tokio::join!(run(&log, &view, 3), note(&elsewhere, "2", "three"));
    assert_eq!(reached.unwrap().position, 3);
    assert_eq!(counts(&log).await, [1, 2]);
}

#[derive(Default)]
struct Seen(Mutex<Vec<(i64, String)>>);

impl Reaction for Seen {
    const NAME: &'static str = "seen";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = NOTES;

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let text = event.payload.iter().map(|byte| char::from(*byte)).collect();
        self.0.lock().unwrap().push((event.position, text));
        Ok(())
    }
}

async fn react(log: &Log, seen: &Arc<Seen>, position: i64) {
    let progress = watch::Sender::new(Reached::default());
    let mut reached = progress.subscribe();
    let (pool, fence, cancel) = (
        log.pool().clone(),
        lead(log).await,
        CancellationToken::new(),
    );
    let events = OwnLog::sealed(log.clone());
    let running = run_reaction(
        pool,
        fence,
        Arc::clone(seen),
        events,
        progress,
        cancel.clone(),
    );
    let waiting = async {
        let reached = reached.wait_for(|reached| reached.position == position);
        reached.await.unwrap();
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running, waiting);
    ended.unwrap();
}

#[tokio::test]
async fn a_reaction_neither_skips_nor_repeats() {
    let (database, log) = log().await;
    for text in ["one", "two", "lost", "lost too"] {
        note(&log, "1", text).await;
    }
    let seen = Arc::new(Seen::default());
    react(&log, &seen, 4).await;
    restore(&database, 2).await;
    let log = open(log.pool()).await;
    for text in ["three", "four", "five"] {
        note(&log, "2", text).await;
    }
    react(&log, &seen, 5).await;
    let seen: Vec<_> = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(position, text)| {
            (
                *position,
                text.split('"').nth(3).unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let expected = [
        (1, "one"),
        (2, "two"),
        (3, "lost"),
        (4, "lost too"),
        (3, "three"),
        (4, "four"),
        (5, "five"),
    ];
    assert_eq!(
        seen,
        expected.map(|(position, text)| (position, text.to_owned()))
    );
    let lost = Lost::all(log.pool()).await.unwrap();
    let ranges: Vec<_> = lost
        .iter()
        .map(|lost| (lost.name.as_str(), lost.first_position, lost.last_position))
        .collect();
    assert_eq!(ranges, [("seen", 3, 4)]);
}

#[tokio::test]
async fn a_running_process_forgets_what_was_lost() {
    let (database, log) = log().await;
    for nth in 0..3 {
        let appended = log.append(vec![append("a", nth, &nth.to_string())]).await;
        appended.into_iter().next().unwrap().unwrap();
    }
    let before = log.epoch();
    restore(&database, 1).await;

    // Decided on what was; the next one is decided on what is.
    let refused = log.append(vec![append("a", 3, "3")]).await.remove(0);
    assert!(
        matches!(refused, Err(AppendError::Log(LogError::Unavailable(_)))),
        "{refused:?}"
    );
    assert_ne!(log.epoch(), before);
    assert_eq!(*log.head().borrow(), 1);
    let conflict = log.append(vec![append("a", 3, "3")]).await.remove(0);
    assert!(
        matches!(conflict, Err(AppendError::Conflict { current: 1 })),
        "{conflict:?}"
    );
    // The request that was lost is a new one.
    let again = log
        .append(vec![append("a", 1, "1")])
        .await
        .remove(0)
        .unwrap();
    assert!(!again.repeated);
    assert_eq!(again.position, 2);
    assert_whole(&log, 2).await;
    let lives = log.lives().await.unwrap();
    assert_eq!(lives.len(), 2);
    assert_eq!(lives[1].first_position, 2);
}
