//! S-08: who may write what. Personal data is by operator only, which is how an office begins.

use anyhow::{Context, ensure};
use api::{
    contacts::{
        ChangePersonDetailsRequest, ContactPoints, InteractionKind, ListContactPersonsRequest,
        LogInteractionRequest, Outcome,
    },
    planning::{
        CreateTaskRequest, ListDataEntryRequestsRequest, RequestDataEntryRequest, TaskKind,
    },
};
use tests::{
    background::{Background, code, import, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};

const ACCOUNTS: &str =
    "external_id,name,phone,city,owner\nacc-1001,ООО «Вектор-Строй»,+7 900 000-05-55,Миасс,s-11\n";
const PERSONS: &str = "external_id,account,name,position,phone\np-1,acc-1001,Ильин Константин Петрович,директор,+7 900 000-01-15\n";

/// S-08, T-026: operators edit personal data and not events, managers the reverse.
#[tokio::test]
async fn s08_who_may_write_what() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "persons", PERSONS)?;
    let (zaitsev, petrov) = (office.client("s-10")?, office.client("s-11")?);
    let (orlova, belova) = (office.client("s-02")?, office.client("s-30")?);
    let account_id = office.account("acc-1001").await?;

    for (client, assignee, allowed) in [
        (&zaitsev, "s-11", true),
        (&zaitsev, "s-12", true),
        (&zaitsev, "s-21", false),
        (&petrov, "s-11", true),
        (&petrov, "s-12", false),
        (&orlova, "s-21", true),
    ] {
        let answer = create_task(client, &office.staff[assignee]).await;
        if allowed {
            answer?;
        } else {
            refused(answer, "MAY_NOT_PLAN_FOR")?;
        }
    }

    let request = ListContactPersonsRequest {
        account_id: account_id.clone(),
        min_positions: vec![office.head("contacts").await?],
    };
    let persons = belova
        .contacts()
        .list_contact_persons(request.clone())
        .await?;
    let ilyin = persons.into_inner().persons.pop().context("p-1")?;
    let change = |phone: &str| ChangePersonDetailsRequest {
        request_id: request_id(),
        person_id: ilyin.id.clone(),
        phones: Some(ContactPoints {
            values: vec![phone.to_owned()],
        }),
        ..ChangePersonDetailsRequest::default()
    };
    belova
        .contacts()
        .change_person_details(change("+7 900 000-01-16"))
        .await?;
    let answer = petrov
        .contacts()
        .change_person_details(change("+7 900 000-01-17"))
        .await;
    refused(answer.map(drop), "PERSONAL_DATA_BY_OPERATOR")?;
    let call = LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        ..LogInteractionRequest::default()
    };
    let answer = belova.contacts().log_interaction(call).await;
    refused(answer.map(drop), "FORBIDDEN")?;

    let wanted = RequestDataEntryRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        person_id: ilyin.id.clone(),
        what: "Новый телефон: +7 900 000-01-17".to_owned(),
    };
    let recorded = petrov.data_entry().request_data_entry(wanted).await?;
    let recorded = recorded.into_inner().recorded.context("recorded")?;
    let queue = ListDataEntryRequestsRequest {
        min_positions: recorded.position.into_iter().collect(),
        ..ListDataEntryRequestsRequest::default()
    };
    let queue = belova.data_entry().list_data_entry_requests(queue).await?;
    let queue = queue.into_inner();
    ensure!(queue.total == 1 && queue.requests.len() == 1, "{queue:?}");
    let entry = &queue.requests[0];
    ensure!(entry.account_id == account_id && entry.person_id == ilyin.id);
    ensure!(entry.requested_by == office.staff["s-11"]);
    ensure!(entry.what == "Новый телефон: +7 900 000-01-17");

    for (service, event_type, expected) in [
        ("planning", "task.created", 4),
        ("contacts", "person.details_changed", 1),
        ("contacts", "interaction.logged", 0),
        ("planning", "data_entry.requested", 1),
    ] {
        let events = office.events(service).await?;
        let count = events.iter().filter(|(of, _)| of == event_type).count();
        ensure!(count == expected, "{event_type}: {count}");
    }
    let request = ListContactPersonsRequest {
        min_positions: vec![office.head("contacts").await?],
        ..request
    };
    let persons = petrov
        .contacts()
        .list_contact_persons(request)
        .await?
        .into_inner()
        .persons;
    ensure!(
        persons.len() == 1 && persons[0].phones == ["+79000000116"],
        "{persons:?}"
    );
    Ok(())
}

async fn create_task(client: &Client, assignee_id: &str) -> Result<(), Status> {
    let request = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: assignee_id.to_owned(),
        due_at: "2026-03-12T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    client.planning().create_task(request).await.map(drop)
}

fn refused(answer: Result<(), Status>, expected: &str) -> anyhow::Result<()> {
    ensure!(code(&answer) == Code::PermissionDenied, "{answer:?}");
    let said = answer
        .err()
        .map(|status| reason(&status))
        .unwrap_or_default();
    ensure!(said == expected, "{said}");
    Ok(())
}
