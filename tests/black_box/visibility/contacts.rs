use anyhow::bail;
use api::contacts::{
    AddContactPersonRequest, ChangePersonDetailsRequest, ConfirmErasureRequest, ErasureGround,
    GetErasureRequest, GetInteractionRequest, GetTimelineRequest, ImportInteractionsRequest,
    ImportPersonsRequest, InteractionKind, InteractionRow, ListContactPersonsRequest,
    ListErasuresRequest, LogInteractionRequest, Outcome, PersonRow, RedactInteractionRequest,
    RequestErasureRequest,
};
use tests::{
    background::largest_page,
    population::{Role, SPENT},
};

use super::{
    accounts::expect_row,
    walk::{HIDDEN, OK, PASSED, Walk},
};

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "AddContactPerson" | "LogInteraction" | "ListContactPersons" | "GetTimeline" => {
            for account in 0..walk.world.accounts.len() {
                let seen = walk.world.sees_account(walk.who, account);
                of_account(walk, method, account, seen).await;
            }
        }
        "ChangePersonDetails" => change_persons(walk).await,
        "GetInteraction" | "RedactInteraction" => interactions(walk, method).await,
        "RequestErasure" | "ConfirmErasure" | "GetErasure" => erasures(walk, method).await,
        "ListErasures" => list_erasures(walk).await?,
        "ImportPersons" => import_persons(walk).await?,
        "ImportInteractions" => import_interactions(walk).await?,
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

async fn of_account(walk: &mut Walk<'_>, method: &str, account: usize, seen: bool) {
    let (world, mut client) = (walk.world, walk.client.contacts());
    let account_id = world.accounts[account].id.clone();
    let question = format!("{method} {account}");
    let passed = if seen { PASSED } else { HIDDEN };
    let found = if seen { OK } else { HIDDEN };
    match method {
        "AddContactPerson" => {
            let request = AddContactPersonRequest {
                request_id: SPENT.to_owned(),
                account_id,
                name: "Новое лицо".to_owned(),
                ..AddContactPersonRequest::default()
            };
            let answer = client.add_contact_person(request).await;
            walk.answer(question, passed, &answer);
        }
        "LogInteraction" => {
            let request = LogInteractionRequest {
                request_id: SPENT.to_owned(),
                account_id,
                kind: InteractionKind::Call.into(),
                outcome: Outcome::Connected.into(),
                ..LogInteractionRequest::default()
            };
            let answer = client.log_interaction(request).await;
            let holder = world.accounts[account].claim;
            let taken = seen && holder.is_some_and(|holder| holder != walk.who);
            walk.answer(question, if taken { "CLAIMED" } else { passed }, &answer);
        }
        "ListContactPersons" => {
            let request = ListContactPersonsRequest {
                account_id,
                ..ListContactPersonsRequest::default()
            };
            let answer = client.list_contact_persons(request).await;
            walk.answer(&question, found, &answer);
            if let Ok(answer) = answer {
                let there = world
                    .contacts
                    .iter()
                    .filter(|contact| contact.account == account);
                let there = there.map(|contact| contact.id.clone());
                let listed = answer
                    .into_inner()
                    .persons
                    .into_iter()
                    .map(|person| person.id);
                walk.same(question, there, listed);
            }
        }
        _ => {
            let request = GetTimelineRequest {
                account_id,
                page: Some(largest_page()),
                ..GetTimelineRequest::default()
            };
            let answer = client.get_timeline(request).await;
            walk.answer(&question, found, &answer);
            if let Ok(answer) = answer {
                // The whole history, whoever wrote it.
                let there = world
                    .interactions
                    .iter()
                    .filter(|said| said.account == account);
                let there: Vec<_> = there.map(|said| said.id.clone()).collect();
                let answer = answer.into_inner();
                let total = format!("{question}: total");
                walk.expect(total, &there.len().to_string(), &answer.total.to_string());
                walk.same(
                    question,
                    there,
                    answer.interactions.into_iter().map(|said| said.id),
                );
            }
        }
    }
}

async fn change_persons(walk: &mut Walk<'_>) {
    for (number, contact) in walk.world.contacts.iter().enumerate() {
        let request = ChangePersonDetailsRequest {
            request_id: SPENT.to_owned(),
            person_id: contact.id.clone(),
            name: Some("Другое имя".to_owned()),
            ..ChangePersonDetailsRequest::default()
        };
        let answer = walk.client.contacts().change_person_details(request).await;
        let expected = match walk.world.staff[walk.who].role {
            _ if !walk.world.sees_account(walk.who, contact.account) => HIDDEN,
            Role::Manager => "PERSONAL_DATA_BY_OPERATOR",
            _ => PASSED,
        };
        walk.answer(format!("ChangePersonDetails {number}"), expected, &answer);
    }
}

async fn interactions(walk: &mut Walk<'_>, method: &str) {
    for (number, said) in walk.world.interactions.iter().enumerate() {
        let mut client = walk.client.contacts();
        let seen = walk.world.sees_account(walk.who, said.account);
        let question = format!("{method} {number}");
        if method == "RedactInteraction" {
            let request = RedactInteractionRequest {
                request_id: SPENT.to_owned(),
                interaction_id: said.id.clone(),
                ..RedactInteractionRequest::default()
            };
            let answer = client.redact_interaction(request).await;
            walk.answer(question, if seen { PASSED } else { HIDDEN }, &answer);
        } else {
            let request = GetInteractionRequest {
                interaction_id: said.id.clone(),
                ..GetInteractionRequest::default()
            };
            let answer = client.get_interaction(request).await;
            walk.answer(question, if seen { OK } else { HIDDEN }, &answer);
        }
    }
}

async fn erasures(walk: &mut Walk<'_>, method: &str) {
    for (number, contact) in walk.world.contacts.iter().enumerate() {
        let (mut client, person_id) = (walk.client.contacts(), contact.id.clone());
        let seen = walk.world.sees_account(walk.who, contact.account);
        let passed = if seen { PASSED } else { HIDDEN };
        let question = format!("{method} {number}");
        let request_id = SPENT.to_owned();
        match method {
            "RequestErasure" => {
                let request = RequestErasureRequest {
                    request_id,
                    person_id,
                    ground: ErasureGround::Demand.into(),
                    ..RequestErasureRequest::default()
                };
                let answer = client.request_erasure(request).await;
                walk.answer(question, passed, &answer);
            }
            "ConfirmErasure" => {
                let request = ConfirmErasureRequest {
                    request_id,
                    person_id,
                };
                let answer = client.confirm_erasure(request).await;
                walk.answer(question, passed, &answer);
            }
            _ => {
                let request = GetErasureRequest {
                    person_id,
                    ..GetErasureRequest::default()
                };
                let answer = client.get_erasure(request).await;
                let found = seen && walk.world.is_to_be_forgotten(number);
                walk.answer(question, if found { OK } else { HIDDEN }, &answer);
            }
        }
    }
}

async fn list_erasures(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = ListErasuresRequest {
        page: Some(largest_page()),
        ..ListErasuresRequest::default()
    };
    let answer = walk.client.contacts().list_erasures(request).await?;
    let world = walk.world;
    let there = (0..world.contacts.len()).filter(|contact| world.is_to_be_forgotten(*contact));
    let there = there.map(|contact| world.contacts[contact].id.clone());
    let listed = answer.into_inner().erasures.into_iter();
    walk.same("ListErasures", there, listed.map(|one| one.person_id));
    Ok(())
}

async fn import_persons(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let accounts = walk.world.accounts.iter().enumerate();
    let rows = accounts.map(|(number, account)| PersonRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        account: account.external_id.clone(),
        name: "Новое лицо".to_owned(),
        ..PersonRow::default()
    });
    let request = ImportPersonsRequest {
        rows: rows.collect(),
        dry_run: true,
    };
    let results = walk
        .client
        .contacts()
        .import_persons(request)
        .await?
        .into_inner()
        .results;
    for (number, result) in results.iter().enumerate() {
        let seen = walk.world.sees_account(walk.who, number);
        expect_row(walk, format!("ImportPersons at {number}"), seen, result);
    }
    Ok(())
}

async fn import_interactions(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let row = |number: usize, account: &str, author: &str| InteractionRow {
        row: number as i64,
        external_id: format!("v-new-{number}"),
        account: account.to_owned(),
        kind: "call".to_owned(),
        outcome: "connected".to_owned(),
        occurred_at: "2026-03-01 10:00".to_owned(),
        author: author.to_owned(),
        ..InteractionRow::default()
    };
    let accounts = world.accounts.iter().enumerate();
    let mut rows: Vec<_> = accounts
        .map(|(number, account)| row(number, &account.external_id, ""))
        .collect();
    // At an account that the caller sees, if there is one, the authors show.
    let seen = (0..world.accounts.len()).find(|account| world.sees_account(who, *account));
    if let Some(account) = seen {
        for (author, person) in world.staff.iter().enumerate() {
            let number = world.accounts.len() + author;
            rows.push(row(
                number,
                &world.accounts[account].external_id,
                &person.external_id,
            ));
        }
    }
    let request = ImportInteractionsRequest {
        rows,
        dry_run: true,
    };
    let results = walk
        .client
        .contacts()
        .import_interactions(request)
        .await?
        .into_inner()
        .results;
    let (of_accounts, of_authors) = results.split_at(world.accounts.len());
    for (number, result) in of_accounts.iter().enumerate() {
        let seen = world.sees_account(who, number);
        expect_row(
            walk,
            format!("ImportInteractions with {number}"),
            seen,
            result,
        );
    }
    for (author, result) in of_authors.iter().enumerate() {
        let refused = result
            .violations
            .iter()
            .any(|violation| violation.field == "author");
        let expected = if world.sees(who, author) {
            OK
        } else {
            "author"
        };
        let said = if refused { "author" } else { OK };
        walk.expect(format!("ImportInteractions by {author}"), expected, said);
    }
    Ok(())
}
