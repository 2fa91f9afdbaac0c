//! Views built anew beside those that serve, and events that could not be applied.

mod everything;

use std::time::Duration;

use anyhow::{Context, ensure};
use api::contacts::GetTimelineRequest;
use tests::{
    eventually,
    mixed_load::{promise, promises, set_up, settled, views, views_equal_a_replay},
    office::Office,
    population::NOW,
    psql::Psql,
};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn every_view_built_anew_is_the_same_row_for_row() -> anyhow::Result<()> {
    let office = Office::start(&["--clock", "controlled", "--clock-start", NOW])?;
    everything::happens(&office).await?;
    views_equal_a_replay(&office).await
}

#[tokio::test]
async fn a_view_is_rebuilt_while_it_serves_and_can_be_taken_back() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    let accounts = set_up(&office, 3).await?;
    let client = office.client("s-11")?;
    let account = accounts.first().context("an account")?;
    promises(&client, &accounts[..1], 30).await?;
    let total = async || {
        let request = GetTimelineRequest {
            account_id: account.clone(),
            ..Default::default()
        };
        let timeline = client.contacts().get_timeline(request).await;
        timeline.map_or(0, |timeline| timeline.into_inner().total)
    };
    let is = async |expected: i64| {
        let total = eventually(PATIENCE, total, |total| *total == expected).await;
        ensure!(total == expected, "{total} of {expected}");
        Ok(())
    };
    is(30).await?;

    let run = |args: &[&str]| {
        office.command("admin", &[&["rebuild", "contacts/timeline"], args].concat())
    };
    let refused = office.try_command("admin", &["rebuild", "contacts/timeline", "--back"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(said.contains("NOTHING_KEPT"), "{said}");
    // An erasure takes texts out of other streams: one worker reads the log in its order.
    let shared = ["rebuild", "contacts/timeline", "--workers", "2"];
    let refused = office.try_command("admin", &shared)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(said.contains("needs the order of its log"), "{said}");
    let shared = ["rebuild", "accounts/companies", "--workers", "2"];
    let said = office.command("admin", &shared)?;
    ensure!(said.contains("former version is kept"), "{said}");
    let said = run(&[])?;
    ensure!(said.contains("former version is kept"), "{said}");
    is(30).await?;
    promise(&client, account).await?;
    is(31).await?;
    // Holding the view against a replay leaves the way back open.
    let said = run(&["--check"])?;
    ensure!(said.contains("is the same, row for row"), "{said}");
    promise(&client, account).await?;
    is(32).await?;
    let said = run(&["--back"])?;
    ensure!(said.contains("former version is kept"), "{said}");
    is(32).await?;
    promise(&client, account).await?;
    is(33).await?;
    let said = run(&["--discard"])?;
    ensure!(said.contains("nothing is kept"), "{said}");
    let said = run(&["--status"])?;
    ensure!(said.contains("0 behind, 0 parked"), "{said}");
    let stranger = office.try_command("s-11", &["rebuild", "contacts/timeline"])?;
    ensure!(!stranger.status.success(), "a manager may not");
    Ok(())
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_holds_up_nobody_else() -> anyhow::Result<()> {
    let office = Office::start(&[])?;
    let accounts = set_up(&office, 2).await?;
    let client = office.client("s-11")?;
    promises(&client, &accounts, 2).await?;
    // What an old writer might have left: an event that nobody can read, and one behind it.
    for version in [1, 2] {
        poison(&office, version)?;
    }
    let made = promise(&client, &accounts[0]).await?;
    settled(&office, &made).await?;

    let listed = || -> anyhow::Result<Vec<serde_json::Value>> {
        let listed = office.command("admin", &["parked", "list", "--format", "json"])?;
        Ok(serde_json::from_str(&listed)?)
    };
    let in_timeline = |listed: &[serde_json::Value]| -> Vec<serde_json::Value> {
        let mine = listed.iter().filter(|event| event["name"] == "timeline");
        mine.cloned().collect()
    };
    let parked = eventually(
        PATIENCE,
        || async { in_timeline(&listed().unwrap_or_default()) },
        |parked| parked.len() == 2,
    )
    .await;
    ensure!(parked.len() == 2, "{:?}", listed()?);
    let reason = |nth: usize| {
        parked[nth]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    ensure!(reason(0).contains("error at column"), "{}", reason(0));
    ensure!(reason(1).contains("waits behind"), "{}", reason(1));
    // The other services, too.
    ensure!(listed()?.iter().any(|event| event["service"] == "planning"));
    let position = parked[0]["position"].to_string();

    let said = office.command("admin", &["parked", "retry", "contacts/timeline"])?;
    ensure!(said.contains("0 applied, 2 still parked"), "{said}");
    let skip = |position: &str| {
        let args = [
            "parked",
            "skip",
            "contacts/timeline",
            "--source",
            "contacts",
        ];
        let args = [
            &args[..],
            &["--position", position, "--reason", "старый писатель"],
        ]
        .concat();
        office.try_command("admin", &args)
    };
    let second = parked[1]["position"].to_string();
    let refused = skip(&second)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(said.contains("NOT_FIRST_PARKED"), "{said}");
    // The second one is as bad as the first: it is tried, and is then the first.
    for position in [&position, &second] {
        let skipped = skip(position)?;
        ensure!(skipped.status.success(), "{skipped:?}");
    }
    ensure!(in_timeline(&listed()?).is_empty());
    let timeline = views(&office)?
        .into_iter()
        .find(|view| view["service"] == "contacts" && view["view"] == "timeline");
    ensure!(timeline.context("the view")?["parked"] == 0);
    Ok(())
}

/// Appends behind the service's back, as the owner of the database.
fn poison(office: &Office, version: i64) -> anyhow::Result<()> {
    let sql = format!(
        "select log.append(h.position, h.hash, now(), array[gen_random_uuid()],
             array['interaction-00000000-0000-4000-8000-000000000001'], array[{version}::bigint],
             array['interaction.logged'], array[1::smallint], array[now()], array[null::uuid],
             array[convert_to('{{\"actor\":{{\"kind\":\"system\"}},\"correlation_id\":\"00000000-0000-0000-0000-000000000000\"}}', 'UTF8')],
             array[convert_to('{{\"account_id\":7}}', 'UTF8')], array[decode(repeat('ab', 32), 'hex')],
             null, null, null, null, null, null, null) from log.head h"
    );
    Psql::new(office)?.owner("contacts", &sql).map(drop)
}
