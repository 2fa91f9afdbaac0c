use std::collections::BTreeSet;

use anyhow::bail;
use api::{
    accounts::{
        DownloadDocumentRequest, GetOrderRequest, ImportPaymentsRequest, ImportShipmentsRequest,
        ListDocumentsRequest, ListOrdersRequest, PaymentRow, RecordPaymentRequest,
        RecordShipmentRequest, ReversePaymentRequest, ReverseShipmentRequest, ShipmentRow,
        UploadHeader,
    },
    common::{Money, RowResult},
};
use tests::{
    background::largest_page,
    documents::{download, upload},
    population::SPENT,
};
use tonic::Response;

use super::walk::{HIDDEN, OK, PASSED, Walk};

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "ListOrders" => list(walk).await?,
        "ImportShipments" => import_shipments(walk).await?,
        "ImportPayments" => import_payments(walk).await?,
        _ => {
            for order in 0..walk.world.orders.len() {
                one(walk, method, order).await?;
            }
        }
    }
    Ok(())
}

fn seen(walk: &Walk<'_>, order: usize) -> bool {
    walk.world.sees_account(walk.who, walk.world.orders[order])
}

/// Who sees a company sees its orders.
async fn one(walk: &mut Walk<'_>, method: &str, order: usize) -> anyhow::Result<()> {
    let (mut client, request_id) = (walk.client.orders(), SPENT.to_owned());
    let order_id = walk.world.order_ids[order].clone();
    let seen = seen(walk, order);
    let expected = if seen { PASSED } else { HIDDEN };
    let question = format!("{method} {order}");
    let reason = "ошибка".to_owned();
    match method {
        "GetOrder" => {
            let request = GetOrderRequest {
                order_id,
                ..GetOrderRequest::default()
            };
            let answer = client.get_order(request).await;
            walk.answer(question, if seen { OK } else { HIDDEN }, &answer);
        }
        "RecordShipment" => {
            let request = RecordShipmentRequest {
                request_id,
                order_id,
                quantity: "1 т".to_owned(),
                ..RecordShipmentRequest::default()
            };
            let answer = client.record_shipment(request).await;
            walk.answer(question, expected, &answer);
        }
        "RecordPayment" => {
            let request = RecordPaymentRequest {
                request_id,
                order_id,
                amount: Some(Money {
                    minor_units: 1,
                    currency: "RUB".to_owned(),
                }),
                ..RecordPaymentRequest::default()
            };
            let answer = client.record_payment(request).await;
            walk.answer(question, expected, &answer);
        }
        "ReverseShipment" => {
            let request = ReverseShipmentRequest {
                request_id,
                shipment_id: order_id.clone(),
                order_id,
                reason,
                ..ReverseShipmentRequest::default()
            };
            let answer = client.reverse_shipment(request).await;
            walk.answer(question, expected, &answer);
        }
        "ReversePayment" => {
            let request = ReversePaymentRequest {
                request_id,
                payment_id: order_id.clone(),
                order_id,
                reason,
                ..ReversePaymentRequest::default()
            };
            let answer = client.reverse_payment(request).await;
            walk.answer(question, expected, &answer);
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

/// Of everybody, and of each company.
async fn list(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = ListOrdersRequest {
        page: Some(largest_page()),
        ..ListOrdersRequest::default()
    };
    let answer = walk.client.orders().list_orders(request.clone()).await;
    walk.no_leak("ListOrders", &answer);
    let orders = 0..walk.world.orders.len();
    let expected: Vec<_> = orders
        .clone()
        .filter(|order| seen(walk, *order))
        .map(|order| walk.world.order_ids[order].clone())
        .collect();
    let listed = answer?.into_inner().orders.into_iter();
    let listed = listed.filter_map(|one| Some(one.order?.id));
    walk.same("ListOrders", expected, listed.collect::<BTreeSet<_>>());
    for account in 0..walk.world.accounts.len() {
        let request = ListOrdersRequest {
            account_id: walk.world.accounts[account].id.clone(),
            ..request.clone()
        };
        let answer = walk.client.orders().list_orders(request).await;
        let seen = walk.world.sees_account(walk.who, account);
        let question = format!("ListOrders {account}");
        walk.answer(&question, if seen { OK } else { HIDDEN }, &answer);
        if let Ok(answer) = answer {
            let world = walk.world;
            let expected = orders.clone().filter(|one| world.orders[*one] == account);
            let expected = expected.map(|one| world.order_ids[one].clone());
            let listed = answer.into_inner().orders.into_iter();
            walk.same(
                question,
                expected,
                listed.filter_map(|one| Some(one.order?.id)),
            );
        }
    }
    Ok(())
}

async fn import_shipments(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let rows = (0..walk.world.orders.len()).map(|order| ShipmentRow {
        row: order as i64,
        external_id: format!("v-new-{order}"),
        order: format!("v-o{order}"),
        shipped_at: "2026-03-09".to_owned(),
        quantity: "1 т".to_owned(),
        ..ShipmentRow::default()
    });
    let request = ImportShipmentsRequest {
        rows: rows.collect(),
        dry_run: true,
    };
    let answer = walk.client.orders().import_shipments(request).await?;
    for (order, result) in answer.into_inner().results.iter().enumerate() {
        let question = format!("ImportShipments of {order}");
        expect_known(walk, question, order, result);
    }
    Ok(())
}

async fn import_payments(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let rows = (0..walk.world.orders.len()).map(|order| PaymentRow {
        row: order as i64,
        external_id: format!("v-new-{order}"),
        order: format!("v-o{order}"),
        amount: "1.00".to_owned(),
        currency: "RUB".to_owned(),
        paid_at: "2026-03-09".to_owned(),
        ..PaymentRow::default()
    });
    let request = ImportPaymentsRequest {
        rows: rows.collect(),
        dry_run: true,
    };
    let answer = walk.client.orders().import_payments(request).await?;
    for (order, result) in answer.into_inner().results.iter().enumerate() {
        let question = format!("ImportPayments of {order}");
        expect_known(walk, question, order, result);
    }
    Ok(())
}

/// As a row that is taken, or as one that speaks of an order that is not known.
fn expect_known(walk: &mut Walk<'_>, question: String, order: usize, result: &RowResult) {
    let fields = result.violations.iter().map(|one| one.field.as_str());
    let expected = if seen(walk, order) { "" } else { "order" };
    walk.expect(question, expected, &fields.collect::<Vec<_>>().join(", "));
}

/// Who sees a company sees its documents.
pub(super) async fn documents(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    for account in 0..walk.world.accounts.len() {
        let asked = &walk.world.accounts[account];
        let seen = walk.world.sees_account(walk.who, account);
        let found = if seen { OK } else { HIDDEN };
        let question = format!("{method} {account}");
        match method {
            "UploadDocument" => {
                let header = UploadHeader {
                    request_id: SPENT.to_owned(),
                    account_id: asked.id.clone(),
                    kind: "other".to_owned(),
                    title: "письмо.txt".to_owned(),
                    ..UploadHeader::default()
                };
                let answer = upload(&walk.client, header, b"text").await;
                let expected = if seen { PASSED } else { HIDDEN };
                walk.answer(question, expected, &answer.map(Response::new));
            }
            "DownloadDocument" => {
                let request = DownloadDocumentRequest {
                    document_id: asked.document_id.clone(),
                    ..DownloadDocumentRequest::default()
                };
                let answer = download(&walk.client, request).await;
                let answer = answer.map(|(document, ..)| Response::new(document));
                walk.answer(question, found, &answer);
            }
            "ListDocuments" => {
                let request = ListDocumentsRequest {
                    account_id: asked.id.clone(),
                    ..ListDocumentsRequest::default()
                };
                let answer = walk.client.documents().list_documents(request).await;
                walk.answer(&question, found, &answer);
                if let Ok(answer) = answer {
                    let listed = answer.into_inner().documents.into_iter();
                    let expected = [asked.document_id.clone()];
                    walk.same(question, expected, listed.map(|one| one.id));
                }
            }
            _ => bail!("the oracle does not know {method}"),
        }
    }
    Ok(())
}
