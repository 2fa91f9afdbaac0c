use api::accounts::{
    AssignOwnerRequest, DismissStaffRequest, GetOwnershipHistoryRequest, ListAccountsRequest,
    ReturnToPoolRequest, TransferAccountsRequest,
};
use tonic::Code;
use vocabulary::AccountId;

use crate::office::{Office, refused, staff_id};

fn hand_over(request: u8, to: &str) -> TransferAccountsRequest {
    TransferAccountsRequest {
        request_id: format!("0190a0a0-0000-7000-8000-0000000000{request:02}"),
        from_owner_id: staff_id("s-11"),
        to_owner_id: staff_id(to),
        reason: "увольнение".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_manager_leaves() {
    let office = Office::staffed().await;
    let mut accounts = Vec::new();
    for index in 0..12 {
        let phone = format!("+7900000{index:04}");
        accounts.push(
            office
                .company(&format!("acc-{index}"), &phone, "s-11")
                .await,
        );
    }
    let mut orlova = office.accounts("s-02");
    let dismiss = DismissStaffRequest {
        staff_id: staff_id("s-11"),
        reason: "ушёл сам".to_owned(),
        ..Default::default()
    };
    let early = office.staff("s-02").dismiss_staff(dismiss.clone()).await;
    let status = early.as_ref().unwrap_err().message().to_owned();
    assert!(status.contains("12"), "{status}");
    let (code, reason, _) = refused(early);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "STAFF_OWNS_ACCOUNTS")
    );

    let some = TransferAccountsRequest {
        account_ids: accounts[..8].iter().map(ToString::to_string).collect(),
        ..hand_over(1, "s-12")
    };
    let answer = orlova
        .transfer_accounts(some.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.transferred, answer.remaining), (8, 4));
    assert!(answer.failures.is_empty());
    let rest = orlova
        .transfer_accounts(hand_over(2, "s-10"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((rest.transferred, rest.remaining), (4, 0));
    assert_eq!(office.events("account.ownership_transferred").await, 12);

    for (request, moved) in [(some, 8), (hand_over(2, "s-10"), 4)] {
        let again = orlova
            .transfer_accounts(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!((again.transferred, again.remaining), (moved, 0));
    }
    let reused = refused(orlova.transfer_accounts(hand_over(2, "s-12")).await);
    assert_eq!(reused.1, "REQUEST_ID_REUSED");
    assert_eq!(office.events("account.ownership_transferred").await, 12);

    let all = ListAccountsRequest::default;
    assert_eq!(office.listed("s-11", all()).await.len(), 0);
    assert_eq!(office.listed("s-12", all()).await.len(), 8);
    let history = GetOwnershipHistoryRequest {
        account_id: accounts[0].to_string(),
        ..Default::default()
    };
    let history = orlova
        .get_ownership_history(history)
        .await
        .unwrap()
        .into_inner();
    let owners: Vec<_> = history
        .ownerships
        .iter()
        .map(|span| &span.owner_id)
        .collect();
    assert_eq!(owners, [&staff_id("s-11"), &staff_id("s-12")]);
    assert_eq!(history.ownerships[0].to, history.ownerships[1].from);
    assert_eq!(history.ownerships[1].to, None);

    office.staff("s-02").dismiss_staff(dismiss).await.unwrap();
    let to_nobody = refused(orlova.transfer_accounts(hand_over(3, "s-11")).await);
    assert_eq!(to_nobody.0, Code::InvalidArgument);
}

#[tokio::test]
async fn one_at_fault_does_not_stop_the_others() {
    let office = Office::staffed().await;
    let own = office.company("own", "+79000000001", "s-11").await;
    let pooled = office.company("pooled", "+79000000002", "").await;
    let foreign = office.company("foreign", "+79000000003", "s-21").await;
    let unknown = AccountId::of_external("unknown");
    let request = TransferAccountsRequest {
        account_ids: [own, pooled, foreign, unknown]
            .iter()
            .map(ToString::to_string)
            .collect(),
        from_owner_id: String::new(),
        ..hand_over(1, "s-12")
    };
    let reasons = |answer: api::accounts::TransferAccountsResponse| {
        let failures = answer.failures.into_iter();
        failures
            .map(|failure| (failure.account_id, failure.violation.unwrap().reason))
            .collect::<Vec<_>>()
    };
    let answer = office
        .accounts("s-10")
        .transfer_accounts(request.clone())
        .await
        .unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.transferred, 1);
    let not_found = |id: AccountId| (id.to_string(), "NOT_FOUND".to_owned());
    assert_eq!(reasons(answer), [pooled, foreign, unknown].map(not_found));

    let request = TransferAccountsRequest {
        request_id: String::new(),
        ..request
    };
    let answer = office
        .accounts("s-02")
        .transfer_accounts(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.transferred, 2, "one has the new owner already");
    let in_pool = (pooled.to_string(), "ACCOUNT_IN_POOL".to_owned());
    assert_eq!(reasons(answer), [not_found(unknown), in_pool]);

    let beyond = TransferAccountsRequest {
        account_ids: vec![own.to_string()],
        ..hand_over(2, "s-21")
    };
    let beyond = refused(office.accounts("s-10").transfer_accounts(beyond).await);
    assert_eq!(
        (beyond.0, beyond.1.as_str()),
        (Code::PermissionDenied, "OWNER_OUT_OF_REACH")
    );
}

#[tokio::test]
async fn out_of_the_pool_and_back() {
    let office = Office::staffed().await;
    let account = office.company("acc", "+79000000001", "").await;
    let assign = |owner| AssignOwnerRequest {
        account_id: account.to_string(),
        owner_id: staff_id(owner),
        ..Default::default()
    };
    let mut orlova = office.accounts("s-02");
    let hidden = refused(office.accounts("s-10").assign_owner(assign("s-11")).await);
    assert_eq!(hidden.0, Code::NotFound);
    orlova.assign_owner(assign("s-11")).await.unwrap();
    orlova.assign_owner(assign("s-11")).await.unwrap();
    let owned = refused(orlova.assign_owner(assign("s-12")).await);
    assert_eq!(
        (owned.0, owned.1.as_str()),
        (Code::FailedPrecondition, "ALREADY_OWNED")
    );
    assert_eq!(office.events("account.owner_assigned").await, 1);

    let back = ReturnToPoolRequest {
        account_id: account.to_string(),
        reason: "не дозвонились".to_owned(),
        ..Default::default()
    };
    let answer = office
        .accounts("s-10")
        .return_to_pool(back)
        .await
        .unwrap()
        .into_inner();
    office.settle(answer.recorded.unwrap().position).await;
    let in_pool = ListAccountsRequest {
        in_pool: true,
        ..Default::default()
    };
    assert_eq!(office.listed("s-02", in_pool.clone()).await, ["acc"]);
    assert!(office.listed("s-10", in_pool).await.is_empty());
}
