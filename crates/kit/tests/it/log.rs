//! What readers of the log get is what was hashed.

use api::log::{
    GetHeadRequest, ReadEventsRequest, SubscribeEventsRequest, VerifyLogRequest,
    log_service_client::LogServiceClient,
};
use es::StreamId;
use es_postgres::MIGRATOR;
use kit::{Service, StartError};
use serde_json::json;
use testkit::log::{append, event};
use tests::chain::hash;
use uuid::Uuid;

use crate::office::{Office, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_outside_recomputes_the_chain() {
    let office = Office::start().await;
    let accounts = &office.accounts;
    let id = Uuid::from_u128(5);
    record(
        accounts,
        ("account", id, 0),
        "account.prospect_registered",
        json!({"owner_id": null}),
    )
    .await;
    // Of a newer version that knows more of a command, and spells it otherwise.
    let newer =
        format!(r#"{{ "correlation_id":"{id}", "device":"phone",  "actor":{{"kind":"system"}} }}"#);
    let stream = StreamId::new("account", id);
    let mut returned = event(accounts, stream, 2, "account.returned_to_pool", &json!({})).unwrap();
    returned.metadata = newer.clone().into();
    append(accounts, returned).await.unwrap();

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
