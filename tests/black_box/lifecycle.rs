//! Starting, stopping, starting again, and a second office beside the first.

use std::{process::Command, time::Duration};

use anyhow::ensure;
use tests::{
    background::import,
    eventually,
    office::{Office, kontakty},
};

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";

/// Processes whose command line names the folder.
fn processes_on(folder: &std::path::Path) -> usize {
    let output = Command::new("pgrep")
        .args(["-f", "--", &folder.to_string_lossy()])
        .output();
    output.map_or(0, |output| {
        String::from_utf8_lossy(&output.stdout).lines().count()
    })
}

#[tokio::test]
async fn an_office_stops_cleanly_and_continues() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("kontakty-life-")
        .tempdir()?;
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let data = folder.path().join("data");

    let mut first = Office::start_on(&data, &[])?;
    import(&first, "admin", "staff", STAFF)?;
    let second = kontakty(&["up", "--data", &data.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(
        !second.status.success() && said.contains("--data OTHER_FOLDER"),
        "{said}"
    );
    let port = first.grpc.rsplit(':').next().unwrap_or_default().to_owned();
    let taken = kontakty(&[
        "up",
        "--data",
        &folder.path().join("other").to_string_lossy(),
        "--port",
        &port,
    ])?;
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    ensure!(
        !taken.status.success() && said.contains("is taken"),
        "{said}"
    );

    ensure!(first.stop()?.success(), "{}", first.log());
    ensure!(!data.join("lock").exists(), "the lock was left behind");
    ensure!(processes_on(&data) == 0, "a process was left behind");

    let mut again = Office::start_on(&data, &[])?;
    let verdict = again.command("admin", &["log", "verify", "accounts"])?;
    ensure!(verdict.contains("is whole"), "{verdict}");
    let events = again.command(
        "admin",
        &["log", "read", "accounts", "--types", "staff.hired"],
    )?;
    ensure!(events.lines().count() == 3, "{events}");

    // Nobody to stop the children: they go by themselves, and the next start continues.
    again.kill()?;
    let left = eventually(
        Duration::from_secs(20),
        async || processes_on(&data),
        |left| *left == 0,
    )
    .await;
    ensure!(left == 0, "{left} processes outlived their parent");
    let third = Office::start_on(&data, &[])?;
    let events = third.command(
        "admin",
        &["log", "read", "accounts", "--types", "staff.hired"],
    )?;
    ensure!(events.lines().count() == 3, "{events}");
    Ok(())
}
