use std::{pin::pin, time::Duration};

use async_nats::jetstream::message::PublishMessage;
use bus::Foreign;
use es::Recorded;
use es_postgres::projection::{Cursor, Source, SourceError};
use tokio::{sync::watch, time::timeout};

use crate::world::World;

/// Reads on to `position` in pages, as a runner would.
async fn follow(foreign: &mut Foreign, events: &mut Vec<Recorded>, position: i64) {
    let mut after = Cursor::default();
    loop {
        after.position = events.last().map_or(0, |event: &Recorded| event.position);
        if after.position >= position {
            return;
        }
        let batch = foreign.next(&after, 7).await.expect("the owner answers");
        assert!(batch.head >= batch.events.last().expect("never empty").position);
        after.epoch = Some(batch.epoch);
        events.extend(batch.events);
    }
}

const CONSUMER: &str = "contacts--timeline--1";

fn foreign(world: &World) -> Foreign {
    named(world, CONSUMER, watch::channel(0).1)
}

fn named(world: &World, consumer: &str, awaited: watch::Receiver<i64>) -> Foreign {
    let (jetstream, fetch) = (world.jetstream.clone(), world.fetch());
    Foreign::new(jetstream, "accounts", consumer.to_owned(), fetch, awaited)
}

#[tokio::test]
async fn whatever_the_bus_delivers_the_log_comes_out() {
    let world = World::new().await;
    // The relay makes the stream; the messages are then ours.
    world
        .relayed(async |mut relayed| {
            let head = world.append(1).await;
            relayed.up_to(head).await;
        })
        .await;
    let head = world.append(40).await;
    let events = world.events().await;
    // Twice, in another order, not at all, and what is no event.
    for nth in [1, 2, 2, 0, 1, 5, 4, 39, 7, 6, 5, 12, 11, 10, 9, 30, 39] {
        let event: &Recorded = &events[nth];
        let headers = bus::to_headers("accounts", world.log.epoch(), event);
        let message = PublishMessage::build()
            .headers(headers)
            .payload(event.payload.clone().into());
        let subject = bus::subject("accounts", &event.event_type, event.schema_version);
        let ack = world.jetstream.send_publish(subject, message).await;
        ack.expect("NATS is up").await.expect("stored");
        let garbage = world.jetstream.publish("kontakty.accounts.x", "?".into());
        garbage.await.expect("NATS is up").await.expect("stored");
    }
    let mut read = Vec::new();
    follow(&mut foreign(&world), &mut read, head).await;
    assert_eq!(read, events);
}

#[tokio::test]
async fn a_reader_goes_on_from_its_own_cursor_whatever_the_consumer_knows() {
    let world = World::new().await;
    world
        .relayed(async |mut relayed| {
            let head = world.append(30).await;
            relayed.up_to(head).await;
            let mut read = Vec::new();
            follow(&mut foreign(&world), &mut read, 20).await;

            // The effect of the last ones was not committed after all.
            read.truncate(12);
            let mut again = foreign(&world);
            follow(&mut again, &mut read, head).await;

            // An administrator deletes the consumer under a waiting reader.
            let head = head + 5;
            let waiting = follow(&mut again, &mut read, head);
            let deleting = async {
                let stream = world.stream().await;
                // One that has just begun to listen may not have made it yet.
                let _ = stream.delete_consumer(CONSUMER).await;
                world.append(5).await;
            };
            tokio::join!(waiting, deleting);
            assert_eq!(read, world.events().await);
        })
        .await;
}

#[tokio::test]
async fn without_nats_it_only_takes_longer() {
    let mut world = World::new().await;
    let mut foreign = foreign(&world);
    let mut read = Vec::new();

    let head = world.append(3).await;
    follow(&mut foreign, &mut read, head).await; // no stream yet
    world
        .relayed(async |mut relayed| {
            let head = world.append(3).await;
            relayed.up_to(head).await;
            follow(&mut foreign, &mut read, head).await;
        })
        .await;
    world.nats.kill();
    let head = world.append(3).await;
    follow(&mut foreign, &mut read, head).await;

    world.nats.wipe().await.expect("NATS runs");
    world
        .relayed(async |mut relayed| {
            let head = world.append(3).await;
            relayed.up_to(head).await;
            follow(&mut foreign, &mut read, head).await;
        })
        .await;
    assert_eq!(read, world.events().await);
}

#[tokio::test]
async fn what_somebody_waits_for_is_read_from_the_owner_when_the_bus_is_silent() {
    let world = World::new().await;
    let head = world
        .relayed(async |mut relayed| {
            let head = world.append(5).await;
            relayed.up_to(head).await;
            head
        })
        .await;
    let (waits, awaited) = watch::channel(0);
    let mut reader = named(&world, CONSUMER, awaited);
    let mut read = Vec::new();
    follow(&mut reader, &mut read, head).await;
    let after = Cursor {
        epoch: Some(world.log.epoch()),
        position: head,
        hash: None,
    };
    let soon = Duration::from_secs(2);
    let mut next = pin!(reader.next(&after, 7));
    assert!(timeout(soon, &mut next).await.is_err(), "there is no more");
    // Nobody relays any more.
    let head = world.append(3).await;
    assert!(
        timeout(soon, &mut next).await.is_err(),
        "the bus is heard first"
    );
    waits.send_replace(head);
    let batch = timeout(soon, next)
        .await
        .expect("asked at once")
        .expect("the owner answers");
    assert_eq!(batch.events, world.events().await[5..]);
}

#[tokio::test]
async fn two_replicas_hear_everything_each() {
    let world = World::new().await;
    world
        .relayed(async |mut relayed| {
            let head = world.append(10).await;
            relayed.up_to(head).await;
            let mut other = named(&world, "contacts--timeline--2", watch::channel(0).1);
            let mut one = foreign(&world);
            let (mut here, mut there) = (Vec::new(), Vec::new());
            let head = head + 20;
            let (_, (), ()) = tokio::join!(
                world.append(20),
                follow(&mut one, &mut here, head),
                follow(&mut other, &mut there, head)
            );
            assert_eq!(here, world.events().await);
            assert_eq!(there, here);
        })
        .await;
}

#[tokio::test]
async fn a_reader_learns_of_another_life_of_the_log() {
    let world = World::new().await;
    world
        .relayed(async |mut relayed| {
            let head = world.append(5).await;
            relayed.up_to(head).await;
            let mut reader = foreign(&world);
            let mut read = Vec::new();
            follow(&mut reader, &mut read, head).await;

            let after = Cursor {
                epoch: Some(world.log.epoch()),
                position: head,
                hash: None,
            };
            let waiting = reader.next(&after, 7);
            let restoring = async {
                world.restore(2).await;
                relayed.up_to(2).await;
                world.append(1).await
            };
            let (told, head) = tokio::join!(waiting, restoring);
            let Err(SourceError::OtherLife(lives)) = told else {
                panic!("{told:?}");
            };
            assert_eq!(lives.len(), 2);
            assert_eq!(
                (lives[0].epoch, lives[1].first_position),
                (after.epoch.unwrap(), 3)
            );
            relayed.up_to(head).await;
            assert_eq!(world.published().await, world.events().await);

            // A cursor that has gone over to it reads on.
            read.truncate(2);
            let mut after = Cursor {
                epoch: Some(lives[1].epoch),
                position: 2,
                hash: None,
            };
            let batch = reader.next(&after, 7).await.unwrap();
            assert_eq!(batch.events, world.events().await[2..]);
            // One of no life is stopped, not served.
            after.position = 99;
            let beyond = reader.next(&after, 7).await;
            assert!(
                matches!(beyond, Err(SourceError::Unavailable(_))),
                "{beyond:?}"
            );
        })
        .await;
}

#[tokio::test]
async fn what_is_too_large_for_the_bus_is_read_from_the_owner() {
    let world = World::new().await;
    world
        .relayed(async |mut relayed| {
            let head = world.append(2).await;
            let large = world.append_large(2 << 20).await;
            assert_eq!(large, head + 1);
            let head = world.append(2).await;
            relayed.up_to(head).await;
            let mut read = Vec::new();
            follow(&mut foreign(&world), &mut read, head).await;
            assert_eq!(read, world.events().await);
        })
        .await;
}
