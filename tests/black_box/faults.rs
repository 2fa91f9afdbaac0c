//! Kills under load: nothing acknowledged is lost, nothing is done twice.
//!
//! A ledger keeps what was sent and what was answered. Commands whose answer was lost are sent
//! again with the same request id. Then the ledger is held against the log and the views.

use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::ListAccountsRequest,
    analytics::GetScorecardRequest,
    contacts::{
        GetTimelineRequest, InteractionKind, LogInteractionRequest, LogInteractionResponse, Outcome,
    },
};
use tests::{
    background::{import, request_id},
    eventually,
    office::{Client, Office},
};
use tonic::Code;

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";
const WRITERS: usize = 4;
const PATIENCE: Duration = Duration::from_mins(1);

/// What one writer sent and what it was told, in order.
type Ledger = Vec<(LogInteractionRequest, LogInteractionResponse)>;

#[tokio::test]
async fn kills_under_load_lose_and_double_nothing() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("kontakty-faults-")
        .tempdir()?;
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let data = folder.path().join("data");
    let mut office = Office::start_on(&data, &[])?;
    import(&office, "admin", "staff", STAFF)?;
    import(
        &office,
        "admin",
        "accounts",
        "external_id,name,phone,owner\na-1,Первая,+79000000101,s-11\n",
    )?;
    let port = office.grpc.rsplit(':').next().context("a port")?.to_owned();
    let client = office.client("s-11")?;
    let account = client
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner()
        .accounts;
    let account = account.first().context("the account")?.id.clone();

    let stop = Instant::now() + Duration::from_secs(14);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| write(client.clone(), account.clone(), stop))
        .collect();
    let faults = async {
        pause(2).await;
        kill_child(&data, "postgres -D")?;
        pause(3).await;
        kill_child(&data, "nats-server --config")?;
        pause(3).await;
        office.kill()?;
        office = Office::start_on(&data, &["--port", &port])?;
        anyhow::Ok(())
    };
    let (ledgers, faults) = tokio::join!(futures::future::join_all(writers), faults);
    faults?;
    let ledger: Ledger = ledgers
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat();
    ensure!(
        ledger.len() > 50,
        "only {} commands were answered",
        ledger.len()
    );
    println!(
        "{} commands, each acknowledged, through three kills",
        ledger.len()
    );
    check(&office, &account, &ledger).await
}

/// Sends one command after the other, each until it is answered.
async fn write(client: Client, account_id: String, stop: Instant) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    while Instant::now() < stop {
        let request = LogInteractionRequest {
            request_id: request_id(),
            account_id: account_id.clone(),
            kind: InteractionKind::Call.into(),
            outcome: Outcome::Connected.into(),
            ..LogInteractionRequest::default()
        };
        let until = Instant::now() + PATIENCE;
        let answer = loop {
            match client.contacts().log_interaction(request.clone()).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) => {
                    // Unknown is what a broken connection leaves; the rest says so itself.
                    let passing = matches!(
                        status.code(),
                        Code::Unavailable
                            | Code::Unknown
                            | Code::Cancelled
                            | Code::DeadlineExceeded
                            | Code::Internal
                            | Code::Unauthenticated
                    );
                    ensure!(passing && Instant::now() < until, "{status:?}");
                    pause_ms(50).await;
                }
            }
        };
        // I2: the same request again gets the same answer.
        if ledger.len().is_multiple_of(10)
            && let Ok(again) = client.contacts().log_interaction(request.clone()).await
        {
            ensure!(again.get_ref() == &answer, "{again:?} is not {answer:?}");
        }
        ledger.push((request, answer));
    }
    Ok(ledger)
}

async fn check(office: &Office, account: &str, ledger: &Ledger) -> anyhow::Result<()> {
    let stored = office.command("admin", &["log", "read", "contacts", "--shape", "json"])?;
    let events: Vec<serde_json::Value> = stored
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    // I3: positions and versions without holes or doubles.
    let mut versions = BTreeMap::<&str, i64>::new();
    for (index, event) in events.iter().enumerate() {
        ensure!(
            event["position"].as_i64() == Some(index as i64 + 1),
            "position {} holds {}",
            index + 1,
            event["position"]
        );
        let version = versions
            .entry(event["stream"].as_str().unwrap_or_default())
            .or_default();
        *version += 1;
        ensure!(event["version"].as_i64() == Some(*version), "{event}");
    }
    // I1: each acknowledged command is stored once, where its answer said.
    let mut by_request = HashMap::<&str, Vec<&serde_json::Value>>::new();
    for event in events
        .iter()
        .filter(|event| event["type"] == "interaction.logged")
    {
        by_request
            .entry(event["request_id"].as_str().unwrap_or_default())
            .or_default()
            .push(event);
    }
    for (request, answer) in ledger {
        let found = by_request
            .get(request.request_id.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        ensure!(
            found.len() == 1,
            "{} is stored {} times",
            request.request_id,
            found.len()
        );
        let position = answer
            .recorded
            .as_ref()
            .and_then(|recorded| recorded.position.as_ref())
            .map(|position| position.position);
        ensure!(
            found[0]["position"].as_i64() == position,
            "{} is elsewhere",
            request.request_id
        );
    }
    ensure!(
        by_request.len() == ledger.len(),
        "{} stored, {} acknowledged",
        by_request.len(),
        ledger.len()
    );
    // I4
    ensure!(
        office
            .command("admin", &["log", "verify", "contacts"])?
            .contains("is whole")
    );

    // I5, I7: the own view and another service's view have each of them once.
    let client = office.client("admin")?;
    let expected = ledger.len() as i64;
    let seen = eventually(
        PATIENCE,
        || async { totals(&client, account).await.unwrap_or_default() },
        |seen| *seen == (expected, expected),
    )
    .await;
    ensure!(
        seen == (expected, expected),
        "timeline and scorecard have {seen:?} of {expected}"
    );
    Ok(())
}

async fn totals(client: &Client, account: &str) -> anyhow::Result<(i64, i64)> {
    let request = GetTimelineRequest {
        account_id: account.to_owned(),
        ..Default::default()
    };
    let timeline = client
        .contacts()
        .get_timeline(request)
        .await?
        .into_inner()
        .total;
    let scorecard = client
        .reports()
        .get_scorecard(GetScorecardRequest::default())
        .await?
        .into_inner();
    Ok((
        timeline,
        scorecard.total.map(|total| total.calls).unwrap_or_default(),
    ))
}

/// `kill -9` of a child of the office on this folder, and of no other process.
fn kill_child(data: &std::path::Path, program: &str) -> anyhow::Result<()> {
    let pattern = format!("{program}.*{}", data.display());
    let output = Command::new("pgrep")
        .args(["-o", "-f", "--", &pattern])
        .output()?;
    let pid: i32 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| format!("no process `{pattern}`"))?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )?;
    Ok(())
}

async fn pause(seconds: u64) {
    pause_ms(seconds * 1_000).await;
}

/// The load goes on meanwhile: this spaces the faults, it waits for no state.
async fn pause_ms(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
