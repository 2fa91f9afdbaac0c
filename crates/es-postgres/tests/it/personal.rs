use es::{Personal, Subject};
use es_postgres::{
    Census, Destroyed, ExecuteError, Log, LogError, MasterKey, MasterKeys, census, note, rewrap,
    settle,
};
use uuid::Uuid;

use crate::{
    assert_whole,
    card::{Card, Command, subject},
    context, id, log, now, open,
};

fn opening() -> Command {
    Command::Open {
        id: id("p"),
        name: "Ильин",
    }
}

async fn name(log: &es_postgres::Log) -> Option<Personal<String>> {
    log.load::<Card>(id("a")).await.unwrap().state.name
}

#[tokio::test]
async fn a_personal_field_is_sealed_in_the_table_and_open_to_a_load() {
    let (database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), opening())
        .await
        .unwrap();

    let payload: Vec<u8> = sqlx::query_scalar("select payload from log.events")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert!(payload.contains("$personal") && payload.contains("sealed"));
    assert!(!payload.contains("Ильин") && !payload.contains("clear"));

    let mut events = log.read(0, 10).await.unwrap();
    assert_eq!(events[0].payload, payload.as_bytes());
    log.open_personal(&mut events).await.unwrap();
    assert!(String::from_utf8_lossy(&events[0].payload).contains("Ильин"));

    // With a fresh cache of keys too.
    for log in [log.clone(), open(log.pool()).await] {
        assert_eq!(name(&log).await.unwrap().get().unwrap(), "Ильин");
    }
}

#[tokio::test]
async fn an_erased_person_cannot_be_read_or_written_again() {
    let (_database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), opening())
        .await
        .unwrap();
    let subject = subject(id("p"));
    let erase = async || {
        let erased = log.erase(std::slice::from_ref(&subject), now()).await;
        erased.unwrap()
    };
    let first = erase().await;
    assert_eq!(first, Destroyed { keys: 1, texts: 0 });
    assert_eq!(erase().await, first, "a second time changes nothing");

    for log in [log.clone(), open(log.pool()).await] {
        assert_eq!(
            name(&log).await,
            Some(Personal::Erased {
                subject: subject.clone()
            })
        );
        let command = Command::Rename {
            id: id("p"),
            name: "Ильин",
            note: "again",
        };
        let refused = log
            .execute::<Card>(&context("2"), id("a"), command.clone())
            .await;
        assert!(matches!(
            refused,
            Err(ExecuteError::Log(LogError::Erased { .. }))
        ));
        // Nobody else's command suffers.
        let results = log
            .execute_many::<Card>(vec![
                (context("3"), id("b"), command),
                (
                    context("4"),
                    id("c"),
                    Command::Open {
                        id: id("q"),
                        name: "Орлова",
                    },
                ),
            ])
            .await;
        assert!(results[0].is_err());
        assert!(results[1].is_ok());
    }
    assert_whole(&log, 2).await;
}

#[tokio::test]
async fn nobody_makes_a_key_for_somebody_erased_who_never_had_one() {
    let (_database, log) = log().await;
    let erased = log.erase(&[subject(id("p"))], now()).await.unwrap();
    assert_eq!(erased, Destroyed { keys: 0, texts: 0 });
    let refused = log.execute::<Card>(&context("1"), id("a"), opening()).await;
    assert!(matches!(
        refused,
        Err(ExecuteError::Log(LogError::Erased { .. }))
    ));
}

fn shared(people: &[&str]) -> Subject {
    let people = people.iter().map(|name| subject(id(name))).collect();
    Subject::of_text(id(&format!("{people:?}")), people, || subject(id("nobody")))
}

fn about(people: &[&str]) -> Command {
    Command::Remark(Personal::new(shared(people), "Ильин и Орлова".to_owned()))
}

async fn remark(log: &Log, card: &str) -> Option<String> {
    let state = log.load::<Card>(id(card)).await.unwrap().state;
    state.remark.unwrap().into_inner()
}

#[tokio::test]
async fn a_text_about_several_closes_with_any_of_them() {
    let (_database, log) = log().await;
    for (card, people) in [("a", &["p", "q"]), ("b", &["q", "r"]), ("c", &["r", "s"])] {
        log.execute::<Card>(&context(card), id(card), about(people))
            .await
            .unwrap();
    }
    let metadata = log.read(0, 1).await.unwrap().remove(0).metadata;
    let mut named = vec![subject(id("p")), subject(id("q")), shared(&["p", "q"])];
    named.sort();
    assert_eq!(metadata.subjects, named);
    for log in [log.clone(), open(log.pool()).await] {
        assert_eq!(remark(&log, "a").await.unwrap(), "Ильин и Орлова");
    }

    let erased = log.erase(&[subject(id("q"))], now()).await.unwrap();
    assert_eq!(erased, Destroyed { keys: 1, texts: 2 });
    for log in [log.clone(), open(log.pool()).await] {
        let read = [remark(&log, "a").await, remark(&log, "b").await];
        assert_eq!(read, [None, None]);
        assert!(remark(&log, "c").await.is_some());
        let refused = log
            .execute::<Card>(&context("4"), id("d"), about(&["q", "s"]))
            .await;
        assert!(matches!(
            refused,
            Err(ExecuteError::Log(LogError::Erased { .. }))
        ));
    }
    // What is erased is stored again as it is, for whoever passes it on.
    let erased = Personal::Erased {
        subject: shared(&["p", "q"]),
    };
    log.execute::<Card>(&context("5"), id("d"), Command::Remark(erased))
        .await
        .unwrap();
    assert_eq!(remark(&log, "d").await, None);
    assert_whole(&log, 4).await;
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let (database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), opening())
        .await
        .unwrap();
    let stranger = || {
        let key = MasterKey::new([8; 32]);
        Log::open(log.pool().clone(), "accounts", key)
    };
    let refused = stranger().await.err().unwrap();
    assert!(matches!(refused, LogError::ForeignMasterKey));

    // A log from before there were check values is told by what is sealed in it.
    sqlx::query("delete from log.master_keys")
        .execute(&database.pool)
        .await
        .unwrap();
    let refused = stranger().await.err().unwrap();
    assert!(matches!(refused, LogError::ForeignMasterKey));
    open(log.pool()).await;
    let noted: i64 = sqlx::query_scalar("select count(*) from log.master_keys")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(noted, 1);
}

/// Of two that come first, with different keys, one is told that it is wrong.
#[tokio::test]
async fn the_first_master_key_is_one() {
    let database = crate::database().await;
    let opened = futures::future::join_all((0..8).map(|n| {
        let key = MasterKey::new([n % 2; 32]);
        Log::open(database.pool.clone(), "accounts", key)
    }))
    .await;
    assert_eq!(opened.iter().filter(|log| log.is_ok()).count(), 4);
}

fn master(keys: &[u8]) -> MasterKeys {
    let keys: Vec<_> = keys.iter().map(|key| MasterKey::new([*key; 32])).collect();
    MasterKeys::new(&keys, MasterKey::new([7; 32]).names(), || None)
}

async fn log_with(log: &Log, keys: &[u8]) -> Log {
    Log::open(log.pool().clone(), "accounts", master(keys))
        .await
        .unwrap()
}

async fn name_of(log: &Log, card: Uuid) -> Option<String> {
    let state = log.load::<Card>(card).await.unwrap().state;
    state.name.unwrap().into_inner()
}

#[tokio::test]
async fn a_master_key_is_replaced_while_the_log_is_written() {
    let (_database, log) = log().await;
    let open_card = async |log: &Log, n: usize| {
        let card = id(&format!("card {n}"));
        let command = Command::Open {
            id: card,
            name: "Ильин",
        };
        let context = context(&format!("request {n}"));
        log.execute::<Card>(&context, card, command).await.unwrap();
        card
    };
    for n in 0..1_200 {
        open_card(&log, n).await;
    }
    log.execute::<Card>(&context("text"), id("text"), about(&["p", "q"]))
        .await
        .unwrap();
    let gone = open_card(&log, 1_200).await;
    log.erase(&[subject(gone)], now()).await.unwrap();

    // Interrupted after the first page, then carried on, with writers of both kinds at work.
    let both = log_with(&log, &[8, 7]).await;
    let keys = master(&[8, 7]);
    note(log.pool(), &keys).await.unwrap();
    let current = keys.current().unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        done = rewrap(log.pool(), &keys, |done| tell.send(done).unwrap()) => panic!("{done:?}"),
        _ = told.recv() => {}
    }
    let halfway = census(log.pool()).await.unwrap();
    assert!(halfway.left_of(current) > 0, "{halfway:?}");
    let needed = settle(log.pool(), &keys).await.unwrap_err();
    assert!(
        matches!(&needed, LogError::Sql(error) if error.to_string().contains("is still needed")),
        "{needed:?}"
    );
    // Opened before the key was distributed: no reason to give up what needs it.
    let late = log_with(&log, &[7]).await;
    open_card(&log, 1_201).await;
    let written_meanwhile = open_card(&both, 1_202).await;
    let left = halfway.left_of(current) as u64 + 1;
    assert_eq!(rewrap(log.pool(), &keys, |_| {}).await.unwrap(), left);

    let done = census(log.pool()).await.unwrap();
    let expected = Census {
        wrapped: [(Some(current), 1_204)].into(),
        texts: 1,
        destroyed: 1,
    };
    assert_eq!((&done, done.left_of(current)), (&expected, 0));
    assert_eq!(rewrap(log.pool(), &keys, |_| {}).await.unwrap(), 0);

    // The former key may go.
    let new = log_with(&log, &[8]).await;
    for n in [0, 600, 1_199, 1_201] {
        let card = id(&format!("card {n}"));
        assert_eq!(name_of(&new, card).await.unwrap(), "Ильин");
    }
    assert!(name_of(&new, written_meanwhile).await.is_some());
    assert_eq!(name_of(&new, gone).await, None);
    assert!(remark(&new, "text").await.is_some());
    assert_eq!(
        new.fingerprint("phone", "+7"),
        log.fingerprint("phone", "+7"),
        "names are known by the same after a rotation"
    );
    let error = late.load::<Card>(written_meanwhile).await.unwrap_err();
    assert!(matches!(error, LogError::MasterKeyAbsent { .. }));
    assert!(error.is_transient());

    // And from now on only the new one opens this log.
    settle(log.pool(), &keys).await.unwrap();
    settle(log.pool(), &master(&[8])).await.unwrap();
    log_with(&log, &[9, 8, 7]).await;
    let refused = Log::open(log.pool().clone(), "accounts", master(&[7])).await;
    assert!(matches!(refused.err(), Some(LogError::ForeignMasterKey)));
}
