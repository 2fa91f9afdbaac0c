//! The master key is replaced while the office works.

use std::{
    fmt::Write as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{Card, ChangeAccountDetailsRequest, ListAccountsRequest, RegisterProspectRequest},
    common::PageRequest,
    contacts::{InteractionKind, LogInteractionRequest, Outcome},
};
use tests::{
    background::{import, request_id},
    client::Client,
    office::{Office, binary},
};

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";

/// As `kontakty keys …` says; none when it refuses.
fn keys(office: &Office, args: &[&str]) -> anyhow::Result<Option<String>> {
    let output = start(office, args)?.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(output.status.success().then_some(text))
}

fn start(office: &Office, args: &[&str]) -> anyhow::Result<Child> {
    Command::new(binary())
        .arg("keys")
        .args(args)
        .arg("--data")
        .arg(office.data())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("kontakty cannot be started")
}

/// How many keys each master key wraps, over all services.
fn wrapped(office: &Office) -> anyhow::Result<(i64, i64)> {
    let status = keys(office, &["status", "--format", "json"])?.context("no status")?;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&status)?;
    let (mut current, mut former) = (0, 0);
    for row in rows {
        let (by, count) = (
            row["wrapped_by"].as_str(),
            row["keys"].as_i64().unwrap_or_default(),
        );
        match by.unwrap_or_default() {
            "keys of persons" | "destroyed" => {}
            by if by.ends_with("(in use)") => current += count,
            _ => former += count,
        }
    }
    Ok((current, former))
}

fn accounts(range: std::ops::Range<usize>) -> String {
    let mut csv = "external_id,name,phone,owner\n".to_owned();
    for n in range {
        let (hundreds, rest) = (n / 100, n % 100);
        let _ = writeln!(
            csv,
            "acc-{n},ООО «Вектор {n}»,+7 900 100-{hundreds:02}-{rest:02},s-11"
        );
    }
    csv
}

/// Reads what was recorded before, by the keys that there are.
async fn correct(client: &Client, range: std::ops::Range<usize>) -> anyhow::Result<()> {
    let all = ListAccountsRequest {
        query: "Вектор".to_owned(),
        page: Some(PageRequest {
            size: 200,
            ..PageRequest::default()
        }),
        ..ListAccountsRequest::default()
    };
    let accounts = client
        .accounts()
        .list_accounts(all)
        .await?
        .into_inner()
        .accounts;
    for account in &accounts[range] {
        let change = ChangeAccountDetailsRequest {
            request_id: request_id(),
            account_id: account.id.clone(),
            city: Some("Миасс".to_owned()),
            ..ChangeAccountDetailsRequest::default()
        };
        client.accounts().change_account_details(change).await?;
    }
    Ok(())
}

/// Works until it is told that it is over; gives how often.
async fn work(client: &Client, over: &AtomicBool) -> anyhow::Result<usize> {
    let mut done = 0;
    while !over.load(Ordering::Relaxed) {
        let card = Card {
            name: "ООО «Новая компания»".to_owned(),
            emails: vec!["new@example.org".to_owned()],
            ..Card::default()
        };
        let register = RegisterProspectRequest {
            request_id: request_id(),
            card: Some(card),
            despite_duplicates: true,
            ..RegisterProspectRequest::default()
        };
        let account = client
            .accounts()
            .register_prospect(register)
            .await?
            .into_inner();
        let reached = account.recorded.and_then(|recorded| recorded.position);
        let log = LogInteractionRequest {
            request_id: request_id(),
            account_id: account.account_id,
            kind: InteractionKind::Call.into(),
            outcome: Outcome::Connected.into(),
            summary: "Поговорили".to_owned(),
            min_positions: reached.into_iter().collect(),
            ..LogInteractionRequest::default()
        };
        client.contacts().log_interaction(log).await?;
        done += 1;
    }
    Ok(done)
}

#[tokio::test]
async fn the_master_key_is_replaced_while_the_office_works() -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("kontakty-keys-")
        .tempdir()?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open)?;
    let data = folder.path().join("data");
    let mut office = Office::start_on(&data, &[])?;
    import(&office, "admin", "staff", STAFF)?;
    import(&office, "admin", "accounts", &accounts(0..6_000))?;
    let (all, former) = wrapped(&office)?;
    ensure!(all > 6_000 && former == 0, "{all} {former}");
    let file = data.join("keys/master.key");
    let first = std::fs::read_to_string(&file)?;
    let nothing = keys(&office, &["retire"])?.context("refused")?;
    ensure!(nothing.contains("no former"), "{nothing}");

    // People work all the time; nobody is refused.
    let over = AtomicBool::new(false);
    let petrov = office.client("s-11")?;
    let rotate = async {
        // Killed as soon as there is a new master key, and called again.
        let mut interrupted = start(&office, &["rotate"])?;
        while std::fs::read_to_string(&file)? == first {
            tokio::task::yield_now().await;
        }
        interrupted.kill()?;
        interrupted.wait()?;
        ensure!(
            keys(&office, &["retire"])?.is_none(),
            "a key that is needed was removed"
        );
        let again = start(&office, &["rotate"])?;
        let ended = tokio::task::spawn_blocking(|| again.wait_with_output()).await??;
        ensure!(ended.status.success(), "the rotation did not end");
        ensure!(std::fs::read_to_string(&file)?.lines().count() == 2);
        let (current, former) = wrapped(&office)?;
        ensure!(current >= all && former == 0, "{current} {former}");
        let retired = keys(&office, &["retire"])?.context("refused")?;
        ensure!(retired.starts_with("1 former"), "{retired}");
        anyhow::Ok(())
    };
    let rotate = async {
        let rotated = rotate.await;
        over.store(true, Ordering::Relaxed);
        rotated
    };
    let (worked, rotated) = tokio::join!(work(&petrov, &over), rotate);
    rotated?;
    ensure!(
        worked.context("somebody was refused")? > 10,
        "nobody worked"
    );

    // The old key is nowhere, and nothing is lost with it.
    ensure!(!std::fs::read_to_string(&file)?.contains(first.trim()));
    correct(&petrov, 0..50).await?;
    office.stop()?;
    let office = Office::start_on(&data, &[])?;
    correct(&office.client("s-11")?, 50..100).await?;

    // The negative control: with the old key alone nothing is read, and nothing starts.
    drop(office);
    std::fs::write(&file, first)?;
    let refused = Office::start_on(&data, &[]).err();
    let said = refused.context("it started with the old key")?.to_string();
    ensure!(said.contains("is not the master key of"), "{said}");
    Ok(())
}
