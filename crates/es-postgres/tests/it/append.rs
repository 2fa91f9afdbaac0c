use es_postgres::{AppendError, LogError};
use tokio::task::JoinSet;

use crate::{append, assert_whole, id, log, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_dense_under_64_appenders_with_conflicts() {
    let (_database, log) = log().await;
    let mut tasks = JoinSet::new();
    for writer in 0..64 {
        let log = log.clone();
        tasks.spawn(async move {
            let mut written = 0;
            for n in 0..20 {
                // Every second stream is everybody's: most of these must be refused.
                let stream = if n % 2 == 0 { "shared" } else { "own" };
                let stream = if n % 2 == 0 {
                    stream.to_owned()
                } else {
                    format!("{stream}{writer}/{n}")
                };
                let request = format!("{writer}/{n}");
                match log
                    .append(vec![append(&stream, 0, &request)])
                    .await
                    .remove(0)
                {
                    Ok(appended) => {
                        assert_eq!((appended.version, appended.repeated), (1, false));
                        written += 1;
                    }
                    Err(AppendError::Conflict { current }) => assert_eq!(current, 1),
                    Err(error) => panic!("{error:?}"),
                }
            }
            written
        });
    }
    let written: i64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(written, 64 * 10 + 1);
    assert_whole(&log, written).await;
    assert_eq!(*log.head().borrow(), written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_one_log() {
    let (_database, first) = log().await;
    let second = open(first.pool()).await;
    let mut tasks = JoinSet::new();
    for (replica, log) in [first.clone(), second.clone()].into_iter().enumerate() {
        for writer in 0..8 {
            let log = log.clone();
            tasks.spawn(async move {
                let mut version = 0;
                // Each stream is written through both replicas; the loser goes on from the winner.
                for n in 0..25 {
                    let stream = format!("stream{writer}");
                    let request = format!("{replica}/{writer}/{n}");
                    loop {
                        let appended = log.append(vec![append(&stream, version, &request)]).await;
                        match appended.into_iter().next().unwrap() {
                            Ok(appended) => {
                                version = appended.version;
                                break;
                            }
                            Err(AppendError::Conflict { current }) => version = current,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
        }
    }
    tasks.join_all().await;
    assert_whole(&first, 2 * 8 * 25).await;
    assert_eq!(first.refresh_head().await.unwrap(), 400);
}

#[tokio::test]
async fn a_bad_request_never_fails_its_neighbours() {
    let (_database, log) = log().await;
    let mut unprintable = append("bad", 0, "bad");
    unprintable.events[0].event_type = "card\0".to_owned();
    // Too long for an index: only PostgreSQL finds out.
    let mut impossible = append("long", 0, "long");
    impossible.stream.category = (0..500).map(|n| id(&n.to_string()).to_string()).collect();
    let mut empty = append("empty", 0, "empty");
    empty.events.clear();

    let answers = log
        .append(vec![
            append("a", 0, "1"),
            append("a", 5, "2"),
            append("b", 0, "3"),
            unprintable,
            impossible,
            empty,
            append("b", 1, "4"),
            append("c", 3, "5"),
        ])
        .await;
    assert_eq!(answers[0].as_ref().unwrap().position, 1);
    assert!(matches!(
        answers[1],
        Err(AppendError::Conflict { current: 1 })
    ));
    assert_eq!(answers[2].as_ref().unwrap().position, 2);
    assert!(matches!(
        answers[3],
        Err(AppendError::Log(LogError::Invalid(_)))
    ));
    assert!(matches!(answers[4], Err(AppendError::Log(_))));
    assert!(matches!(
        answers[5],
        Err(AppendError::Log(LogError::Invalid(_)))
    ));
    let last = answers[6].as_ref().unwrap();
    assert_eq!((last.version, last.position), (2, 3));
    assert!(matches!(
        answers[7],
        Err(AppendError::Conflict { current: 0 })
    ));
    assert_whole(&log, 3).await;
}

#[tokio::test]
async fn a_version_that_is_not_remembered_is_checked_in_the_database() {
    let (_database, log) = log().await;
    log.append(vec![append("a", 0, "1"), append("a", 1, "2")])
        .await;
    let fresh = open(log.pool()).await;
    // The first batch of an appender goes the slow way; from here on it knows the head.
    assert!(fresh.append(vec![append("b", 0, "3")]).await[0].is_ok());
    let answers = fresh
        .append(vec![append("a", 1, "4"), append("c", 0, "5")])
        .await;
    assert!(matches!(
        answers[0],
        Err(AppendError::Conflict { current: 2 })
    ));
    assert!(answers[1].is_ok());
    let answers = fresh
        .append(vec![append("a", 3, "6"), append("a", 2, "7")])
        .await;
    assert!(matches!(
        answers[0],
        Err(AppendError::Conflict { current: 2 })
    ));
    assert_eq!(answers[1].as_ref().unwrap().version, 3);
    assert_whole(&fresh, 5).await;
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer() {
    let (_database, log) = log().await;
    let first = log
        .append(vec![append("a", 0, "1")])
        .await
        .remove(0)
        .unwrap();
    let twice = log
        .append(vec![append("b", 0, "2"), append("b", 1, "2")])
        .await;
    assert!(twice[1].as_ref().unwrap().repeated);
    assert_eq!(twice[1].as_ref().unwrap().version, 1);

    for log in [log.clone(), open(log.pool()).await] {
        for round in 0..2 {
            let again = log
                .append(vec![append("a", round, "1"), append("x", 0, "3")])
                .await;
            let again = again[0].as_ref().unwrap();
            assert!(again.repeated);
            assert_eq!(
                (again.version, again.position),
                (first.version, first.position)
            );
            assert_eq!(again.stream.id, id("a"));
        }
    }
    assert_whole(&log, 3).await;
}

#[tokio::test]
async fn the_log_reads_back_in_order() {
    let (_database, log) = log().await;
    let mut head = log.head();
    log.append(
        (0..25)
            .map(|n| append(&format!("s{n}"), 0, &format!("r{n}")))
            .collect(),
    )
    .await;
    head.wait_for(|position| *position == 25).await.unwrap();
    let events = log.read(20, 3).await.unwrap();
    assert_eq!(
        events.iter().map(|e| e.position).collect::<Vec<_>>(),
        [21, 22, 23]
    );
    assert_eq!(events[0].stream.id, id("s20"));
    assert_eq!(events[0].request_id, Some(id("r20")));
    assert_eq!(events[0].occurred_at, crate::now());
    assert!(log.read(25, 10).await.unwrap().is_empty());
}
