//! The real campaign: loaded through the public API as five managers in two groups, one of whom
//! hands over half-way; every figure must come out as published.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{Lifecycle, ListAccountsRequest, ListStaffRequest, TransferAccountsRequest},
    analytics::{GetScorecardRequest, GetScorecardResponse, ScorecardBy},
    contacts::GetTimelineRequest,
};
use tests::{
    campaign::{self, LEAVER, MANAGERS, PUBLISHED, SUCCESSOR},
    client::Client,
    eventually,
    office::Office,
};
use tonic::Code;
use uuid::Uuid;

const CLIENTS: usize = 45_211;
const CALLS: i64 = 124_956;
const PATIENCE: Duration = Duration::from_mins(5);
const ORDERS: i64 = 5_289;

/// Says how long each part took: the test's output is where the duration is reported.
struct Stopwatch(Instant);

impl Stopwatch {
    fn lap(&mut self, what: &str) {
        println!("{:>7.1} s  {what}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

/// T-003, T-006, T-085: a real campaign, loaded through the public API as five managers; one hands
/// over half-way; every figure comes out as published.
#[tokio::test]
async fn campaign() -> anyhow::Result<()> {
    let clients = campaign::read(&campaign::data_file()?)?;
    ensure!(clients.len() == CLIENTS);
    let months = campaign::by_month(&clients);
    for (month, calls, orders) in PUBLISHED {
        let counted = months.get(month).copied().unwrap_or_default();
        ensure!(
            (counted.calls, counted.orders) == (calls, orders),
            "{month} as counted from the data: {counted:?}"
        );
    }

    let folder = tempfile::tempdir()?;
    let files = campaign::write_files(&clients, folder.path())?;
    let office = Office::start(&[])?;
    let began = Instant::now();
    let mut watch = Stopwatch(began);
    import(&office, "admin", "staff", &files.staff, 7)?;
    for (manager, path) in MANAGERS.iter().zip(&files.accounts) {
        import(&office, manager, "accounts", path, rows(path)?)?;
    }
    watch.lap("45,211 accounts");
    load_half(&office, &files.halves[0])?;
    watch.lap("calls and orders of the first half");
    let admin = office.client("admin")?;
    let staff = staff_ids(&admin).await?;
    hand_over(&admin, &staff).await?;
    watch.lap("hand-over of a manager's 9,043 accounts");
    load_half(&office, &files.halves[1])?;
    watch.lap("calls and orders of the second half");

    let by_manager = settled_scorecard(&admin, ScorecardBy::Manager).await?;
    watch.lap("until every figure is there");
    println!("{:>7.1} s  for all of it", began.elapsed().as_secs_f64());

    check_totals(&admin, &by_manager).await?;
    check_managers(&by_manager, &campaign::by_manager(&clients))?;
    check_months(&settled_scorecard(&admin, ScorecardBy::Month).await?)?;
    check_report(&office)?;
    check_hand_over(&office, &clients).await?;
    Ok(())
}

fn rows(path: &Path) -> anyhow::Result<usize> {
    Ok(csv::Reader::from_path(path)?.records().count())
}

/// Imports a file through the command line; every row must be new.
fn import(
    office: &Office,
    staff: &str,
    kind: &str,
    path: &Path,
    expected: usize,
) -> anyhow::Result<()> {
    if expected == 0 {
        return Ok(());
    }
    let output = office.command(
        staff,
        &["import", kind, &path.to_string_lossy(), "--format", "json"],
    )?;
    let counts: Vec<serde_json::Value> = serde_json::from_str(&output)?;
    let created = counts
        .iter()
        .find(|row| row["outcome"] == "created")
        .and_then(|row| row["count"].as_u64());
    ensure!(
        created == Some(expected as u64),
        "{kind} of {staff}: {output}"
    );
    Ok(())
}

fn load_half(office: &Office, half: &[campaign::Files]) -> anyhow::Result<()> {
    for (manager, files) in MANAGERS.iter().zip(half) {
        import(
            office,
            manager,
            "interactions",
            &files.interactions,
            rows(&files.interactions)?,
        )?;
        import(
            office,
            manager,
            "orders",
            &files.orders,
            rows(&files.orders)?,
        )?;
    }
    Ok(())
}

async fn staff_ids(admin: &Client) -> anyhow::Result<Vec<String>> {
    let staff = admin
        .staff()
        .list_staff(ListStaffRequest::default())
        .await?
        .into_inner()
        .staff;
    MANAGERS
        .iter()
        .map(|manager| {
            let person = staff.iter().find(|person| person.external_id == *manager);
            Ok(person
                .with_context(|| format!("{manager} is not there"))?
                .id
                .clone())
        })
        .collect()
}

async fn hand_over(admin: &Client, staff: &[String]) -> anyhow::Result<()> {
    for part in 0u128.. {
        let request = TransferAccountsRequest {
            request_id: Uuid::from_u128(0x7000 + part).to_string(),
            from_owner_id: staff[LEAVER].clone(),
            to_owner_id: staff[SUCCESSOR].clone(),
            reason: "уходит".to_owned(),
            ..TransferAccountsRequest::default()
        };
        // Under the same id it goes on where it is, however long that takes on a slow machine.
        let moved = || async { admin.accounts().transfer_accounts(request.clone()).await };
        let answer = eventually(PATIENCE, moved, |answer| match answer {
            Ok(_) => true,
            Err(status) => !matches!(status.code(), Code::DeadlineExceeded | Code::Unavailable),
        });
        let answer = answer.await?.into_inner();
        ensure!(answer.failures.is_empty(), "{:?}", answer.failures);
        if answer.remaining == 0 {
            // The next commands, to whichever service, speak of the new owner.
            let request = GetScorecardRequest {
                min_positions: answer.position.into_iter().collect(),
                ..Default::default()
            };
            admin.reports().get_scorecard(request).await?;
            return Ok(());
        }
    }
    Ok(())
}

async fn settled_scorecard(
    admin: &Client,
    by: ScorecardBy,
) -> anyhow::Result<GetScorecardResponse> {
    eventually(
        Duration::from_mins(1),
        || async {
            let request = GetScorecardRequest {
                by: by.into(),
                ..GetScorecardRequest::default()
            };
            Ok(admin.reports().get_scorecard(request).await?.into_inner())
        },
        |answer: &anyhow::Result<GetScorecardResponse>| {
            answer.as_ref().is_ok_and(|answer| {
                answer
                    .total
                    .as_ref()
                    .is_some_and(|total| total.calls == CALLS && total.sales == ORDERS)
            })
        },
    )
    .await
}

async fn check_totals(admin: &Client, scorecard: &GetScorecardResponse) -> anyhow::Result<()> {
    let total = scorecard.total.clone().unwrap_or_default();
    ensure!((total.calls, total.sales) == (CALLS, ORDERS), "{total:?}");
    for (lifecycle, expected) in [
        (Lifecycle::Unspecified, CLIENTS),
        (Lifecycle::Client, 5_289),
        (Lifecycle::Prospect, 39_922),
    ] {
        let count = eventually(
            Duration::from_secs(30),
            || async {
                let request = ListAccountsRequest {
                    lifecycle: lifecycle.into(),
                    count: true,
                    ..ListAccountsRequest::default()
                };
                admin
                    .accounts()
                    .list_accounts(request)
                    .await
                    .map_or(-1, |answer| answer.into_inner().total)
            },
            |count| *count == expected as i64,
        )
        .await;
        ensure!(count == expected as i64, "{lifecycle:?}: {count}");
    }
    Ok(())
}

fn check_managers(
    scorecard: &GetScorecardResponse,
    expected: &[campaign::Figures; 5],
) -> anyhow::Result<()> {
    for (manager, expected) in MANAGERS.iter().zip(expected) {
        let row = scorecard.rows.iter().find(|row| row.label == *manager);
        let figures = row.and_then(|row| row.figures.clone()).unwrap_or_default();
        ensure!(
            (figures.calls, figures.sales) == (expected.calls, expected.orders),
            "{manager}: {figures:?}, not {expected:?}"
        );
    }
    let sum = |pick: fn(&api::analytics::Scorecard) -> i64| -> i64 {
        scorecard
            .rows
            .iter()
            .filter_map(|row| row.figures.as_ref())
            .map(pick)
            .sum()
    };
    ensure!((sum(|card| card.calls), sum(|card| card.sales)) == (CALLS, ORDERS));
    Ok(())
}

fn check_months(scorecard: &GetScorecardResponse) -> anyhow::Result<()> {
    ensure!(scorecard.rows.len() == PUBLISHED.len());
    for (month, calls, orders) in PUBLISHED {
        let row = scorecard.rows.iter().find(|row| row.label == month);
        let figures = row.and_then(|row| row.figures.clone()).unwrap_or_default();
        ensure!(
            (figures.calls, figures.sales) == (calls, orders),
            "{month}: {figures:?}, not {calls} and {orders}"
        );
    }
    Ok(())
}

/// What a head gets from the command line.
fn check_report(office: &Office) -> anyhow::Result<()> {
    let report = |format| {
        let arguments = ["report", "scorecard", "--by", "month", "--format", format];
        office.command("admin", &arguments)
    };
    let rows: Vec<serde_json::Value> = serde_json::from_str(&report("json")?)?;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let figure = |name| row[name].as_i64().unwrap_or_default();
            (
                row["month"].as_str().unwrap_or_default(),
                figure("calls"),
                figure("sales"),
            )
        })
        .collect();
    let mut published = PUBLISHED.to_vec();
    published.push(("total", CALLS, ORDERS));
    ensure!(told == published, "{told:?}");
    let table = report("table")?;
    ensure!(table.contains(&CALLS.to_string()), "{table}");
    Ok(())
}

/// The new manager sees every call of the former one, who sees the account no more and keeps the
/// figures (those are among the managers' above).
async fn check_hand_over(office: &Office, clients: &[campaign::Client]) -> anyhow::Result<()> {
    let (former, new) = (
        office.client(MANAGERS[LEAVER])?,
        office.client(MANAGERS[SUCCESSOR])?,
    );
    let left = former
        .accounts()
        .list_accounts(ListAccountsRequest {
            count: true,
            ..Default::default()
        })
        .await?
        .into_inner();
    ensure!(
        left.total == 0 && left.accounts.is_empty(),
        "the former manager still sees {} accounts",
        left.total
    );
    let handed_over = clients.iter().filter(|client| client.owner() == LEAVER);
    for client in handed_over.step_by(997) {
        let name = format!("Клиент {:05}", client.number + 1);
        let request = ListAccountsRequest {
            query: name,
            ..Default::default()
        };
        let found = new
            .accounts()
            .list_accounts(request)
            .await?
            .into_inner()
            .accounts;
        ensure!(
            found.len() == 1,
            "{} found {}",
            client.external_id(),
            found.len()
        );
        let request = GetTimelineRequest {
            account_id: found[0].id.clone(),
            ..Default::default()
        };
        let timeline = new
            .contacts()
            .get_timeline(request.clone())
            .await?
            .into_inner();
        ensure!(
            timeline.total == i64::from(client.calls),
            "{}: {} of {}",
            client.external_id(),
            timeline.total,
            client.calls
        );
        let refused = former
            .contacts()
            .get_timeline(request)
            .await
            .err()
            .map(|status| status.code());
        ensure!(refused == Some(tonic::Code::NotFound), "{refused:?}");
    }
    Ok(())
}
