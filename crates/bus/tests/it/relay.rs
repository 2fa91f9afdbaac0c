use crate::world::World;

#[tokio::test]
async fn the_stream_holds_the_log_in_order_over_restarts_of_the_relay() {
    let world = World::new().await;
    let head = world.append(600).await;
    world
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;
    let head = world.append(3).await;
    world
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;
    assert_eq!(world.published().await, world.events().await);
}

#[tokio::test]
async fn a_wiped_nats_is_filled_again() {
    let mut world = World::new().await;
    let head = world.append(20).await;
    let log = world.log.clone();
    world
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;
    world.nats.wipe().await.expect("NATS runs");
    assert!(world.jetstream.get_stream("accounts").await.is_err());

    // While the relay runs, too: it must notice by itself.
    world
        .relayed(async |mut relayed| {
            relayed.up_to(head).await;
            let stream = world.jetstream.delete_stream("accounts").await;
            stream.expect("NATS is up");
            let head = world.append(1).await;
            relayed.up_to(head).await;
        })
        .await;
    assert_eq!(world.published().await, log.read(0, 100).await.expect("up"));
}

#[tokio::test]
async fn what_others_do_to_the_stream_is_put_right() {
    let world = World::new().await;
    let head = world.append(5).await;
    world
        .relayed(async |mut relayed| {
            relayed.up_to(head).await;
            // The server still knows the ids of the messages that are gone.
            world.stream().await.purge().await.expect("NATS is up");
            relayed.up_to(0).await;
            relayed.up_to(head).await;
            assert_eq!(world.published().await, world.events().await);

            let stranger = world.jetstream.publish("kontakty.accounts.x", "?".into());
            let ack = stranger.await.expect("NATS is up").await;
            ack.expect("the subject is the stream's");
            let head = world.append(2).await;
            relayed.up_to(head).await;
        })
        .await;
    assert_eq!(world.published().await, world.events().await);
}

#[tokio::test]
async fn a_message_taken_out_of_the_middle_is_no_reason_to_begin_anew() {
    let world = World::new().await;
    let head = world.append(5).await;
    world
        .relayed(async |mut relayed| {
            relayed.up_to(head).await;
            let stream = world.stream().await;
            stream.delete_message(3).await.expect("it is there");
        })
        .await;
    let head = world.append(2).await;
    world
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;
    let mut events = world.events().await;
    events.remove(2);
    assert_eq!(world.published().await, events);
    let state = world.stream().await.get_info().await.expect("up").state;
    assert_eq!((state.first_sequence, state.last_sequence), (1, 7));
}

#[tokio::test]
async fn a_log_restored_from_a_backup_replaces_what_the_stream_had() {
    let world = World::new().await;
    let head = world.append(5).await;
    world
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;

    let mut restored = World::new().await;
    restored.jetstream = world.jetstream.clone();
    let head = restored.append(3).await;
    restored
        .relayed(async |mut relayed| relayed.up_to(head).await)
        .await;
    assert_eq!(restored.published().await, restored.events().await);
}

#[tokio::test]
async fn two_relays_publish_everything_once() {
    let world = World::new().await;
    let head = world.append(50).await;
    world
        .relayed(async |mut one| {
            let head = world
                .relayed(async |mut other| {
                    let first = async {
                        tokio::select! {
                            () = one.up_to(head) => {}
                            () = other.up_to(head) => {}
                        }
                    };
                    first.await;
                    world.append(50).await
                })
                .await;
            // The other has ended, whether it led or not.
            one.up_to(head).await;
        })
        .await;
    assert_eq!(world.published().await, world.events().await);
}
