//! What readers of the log get is what was hashed.

use api::log::{
    Event, GetHeadRequest, ReadEventsRequest, SubscribeEventsRequest, VerifyLogRequest,
    log_service_client::LogServiceClient,
};
use es_postgres::MIGRATOR;
use kit::{Service, StartError};
use prost_types::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::office::{Office, record, record_raw};

/// As the contract describes it, knowing nothing of the crate that makes the chain.
fn hash(before: &[u8], event: &Event) -> Vec<u8> {
    let id = |text: &str| match text {
        "" => Vec::new(),
        id => Uuid::parse_str(id).unwrap().as_bytes().to_vec(),
    };
    let number = |number: i64| number.to_be_bytes().to_vec();
    let micros = |time: &Option<Timestamp>| {
        let time = time.unwrap();
        number(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    for field in [
        number(event.position),
        id(&event.event_id),
        event.stream.clone().into_bytes(),
        number(event.version),
        event.r#type.clone().into_bytes(),
        number(event.schema_version.into()),
        micros(&event.occurred_at),
        micros(&event.recorded_at),
        id(&event.request_id),
        event.metadata.clone(),
        event.payload.clone(),
    ] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(&field);
    }
    hasher.finalize().as_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_outside_recomputes_the_chain() {
    let office = Office::start().await;
    let log = &office.accounts.log;
    let id = Uuid::from_u128(5);
    record(
        log,
        ("account", id, 0),
        "account.prospect_registered",
        json!({"owner_id": null}),
    )
    .await;
    // Of a newer version that knows more of a command, and spells it otherwise.
    let newer =
        format!(r#"{{ "correlation_id":"{id}", "device":"phone",  "actor":{{"kind":"system"}} }}"#);
    let stream = ("account", id, 1);
    record_raw(
        log,
        stream,
        "account.returned_to_pool",
        json!({}),
        newer.clone().into(),
    )
    .await;

    let channel = office.node.peers.channel("accounts").unwrap();
    let mut reader = LogServiceClient::new(channel);
    let service = "accounts".to_owned();
    let request = ReadEventsRequest {
        service: service.clone(),
        ..ReadEventsRequest::default()
    };
    let read = reader
        .read_events(request)
        .await
        .unwrap()
        .into_inner()
        .events;
    let request = SubscribeEventsRequest {
        service: service.clone(),
        after_position: 0,
    };
    let mut parts = reader.subscribe_events(request).await.unwrap().into_inner();
    let subscribed = parts.message().await.unwrap().unwrap().events;
    assert_eq!(read, subscribed);
    assert_eq!(read[1].metadata, newer.as_bytes());

    let mut end = vec![0; 32];
    for event in &read {
        end = hash(&end, event);
        assert_eq!(event.hash, end, "position {}", event.position);
    }
    let request = GetHeadRequest {
        service: service.clone(),
    };
    assert_eq!(
        reader.get_head(request).await.unwrap().into_inner().hash,
        end
    );

    // And a service may not verify, nor take a log out.
    let request = VerifyLogRequest {
        service,
        after_position: 0,
    };
    assert!(reader.verify_log(request).await.is_err());
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_stops_the_start() {
    let office = Office::start().await;
    let stranger = office.with_another_master_key().await;
    let refused = Service::open(&stranger, "accounts", &MIGRATOR).await.err();
    let said = refused
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        matches!(
            refused,
            Some(StartError::ForeignMasterKey {
                service: "accounts",
                ..
            })
        ),
        "{said}"
    );
    assert!(said.contains("master.key is not the master key of the database of accounts"));
    office.stop().await;
}
