use api::accounts::{
    ChangeAccountDetailsRequest, GetAccountRequest, GetOwnershipHistoryRequest,
    ListAccountsRequest, MoveToGroupRequest, RegisterProspectRequest,
};
use tonic::Code;
use vocabulary::AccountId;

use crate::office::{Office, card, refused, staff_id};

async fn count(office: &Office, who: &str) -> (usize, i64) {
    let request = ListAccountsRequest {
        count: true,
        ..Default::default()
    };
    let answer = office.accounts(who).list_accounts(request).await.unwrap();
    let answer = answer.into_inner();
    (answer.accounts.len(), answer.total)
}

#[tokio::test]
async fn three_levels_of_visibility() {
    let office = Office::staffed().await;
    let owners = [
        "s-11", "s-11", "s-11", "s-12", "s-12", "s-10", "s-21", "s-21", "s-21", "s-21",
    ];
    for (index, owner) in owners.iter().chain([&""; 5]).enumerate() {
        let phone = format!("+7900000{index:04}");
        office
            .company(&format!("acc-{index:02}"), &phone, owner)
            .await;
    }
    for (who, expected) in [
        ("s-11", 3),
        ("s-10", 6),
        ("s-20", 4),
        ("s-02", 15),
        ("s-30", 15),
    ] {
        assert_eq!(
            count(&office, who).await,
            (expected, expected as i64),
            "{who}"
        );
    }

    let get = |id: AccountId| GetAccountRequest {
        account_id: id.to_string(),
        ..Default::default()
    };
    let mut petrov = office.accounts("s-11");
    let foreign = petrov
        .get_account(get(AccountId::of_external("acc-06")))
        .await;
    let pooled = petrov
        .get_account(get(AccountId::of_external("acc-14")))
        .await;
    let unknown = petrov
        .get_account(get(AccountId::of_external("nothing")))
        .await;
    let history = GetOwnershipHistoryRequest {
        account_id: AccountId::of_external("acc-06").to_string(),
        ..Default::default()
    };
    assert_eq!(
        refused(petrov.get_ownership_history(history).await).0,
        Code::NotFound
    );
    let unknown = refused(unknown);
    assert_eq!(unknown.0, Code::NotFound);
    assert_eq!(refused(foreign), unknown);
    assert_eq!(refused(pooled), unknown);

    let moved = MoveToGroupRequest {
        staff_id: staff_id("s-12"),
        group_id: accounts_domain::group::id_of("Б").to_string(),
        ..Default::default()
    };
    let moved = office.staff("s-02").move_to_group(moved).await.unwrap();
    office
        .settle(moved.into_inner().recorded.unwrap().position)
        .await;
    assert_eq!(count(&office, "s-10").await.0, 4);
    assert_eq!(count(&office, "s-20").await.0, 6);
}

#[tokio::test]
async fn who_may_write_what() {
    let office = Office::staffed().await;
    let own = office.company("own", "+79000000001", "s-11").await;
    let foreign = office.company("foreign", "+79000000002", "s-21").await;
    let change = |id: AccountId, version| ChangeAccountDetailsRequest {
        account_id: id.to_string(),
        city: Some("Миасс".to_owned()),
        expected_version: version,
        ..Default::default()
    };
    let mut petrov = office.accounts("s-11");
    petrov.change_account_details(change(own, 1)).await.unwrap();
    let stale = refused(petrov.change_account_details(change(own, 1)).await);
    assert_eq!(
        (stale.0, stale.1.as_str()),
        (Code::Aborted, "STALE_VERSION")
    );
    let hidden = refused(petrov.change_account_details(change(foreign, 0)).await);
    assert_eq!(hidden.0, Code::NotFound);
    let mut operator = office.accounts("s-30");
    operator
        .change_account_details(change(foreign, 0))
        .await
        .unwrap();
    let analyst = refused(
        office
            .accounts("s-40")
            .change_account_details(change(own, 0))
            .await,
    );
    assert_eq!(analyst.0, Code::PermissionDenied);
    assert_eq!(office.events("account.details_changed").await, 2);

    let register = |owner: &str| RegisterProspectRequest {
        card: Some(card("Новая", "+79000000003")),
        owner_id: staff_id(owner),
        despite_duplicates: true,
        ..Default::default()
    };
    let reach = refused(petrov.register_prospect(register("s-12")).await);
    assert_eq!(
        (reach.0, reach.1.as_str()),
        (Code::PermissionDenied, "OWNER_OUT_OF_REACH")
    );
    let analyst = refused(operator.register_prospect(register("s-40")).await);
    assert_eq!(
        (analyst.0, analyst.2),
        (Code::InvalidArgument, vec!["owner_id".to_owned()])
    );
    petrov.register_prospect(register("s-11")).await.unwrap();
    operator.register_prospect(register("s-12")).await.unwrap();
}

#[tokio::test]
async fn a_prospect_needs_a_name_and_a_phone_or_an_email() {
    let office = Office::staffed().await;
    let mut petrov = office.accounts("s-11");
    let empty = RegisterProspectRequest::default();
    let (code, _, fields) = refused(petrov.register_prospect(empty).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(fields, ["card.name", "card.phones", "card.emails"]);

    let request = RegisterProspectRequest {
        request_id: "0190a0a0-0000-7000-8000-000000000001".to_owned(),
        card: Some(card("Вектор", "8 900 000-00-01")),
        ..Default::default()
    };
    let first = petrov
        .register_prospect(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = petrov
        .register_prospect(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first, again);
    assert_eq!(office.events("account.prospect_registered").await, 1);

    let get = GetAccountRequest {
        account_id: first.account_id,
        min_positions: first.recorded.unwrap().position.into_iter().collect(),
    };
    let account = petrov
        .get_account(get)
        .await
        .unwrap()
        .into_inner()
        .account
        .unwrap();
    assert_eq!(
        account.owner_id,
        staff_id("s-11"),
        "a manager's prospect is his own"
    );
    assert_eq!(account.card.unwrap().phones, ["+79000000001"]);

    let other = RegisterProspectRequest {
        card: Some(card("Другая", "8 900 000-00-02")),
        ..request
    };
    let reused = refused(petrov.register_prospect(other).await);
    assert_eq!(reused.1, "REQUEST_ID_REUSED");
}
