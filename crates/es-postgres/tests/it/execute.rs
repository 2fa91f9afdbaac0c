use es_postgres::ExecuteError;
use tokio::task::JoinSet;

use crate::{
    assert_whole,
    card::{Card, Command, Event},
    context, id, log, open,
};

fn note(text: &str) -> Command {
    Command::Note(text.to_owned())
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let (_database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), note("x"))
        .await
        .unwrap();
    let mut seen = context("2");
    seen.expected_version = Some(0);
    let refused = log
        .execute::<Card>(&seen, id("a"), note("y"))
        .await
        .unwrap_err();
    assert!(matches!(refused, ExecuteError::Stale { current: 1 }));
    seen.expected_version = Some(1);
    let outcome = log
        .execute::<Card>(&seen, id("a"), note("y"))
        .await
        .unwrap();
    assert_eq!((outcome.version, outcome.position), (2, 2));
    assert_eq!(outcome.state.notes, ["x", "y"]);
}

#[tokio::test]
async fn already_so_is_no_event_and_no_error() {
    let (_database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), note("x"))
        .await
        .unwrap();
    let outcome = log
        .execute::<Card>(&context("2"), id("a"), note("x"))
        .await
        .unwrap();
    assert_eq!(
        (outcome.version, outcome.position, outcome.repeated),
        (1, 1, false)
    );
    assert!(outcome.events.is_empty());
}

#[tokio::test]
async fn a_repeated_request_gives_the_first_outcome_also_after_a_restart() {
    let (_database, log) = log().await;
    let rename = Command::Rename {
        id: id("p"),
        name: "Ильин",
        note: "renamed",
    };
    let first = log
        .execute_new::<Card>(&context("1"), id("a"), rename.clone())
        .await
        .unwrap();
    assert_eq!((first.version, first.events.len()), (2, 2));
    log.execute::<Card>(&context("2"), id("a"), note("later"))
        .await
        .unwrap();

    for log in [log.clone(), open(log.pool()).await] {
        let again = log
            .execute::<Card>(&context("1"), id("a"), rename.clone())
            .await
            .unwrap();
        // A retry of a creation comes with another fresh id.
        let new = log
            .execute_new::<Card>(&context("1"), id("other"), rename.clone())
            .await
            .unwrap();
        for repeated in [again, new] {
            assert!(repeated.repeated);
            assert_eq!(repeated.id, id("a"));
            assert_eq!((repeated.version, repeated.position), (2, 2));
            assert_eq!(repeated.events, first.events);
            assert_eq!(repeated.state, first.state);
        }
        let mut other = context("1");
        other.digest = Some([2; 32]);
        let reused = log
            .execute::<Card>(&other, id("a"), rename.clone())
            .await
            .unwrap_err();
        assert!(matches!(reused, ExecuteError::RequestIdReused));
        let reused = log
            .execute_new::<Card>(&other, id("b"), rename.clone())
            .await
            .unwrap_err();
        assert!(matches!(reused, ExecuteError::RequestIdReused));
    }
    assert_whole(&log, 3).await;
}

#[tokio::test]
async fn a_derived_context_is_the_same_request_each_time() {
    let parent = context("1");
    assert_eq!(parent.derive("a").request_id, parent.derive("a").request_id);
    assert_ne!(parent.derive("a").request_id, parent.derive("b").request_id);
}

#[tokio::test]
async fn a_reserved_name_has_one_holder() {
    let (_database, log) = log().await;
    let give = || Command::GiveLogin("ilin");
    let run = |request: &'static str, stream: &'static str, command| {
        let log = log.clone();
        async move {
            log.execute::<Card>(&context(request), id(stream), command)
                .await
        }
    };
    run("1", "a", give()).await.unwrap();
    for request in ["2", "3"] {
        let taken = run(request, "b", give()).await.unwrap_err();
        assert!(matches!(taken, ExecuteError::Taken { ref kind, .. } if kind == "login"));
    }
    // Who has it may take it again.
    run("4", "a", give()).await.unwrap();
    run("5", "a", Command::WithdrawLogin).await.unwrap();
    run("6", "b", give()).await.unwrap();
    // Giving back what another stream holds by now changes nothing.
    run("7", "c", Command::WithdrawLogin).await.unwrap();
    let taken = run("8", "a", give()).await.unwrap_err();
    assert!(matches!(taken, ExecuteError::Taken { .. }));

    // In one batch: given back and taken, taken twice.
    let commands = vec![
        (context("9"), id("b"), Command::WithdrawLogin),
        (context("10"), id("d"), give()),
        (context("11"), id("e"), give()),
    ];
    let results = log.execute_many::<Card>(commands).await;
    assert!(results[0].is_ok() && results[1].is_ok());
    assert!(matches!(results[2], Err(ExecuteError::Taken { .. })));
    let names: i64 = sqlx::query_scalar("select count(*) from log.reservations")
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(names, 1);
}

#[tokio::test]
async fn names_are_given_back_together_and_asked_for() {
    let (_database, log) = log().await;
    let give = |login| Command::GiveLogin(login);
    let run = |request: &'static str, stream: &'static str, command| {
        let log = log.clone();
        async move {
            log.execute::<Card>(&context(request), id(stream), command)
                .await
        }
    };
    for (request, stream, login) in [
        ("1", "a", "ilin"),
        ("2", "a", "ilin2"),
        ("3", "b", "orlova"),
    ] {
        run(request, stream, give(login)).await.unwrap();
    }
    // Asking takes nothing, and one's own name is no obstacle.
    run("4", "c", Command::CloseFor("nobody")).await.unwrap();
    run("5", "d", give("nobody")).await.unwrap();
    run("6", "d", Command::CloseFor("nobody")).await.unwrap();
    let taken = run("7", "c", Command::CloseFor("ilin")).await.unwrap_err();
    let ExecuteError::Taken { kind, holder } = taken else {
        panic!("{taken:?}")
    };
    assert_eq!((kind.as_str(), holder.id), ("login", id("a")));

    // One batch: what is taken in it is given back in it, and asked for in it.
    let commands = vec![
        (context("8"), id("a"), give("ilin3")),
        (context("9"), id("a"), Command::WithdrawLogins),
        (context("10"), id("e"), give("ilin3")),
        (context("11"), id("f"), Command::CloseFor("ilin3")),
        (context("12"), id("f"), give("ilin2")),
    ];
    let results = log.execute_many::<Card>(commands).await;
    let refused: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, false, true, false]);
    run("13", "b", give("ilin")).await.unwrap();
    let names: i64 = sqlx::query_scalar("select count(*) from log.reservations")
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(names, 5, "orlova and ilin of b, nobody, ilin3, ilin2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_decided_again_on_the_newest_state() {
    let (_database, log) = log().await;
    let other = open(log.pool()).await;
    let mut tasks = JoinSet::new();
    for writer in 0..16 {
        let log = if writer % 2 == 0 {
            log.clone()
        } else {
            other.clone()
        };
        tasks.spawn(async move {
            for number in 0..3 {
                let text = format!("{writer}/{number}");
                let outcome = log
                    .execute::<Card>(&context(&text), id("a"), note(&text))
                    .await
                    .unwrap();
                assert_eq!(outcome.state.notes.last(), Some(&text));
                assert_eq!(outcome.version, outcome.state.notes.len() as i64);
            }
        });
    }
    tasks.join_all().await;
    assert_whole(&log, 48).await;
    let notes = log.load::<Card>(id("a")).await.unwrap().state.notes;
    assert_eq!(notes.len(), 48);
}

#[tokio::test]
async fn many_commands_see_each_other_in_order() {
    let (_database, log) = log().await;
    log.execute::<Card>(&context("0"), id("a"), Command::GiveLogin("taken"))
        .await
        .unwrap();
    let commands = vec![
        (context("1"), id("b"), note("x")),
        (context("2"), id("b"), note("x")),
        (context("3"), id("b"), note("y")),
        (context("1"), id("b"), note("x")),
        (context("4"), id("c"), Command::GiveLogin("taken")),
        // Decided on the login that was then refused: has to be decided again.
        (context("5"), id("c"), Command::WithdrawLogin),
        (context("0"), id("a"), Command::GiveLogin("taken")),
    ];
    let mut results = log.execute_many::<Card>(commands).await.into_iter();
    let mut next = || results.next().unwrap();
    assert_eq!(
        next().unwrap().events,
        [Event::Noted {
            text: "x".to_owned()
        }]
    );
    let nothing = next().unwrap();
    assert_eq!((nothing.version, nothing.events.len()), (1, 0));
    assert_eq!(next().unwrap().version, 2);
    let same = next().unwrap();
    assert_eq!((same.version, same.repeated), (1, true));
    assert!(matches!(next(), Err(ExecuteError::Taken { .. })));
    let nothing = next().unwrap();
    assert_eq!((nothing.version, nothing.events.len()), (0, 0));
    let repeated = next().unwrap();
    assert_eq!((repeated.position, repeated.repeated), (1, true));
    assert_whole(&log, 3).await;
}
