use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Card, CardExport, ExportAccountsRequest, ListAccountsRequest, ListCardExportsRequest,
        RegisterProspectRequest, TransferAccountsRequest,
    },
    common::SheetFormat,
    contacts::ExportPersonsRequest,
};
use calamine::{DataType, Reader, Xlsx};
use tests::{
    background::{Background, code, fields, import, request_id},
    client::Client,
};
use tonic::Code;

const ACCOUNTS: &str = "external_id,name,phone,city,owner
acc-1,ООО «Вектор; Строй»,+7 900 000-05-55,Миасс,s-11
acc-2,Гамма,+7 900 000-05-56,Челябинск,s-11
acc-3,Дельта,+7 900 000-05-57,Миасс,s-21
";
const PERSONS: &str = "external_id,account,name,position,phone
p-1,acc-1,Ильин Константин Петрович,директор,+7 900 000-01-15
p-2,acc-3,Соколова Вера,бухгалтер,+7 900 000-01-16
";

struct Exported {
    rows: i64,
    file: Vec<u8>,
    parts: usize,
}

async fn accounts(client: &Client, request: ExportAccountsRequest) -> anyhow::Result<Exported> {
    let mut parts = client.export().export_accounts(request).await?.into_inner();
    let mut exported = Exported {
        rows: 0,
        file: Vec::new(),
        parts: 0,
    };
    while let Some(part) = parts.message().await? {
        exported.rows = exported.rows.max(part.rows);
        exported.file.extend(part.bytes);
        exported.parts += 1;
    }
    Ok(exported)
}

async fn exports(office: &Background, client: &Client) -> anyhow::Result<Vec<CardExport>> {
    let request = ListCardExportsRequest {
        min_positions: vec![
            office.head("accounts").await?,
            office.head("contacts").await?,
        ],
        ..ListCardExportsRequest::default()
    };
    let listed = client.export().list_card_exports(request).await?;
    Ok(listed.into_inner().exports)
}

/// T-017, N-16: companies as CSV in Russian and English and as a workbook: what the caller sees, no
/// formula among them, each time on record.
#[tokio::test]
async fn t017_companies_for_a_spreadsheet() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let petrov = office.client("s-11")?;
    let dangerous = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "=HYPERLINK(\"http://evil.example\")".to_owned(),
            phones: vec!["+7 900 000-05-58".to_owned()],
            address: "@SUM(1+1)".to_owned(),
            city: "-Миасс".to_owned(),
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    petrov.accounts().register_prospect(dangerous).await?;
    let wanted = |filter: ListAccountsRequest| ExportAccountsRequest {
        filter: Some(filter),
        language: "en".to_owned(),
        ..ExportAccountsRequest::default()
    };
    let everything = ListAccountsRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListAccountsRequest::default()
    };
    let mine = accounts(&petrov, wanted(everything.clone())).await?;
    ensure!(mine.rows == 3 && mine.parts >= 2, "{}", mine.rows);
    let text = String::from_utf8(mine.file)?;
    let text = text.strip_prefix('\u{feff}').context("no mark")?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<_> = reader.headers()?.iter().map(str::to_owned).collect();
    ensure!(header[..5] == ["id", "external_id", "lifecycle", "name", "type"]);
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let name = header
        .iter()
        .position(|title| title == "name")
        .context("name")?;
    let names: BTreeSet<_> = rows.iter().map(|row| row[name].to_owned()).collect();
    let expected = [
        "'=HYPERLINK(\"http://evil.example\")",
        "ООО «Вектор; Строй»",
        "Гамма",
    ];
    ensure!(names == expected.map(str::to_owned).into(), "{names:?}");
    for cell in rows.iter().flatten() {
        ensure!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{cell}"
        );
    }
    ensure!(
        rows.iter().any(|row| row.iter().any(|cell| cell == "s-11")),
        "the owner"
    );

    let in_miass = ListAccountsRequest {
        city: "миасс".to_owned(),
        query: "Вектор".to_owned(),
        ..everything.clone()
    };
    let russian = ExportAccountsRequest {
        language: String::new(),
        ..wanted(in_miass.clone())
    };
    let russian = accounts(&office.admin, russian).await?;
    ensure!(russian.rows == 1);
    let text = String::from_utf8(russian.file)?;
    ensure!(text.contains("Номер в системе;Внешний номер;"), "{text}");

    let workbook = ExportAccountsRequest {
        format: SheetFormat::Xlsx.into(),
        ..wanted(everything.clone())
    };
    let workbook = accounts(&office.admin, workbook).await?;
    ensure!(workbook.rows == 4);
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(workbook.file))?;
    let sheet = book.worksheet_range_at(0).context("a sheet")??;
    ensure!(sheet.height() == 5, "{}", sheet.height());
    let texts = sheet.used_cells().all(|(_, _, cell)| cell.is_string());
    ensure!(texts, "every cell is a text");
    let name = book.sheet_names()[0].clone();
    ensure!(book.worksheet_formula(&name)?.is_empty(), "a formula");

    let recorded = exports(&office, &office.admin).await?;
    let told: Vec<_> = recorded
        .iter()
        .map(|export| {
            (
                export.staff_id.as_str(),
                export.format.as_str(),
                export.rows,
            )
        })
        .collect();
    let (admin, manager) = (&office.staff["s-01"], &office.staff["s-11"]);
    let expected = [
        (admin.as_str(), "xlsx", 4),
        (admin.as_str(), "csv", 1),
        (manager.as_str(), "csv", 3),
    ];
    ensure!(told == expected, "{told:?}");
    let filter = &recorded[1].filter;
    // What was typed to find somebody is not kept.
    for typed in ["city", "query"] {
        let kept = filter.get(typed).map(String::as_str);
        ensure!(kept == Some("…"), "{filter:?}");
    }
    let of_a = exports(&office, &office.client("s-10")?).await?;
    ensure!(of_a.len() == 1 && of_a[0].staff_id == *manager);
    ensure!(exports(&office, &office.client("s-20")?).await?.is_empty());

    let wrong = ExportAccountsRequest {
        language: "fr".to_owned(),
        ..wanted(everything.clone())
    };
    let wrong = petrov
        .export()
        .export_accounts(wrong)
        .await
        .err()
        .context("taken")?;
    ensure!(fields(&wrong) == ["language"], "{wrong:?}");
    let operator = office
        .client("s-30")?
        .export()
        .export_accounts(wanted(everything))
        .await;
    ensure!(code(&operator) == Code::PermissionDenied);
    let events = office.events("accounts").await?;
    let recorded = events.iter().filter(|(of, _)| of == "cards.exported");
    ensure!(recorded.count() == 3, "who is refused took nothing");
    Ok(())
}

/// T-017: a company that went to somebody else is in no list of its former owner any more.
#[tokio::test]
async fn t017_persons_and_who_sees_them() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "persons", PERSONS)?;
    let petrov = office.client("s-11")?;
    let export = async |client: &Client| {
        let request = ExportPersonsRequest {
            language: "en".to_owned(),
            min_positions: vec![
                office.head("accounts").await?,
                office.head("contacts").await?,
            ],
            ..ExportPersonsRequest::default()
        };
        let parts = client.person_export().export_persons(request).await;
        let mut parts = parts?.into_inner();
        let mut file = Vec::new();
        while let Some(part) = parts.message().await? {
            file.extend(part.bytes);
        }
        anyhow::Ok(String::from_utf8(file)?)
    };
    let mine = export(&petrov).await?;
    ensure!(
        mine.contains("Ильин") && !mine.contains("Соколова"),
        "{mine}"
    );
    ensure!(mine.contains("'+79000000115"), "{mine}");
    let all = export(&office.admin).await?;
    ensure!(all.contains("Ильин") && all.contains("Соколова"), "{all}");
    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![office.account("acc-1").await?],
        to_owner_id: office.staff["s-21"].clone(),
        reason: "передача".to_owned(),
        ..TransferAccountsRequest::default()
    };
    office.admin.accounts().transfer_accounts(request).await?;
    let mine = export(&petrov).await?;
    ensure!(!mine.contains("Ильин"), "{mine}");
    let recorded = exports(&office, &office.admin).await?;
    let told: Vec<_> = recorded
        .iter()
        .map(|export| (export.what.as_str(), export.rows))
        .collect();
    ensure!(
        told == [("persons", 0), ("persons", 2), ("persons", 1)],
        "{told:?}"
    );
    let events = office.events("contacts").await?;
    ensure!(
        events
            .iter()
            .filter(|(of, _)| of == "cards.exported")
            .count()
            == 3
    );
    Ok(())
}

/// T-017: from the command line into a file, to standard output, and back through an import.
#[tokio::test]
async fn t017_from_the_command_line() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    office.caught_up().await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("clients.xlsx");
    let path = path.to_string_lossy();
    let said = office
        .office
        .command("s-02", &["export", "accounts", "--out", &path])?;
    ensure!(said.contains("3 accounts"), "{said}");
    let book: Xlsx<_> = calamine::open_workbook(&*path)?;
    ensure!(book.sheet_names().len() == 1);
    let again = office
        .office
        .command("s-02", &["export", "accounts", "--out", &path]);
    ensure!(again.is_err(), "a file that is there is not written over");
    let args = [
        "export",
        "accounts",
        "--language",
        "en",
        "--city",
        "Миасс",
        "--owner",
        "s-11",
    ];
    let listed = office.office.command("s-02", &args)?;
    ensure!(
        listed.contains("Вектор") && !listed.contains("Гамма"),
        "{listed}"
    );

    // In another office the file is imported as it is.
    let other = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&other.office, "s-02", "accounts", &listed)?;
    let request = ListAccountsRequest {
        min_positions: vec![other.head("accounts").await?],
        ..ListAccountsRequest::default()
    };
    let listed = other
        .admin
        .accounts()
        .list_accounts(request)
        .await?
        .into_inner()
        .accounts;
    let [account] = &listed[..] else {
        anyhow::bail!("{listed:?}")
    };
    let card = account.card.clone().unwrap_or_default();
    ensure!(
        card.phones == ["+79000000555"] && card.name == "ООО «Вектор; Строй»",
        "{card:?}"
    );
    ensure!(account.external_id == "acc-1" && account.owner_id == other.staff["s-11"]);
    Ok(())
}
