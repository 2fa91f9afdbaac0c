//! Starting, stopping, starting again, and a second office beside the first.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    background::import,
    eventually,
    office::{Office, binary, kontakty},
};

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";

/// Processes whose command line names the folder.
fn processes_on(folder: &std::path::Path) -> anyhow::Result<usize> {
    let output = Command::new("pgrep")
        .args(["-f", "--", &folder.to_string_lossy()])
        .output()
        .context("pgrep cannot be started")?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().count())
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
    // Itself, PostgreSQL and NATS.
    let running = processes_on(&data)?;
    ensure!(running >= 3, "only {running} processes are seen");
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
    ensure!(processes_on(&data)? == 0, "a process was left behind");

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
        |left| left.as_ref().is_ok_and(|left| *left == 0),
    )
    .await?;
    ensure!(left == 0, "{left} processes outlived their parent");
    // Too late to be the first password.
    let config = folder.path().join("office.toml");
    std::fs::write(
        &config,
        "[bootstrap]\nadministrator_password = 'too late'\n",
    )?;
    let third = Office::start_on(&data, &["--config", &config.to_string_lossy()])?;
    let log = third.log();
    ensure!(
        log.contains("bootstrap.administrator_password is not used") && !log.contains("too late"),
        "{log}"
    );
    let events = third.command(
        "admin",
        &["log", "read", "accounts", "--types", "staff.hired"],
    )?;
    ensure!(events.lines().count() == 3, "{events}");
    Ok(())
}

#[tokio::test]
async fn an_office_that_is_stopped_while_it_starts_leaves_no_lock() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("kontakty-early-")
        .tempdir()?;
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let data = folder.path().join("data");
    let lock = data.join("lock");
    let mut starting = Command::new(binary())
        .arg("up")
        .arg("--data")
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let locked = eventually(
        Duration::from_secs(20),
        async || lock.exists(),
        |locked| *locked,
    )
    .await;
    kill(Pid::from_raw(starting.id().cast_signed()), Signal::SIGINT)?;
    let ended = starting.wait()?;
    ensure!(locked, "it has not begun");
    ensure!(ended.success(), "it ended with {ended}");
    ensure!(!lock.exists(), "the lock was left behind");
    ensure!(processes_on(&data)? == 0, "a process was left behind");
    Ok(())
}
