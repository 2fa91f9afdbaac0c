use anyhow::bail;
use api::{
    accounts::{
        CountAccountsRequest, ExportAccountsRequest, GetAccountHistoryRequest,
        GetAccountStateRequest, ListCardAccessRequest, ListCardExportsRequest,
        ListUnusualReadingRequest,
    },
    contacts::ExportPersonsRequest,
    planning::{
        CompleteDataEntryRequest, DeclineDataEntryRequest, ListDataEntryRequestsRequest,
        RequestDataEntryRequest,
    },
};
use tests::{background::largest_page, population::SPENT};

use super::walk::{HIDDEN, OK, PASSED, Walk, tokens};

/// Who sees a company sees what the operator is to enter on its card.
pub(super) async fn data_entry(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    if method == "ListDataEntryRequests" {
        let seen = |account: &usize| world.sees_account(who, *account);
        let there = (0..world.accounts.len()).filter(seen);
        let there: Vec<_> = there
            .map(|account| world.accounts[account].data_entry_id.clone())
            .collect();
        let request = ListDataEntryRequestsRequest {
            page: Some(largest_page()),
            ..ListDataEntryRequestsRequest::default()
        };
        let answer = walk
            .client
            .data_entry()
            .list_data_entry_requests(request)
            .await;
        walk.no_leak(method, &answer);
        let answer = answer?.into_inner();
        let question = format!("{method}: total");
        walk.expect(
            question,
            &there.len().to_string(),
            &answer.total.to_string(),
        );
        let listed = answer.requests.into_iter().map(|request| request.id);
        walk.same(method, there, listed);
        return Ok(());
    }
    for (number, account) in world.accounts.iter().enumerate() {
        let (mut client, request_id) = (walk.client.data_entry(), SPENT.to_owned());
        let data_entry_id = account.data_entry_id.clone();
        let expected = if world.sees_account(who, number) {
            PASSED
        } else {
            HIDDEN
        };
        let question = format!("{method} {number}");
        match method {
            "RequestDataEntry" => {
                let request = RequestDataEntryRequest {
                    request_id,
                    account_id: account.id.clone(),
                    what: "Новый адрес".to_owned(),
                    ..RequestDataEntryRequest::default()
                };
                let answer = client.request_data_entry(request).await;
                walk.answer(question, expected, &answer);
            }
            "CompleteDataEntry" => {
                let request = CompleteDataEntryRequest {
                    request_id,
                    data_entry_id,
                };
                let answer = client.complete_data_entry(request).await;
                walk.answer(question, expected, &answer);
            }
            "DeclineDataEntry" => {
                let request = DeclineDataEntryRequest {
                    request_id,
                    data_entry_id,
                    reason: "не наше".to_owned(),
                };
                let answer = client.decline_data_entry(request).await;
                walk.answer(question, expected, &answer);
            }
            _ => bail!("the oracle does not know {method}"),
        }
    }
    Ok(())
}

/// Who sees a company sees its past, and nobody else does.
pub(super) async fn history(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let mut client = walk.client.history();
    if method == "CountAccounts" {
        let seen = (0..world.accounts.len()).filter(|account| world.sees_account(who, *account));
        let answer = client
            .count_accounts(CountAccountsRequest::default())
            .await?;
        let answer = answer.into_inner();
        let said = answer.prospects + answer.clients;
        walk.expect(method, &seen.count().to_string(), &said.to_string());
        return Ok(());
    }
    for (number, account) in world.accounts.iter().enumerate() {
        let account_id = account.id.clone();
        let expected = if world.sees_account(who, number) {
            OK
        } else {
            HIDDEN
        };
        let question = format!("{method} {number}");
        match method {
            "GetAccountState" => {
                let request = GetAccountStateRequest {
                    account_id,
                    ..GetAccountStateRequest::default()
                };
                let answer = client.get_account_state(request).await;
                walk.answer(question, expected, &answer);
            }
            "GetAccountHistory" => {
                let request = GetAccountHistoryRequest {
                    account_id,
                    ..GetAccountHistoryRequest::default()
                };
                let answer = client.get_account_history(request).await;
                walk.answer(question, expected, &answer);
            }
            _ => bail!("the oracle does not know {method}"),
        }
    }
    Ok(())
}

/// An administrator knows what everybody reads, a head what the own people read.
pub(super) async fn access(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let mut client = walk.client.access();
    match method {
        "ListCardAccess" => {
            for (number, account) in world.accounts.iter().enumerate() {
                let request = ListCardAccessRequest {
                    account_id: account.id.clone(),
                    ..ListCardAccessRequest::default()
                };
                let answer = client.list_card_access(request).await;
                let seen = world.sees_account(who, number);
                let expected = if seen { OK } else { HIDDEN };
                walk.answer(format!("{method} of {number}"), expected, &answer);
            }
            for (reader, person) in world.staff.iter().enumerate() {
                let request = ListCardAccessRequest {
                    staff_id: person.id.clone(),
                    page: Some(largest_page()),
                    ..ListCardAccessRequest::default()
                };
                let listed = client
                    .list_card_access(request)
                    .await?
                    .into_inner()
                    .accesses;
                let only = listed.iter().all(|access| access.staff_id == person.id);
                let told = match (world.sees(who, reader), world.readers.contains(&reader)) {
                    (false, _) => listed.is_empty(),
                    (true, true) => !listed.is_empty(),
                    // Whatever was opened on the way here.
                    (true, false) => true,
                };
                let said = if only && told {
                    OK
                } else {
                    "too much or too little"
                };
                walk.expect(format!("{method} by {reader}"), OK, said);
            }
        }
        "ListUnusualReading" => {
            let request = ListUnusualReadingRequest::default();
            let answer = client.list_unusual_reading(request).await;
            walk.answer(method, OK, &answer);
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

/// A list holds what its taker sees, and only an administrator or a head is told who took which.
pub(super) async fn export(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let mut file = Vec::new();
    let of: Vec<usize> = match method {
        "ExportAccounts" => {
            let request = ExportAccountsRequest::default();
            let parts = walk.client.export().export_accounts(request).await?;
            let mut parts = parts.into_inner();
            while let Some(part) = parts.message().await? {
                file.extend(part.bytes);
            }
            // Of what is only claimed there is no list to take out.
            let all = 0..world.accounts.len();
            all.filter(|account| world.lists_account(who, *account))
                .collect()
        }
        "ExportPersons" => {
            let request = ExportPersonsRequest::default();
            let parts = walk.client.person_export().export_persons(request).await?;
            let mut parts = parts.into_inner();
            while let Some(part) = parts.message().await? {
                file.extend(part.bytes);
            }
            world
                .contacts
                .iter()
                .map(|contact| contact.account)
                .collect()
        }
        "ListCardExports" => {
            let request = ListCardExportsRequest {
                page: Some(largest_page()),
                ..ListCardExportsRequest::default()
            };
            let answer = walk.client.export().list_card_exports(request).await?;
            let takers = answer.into_inner().exports.into_iter();
            let takers: Vec<_> = takers.map(|export| export.staff_id).collect();
            let seen = world.staff.iter().enumerate();
            let seen = seen.filter(|(other, _)| world.sees(who, *other));
            let seen: Vec<_> = seen.map(|(_, person)| &person.id).collect();
            let only = takers.iter().all(|taker| seen.contains(&taker));
            let told = world
                .readers
                .iter()
                .all(|taker| !world.sees(who, *taker) || takers.contains(&world.staff[*taker].id));
            let said = if only && told {
                OK
            } else {
                "too much or too little"
            };
            walk.expect(method, OK, said);
            return Ok(());
        }
        _ => bail!("the oracle does not know {method}"),
    };
    let seen = of
        .into_iter()
        .filter(|account| world.sees_account(who, *account));
    let listed = tokens(&file, b"a");
    walk.same(method, seen, listed);
    Ok(())
}
