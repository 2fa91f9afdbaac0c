use es::Personal;
use es_postgres::{ExecuteError, LogError};

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
    assert_eq!(
        log.erase(std::slice::from_ref(&subject), now())
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        log.erase(std::slice::from_ref(&subject), now())
            .await
            .unwrap(),
        0
    );

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
async fn another_master_key_opens_nothing() {
    let (database, log) = log().await;
    log.execute::<Card>(&context("1"), id("a"), opening())
        .await
        .unwrap();
    let stranger = || {
        let key = es_postgres::MasterKey::new([8; 32]);
        es_postgres::Log::open(log.pool().clone(), "accounts", key)
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
        let key = es_postgres::MasterKey::new([n % 2; 32]);
        es_postgres::Log::open(database.pool.clone(), "accounts", key)
    }))
    .await;
    assert_eq!(opened.iter().filter(|log| log.is_ok()).count(), 4);
}
