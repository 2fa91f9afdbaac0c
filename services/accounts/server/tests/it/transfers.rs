use accounts_domain::{
    group::{self, SalesGroup},
    transfer::{self, Command, Part, Started, Transfer},
};
use api::{
    accounts::{
        AssignOwnerRequest, ChangeRoleRequest, DismissStaffRequest, GetOwnershipHistoryRequest,
        GetTransferRequest, ListAccountsRequest, ReturnToPoolRequest, TransferAccountsRequest,
    },
    rights::Role,
};
use es::{Actor, Personal};
use es_postgres::{CommandContext, Log};
use tonic::Code;
use vocabulary::{AccountId, StaffId, TransferId};

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
    assert_eq!(reasons(answer), [in_pool, not_found(unknown)]);

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

impl Office {
    fn log(&self) -> Log {
        self.node.logs().remove("accounts").unwrap()
    }

    fn handing_over(&self, id: TransferId) -> CommandContext {
        CommandContext {
            request_id: Some(id.0),
            digest: None,
            actor: Actor::Staff(StaffId::of_external("s-02").0),
            on_behalf_of: None,
            actor_group_id: None,
            correlation_id: id.0,
            causation_id: None,
            traceparent: None,
            now: self.node.clock.now(),
            expected_version: None,
        }
    }

    /// As if it was planned before what has happened since.
    async fn planned(&self, id: TransferId, gifts: &[(AccountId, &str)]) {
        let parts = gifts.iter().map(|(account_id, to)| Part {
            from_owner_id: StaffId::of_external("s-11"),
            to_owner_id: StaffId::of_external(to),
            account_ids: vec![*account_id],
        });
        let parts: Vec<_> = parts.collect();
        let plan = Started {
            from_owner_id: None,
            reason: Personal::new(transfer::subject(id, &parts), "увольнение".to_owned()),
            parts,
            kept: Vec::new(),
        };
        let context = CommandContext {
            request_id: None,
            ..self.handing_over(id)
        };
        let log = self.log();
        let started = log.execute::<Transfer>(&context, id.0, Command::Start(plan));
        started.await.unwrap();
    }
}

#[tokio::test]
async fn who_can_own_no_more_gets_nothing() {
    let office = Office::staffed().await;
    let stays = office.company("stays", "+79000000001", "s-11").await;
    let goes = office.company("goes", "+79000000002", "s-11").await;
    let operator = ChangeRoleRequest {
        staff_id: staff_id("s-12"),
        role: Role::Operator.into(),
        reason: "вводит карточки".to_owned(),
        ..Default::default()
    };
    office.staff("s-02").change_role(operator).await.unwrap();
    let id = TransferId::of_external("late");
    office.planned(id, &[(stays, "s-12"), (goes, "s-10")]).await;
    office.recorded("transfer.advanced", 1).await;

    let request = GetTransferRequest {
        transfer_id: id.to_string(),
        ..Default::default()
    };
    let answer = office.transfers("s-02").get_transfer(request).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.planned, answer.moved), (2, 1));
    let kept = answer.kept.into_iter();
    let kept: Vec<_> = kept
        .map(|kept| (kept.account_id, kept.violation.unwrap().reason))
        .collect();
    let expected = (stays.to_string(), "RECEIVER_CANNOT_OWN".to_owned());
    assert_eq!(kept, [expected]);
    let of = |owner| ListAccountsRequest {
        owner_id: staff_id(owner),
        ..Default::default()
    };
    assert_eq!(office.listed("s-02", of("s-11")).await, ["stays"]);
    assert_eq!(office.listed("s-02", of("s-10")).await, ["goes"]);
    assert!(office.listed("s-02", of("s-12")).await.is_empty());
}

#[tokio::test]
async fn nobody_leaves_to_whom_accounts_are_to_come() {
    let office = Office::staffed().await;
    let account = office.company("acc", "+79000000001", "s-11").await;
    let id = TransferId::of_external("held up");
    // Its request is used for something else, so the hand-over gets no further.
    let context = office.handing_over(id).derive(&account.to_string());
    let form = group::Command::Form {
        name: "В".to_owned(),
        parent_id: None,
    };
    let log = office.log();
    let formed = log.execute::<SalesGroup>(&context, group::id_of("В").0, form);
    formed.await.unwrap();
    office.planned(id, &[(account, "s-12")]).await;

    let dismiss = |who| DismissStaffRequest {
        staff_id: staff_id(who),
        reason: "ушла сама".to_owned(),
        ..Default::default()
    };
    let mut staff = office.staff("s-02");
    let (code, reason, _) = refused(staff.dismiss_staff(dismiss("s-12")).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "STAFF_AWAITS_ACCOUNTS")
    );
    assert_eq!(office.events("transfer.advanced").await, 0);
    staff.dismiss_staff(dismiss("s-21")).await.unwrap();
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
