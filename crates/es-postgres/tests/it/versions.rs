//! Events stored by older and by newer versions of a program.

use es::CodecError;
use es_postgres::LogError;

use crate::{
    append, assert_whole,
    card::{Card, Command},
    context, id, log,
};

#[tokio::test]
async fn an_old_event_is_lifted_and_stays_as_it_was_stored() {
    let (_database, log) = log().await;
    let mut closed = append("a", 0, "1");
    closed.events[0].event_type = "card.closed".to_owned();
    closed.events[0].payload = b"{}".to_vec();
    log.append(vec![closed]).await.remove(0).unwrap();

    let loaded = log.load::<Card>(id("a")).await.unwrap();
    assert_eq!(loaded.state.closed.as_deref(), Some("not said"));
    let noted = Command::Note("later".to_owned());
    let outcome = log.execute::<Card>(&context("2"), id("a"), noted).await;
    assert_eq!(outcome.unwrap().state.closed.as_deref(), Some("not said"));

    let stored = log.read(0, 1).await.unwrap().remove(0);
    assert_eq!(
        (stored.schema_version, &stored.payload[..]),
        (1, &b"{}"[..])
    );
    assert_whole(&log, 2).await;
}

#[tokio::test]
async fn an_event_of_a_newer_program_is_refused_and_not_guessed() {
    let (_database, log) = log().await;
    let mut closed = append("a", 0, "1");
    closed.events[0].event_type = "card.closed".to_owned();
    closed.events[0].schema_version = 3;
    closed.events[0].payload = br#"{"reason":"moved","by":"x"}"#.to_vec();
    log.append(vec![closed]).await.remove(0).unwrap();

    let error = log.load::<Card>(id("a")).await.err().unwrap();
    let LogError::Codec(error) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(*error, CodecError::Version { version: 3, .. }),
        "{error}"
    );
}
