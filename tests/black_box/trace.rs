//! One command followed by its trace id: into the log's envelope, onto the bus, into the consumer.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::ListAccountsRequest,
    contacts::{InteractionKind, LogInteractionRequest, NextStep, Outcome},
};
use futures::StreamExt;
use tests::{
    background::{Background, import, request_id},
    eventually,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_trace_follows_the_event() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(
        &office.office,
        "s-02",
        "accounts",
        "external_id,name,phone,owner\nacc-1001,ООО «Вектор-Строй»,+7 900 000-05-55,s-11\n",
    )?;
    let nats = async_nats::connect(&office.office.nats).await?;
    let mut events = nats
        .subscribe("kontakty.contacts.interaction.logged.v1")
        .await?;
    nats.flush().await?;

    let mut petrov = office.client("s-11")?;
    petrov.credentials.traceparent = Some(format!("00-{TRACE}-00f067aa0ba902b7-01").parse()?);
    let accounts = petrov
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: accounts.first().context("acc-1001")?.id.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::ProposalRequested.into(),
        summary: "Секрет-Канарейка".to_owned(),
        next_step: Some(NextStep {
            due_at: "2026-03-16T11:00:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: "Спросить про сроки оплаты".to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let logged = petrov
        .contacts()
        .log_interaction(request)
        .await?
        .into_inner();

    let position = logged
        .recorded
        .and_then(|recorded| recorded.position)
        .context("a position")?
        .position
        .to_string();
    let envelope = office.office.command(
        "s-02",
        &[
            "log", "read", "contacts", "--from", &position, "--shape", "json",
        ],
    )?;
    ensure!(envelope.contains(TRACE), "{envelope}");
    ensure!(
        !envelope.contains("Канарейка"),
        "the log shows personal text"
    );

    let message = tokio::time::timeout(Duration::from_secs(10), events.next())
        .await?
        .context("no message")?;
    let headers = message.headers.context("no headers")?;
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.as_str().to_owned())
            .unwrap_or_default()
    };
    ensure!(
        header("ce-specversion") == "1.0"
            && header("ce-sequence").trim_start_matches('0') == position,
        "{headers:?}"
    );
    ensure!(header("ce-traceparent").contains(TRACE), "{headers:?}");
    ensure!(
        !String::from_utf8_lossy(&message.payload).contains("Канарейка"),
        "the bus carries personal text"
    );

    // The consumer in planning made the task within the same trace.
    let tasks = eventually(
        Duration::from_secs(10),
        || async {
            office
                .office
                .command("s-02", &["log", "read", "planning", "--shape", "json"])
                .unwrap_or_default()
        },
        |events| events.contains("task.created"),
    )
    .await;
    ensure!(
        tasks.contains(&logged.next_task_id) && tasks.contains(TRACE),
        "{tasks}"
    );
    ensure!(
        !office.office.log().contains("Канарейка"),
        "the service's own log shows personal text"
    );
    Ok(())
}
