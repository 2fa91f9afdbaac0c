use std::time::Duration;

use api::common::Position;
use kit::{AppError, Principal, StartError};
use serde_json::json;
use vocabulary::{AccountId, GroupId, Role, StaffId};

use crate::office::{Office, open_on_an_empty_database, record};

const HEAD: &str = "head";
const ANNA: &str = "anna";

#[tokio::test(flavor = "multi_thread")]
async fn what_accounts_recorded_a_moment_ago_is_known_to_contacts() {
    let office = Office::start().await;
    let group = GroupId::of_external("north");
    for (name, role) in [(HEAD, "head"), (ANNA, "manager")] {
        let hired = json!({"external_id": name, "role": role, "group_id": group,
                           "hired_on": "2026-01-12", "name": {"$personal": "staff:x"}});
        let id = StaffId::of_external(name);
        record(&office.accounts, ("staff", id.0, 0), "staff.hired", hired).await;
    }
    let formed = json!({"name": "North"});
    record(
        &office.accounts,
        ("group", group.0, 0),
        "group.formed",
        formed,
    )
    .await;
    let (head, anna) = (StaffId::of_external(HEAD), StaffId::of_external(ANNA));
    let appointed = json!({"head_id": head});
    let stream = ("group", group.0, 1);
    record(&office.accounts, stream, "group.head_appointed", appointed).await;
    let account = AccountId::of_external("mill");
    let registered = json!({"owner_id": anna, "type": "plant", "new_field": 1});
    let stream = ("account", account.0, 0);
    record(
        &office.accounts,
        stream,
        "account.prospect_registered",
        registered,
    )
    .await;

    // Through the bus or from accounts itself, whichever is faster: no waiting in between.
    let known = office
        .contacts
        .known_account(account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.owner_id, Some(anna));
    let nobody = StaffId::of_external("nobody");
    assert_eq!(office.contacts.known_staff(nobody).await.unwrap(), None);
    let unknown = AccountId::of_external("unknown");
    assert_eq!(office.contacts.known_account(unknown).await.unwrap(), None);

    let snapshot = office.contacts.directory.snapshot();
    let principal = Principal::Staff {
        id: head,
        role: Role::Head,
        group_id: None,
    };
    assert!(snapshot.own_scope(&principal).includes(anna));
    assert_eq!(snapshot.staff(anna).unwrap().external_id, ANNA);
    assert_eq!(
        snapshot.group_of(anna, "2026-01-12T00:00:00Z".parse().unwrap()),
        Some(group)
    );
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_and_where_a_group_goes_is_known_to_contacts() {
    let office = Office::start().await;
    let accounts = &office.accounts;
    let [sales, north] = ["sales", "north"].map(GroupId::of_external);
    let [head, anna] = [HEAD, ANNA].map(StaffId::of_external);
    for (id, external_id, role, group) in
        [(head, HEAD, "head", sales), (anna, ANNA, "manager", sales)]
    {
        let hired = json!({"external_id": external_id, "role": role, "group_id": group,
                           "hired_on": "2026-01-12", "name": {"$personal": "staff:x"}});
        record(accounts, ("staff", id.0, 0), "staff.hired", hired).await;
    }
    for (id, name) in [(sales, "Sales"), (north, "North")] {
        let formed = json!({"name": name});
        record(accounts, ("group", id.0, 0), "group.formed", formed).await;
    }
    let appointed = json!({"head_id": head});
    let stream = ("group", sales.0, 1);
    record(accounts, stream, "group.head_appointed", appointed).await;
    let left = json!({"reason": "left"});
    record(accounts, ("staff", anna.0, 1), "staff.dismissed", left).await;
    let back = json!({"role": "head", "group_id": north, "hired_on": "2026-03-02"});
    record(accounts, ("staff", anna.0, 2), "staff.rehired", back).await;

    office.contacts.catch_up().await.unwrap();
    let snapshot = office.contacts.directory.snapshot();
    let entry = snapshot.staff(anna).unwrap();
    assert!(!entry.dismissed);
    assert_eq!((entry.role, entry.group_id), (Role::Head, Some(north)));
    assert!(!snapshot.led_by(head).contains(&anna));

    let moved = json!({"parent_id": sales});
    record(accounts, ("group", north.0, 1), "group.moved", moved).await;
    let renamed = json!({"name": "Far North"});
    record(accounts, ("group", north.0, 2), "group.renamed", renamed).await;
    office.contacts.catch_up().await.unwrap();
    let snapshot = office.contacts.directory.snapshot();
    assert!(snapshot.led_by(head).contains(&anna));
    assert_eq!(snapshot.group(north).unwrap().name, "Far North");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_waits_for_what_it_has_written_and_not_for_ever() {
    let office = Office::start().await;
    let account = AccountId::of_external("mill");
    let anna = StaffId::of_external(ANNA);
    let registered = json!({"owner_id": anna});
    let stream = ("account", account.0, 0);
    let accounts = &office.accounts;
    record(accounts, stream, "account.prospect_registered", registered).await;
    let stream = ("account", account.0, 1);
    let position = record(accounts, stream, "account.returned_to_pool", json!({})).await;

    let at = |service: &str, position| Position {
        service: service.to_owned(),
        position,
    };
    let limit = Duration::from_secs(30);
    for service in [&office.accounts, &office.contacts] {
        service
            .views
            .reached(&[at("accounts", position)], limit)
            .await
            .unwrap();
        let entry = service.directory.account(account).await.unwrap().unwrap();
        assert_eq!(entry.owner_id, None);
    }
    let soon = Duration::from_millis(50);
    let beyond = office
        .contacts
        .views
        .reached(&[at("accounts", position + 1)], soon)
        .await;
    assert!(matches!(beyond, Err(AppError::ViewBehind)));
    let wrong = office
        .contacts
        .views
        .reached(&[at("sales", 1), at("accounts", -1)], soon)
        .await;
    assert!(matches!(wrong, Err(AppError::Invalid(faults)) if faults.len() == 2));

    let opened = office
        .contacts
        .opened_event("accounts", position)
        .await
        .unwrap();
    assert_eq!(opened.event_type, "account.returned_to_pool");
    assert_eq!(office.node.peers.head("accounts").await.unwrap(), position);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_start_on_a_database_that_is_not_migrated() {
    let refused = open_on_an_empty_database().await.err();
    assert!(matches!(
        refused,
        Some(StartError::NotMigrated { service: "accounts", version }) if version == "0001 expand log"
    ));
}
