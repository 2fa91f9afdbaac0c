use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use es::Recorded;
use es_postgres::{
    Log,
    projection::{
        ApplyError, OwnLog, Parked, Progress, Projection, Reached, Reaction, RunError, SkipError,
        cursor, prepare, retry_parked, retry_parked_reaction, run_projection, run_reaction,
    },
};
use sqlx::PgConnection;
use tokio::sync::{Barrier, watch};
use tokio_util::sync::CancellationToken;

use super::{card::Card, card::Command, context, id, log};

/// What reactions of these tests react to.
pub(crate) const NOTES: &[&str] = &["card.noted", "card.closed"];

/// How many events each stream had: wrong as soon as one is applied twice or not at all.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) mended: AtomicBool,
    /// The next batch fails after it was written.
    fails: AtomicBool,
}

impl Projection for Tally {
    const NAME: &'static str = "tally";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists streams (stream text primary key, events bigint not null);
        create index if not exists streams_by_events on streams (events);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for event in events {
            if !self.mended.load(Ordering::Relaxed) && is_bad(event) {
                return Err(ApplyError::Poison("a bad note".to_owned()));
            }
            sqlx::query(
                "insert into streams values ($1, 1)
                 on conflict (stream) do update set events = streams.events + 1",
            )
            .bind(event.stream.to_string())
            .execute(&mut *tx)
            .await?;
        }
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(ApplyError::Transient("not now".to_owned()));
        }
        Ok(())
    }
}

fn is_bad(event: &Recorded) -> bool {
    event.payload.windows(3).any(|text| text == b"bad")
}

pub(crate) async fn note(log: &Log, card: &str, text: &str) -> i64 {
    let request = context(&format!("{card} {text}"));
    let noted = log.execute::<Card>(&request, id(card), Command::Note(text.to_owned()));
    noted.await.unwrap().position
}

pub(crate) async fn counts(log: &Log) -> Vec<i64> {
    sqlx::query_scalar("select events from tally.streams order by events")
        .fetch_all(log.pool())
        .await
        .unwrap()
}

pub(crate) async fn parked(log: &Log, view: &str) -> Vec<i64> {
    sqlx::query_scalar("select position from views.parked where name = $1 order by position")
        .bind(view)
        .fetch_all(log.pool())
        .await
        .unwrap()
}

/// Runs the view until it has reached `position`.
pub(crate) async fn run(log: &Log, view: &Arc<Tally>, position: i64) -> Result<Reached, RunError> {
    let progress = watch::Sender::new(Reached::default());
    let mut reached = progress.subscribe();
    let cancel = CancellationToken::new();
    let running = run_projection(
        log.pool().clone(),
        Arc::clone(view),
        OwnLog::of::<Tally>(log.clone(), None),
        progress,
        cancel.clone(),
    );
    let waiting = async {
        let reached = reached.wait_for(|reached| reached.position >= position);
        let reached = reached.await.map(|reached| *reached).unwrap_or_default();
        cancel.cancel();
        reached
    };
    let (ended, reached) = tokio::join!(running, waiting);
    ended.map(|()| reached)
}

#[tokio::test]
async fn every_event_has_its_effect_once() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    prepare::<Tally>(log.pool()).await.unwrap();
    let view = Arc::new(Tally::default());
    for text in ["one", "two", "three"] {
        note(&log, "1", text).await;
    }
    let head = note(&log, "2", "one").await;
    view.fails.store(true, Ordering::Relaxed);
    run(&log, &view, head).await.unwrap();
    assert_eq!(counts(&log).await, [1, 3]);

    let head = note(&log, "2", "two").await;
    let reached = run(&log, &view, head).await.unwrap();
    assert_eq!(counts(&log).await, [2, 3]);
    assert_eq!((reached.position, reached.lag()), (head, 0));
}

#[tokio::test]
async fn two_replicas_apply_everything_once() {
    let (_database, log) = log().await;
    tokio::try_join!(prepare::<Tally>(log.pool()), prepare::<Tally>(log.pool())).unwrap();
    let view = Arc::new(Tally::default());
    let writing = async {
        for nth in 0..60 {
            note(&log, &(nth % 3).to_string(), &nth.to_string()).await;
        }
    };
    let (one, other, ()) = tokio::join!(run(&log, &view, 60), run(&log, &view, 60), writing);
    assert_eq!((one.unwrap().position, other.unwrap().position), (60, 60));
    assert_eq!(counts(&log).await, [20, 20, 20]);
}

#[tokio::test]
async fn a_bad_event_holds_up_its_own_stream_until_it_is_mended() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let view = Arc::new(Tally::default());
    for (card, text) in [("1", "good"), ("1", "bad"), ("2", "good"), ("1", "later")] {
        note(&log, card, text).await;
    }
    let reached = run(&log, &view, 4).await.unwrap();
    assert_eq!(reached.parked, 1);
    assert_eq!(counts(&log).await, [1, 1]);
    assert_eq!(parked(&log, "tally").await, [2, 4]);

    // After a restart, too.
    note(&log, "1", "still later").await;
    run(&log, &view, 5).await.unwrap();
    assert_eq!(parked(&log, "tally").await, [2, 4, 5]);

    let read = async |position: i64| Ok(log.read(position - 1, 1).await?.remove(0));
    let read = |position| Box::pin(read(position));
    assert_eq!(
        retry_parked(log.pool(), "tally", view.as_ref(), "accounts", read).await,
        Ok(0)
    );
    view.mended.store(true, Ordering::Relaxed);
    assert_eq!(
        retry_parked(log.pool(), "tally", view.as_ref(), "accounts", read).await,
        Ok(3)
    );
    note(&log, "1", "last").await;
    assert_eq!(run(&log, &view, 6).await.unwrap().parked, 0);
    assert_eq!(counts(&log).await, [1, 5]);
}

#[tokio::test]
async fn a_bad_event_can_be_given_up() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let view = Arc::new(Tally::default());
    for text in ["bad", "good", "worse but not bad", "good again"] {
        note(&log, "1", text).await;
    }
    // The runner goes on while somebody skips, and learns of it.
    let running = run(&log, &view, 6);
    let skipping = async {
        let skip = async |position| {
            Parked::skip(log.pool(), "tally", "accounts", position, "admin", "no use").await
        };
        while parked(&log, "tally").await.len() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(skip(3).await, Err(SkipError::NotFirst(1))));
        assert!(matches!(skip(7).await, Err(SkipError::NotParked)));
        skip(1).await.unwrap();
        skip(2).await.unwrap();
        skip(3).await.unwrap();
        skip(4).await.unwrap();
        note(&log, "1", "fifth").await;
        note(&log, "1", "sixth").await;
    };
    let (reached, ()) = tokio::join!(running, skipping);
    assert_eq!(reached.unwrap().parked, 0);
    assert_eq!(counts(&log).await, [2]);
    let kept: Vec<(String, String)> =
        sqlx::query_as("select skipped_by, why from views.skipped order by position")
            .fetch_all(log.pool())
            .await
            .unwrap();
    assert_eq!(kept.len(), 4);
    assert_eq!(kept[0], ("admin".to_owned(), "no use".to_owned()));
}

#[tokio::test]
async fn a_lost_schema_is_filled_from_the_beginning() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let view = Arc::new(Tally::default());
    let head = note(&log, "1", "good").await;
    run(&log, &view, head).await.unwrap();
    // As after a restore of the log alone: of what was kept beside the view only cursors are there.
    sqlx::raw_sql(
        "drop schema tally cascade;
         insert into views.cursors (name, source, position)
         select name, 'accounts', 1
         from unnest(array['tally~former', 'tally~next', 'tally~next#1', 'tally-ho']) name",
    )
    .execute(log.pool())
    .await
    .unwrap();
    prepare::<Tally>(log.pool()).await.unwrap();
    run(&log, &view, head).await.unwrap();
    assert_eq!(counts(&log).await, [1]);
    let cursors: Vec<String> = sqlx::query_scalar("select name from views.cursors order by name")
        .fetch_all(log.pool())
        .await
        .unwrap();
    assert_eq!(cursors, ["tally", "tally-ho"]);
}

#[tokio::test]
async fn a_reader_waits_for_every_view_also_in_another_replica() {
    let (_database, log) = log().await;
    prepare::<Tally>(log.pool()).await.unwrap();
    let progress = Progress::default();
    // This replica's runner never gets there; the other one does.
    let here = progress.sender("tally", "accounts");
    let head = note(&log, "1", "good").await;
    let view = Arc::new(Tally::default());
    let (reached, ()) = tokio::join!(
        run(&log, &view, head),
        progress.wait(log.pool(), "accounts", head)
    );
    reached.unwrap();
    assert_eq!(here.borrow().position, 0);
    assert_eq!(counts(&log).await, [1]);
}

/// Counts what it has seen; cannot stand bad notes until it is mended, and is down at first.
#[derive(Default)]
struct Echo {
    seen: AtomicI64,
    up: AtomicBool,
    mended: AtomicBool,
}

impl Reaction for Echo {
    const NAME: &'static str = "echo";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = NOTES;

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if !self.mended.load(Ordering::Relaxed) && is_bad(event) {
            return Err(ApplyError::Poison("a bad note".to_owned()));
        }
        if event.position == 4 && !self.up.swap(true, Ordering::Relaxed) {
            return Err(ApplyError::Transient("down".to_owned()));
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn a_reaction_remembers_how_far_it_was() {
    let (_database, log) = log().await;
    for (card, text) in [
        ("1", "good"),
        ("1", "bad"),
        ("1", "later"),
        ("2", "good"),
        ("3", "good"),
    ] {
        note(&log, card, text).await;
    }
    let reaction = Arc::new(Echo::default());
    for head in [5, 6] {
        react(&log, &reaction, head).await;
        let stored = cursor(log.pool(), "echo", "accounts").await.unwrap();
        assert_eq!(stored.position, head);
        note(&log, "3", "later").await;
    }
    assert_eq!(reaction.seen.load(Ordering::Relaxed), 4);
    assert_eq!(parked(&log, "echo").await, [2, 3]);
}

#[tokio::test]
async fn what_is_not_reacted_to_waits_behind_its_stream_too() {
    let (_database, log) = log().await;
    let other = async |login| {
        let request = context(login);
        let given = log.execute::<Card>(&request, id("1"), Command::GiveLogin(login));
        given.await.unwrap().position
    };
    other("before").await;
    note(&log, "1", "bad").await;
    other("after").await;
    note(&log, "1", "later").await;
    other("last").await;
    let reaction = Arc::new(Echo::default());
    reaction.up.store(true, Ordering::Relaxed);
    react(&log, &reaction, 5).await;
    assert_eq!(parked(&log, "echo").await, [2, 3, 4, 5]);

    reaction.mended.store(true, Ordering::Relaxed);
    let read = async |position: i64| Ok(log.read(position - 1, 1).await?.remove(0));
    let read = |position| Box::pin(read(position));
    let retried = retry_parked_reaction(log.pool(), reaction.as_ref(), "accounts", read);
    assert_eq!(retried.await, Ok(4));
    assert_eq!(reaction.seen.load(Ordering::Relaxed), 2);
    assert!(parked(&log, "echo").await.is_empty());
}

#[tokio::test]
async fn a_reaction_whose_cursor_is_taken_away_begins_anew() {
    let (_database, log) = log().await;
    note(&log, "1", "good").await;
    note(&log, "2", "good").await;
    let reaction = Arc::new(Echo::default());
    reaction.up.store(true, Ordering::Relaxed);
    // The runner goes on meanwhile, and learns of it with the next event.
    let running = react(&log, &reaction, 3);
    let taking = async {
        let place = async || cursor(log.pool(), "echo", "accounts").await.unwrap();
        while place().await.position < 2 {
            tokio::task::yield_now().await;
        }
        sqlx::query("delete from views.cursors where name = 'echo'")
            .execute(log.pool())
            .await
            .unwrap();
        note(&log, "3", "good").await;
    };
    tokio::join!(running, taking);
    // Two, the third, and then all of them.
    assert_eq!(reaction.seen.load(Ordering::Relaxed), 6);
}

/// Runs the reaction until it has reached `position`.
async fn react(log: &Log, reaction: &Arc<Echo>, position: i64) {
    let progress = watch::Sender::new(Reached::default());
    let mut reached = progress.subscribe();
    let cancel = CancellationToken::new();
    let running = run_reaction(
        log.pool().clone(),
        1,
        Arc::clone(reaction),
        OwnLog::sealed(log.clone()),
        progress,
        cancel.clone(),
    );
    let waiting = async {
        let reached = reached.wait_for(|reached| reached.position >= position);
        reached.await.unwrap();
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running, waiting);
    ended.unwrap();
}

/// Goes on only in pairs, and remembers in what order.
struct Pairs {
    pair: Barrier,
    ended: Mutex<Vec<i64>>,
}

impl Reaction for Pairs {
    const NAME: &'static str = "pairs";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = NOTES;

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        self.pair.wait().await;
        self.ended.lock().unwrap().push(event.position);
        Ok(())
    }
}

#[tokio::test]
async fn events_of_different_streams_are_reacted_to_together() {
    let (_database, log) = log().await;
    for (card, text) in [("1", "good"), ("2", "good"), ("1", "later"), ("2", "later")] {
        note(&log, card, text).await;
    }
    let reaction = Arc::new(Pairs {
        pair: Barrier::new(2),
        ended: Mutex::default(),
    });
    let progress = watch::Sender::new(Reached::default());
    let mut reached = progress.subscribe();
    let cancel = CancellationToken::new();
    let running = run_reaction(
        log.pool().clone(),
        1,
        Arc::clone(&reaction),
        OwnLog::sealed(log.clone()),
        progress,
        cancel.clone(),
    );
    let waiting = async {
        let reached = reached.wait_for(|reached| reached.position >= 4);
        reached.await.unwrap();
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running, waiting);
    ended.unwrap();
    let mut ended = reaction.ended.lock().unwrap().clone();
    ended[..2].sort_unstable();
    ended[2..].sort_unstable();
    assert_eq!(ended, [1, 2, 3, 4]);
}
