use api::{
    accounts::{
        CancelOrderRequest, GetAccountRequest, Lifecycle, ListAccountsRequest,
        RegisterOrderRequest, RegisterOrderResponse,
    },
    common::Money,
};
use futures::future::join_all;
use tonic::Code;
use vocabulary::AccountId;

use crate::office::{Office, refused, staff_id};

fn order(account: AccountId, external_id: &str) -> RegisterOrderRequest {
    RegisterOrderRequest {
        account_id: account.to_string(),
        external_id: external_id.to_owned(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..Default::default()
    }
}

async fn in_lifecycle(office: &Office, lifecycle: Lifecycle) -> usize {
    let request = ListAccountsRequest {
        lifecycle: lifecycle.into(),
        ..Default::default()
    };
    office.listed("s-02", request).await.len()
}

#[tokio::test]
async fn the_first_order_converts_and_a_cancellation_does_not_revert() {
    let office = Office::staffed().await;
    let account = office.company("acc-1001", "+79000000115", "s-12").await;
    office.company("acc-1002", "+79000000116", "s-12").await;
    let mut smirnova = office.accounts("s-12");
    let register = |response: tonic::Response<RegisterOrderResponse>| response.into_inner();

    let first = register(
        smirnova
            .register_order(order(account, "З-0001"))
            .await
            .unwrap(),
    );
    assert!(first.converted);
    let again = register(
        smirnova
            .register_order(order(account, "З-0001"))
            .await
            .unwrap(),
    );
    assert_eq!(
        (again.order_id, again.converted),
        (first.order_id.clone(), false)
    );
    let second = register(
        smirnova
            .register_order(order(account, "З-0002"))
            .await
            .unwrap(),
    );
    assert!(!second.converted);
    assert_eq!(office.events("account.order_registered").await, 2);
    assert_eq!(office.events("account.converted_to_client").await, 1);

    let cancel = CancelOrderRequest {
        account_id: account.to_string(),
        order_id: first.order_id,
        reason: "передумали".to_owned(),
        ..Default::default()
    };
    let cancelled = smirnova.cancel_order(cancel).await.unwrap().into_inner();
    let get = GetAccountRequest {
        account_id: account.to_string(),
        min_positions: cancelled.recorded.unwrap().position.into_iter().collect(),
    };
    let card = smirnova
        .get_account(get)
        .await
        .unwrap()
        .into_inner()
        .account
        .unwrap();
    assert_eq!(card.lifecycle(), Lifecycle::Client);
    let standing: Vec<_> = card
        .orders
        .iter()
        .filter(|order| !order.cancelled)
        .collect();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].owner_id, staff_id("s-12"));
    assert_eq!(in_lifecycle(&office, Lifecycle::Prospect).await, 1);
    assert_eq!(in_lifecycle(&office, Lifecycle::Client).await, 1);
}

#[tokio::test]
async fn two_first_orders_at_once_convert_once() {
    let office = Office::staffed().await;
    let account = office.company("acc-1001", "+79000000115", "s-12").await;
    let orders = (0..8).map(|number| {
        let mut smirnova = office.accounts("s-12");
        async move {
            let order = order(account, &format!("З-{number}"));
            smirnova
                .register_order(order)
                .await
                .unwrap()
                .into_inner()
                .converted
        }
    });
    let converted = join_all(orders).await;
    assert_eq!(converted.iter().filter(|converted| **converted).count(), 1);
    assert_eq!(office.events("account.order_registered").await, 8);
    assert_eq!(office.events("account.converted_to_client").await, 1);
}

#[tokio::test]
async fn orders_are_checked() {
    let office = Office::staffed().await;
    let account = office.company("acc-1001", "+79000000115", "s-12").await;
    let other = office.company("acc-1002", "+79000000116", "s-12").await;
    let mut smirnova = office.accounts("s-12");

    let faulty = RegisterOrderRequest {
        amount: Some(Money {
            minor_units: -1,
            currency: "RUB".to_owned(),
        }),
        ordered_at: Some(prost_types::Timestamp {
            seconds: 4_000_000_000,
            nanos: 0,
        }),
        ..order(account, "З-1")
    };
    let (code, _, fields) = refused(smirnova.register_order(faulty).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(fields, ["amount", "ordered_at"]);

    smirnova
        .register_order(order(account, "З-1"))
        .await
        .unwrap();
    let taken = refused(smirnova.register_order(order(other, "З-1")).await);
    assert_eq!(
        (taken.0, taken.1.as_str()),
        (Code::AlreadyExists, "ORDER_TAKEN")
    );
    let hidden = refused(
        office
            .accounts("s-21")
            .register_order(order(account, "З-2"))
            .await,
    );
    assert_eq!(hidden.0, Code::NotFound);
    let unknown = CancelOrderRequest {
        account_id: account.to_string(),
        order_id: other.to_string(),
        reason: "нет".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        refused(smirnova.cancel_order(unknown).await).0,
        Code::NotFound
    );
}
