use async_nats::jetstream::message::PublishMessage;
use bus::Foreign;
use es::Recorded;
use es_postgres::projection::Source;

use crate::world::World;

/// Reads on to `position` in pages, as a runner would.
async fn follow(foreign: &mut Foreign, events: &mut Vec<Recorded>, position: i64) {
    loop {
        let after = events.last().map_or(0, |event: &Recorded| event.position);
        if after >= position {
            return;
        }
        let batch = foreign.next(after, 7).await.expect("the owner answers");
        assert!(batch.head >= batch.events.last().expect("never empty").position);
        events.extend(batch.events);
        foreign
            .done(events.last().expect("never empty").position)
            .await;
    }
}

fn foreign(world: &World) -> Foreign {
    let jetstream = world.jetstream.clone();
    Foreign::new(jetstream, "accounts", "contacts", "timeline", world.fetch())
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
                let deleted = stream.delete_consumer("contacts--timeline").await;
                deleted.expect("it is there");
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
