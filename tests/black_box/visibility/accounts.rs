use anyhow::bail;
use api::{
    accounts::{
        AccountRow, AssignOwnerRequest, CancelOrderRequest, Card, ChangeAccountDetailsRequest,
        ChangeAccountStatusRequest, GetAccountRequest, GetOwnershipHistoryRequest,
        GetStatusHistoryRequest, ImportAccountsRequest, ImportOrdersRequest, ListAccountsRequest,
        OrderRow, PreviewTransferRequest, RegisterOrderRequest, RegisterProspectRequest,
        ReturnToPoolRequest, TransferAccountsRequest,
    },
    common::{Money, RowResult, row_result::Outcome},
};
use tests::{
    background::{largest_page, request_id},
    population::{Role, SPENT},
};

use super::walk::{HIDDEN, OK, PASSED, Walk};

pub(super) const OUT_OF_REACH: &str = "OWNER_OUT_OF_REACH";

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "RegisterProspect" => register(walk).await,
        "AssignOwner"
        | "ChangeAccountDetails"
        | "ReturnToPool"
        | "RegisterOrder"
        | "CancelOrder"
        | "GetAccount"
        | "ChangeAccountStatus"
        | "GetStatusHistory"
        | "GetOwnershipHistory" => {
            for account in 0..walk.world.accounts.len() {
                let seen = walk.world.sees_account(walk.who, account);
                one(walk, method, account, seen).await;
            }
        }
        "TransferAccounts" => transfer(walk).await?,
        "PreviewTransfer" => preview(walk).await?,
        "ListAccounts" => list(walk).await?,
        "ImportAccounts" => import_accounts(walk).await?,
        "ImportOrders" => import_orders(walk).await?,
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

/// Those who could own accounts.
pub(super) fn sellers(walk: &Walk<'_>) -> Vec<usize> {
    let sells = |who: &usize| {
        let person = &walk.world.staff[*who];
        !person.dismissed && !matches!(person.role, Role::Operator | Role::Analyst)
    };
    (0..walk.world.staff.len()).filter(sells).collect()
}

async fn register(walk: &mut Walk<'_>) {
    for owner in sellers(walk) {
        let request = RegisterProspectRequest {
            request_id: SPENT.to_owned(),
            card: Some(Card {
                name: "Новая".to_owned(),
                phones: vec!["+79020000001".to_owned()],
                ..Card::default()
            }),
            owner_id: walk.world.staff[owner].id.clone(),
            ..RegisterProspectRequest::default()
        };
        let answer = walk.client.accounts().register_prospect(request).await;
        let may = walk.world.sees(walk.who, owner);
        let expected = if may { PASSED } else { OUT_OF_REACH };
        walk.answer(format!("RegisterProspect for {owner}"), expected, &answer);
    }
}

async fn one(walk: &mut Walk<'_>, method: &str, account: usize, seen: bool) {
    let (mut client, request_id) = (walk.client.accounts(), SPENT.to_owned());
    let account_id = walk.world.accounts[account].id.clone();
    let question = format!("{method} {account}");
    let passed = if seen { PASSED } else { HIDDEN };
    let found = if seen { OK } else { HIDDEN };
    match method {
        "AssignOwner" => {
            // To oneself, which is never out of reach.
            let owner_id = walk.world.staff[walk.who].id.clone();
            let request = AssignOwnerRequest {
                request_id,
                account_id,
                owner_id,
            };
            let answer = client.assign_owner(request).await;
            walk.answer(question, passed, &answer);
        }
        "ChangeAccountDetails" => {
            let request = ChangeAccountDetailsRequest {
                request_id,
                account_id,
                city: Some("Миасс".to_owned()),
                ..ChangeAccountDetailsRequest::default()
            };
            let answer = client.change_account_details(request).await;
            walk.answer(question, passed, &answer);
        }
        "ReturnToPool" => {
            let reason = "не звонить".to_owned();
            let request = ReturnToPoolRequest {
                request_id,
                account_id,
                reason,
            };
            let answer = client.return_to_pool(request).await;
            walk.answer(question, passed, &answer);
        }
        "RegisterOrder" => {
            let amount = Some(Money {
                minor_units: 1,
                currency: "RUB".to_owned(),
            });
            let request = RegisterOrderRequest {
                request_id,
                account_id,
                amount,
                ..RegisterOrderRequest::default()
            };
            let answer = client.register_order(request).await;
            walk.answer(question, passed, &answer);
        }
        "CancelOrder" => {
            let request = CancelOrderRequest {
                request_id,
                account_id: account_id.clone(),
                order_id: account_id,
                reason: "передумали".to_owned(),
            };
            let answer = client.cancel_order(request).await;
            walk.answer(question, passed, &answer);
        }
        "ChangeAccountStatus" => {
            let request = ChangeAccountStatusRequest {
                request_id,
                account_id,
                status: "contacted".to_owned(),
                ..ChangeAccountStatusRequest::default()
            };
            let answer = walk.client.cards().change_account_status(request).await;
            walk.answer(question, passed, &answer);
        }
        "GetStatusHistory" => {
            let request = GetStatusHistoryRequest {
                account_id,
                ..GetStatusHistoryRequest::default()
            };
            let answer = walk.client.cards().get_status_history(request).await;
            walk.answer(question, found, &answer);
        }
        "GetAccount" => {
            let request = GetAccountRequest {
                account_id,
                ..GetAccountRequest::default()
            };
            let answer = client.get_account(request).await;
            walk.answer(question, found, &answer);
        }
        _ => {
            let request = GetOwnershipHistoryRequest {
                account_id,
                ..GetOwnershipHistoryRequest::default()
            };
            let answer = client.get_ownership_history(request).await;
            walk.answer(question, found, &answer);
        }
    }
}

/// Whose it is already: nothing is moved.
async fn transfer(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let mut client = walk.client.accounts();
    let me = walk.world.staff[walk.who].id.clone();
    let request = |account_ids, from: &str, to: &str| TransferAccountsRequest {
        account_ids,
        from_owner_id: from.to_owned(),
        to_owner_id: to.to_owned(),
        reason: "проверка".to_owned(),
        ..TransferAccountsRequest::default()
    };
    for (number, account) in walk.world.accounts.iter().enumerate() {
        let seen = walk.world.sees_account(walk.who, number);
        let owner = account.owner.filter(|_| seen);
        let to = owner.map_or(&me, |owner| &walk.world.staff[owner].id);
        let answer = client
            .transfer_accounts(request(vec![account.id.clone()], "", to))
            .await?;
        let failures = answer.into_inner().failures;
        let said = failures
            .into_iter()
            .next()
            .and_then(|failure| failure.violation);
        let expected = match (seen, owner) {
            (false, _) => HIDDEN,
            (true, None) => "ACCOUNT_IN_POOL",
            (true, Some(_)) => OK,
        };
        let said = said.map_or_else(|| OK.to_owned(), |violation| violation.reason);
        walk.expect(format!("TransferAccounts {number}"), expected, &said);
    }
    for other in sellers(walk) {
        if !walk.world.sees(walk.who, other) {
            let (id, any) = (&walk.world.staff[other].id, vec![request_id()]);
            let from = client
                .transfer_accounts(request(any.clone(), id, &me))
                .await;
            walk.answer(
                format!("TransferAccounts from {other}"),
                OUT_OF_REACH,
                &from,
            );
            let to = client.transfer_accounts(request(any, "", id)).await;
            walk.answer(format!("TransferAccounts to {other}"), OUT_OF_REACH, &to);
        }
    }
    Ok(())
}

async fn preview(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let mut client = walk.client.accounts();
    for owner in sellers(walk) {
        let request = PreviewTransferRequest {
            from_owner_id: world.staff[owner].id.clone(),
            ..PreviewTransferRequest::default()
        };
        let answer = client.preview_transfer(request).await;
        let expected = if world.sees(who, owner) {
            OK
        } else {
            OUT_OF_REACH
        };
        walk.answer(format!("PreviewTransfer of {owner}"), expected, &answer);
        if let Ok(answer) = answer {
            let owned = world
                .accounts
                .iter()
                .filter(|account| account.owner == Some(owner));
            let (owned, said) = (owned.count(), answer.into_inner().accounts);
            let question = format!("PreviewTransfer counts {owner}");
            walk.expect(question, &owned.to_string(), &said.to_string());
        }
    }
    let request = PreviewTransferRequest {
        account_ids: world
            .accounts
            .iter()
            .map(|account| account.id.clone())
            .collect(),
        ..PreviewTransferRequest::default()
    };
    let said = client
        .preview_transfer(request)
        .await?
        .into_inner()
        .accounts;
    let counted = (0..world.accounts.len())
        .filter(|account| world.accounts[*account].owner.is_some())
        .filter(|account| world.sees_account(who, *account));
    walk.expect(
        "PreviewTransfer of all",
        &counted.count().to_string(),
        &said.to_string(),
    );
    Ok(())
}

async fn list(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let seen = |account: &usize| world.lists_account(who, *account);
    let everything = ListAccountsRequest {
        count: true,
        page: Some(largest_page()),
        ..ListAccountsRequest::default()
    };
    let mut questions = vec![("all".to_owned(), everything.clone(), None)];
    let in_pool = ListAccountsRequest {
        in_pool: true,
        ..everything.clone()
    };
    let of_owner = |owner: Option<usize>| -> Vec<usize> {
        let owned = |account: &usize| world.accounts[*account].owner == owner;
        (0..world.accounts.len()).filter(owned).collect()
    };
    questions.push(("in pool".to_owned(), in_pool, Some(of_owner(None))));
    for (owner, person) in world.staff.iter().enumerate() {
        let request = ListAccountsRequest {
            owner_id: person.id.clone(),
            ..everything.clone()
        };
        questions.push((format!("of {owner}"), request, Some(of_owner(Some(owner)))));
    }
    for (number, account) in world.accounts.iter().enumerate() {
        for query in [account.phone.clone(), format!("[a{number:03}]")] {
            let request = ListAccountsRequest {
                query: query.clone(),
                ..everything.clone()
            };
            questions.push((format!("like {query}"), request, Some(vec![number])));
        }
    }
    for (name, request, among) in questions {
        let answer = walk.client.accounts().list_accounts(request).await;
        let question = format!("ListAccounts {name}");
        walk.no_leak(&question, &answer);
        let answer = answer?.into_inner();
        let among = among.unwrap_or_else(|| (0..world.accounts.len()).collect());
        let expected: Vec<_> = among.into_iter().filter(seen).collect();
        walk.expect(
            format!("{question}: total"),
            &expected.len().to_string(),
            &answer.total.to_string(),
        );
        let expected = expected
            .into_iter()
            .map(|account| world.accounts[account].id.clone());
        walk.same(
            question,
            expected,
            answer.accounts.into_iter().map(|account| account.id),
        );
    }
    Ok(())
}

/// A row that means an account which is there already says which one only to those who see it.
async fn import_accounts(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let row = |number: usize, phone: &str, owner: &str| AccountRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        card: Some(Card {
            name: "Новая".to_owned(),
            phones: vec![phone.to_owned()],
            ..Card::default()
        }),
        owner: owner.to_owned(),
        ..AccountRow::default()
    };
    let known = world.accounts.iter().enumerate();
    let mut rows: Vec<_> = known
        .map(|(number, account)| row(number, &account.phone, ""))
        .collect();
    let sellers = sellers(walk);
    for owner in &sellers {
        let number = rows.len();
        let phone = format!("+7902000{number:04}");
        rows.push(row(number, &phone, &world.staff[*owner].external_id));
    }
    let request = ImportAccountsRequest {
        rows,
        dry_run: true,
        file: None,
    };
    let results = walk
        .client
        .accounts()
        .import_accounts(request)
        .await?
        .into_inner()
        .results;
    let (known, new) = results.split_at(world.accounts.len());
    for (number, result) in known.iter().enumerate() {
        let seen = world.sees_account(who, number);
        let id = if seen {
            world.accounts[number].id.as_str()
        } else {
            ""
        };
        let (expected, said) = (format!("matched {id}"), fate(result));
        walk.expect(format!("ImportAccounts like {number}"), &expected, &said);
    }
    for (owner, result) in sellers.iter().zip(new) {
        let may = world.sees(who, *owner);
        let (expected, said) = (if may { "created" } else { "rejected" }, fate(result));
        let said = said.split(' ').next().unwrap_or_default();
        walk.expect(format!("ImportAccounts for {owner}"), expected, said);
    }
    Ok(())
}

async fn import_orders(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let accounts = walk.world.accounts.iter().enumerate();
    let rows = accounts.map(|(number, account)| OrderRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        account: account.external_id.clone(),
        amount: "1.00".to_owned(),
        currency: "RUB".to_owned(),
        ordered_at: "2026-03-01".to_owned(),
        ..OrderRow::default()
    });
    let request = ImportOrdersRequest {
        rows: rows.collect(),
        dry_run: true,
    };
    let results = walk
        .client
        .accounts()
        .import_orders(request)
        .await?
        .into_inner()
        .results;
    for (number, result) in results.iter().enumerate() {
        let seen = walk.world.sees_account(walk.who, number);
        expect_row(walk, format!("ImportOrders of {number}"), seen, result);
    }
    Ok(())
}

/// As a row that is taken, or as one that speaks of what is not known.
pub(super) fn expect_row(walk: &mut Walk<'_>, question: String, taken: bool, result: &RowResult) {
    let said = if result.outcome() == Outcome::Rejected {
        let fields = result
            .violations
            .iter()
            .map(|violation| violation.field.as_str());
        format!("rejected {}", fields.collect::<Vec<_>>().join(", "))
    } else {
        OK.to_owned()
    };
    let expected = if taken { OK } else { "rejected account" };
    walk.expect(question, expected, &said);
}

fn fate(result: &RowResult) -> String {
    let outcome = match result.outcome() {
        Outcome::Created => "created",
        Outcome::Matched => "matched",
        Outcome::Repeated => "repeated",
        Outcome::Rejected | Outcome::Unspecified => "rejected",
    };
    format!("{outcome} {}", result.id)
}
