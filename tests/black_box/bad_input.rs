//! Bad input gets a clear answer that names the place, and nothing is half-done.

use std::path::Path;

use anyhow::{Context, ensure};
use api::{
    accounts::{ListAccountsRequest, LoginRequest},
    planning::CreateTaskRequest,
};
use tests::{
    background::{Background, reason},
    client::Client,
};
use tonic::Code;
use tonic_types::StatusExt;

const NOW: &str = "2026-03-10T09:00:00+03:00";

/// What the command line says of a file: its output and its complaints.
fn import(
    office: &Background,
    kind: &str,
    name: &str,
    bytes: &[u8],
) -> anyhow::Result<(bool, String)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::write(&path, bytes)?;
    said(
        office,
        &["import", kind, &path.to_string_lossy(), "--format", "csv"],
    )
}

fn said(office: &Background, args: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = office.office.try_command("s-02", args)?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((output.status.success(), text))
}

/// T-003: files as offices have them: encodings, delimiters, broken rows, the same file twice.
#[tokio::test]
async fn files_as_offices_have_them() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    // Windows-1251 with semicolons, as a Russian spreadsheet saves it.
    let text = "external_id;name;phone;city;owner\r\na-1;ООО «Вектор-Строй»;8 (900) 000-05-55;Миасс;s-11\r\n";
    let windows_1251: Vec<u8> = text
        .chars()
        .map(windows_1251)
        .collect::<Option<_>>()
        .context("a letter")?;
    let (good, out) = import(&office, "accounts", "base.csv", &windows_1251)?;
    ensure!(good && out.contains("created,1"), "{out}");
    let request = ListAccountsRequest {
        query: "вектор".to_owned(),
        ..Default::default()
    };
    let found = office
        .client("s-11")?
        .accounts()
        .list_accounts(request)
        .await?
        .into_inner()
        .accounts;
    ensure!(
        found.len() == 1
            && found[0]
                .card
                .as_ref()
                .is_some_and(|card| card.name == "ООО «Вектор-Строй»")
    );

    let before = office.events("accounts").await?.len();
    let (good, out) = import(&office, "accounts", "base.csv", &windows_1251)?;
    ensure!(
        good && out.contains("created,1") && out.contains("repeated,0"),
        "{out}"
    );

    let again = office.events("accounts").await?;
    ensure!(again.len() == before, "imported again, it added something");

    let faulty = "external_id,name,phone,owner\na-2,Без телефона,,s-11\na-3,Сломанный,12,s-11\na-4,Ничей,+79000000401,s-77\na-5,короткая\na-6,Хорошая,+79000000601,s-11\n";
    let (good, out) = import(&office, "accounts", "base.csv", faulty.as_bytes())?;
    ensure!(
        good && out.contains("created,1") && out.contains("rejected,4"),
        "{out}"
    );
    for place in [
        "row 2: phone",
        "row 3: phone",
        "row 4: owner",
        "row 5: row has 2 fields",
    ] {
        ensure!(out.contains(place), "{place} is not named: {out}");
    }
    ensure!(
        office.events("accounts").await?.len() == before + 2,
        "more than the good row and the report was recorded"
    );

    let garbage: Vec<u8> = (0..10_000_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let (good, out) = import(&office, "accounts", "base.csv", &garbage)?;
    ensure!(!good && out.contains("is no file of accounts"), "{out}");
    ensure!(office.events("accounts").await?.len() == before + 2);

    let (good, out) = said(&office, &["report", "weather"])?;
    ensure!(
        !good && out.contains("weather") && out.contains("scorecard"),
        "{out}"
    );
    let (good, out) = said(
        &office,
        &[
            "import",
            "accounts",
            &Path::new("/no/such/file").to_string_lossy(),
        ],
    )?;
    ensure!(!good && out.contains("cannot read"), "{out}");
    Ok(())
}

/// The byte of a character, for the characters of this file.
fn windows_1251(c: char) -> Option<u8> {
    Some(match c {
        '\0'..='\x7f' => c as u8,
        '«' => 0xab,
        '»' => 0xbb,
        'А'..='я' => u8::try_from(c as u32 - 'А' as u32)
            .ok()?
            .checked_add(0xc0)?,
        _ => return None,
    })
}

#[tokio::test]
async fn tokens_and_sizes() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let good = office.office.token("s-11")?;
    let forged = format!("{}x", &good[..good.len() - 1]);
    for token in ["", "nonsense", &forged, "a.b.c"] {
        let answer = Client::new(&office.office.grpc, Some(token))?
            .accounts()
            .list_accounts(ListAccountsRequest::default())
            .await;
        let status = answer.err().context("was let in")?;
        ensure!(status.code() == Code::Unauthenticated, "{status:?}");
    }
    // Of another role: an analyst has no cards.
    let status = office
        .client("s-40")?
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await
        .err()
        .context("was let in")?;
    ensure!(
        status.code() == Code::PermissionDenied && !reason(&status).is_empty(),
        "{status:?}"
    );

    let wrong = LoginRequest {
        login: "nobody".to_owned(),
        password: "wrong-password".to_owned(),
    };
    let status = Client::new(&office.office.grpc, None)?
        .identity()
        .login(wrong)
        .await
        .err()
        .context("was let in")?;
    ensure!(status.code() == Code::Unauthenticated, "{status:?}");

    // In the language of whoever asks, the whole and every field.
    for (accepted, locale, whole) in [
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru-RU", "Проверьте поля"),
        ("en-GB", "en-US", "Check the fields"),
    ] {
        let status = office
            .client("s-11")?
            .speaking(accepted)
            .planning()
            .create_task(CreateTaskRequest::default())
            .await
            .err()
            .context("was taken")?;
        let details = status.get_error_details();
        let told = details.localized_message().context("no message")?;
        ensure!(
            told.locale == locale && told.message.starts_with(whole),
            "{told:?}"
        );
        let fields = details.bad_request().context("no fields")?;
        ensure!(
            fields.field_violations.iter().all(|field| {
                let told = field.localized_message.as_ref();
                told.is_some_and(|told| told.locale == locale && !told.message.is_empty())
            }),
            "{fields:?}"
        );
    }

    let large = ListAccountsRequest {
        query: "я".repeat(5 << 20),
        ..Default::default()
    };
    let status = office
        .client("s-11")?
        .accounts()
        .list_accounts(large)
        .await
        .err()
        .context("was taken")?;
    ensure!(
        matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange),
        "{status:?}"
    );
    Ok(())
}
