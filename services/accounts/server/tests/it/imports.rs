use api::{
    accounts::{
        AccountRow, Card, GetAccountRequest, ImportAccountsRequest, ImportOrdersRequest,
        ImportPaymentsRequest, ImportStaffRequest, Lifecycle, OrderRow, PaymentRow,
    },
    common::{RowResult, row_result::Outcome},
};
use vocabulary::AccountId;

use crate::office::{Office, card, staff_id, staff_row};
use Outcome::{Created, Rejected, Repeated};

fn account(row: i64, external_id: &str, name: &str, phone: &str) -> AccountRow {
    AccountRow {
        row,
        external_id: external_id.to_owned(),
        card: Some(card(name, phone)),
        ..Default::default()
    }
}

fn order(row: i64, external_id: &str, account: &str, amount: &str) -> OrderRow {
    OrderRow {
        row,
        external_id: external_id.to_owned(),
        account: account.to_owned(),
        amount: amount.to_owned(),
        currency: "RUB".to_owned(),
        ordered_at: "2026-02-10".to_owned(),
        ..Default::default()
    }
}

/// Row, outcome and the columns at fault.
fn fates(results: &[RowResult]) -> Vec<(i64, Outcome, Vec<&str>)> {
    let fate = |result: &'_ RowResult| (result.row, result.outcome());
    results
        .iter()
        .map(|result| {
            let (row, outcome) = fate(result);
            let fields = result.violations.iter();
            (
                row,
                outcome,
                fields.map(|violation| &*violation.field).collect(),
            )
        })
        .collect()
}

async fn import(office: &Office, who: &str, request: ImportAccountsRequest) -> Vec<RowResult> {
    let answer = office.accounts(who).import_accounts(request).await.unwrap();
    answer.into_inner().results
}

fn directory() -> ImportAccountsRequest {
    ImportAccountsRequest {
        rows: vec![
            AccountRow {
                owner: "s-11".to_owned(),
                registered_at: "2025-06-16".to_owned(),
                ..account(1, "a-1", "Вектор", "8 900 000-00-01")
            },
            account(2, "a-2", "Ромашка", "8 900 000-00-02"),
            account(3, "a-1", "Вектор ещё раз", "8 900 000-00-09"),
            account(4, "a-4", "Известная", "8 (900) 000-07-77"),
            account(5, "a-5", "Снова Ромашка", "+79000000002"),
            account(6, "a-6", "", "нет"),
            AccountRow {
                owner: "s-99".to_owned(),
                registered_at: "2027-01-01".to_owned(),
                card: Some(Card {
                    name: "Без связи".to_owned(),
                    ..Default::default()
                }),
                ..account(7, "", "", "")
            },
        ],
        ..ImportAccountsRequest::default()
    }
}

#[tokio::test]
async fn every_row_of_a_directory_has_its_fate() {
    let office = Office::staffed().await;
    let known = office.company("known", "+79000000777", "s-21").await;
    let expected = |created: Outcome| {
        vec![
            (1, created, vec![]),
            (2, created, vec![]),
            (3, Outcome::Repeated, vec![]),
            (4, Outcome::Matched, vec![]),
            (5, Outcome::Repeated, vec![]),
            (6, Outcome::Rejected, vec!["phone", "name"]),
            (
                7,
                Outcome::Rejected,
                vec!["phone", "email", "owner", "registered_at"],
            ),
        ]
    };
    let dry = ImportAccountsRequest {
        dry_run: true,
        ..directory()
    };
    let planned = import(&office, "s-30", dry).await;
    assert_eq!(fates(&planned), expected(Outcome::Created));
    assert_eq!(office.events("account.prospect_registered").await, 1);

    let done = import(&office, "s-30", directory()).await;
    assert_eq!(done, planned);
    assert_eq!(done[3].id, known.to_string());
    assert_eq!(done[4].id, AccountId::of_external("a-2").to_string());
    assert_eq!(office.events("account.prospect_registered").await, 3);

    let again = import(&office, "s-30", directory()).await;
    assert_eq!(fates(&again), expected(Outcome::Repeated));
    assert_eq!(office.events("account.prospect_registered").await, 3);

    let get = GetAccountRequest {
        account_id: AccountId::of_external("a-1").to_string(),
        ..Default::default()
    };
    let vector = office
        .accounts("s-11")
        .get_account(get)
        .await
        .unwrap()
        .into_inner();
    let vector = vector.account.unwrap();
    assert_eq!(vector.owner_id, staff_id("s-11"));
    // Midnight in Moscow.
    assert_eq!(vector.registered_at.unwrap().seconds, 1_750_021_200);
}

#[tokio::test]
async fn a_manager_imports_own_companies() {
    let office = Office::staffed().await;
    office.company("known", "+79000000777", "s-21").await;
    let foreign = AccountRow {
        owner: "s-12".to_owned(),
        ..account(2, "a-2", "Чужая", "8 900 000-00-02")
    };
    let request = ImportAccountsRequest {
        rows: vec![
            account(1, "a-1", "Своя", "8 900 000-00-01"),
            foreign,
            account(3, "a-3", "Известная", "8 900 000-07-77"),
        ],
        ..ImportAccountsRequest::default()
    };
    let results = import(&office, "s-11", request).await;
    assert_eq!(
        fates(&results),
        [
            (1, Outcome::Created, vec![]),
            (2, Outcome::Rejected, vec!["owner"]),
            (3, Outcome::Matched, vec![]),
        ]
    );
    assert_eq!(results[2].id, "", "somebody else's company stays hidden");
    let own = api::accounts::ListAccountsRequest::default();
    let nothing = ImportAccountsRequest::default();
    let answer = office
        .accounts("s-11")
        .import_accounts(nothing)
        .await
        .unwrap();
    office.settle(answer.into_inner().position).await;
    assert_eq!(office.listed("s-11", own).await, ["Своя"]);
}

#[tokio::test]
async fn orders_of_a_file_convert_too() {
    let office = Office::staffed().await;
    office.company("acc-1", "+79000000001", "s-11").await;
    office.company("acc-2", "+79000000002", "s-21").await;
    let rows = || {
        vec![
            order(1, "o-1", "acc-1", "180 000,00"),
            order(2, "o-2", "acc-1", "7"),
            order(3, "o-1", "acc-1", "180000"),
            order(4, "o-4", "acc-2", "1"),
            OrderRow {
                currency: "rub".to_owned(),
                ordered_at: "завтра".to_owned(),
                owner: "s-12".to_owned(),
                ..order(5, "o-5", "acc-1", "много")
            },
            OrderRow {
                owner: "s-77".to_owned(),
                ..order(6, "", "acc-1", "1")
            },
            order(7, "o-5", "acc-1", "1"),
        ]
    };
    let import = async |who, dry_run| {
        let request = ImportOrdersRequest {
            rows: rows(),
            dry_run,
        };
        let answer = office.accounts(who).import_orders(request).await.unwrap();
        answer.into_inner().results
    };
    let planned = import("s-11", true).await;
    assert_eq!(office.events("account.order_registered").await, 0);
    let petrov = import("s-11", false).await;
    assert_eq!(petrov, planned);
    assert_eq!(
        fates(&petrov),
        [
            (1, Outcome::Created, vec![]),
            (2, Outcome::Created, vec![]),
            (3, Outcome::Repeated, vec![]),
            (4, Outcome::Rejected, vec!["account"]),
            (
                5,
                Outcome::Rejected,
                vec!["currency", "amount", "ordered_at", "owner"]
            ),
            (6, Outcome::Rejected, vec!["external_id", "owner"]),
            (7, Outcome::Created, vec![]),
        ]
    );
    let orlova = import("s-02", false).await;
    let outcomes: Vec<_> = orlova.iter().map(RowResult::outcome).collect();
    assert_eq!(
        outcomes,
        [
            Repeated, Repeated, Repeated, Created, Rejected, Rejected, Repeated
        ]
    );
    assert_eq!(office.events("account.order_registered").await, 4);
    assert_eq!(office.events("account.converted_to_client").await, 2);

    let get = GetAccountRequest {
        account_id: AccountId::of_external("acc-1").to_string(),
        ..Default::default()
    };
    let answer = office
        .accounts("s-11")
        .get_account(get)
        .await
        .unwrap()
        .into_inner();
    let card = answer.account.unwrap();
    assert_eq!(card.lifecycle(), Lifecycle::Client);
    let amounts = card
        .orders
        .iter()
        .map(|order| order.amount.as_ref().unwrap().minor_units);
    assert_eq!(amounts.sum::<i64>(), 18_000_800);
    assert!(
        card.orders
            .iter()
            .all(|order| order.owner_id == staff_id("s-11"))
    );
}

#[tokio::test]
async fn a_payment_behind_a_refused_one_of_the_same_id() {
    let office = Office::staffed().await;
    office.company("acc-1", "+79000000001", "s-11").await;
    let orders = ImportOrdersRequest {
        rows: vec![
            order(1, "o-1", "acc-1", "10"),
            order(2, "o-2", "acc-1", "20"),
        ],
        dry_run: false,
    };
    let mut petrov = office.accounts("s-11");
    petrov.import_orders(orders).await.unwrap();
    let row = |row, external_id: &str, order: &str, amount: &str| PaymentRow {
        row,
        external_id: external_id.to_owned(),
        order: order.to_owned(),
        amount: amount.to_owned(),
        paid_at: "2026-02-11".to_owned(),
        ..Default::default()
    };
    let import = async |dry_run| {
        let request = ImportPaymentsRequest {
            rows: vec![
                row(1, "p-1", "o-1", "10.01"),
                row(2, "p-1", "o-1", "10.00"),
                row(3, "p-1", "o-1", "10.00"),
                row(4, "p-2", "o-1", "1.00"),
                row(5, "p-2", "o-2", "1.00"),
                row(6, "p-1", "o-2", "1.00"),
            ],
            dry_run,
        };
        let answer = office.orders("s-11").import_payments(request).await;
        answer.unwrap().into_inner().results
    };
    let planned = import(true).await;
    assert_eq!(office.events("order.paid").await, 0);
    assert_eq!(
        fates(&planned),
        [
            (1, Outcome::Rejected, vec!["amount"]),
            (2, Outcome::Created, vec![]),
            (3, Outcome::Repeated, vec![]),
            (4, Outcome::Rejected, vec!["amount"]),
            (5, Outcome::Created, vec![]),
            (6, Outcome::Rejected, vec!["external_id"]),
        ]
    );
    assert_eq!(import(false).await, planned);
    assert_eq!(office.events("order.paid").await, 2);
    let again = import(false).await;
    let outcomes: Vec<_> = again.iter().map(RowResult::outcome).collect();
    assert_eq!(
        outcomes,
        [Rejected, Repeated, Repeated, Rejected, Repeated, Rejected]
    );
    assert_eq!(office.events("order.paid").await, 2);
}

#[tokio::test]
async fn a_staff_file_can_be_imported_again() {
    let office = Office::staffed().await;
    let row = |number, external_id, role, group, head| {
        staff_row(number, (external_id, "Новый Человек", role, group, head))
    };
    let request = || ImportStaffRequest {
        rows: vec![
            row(1, "n-1", "manager", "В", "n-2"),
            row(2, "n-2", "manager", "В", "n-2"),
            row(3, "n-1", "manager", "В", "n-2"),
            row(4, "n-4", "директор", "", "n-2"),
            row(5, "n-5", "manager", "Г", "n-4"),
            row(6, "n-6", "manager", "А", "s-12"),
        ],
        dry_run: false,
    };
    let mut admin = office.staff("s-02");
    let first = admin.import_staff(request()).await.unwrap().into_inner();
    assert_eq!(
        fates(&first.results),
        [
            (1, Outcome::Created, vec![]),
            (2, Outcome::Created, vec![]),
            (3, Outcome::Repeated, vec![]),
            (4, Outcome::Rejected, vec!["role", "head"]),
            (5, Outcome::Rejected, vec!["head"]),
            (6, Outcome::Rejected, vec!["head"]),
        ]
    );
    let count = async || {
        let formed = office.events("group.formed").await;
        let appointed = office.events("group.head_appointed").await;
        (formed, appointed, office.events("staff.role_changed").await)
    };
    assert_eq!(
        count().await,
        (3, 3, 1),
        "the head of a group becomes a head"
    );
    let again = admin.import_staff(request()).await.unwrap().into_inner();
    let outcomes: Vec<_> = again.results.iter().map(RowResult::outcome).collect();
    assert_eq!(
        outcomes,
        [Repeated, Repeated, Repeated, Rejected, Rejected, Rejected]
    );
    assert_eq!(count().await, (3, 3, 1));
}
