//! Files of companies: imported once, whatever happens, and remembered row by row.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Card, CatalogueEntry, CatalogueList, ChangeAccountDetailsRequest, FieldDefinition,
        FieldKind, GetAccountRequest, Import, ImportRow, Lifecycle, ListAccountsRequest,
        ListImportRowsRequest, ListImportsRequest, PhoneList, PublishEntriesRequest,
        PublishFieldRequest, RegisterOrderRequest, custom_value::Value,
    },
    common::{Money, row_result::Outcome},
};
use tests::{
    background::{Background, head, import, request_id},
    client::Client,
    eventually,
    office::binary,
};

const PROSPECTS: usize = 500;
const CLIENTS: usize = 120;
const NEW: usize = 862;
const KNOWN_PROSPECTS: usize = 80;
const KNOWN_CLIENTS: usize = 13;
const TWICE: usize = 31;
/// So many rows that an office is killed among them; more with `KONTAKTY_TEST_IMPORT_ROWS`.
const MANY: usize = 8_000;
const LONG: Duration = Duration::from_mins(10);

/// 500 prospects and 120 clients of Никитин.
fn base() -> (String, String) {
    let mut accounts = "external_id,name,phone,owner\n".to_owned();
    let mut orders = "external_id,account,amount,currency,ordered_at\n".to_owned();
    for number in 0..PROSPECTS {
        let _ = writeln!(
            accounts,
            "p-{number},Проспект {number},+7900100{number:04},s-21"
        );
    }
    for number in 0..CLIENTS {
        let _ = writeln!(
            accounts,
            "c-{number},Клиент {number},+7900200{number:04},s-21"
        );
        let _ = writeln!(orders, "o-{number},c-{number},100.00,RUB,2026-02-01");
    }
    (accounts, orders)
}

/// The rows of a telephone directory; telephones are written in many ways.
fn directory() -> Vec<String> {
    let mut rows = Vec::new();
    for number in 0..NEW {
        // Some have nothing but a telephone.
        let email = if number % 3 == 0 {
            format!("d{number}@example.org")
        } else {
            String::new()
        };
        rows.push(format!(
            "d-{number},Новая {number},8 (900) 300-{:02}-{:02},{email}",
            number / 100,
            number % 100
        ));
    }
    let known = |of: usize, number: usize| {
        format!(
            "k-{of}-{number},Известная {number},8-900-{of}-{:02}-{:02},",
            number / 100,
            number % 100
        )
    };
    rows.extend((0..KNOWN_PROSPECTS).map(|number| known(100, number)));
    rows.extend((0..KNOWN_CLIENTS).map(|number| known(200, number)));
    for number in 0..TWICE {
        rows.push(format!(
            "t-{number},Ещё раз {number},+7 900 300 {number:04},"
        ));
    }
    rows.extend((0..9).map(|number| format!("u-{number},Без связи {number},,")));
    rows.extend((0..5).map(|number| format!("b-{number},Сломанный {number},8900,")));
    rows
}

/// Each row once, in another order.
fn shuffled(rows: &[String]) -> Vec<String> {
    (0..rows.len())
        .map(|number| rows[(number * 37 + 11) % rows.len()].clone())
        .collect()
}

fn written(folder: &Path, name: &str, rows: &[String]) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(
        &path,
        format!("external_id,name,phone,email\n{}\n", rows.join("\n")),
    )?;
    Ok(path)
}

/// How many rows had which fate, and the fate of each, as the command line tells it.
fn report(
    office: &Background,
    who: &str,
    file: &Path,
) -> anyhow::Result<(BTreeMap<String, u64>, String)> {
    let fates = file.with_extension("fates");
    let args = [
        "import",
        "accounts",
        &file.to_string_lossy(),
        "--report",
        &fates.to_string_lossy(),
        "--format",
        "json",
    ];
    let counts = counted(&office.office.command(who, &args)?)?;
    Ok((counts, std::fs::read_to_string(fates)?))
}

fn counted(output: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(output)?;
    let count = |row: &serde_json::Value| {
        let outcome = row["outcome"].as_str()?.to_owned();
        Some((outcome, row["count"].as_u64()?))
    };
    Ok(rows.iter().filter_map(count).collect())
}

fn fates(created: u64, matched: u64, repeated: u64, rejected: u64) -> BTreeMap<String, u64> {
    let counts = [
        ("created", created),
        ("matched", matched),
        ("repeated", repeated),
        ("rejected", rejected),
        ("total", created + matched + repeated + rejected),
    ];
    counts.map(|(fate, count)| (fate.to_owned(), count)).into()
}

async fn total(office: &Background, lifecycle: Lifecycle) -> anyhow::Result<i64> {
    let request = ListAccountsRequest {
        lifecycle: lifecycle.into(),
        count: true,
        min_positions: vec![office.head("accounts").await?],
        ..ListAccountsRequest::default()
    };
    let answer = office.admin.accounts().list_accounts(request).await?;
    Ok(answer.into_inner().total)
}

async fn imports(office: &Background) -> anyhow::Result<Vec<Import>> {
    let request = ListImportsRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListImportsRequest::default()
    };
    let answer = office.admin.imports().list_imports(request).await?;
    Ok(answer.into_inner().imports)
}

/// S-12: import of a telephone directory (T-003, T-004, T-009).
#[tokio::test]
async fn s12_import_of_a_telephone_directory() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let (accounts, orders) = base();
    import(&office.office, "s-02", "accounts", &accounts)?;
    import(&office.office, "s-02", "orders", &orders)?;
    ensure!(total(&office, Lifecycle::Prospect).await? == PROSPECTS as i64);
    ensure!(total(&office, Lifecycle::Client).await? == CLIENTS as i64);

    let folder = tempfile::tempdir()?;
    let rows = directory();
    ensure!(rows.len() == 1_000);
    let file = written(folder.path(), "справочник.csv", &rows)?;
    let (counts, first) = report(&office, "s-11", &file)?;
    ensure!(counts == fates(862, 93, 31, 14), "{counts:?}");
    ensure!(total(&office, Lifecycle::Prospect).await? == 1_362);
    ensure!(total(&office, Lifecycle::Client).await? == 120);
    let matched: Vec<_> = first
        .lines()
        .filter(|line| line.contains(",matched,"))
        .collect();
    ensure!(matched.len() == 93);
    for line in matched {
        // Петров learns whom to ask, and nothing else.
        ensure!(line.ends_with(",matched,,Никитин П. О.,"), "{line}");
    }
    let rejected = |what: &str| first.lines().filter(|line| line.contains(what)).count();
    ensure!(
        rejected("a phone or an e-mail is needed") == 9
            && rejected("phone is not a telephone number") == 5
    );

    let events = office.events("accounts").await?.len();
    let (counts, again) = report(&office, "s-11", &file)?;
    ensure!(counts == fates(862, 93, 31, 14), "{counts:?}");
    ensure!(again == first, "the report is another one");
    ensure!(
        office.events("accounts").await?.len() == events,
        "it added something"
    );

    let file = written(folder.path(), "другой порядок.csv", &shuffled(&rows))?;
    let (counts, _) = report(&office, "s-11", &file)?;
    ensure!(counts == fates(0, 955, 31, 14), "{counts:?}");
    ensure!(total(&office, Lifecycle::Prospect).await? == 1_362);
    Ok(())
}

/// S-12, T-003: a directory that numbers nothing; its companies are known again by what it says of
/// them, also when a card has changed meanwhile.
#[tokio::test]
async fn s12_a_directory_without_external_ids() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let (accounts, orders) = base();
    import(&office.office, "s-02", "accounts", &accounts)?;
    import(&office.office, "s-02", "orders", &orders)?;

    let folder = tempfile::tempdir()?;
    let unnumbered = |name: &str, rows: &[String]| {
        let rows: Vec<_> = rows
            .iter()
            .filter_map(|row| Some(row.split_once(',')?.1))
            .collect();
        let path = folder.path().join(name);
        std::fs::write(&path, format!("name,phone,email\n{}\n", rows.join("\n")))?;
        anyhow::Ok(path)
    };
    let rows = directory();
    let file = unnumbered("справочник.csv", &rows)?;
    let (counts, first) = report(&office, "s-11", &file)?;
    ensure!(counts == fates(862, 93, 31, 14), "{counts:?}");
    ensure!(total(&office, Lifecycle::Prospect).await? == 1_362);
    let (_, again) = report(&office, "s-11", &file)?;
    ensure!(again == first, "the report is another one");

    // «Новая 40» has another telephone by now.
    let line = first.lines().nth(41).context("a row")?;
    let account_id = line.split(',').nth(2).context("an id")?.to_owned();
    let change = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        phones: Some(PhoneList {
            phones: vec!["+7 900 399-99-99".to_owned()],
        }),
        ..ChangeAccountDetailsRequest::default()
    };
    office
        .admin
        .accounts()
        .change_account_details(change)
        .await?;
    let file = unnumbered("другой порядок.csv", &shuffled(&rows))?;
    let (counts, _) = report(&office, "s-11", &file)?;
    ensure!(counts == fates(0, 955, 31, 14), "{counts:?}");
    ensure!(total(&office, Lifecycle::Prospect).await? == 1_362);

    let request = GetAccountRequest {
        account_id,
        ..GetAccountRequest::default()
    };
    let account = office.admin.accounts().get_account(request).await?;
    let account = account.into_inner().account.context("an account")?;
    ensure!(account.external_id.is_empty(), "nobody gave it one");
    Ok(())
}

/// What an office has agreed on for its cards.
async fn agree(admin: &Client) -> anyhow::Result<()> {
    let entry = |key: &str, name: &str| CatalogueEntry {
        key: key.to_owned(),
        name: name.to_owned(),
        ..CatalogueEntry::default()
    };
    let rubrics = PublishEntriesRequest {
        request_id: request_id(),
        list: CatalogueList::Rubric.into(),
        entries: vec![
            entry("builders", "Строители, ремонт"),
            entry("dealers", "Дилеры"),
        ],
    };
    admin.catalogue().publish_entries(rubrics).await?;
    for (key, name, kind) in [
        ("inn", "ИНН", FieldKind::Text),
        ("staff", "Сотрудников", FieldKind::Number),
        ("founded", "Основана", FieldKind::Date),
        ("network", "Сеть", FieldKind::YesNo),
        ("turnover", "Оборот", FieldKind::Money),
        ("size", "Размер сети", FieldKind::Choice),
    ] {
        let choice = kind == FieldKind::Choice;
        let choices = [entry("small", "Малый"), entry("big", "Большой")];
        let field = FieldDefinition {
            key: key.to_owned(),
            name: name.to_owned(),
            kind: kind.into(),
            choices: choices.into_iter().filter(|_| choice).collect(),
            required: choice,
            ..FieldDefinition::default()
        };
        let request = PublishFieldRequest {
            request_id: request_id(),
            field: Some(field),
        };
        admin.catalogue().publish_field(request).await?;
    }
    Ok(())
}

async fn card(office: &Background, external_id: &str) -> anyhow::Result<Card> {
    let request = GetAccountRequest {
        account_id: office.account(external_id).await?,
        ..GetAccountRequest::default()
    };
    let account = office.admin.accounts().get_account(request).await?;
    let account = account.into_inner().account.context("an account")?;
    account.card.context("a card")
}

async fn rows_of(office: &Background, import: &Import) -> anyhow::Result<Vec<ImportRow>> {
    let request = ListImportRowsRequest {
        import_id: import.id.clone(),
        ..ListImportRowsRequest::default()
    };
    let listed = office.admin.imports().list_import_rows(request).await?;
    Ok(listed.into_inner().rows)
}

const AGREED: &str = "external_id,name,phone,inn,staff,founded,network,turnover,Размер сети,rubrics,вес
a-1,Вектор,+7 900 000-06-01,7415000000,\"1 200,5\",02.03.1999,да,\"180 000,00\",большой,\"строители, РЕМОНТ; dealers\",5
a-2,Гамма,+7 900 000-06-02,?,,,неизвестно,,,,
a-3,Дельта,+7 900 000-06-03,,много,31.02.1999,может быть,,огромный,космос,
";

/// T-003, T-012, N-17: rubrics and the fields of the office from a file. A bad cell rejects its row,
/// and for ever one can ask why.
#[tokio::test]
async fn fields_of_the_office_come_from_files() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    agree(&office.admin).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("справочник.csv");
    std::fs::write(&file, AGREED)?;
    let path = file.to_string_lossy();
    let args = ["import", "accounts", &path, "--format", "json"];
    let output = office.office.try_command("s-02", &args)?;
    let counts = counted(&String::from_utf8(output.stdout)?)?;
    ensure!(counts == fates(2, 0, 0, 1), "{counts:?}");
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("columns ignored: вес\n"), "{said}");
    for fault in [
        "staff must be a number",
        "founded must be a date",
        "network must be yes or no",
        "size must be one of the choices",
        "rubrics must be one of those in the catalogue",
    ] {
        ensure!(said.contains(fault), "{fault}: {said}");
    }

    let full = card(&office, "a-1").await?;
    let values = |card: &Card| {
        let values = card.custom.iter().cloned();
        let values = values.filter_map(|one| Some((one.key, one.value?)));
        values.collect::<BTreeMap<_, _>>()
    };
    let expected = [
        ("founded", Value::Date("1999-03-02".to_owned())),
        ("inn", Value::Text("7415000000".to_owned())),
        ("network", Value::Yes(true)),
        ("size", Value::Choice("big".to_owned())),
        ("staff", Value::Number("1200.5".to_owned())),
        (
            "turnover",
            Value::Money(Money {
                minor_units: 18_000_000,
                currency: "RUB".to_owned(),
            }),
        ),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    ensure!(values(&full) == expected.into(), "{full:?}");
    ensure!(full.rubrics == ["builders", "dealers"], "{full:?}");
    // Nobody said how large it is, and every card must have it.
    let little = values(&card(&office, "a-2").await?);
    let unknown = ["inn", "network", "size"].map(|key| (key.to_owned(), Value::Unknown(true)));
    ensure!(little == unknown.into(), "{little:?}");

    let listed = rows_of(&office, &imports(&office).await?[0]).await?;
    ensure!(listed.len() == 3 && listed[..2].iter().all(|row| row.violations.is_empty()));
    ensure!(listed[2].outcome() == Outcome::Rejected && listed[2].account_id.is_empty());
    let faults = &listed[2].violations;
    let columns: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    ensure!(
        columns == ["staff", "founded", "network", "size", "rubrics"],
        "{faults:?}"
    );
    let told = format!("{faults:?}");
    ensure!(
        !told.contains("много") && !told.contains("космос"),
        "{told}"
    );

    // Who is there already stays as it is.
    let other = "external_id,name,phone,inn,rubrics\nb-1,Вектор,8 900 000-06-01,1,dealers\n";
    import(&office.office, "s-02", "accounts", other)?;
    ensure!(card(&office, "a-1").await? == full, "it was changed");
    Ok(())
}

/// T-003, T-012, T-017: what was exported comes back through an import, with Russian titles and with
/// English ones.
#[tokio::test]
async fn exports_come_back() -> anyhow::Result<()> {
    let now = "2026-03-10T09:00:00+03:00";
    let office = Background::start(now).await?;
    agree(&office.admin).await?;
    let good: Vec<_> = AGREED.lines().take(3).collect();
    import(&office.office, "s-02", "accounts", &good.join("\n"))?;
    office.caught_up().await?;
    let russian = office.office.command("s-02", &["export", "accounts"])?;
    ensure!(russian.contains("Внешний номер;"), "{russian}");
    let folder = tempfile::tempdir()?;
    let workbook = folder.path().join("выгрузка.xlsx");
    let path = workbook.to_string_lossy();
    let args = ["export", "accounts", "--language", "en", "--out", &path];
    office.office.command("s-02", &args)?;

    let other = Background::start(now).await?;
    agree(&other.admin).await?;
    import(&other.office, "s-02", "accounts", &russian)?;
    for external_id in ["a-1", "a-2"] {
        let (left, came) = (
            card(&office, external_id).await?,
            card(&other, external_id).await?,
        );
        ensure!(came == left, "{came:?} and not {left:?}");
    }
    let (counts, _) = report(&other, "s-02", &workbook)?;
    ensure!(counts == fates(0, 2, 0, 0), "{counts:?}");
    Ok(())
}

/// N-17: which row of which file became which order, for ever (T-020).
#[tokio::test]
async fn n17_from_the_row_of_a_file_to_the_order() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let folder = tempfile::tempdir()?;
    let good = written(folder.path(), "справочник.csv", &directory()[..100])?;
    let poor = written(folder.path(), "выставка.csv", &directory()[200..210])?;
    report(&office, "s-11", &good)?;
    office.at("2026-03-11T09:00:00+03:00").await?;
    report(&office, "s-21", &poor)?;
    let petrov = office.client("s-11")?;
    for (number, minor_units) in [(3, 18_000_000), (40, 700)] {
        let request = RegisterOrderRequest {
            request_id: request_id(),
            account_id: office.account(&format!("d-{number}")).await?,
            amount: Some(Money {
                minor_units,
                currency: "RUB".to_owned(),
            }),
            ..RegisterOrderRequest::default()
        };
        petrov.accounts().register_order(request).await?;
    }
    let files = imports(&office).await?;
    let told: Vec<_> = files
        .iter()
        .map(|file| (file.file.as_str(), file.created, file.clients, file.orders))
        .collect();
    ensure!(
        told == [("выставка.csv", 10, 0, 0), ("справочник.csv", 100, 2, 2)],
        "{files:?}"
    );
    let bought = files.last().context("a file")?;
    ensure!(bought.imported_by == office.staff["s-11"]);
    ensure!(
        bought
            .sales
            .iter()
            .map(|sum| sum.minor_units)
            .collect::<Vec<_>>()
            == [18_000_700]
    );

    let request = ListImportRowsRequest {
        import_id: bought.id.clone(),
        only_sold: true,
        ..ListImportRowsRequest::default()
    };
    let sold = office
        .admin
        .imports()
        .list_import_rows(request)
        .await?
        .into_inner()
        .rows;
    let amounts: Vec<_> = sold
        .iter()
        .map(|row| {
            (
                row.row,
                row.orders
                    .iter()
                    .flat_map(|order| &order.amount)
                    .map(|sum| sum.minor_units)
                    .sum::<i64>(),
            )
        })
        .collect();
    // The first line names the columns.
    ensure!(amounts == [(5, 18_000_000), (42, 700)], "{sold:?}");

    let request = GetAccountRequest {
        account_id: sold[0].account_id.clone(),
        ..GetAccountRequest::default()
    };
    let account = petrov
        .accounts()
        .get_account(request)
        .await?
        .into_inner()
        .account;
    let origin = account
        .and_then(|account| account.origin)
        .context("an origin")?;
    ensure!(
        (origin.import_id.as_str(), origin.row) == (bought.id.as_str(), 5),
        "{origin:?}"
    );
    ensure!(origin.file == "справочник.csv");
    let refused = petrov
        .imports()
        .list_imports(ListImportsRequest::default())
        .await;
    ensure!(refused.is_err_and(|status| status.code() == tonic::Code::PermissionDenied));
    Ok(())
}

/// T-003: a large file whose import broke off, with the office and without, goes on; every row is
/// counted once, as if nothing had happened.
#[tokio::test]
async fn a_large_import_survives_kills() -> anyhow::Result<()> {
    let now = "2026-03-10T09:00:00+03:00";
    let mut office = Background::start(now).await?;
    let rows = std::env::var("KONTAKTY_TEST_IMPORT_ROWS").ok();
    let rows: usize = rows.and_then(|rows| rows.parse().ok()).unwrap_or(MANY);
    let phone = |number: usize| format!("+7910{number:07}");
    // One row in a hundred repeats another one.
    let lines: Vec<_> = (0..rows)
        .map(|number| {
            format!(
                "m-{number},Компания {number},{},",
                phone(number / 100 * 100 + (number % 100).max(1))
            )
        })
        .collect();
    let repeated = (rows / 100) as u64;
    let folder = tempfile::tempdir()?;
    let file = written(folder.path(), "много.csv", &lines)?;

    let began = std::time::Instant::now();
    let mut importer = spawn(&office, &file)?;
    until_registered(&office, rows / 4).await?;
    importer.kill()?;
    importer.wait()?;
    office.crash(now)?;
    let importer = spawn(&office, &file)?;
    until_registered(&office, rows / 2).await?;
    office.crash(now)?;
    let output = importer.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let counts = counted(&String::from_utf8(output.stdout)?)?;
    println!(
        "{rows} rows in {:.1} s, two crashes among them",
        began.elapsed().as_secs_f64()
    );
    ensure!(
        counts == fates(rows as u64 - repeated, 0, repeated, 0),
        "{counts:?}"
    );
    ensure!(total(&office, Lifecycle::Prospect).await? == (rows as u64 - repeated) as i64);
    let file = &imports(&office).await?[0];
    ensure!(
        (file.created, file.repeated) == ((rows as u64 - repeated) as i64, repeated as i64),
        "{file:?}"
    );
    Ok(())
}

/// An import as a process of its own, which waits while the office is away.
fn spawn(office: &Background, file: &Path) -> anyhow::Result<Child> {
    let import = Command::new(binary())
        .args([
            "import",
            "accounts",
            &file.to_string_lossy(),
            "--format",
            "json",
        ])
        .args([
            "--server",
            &format!("http://{}", office.office.grpc),
            "--as",
            "s-02",
            "--data",
        ])
        .arg(office.office.data())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    import.context("kontakty cannot be started")
}

async fn until_registered(office: &Background, wanted: usize) -> anyhow::Result<()> {
    let admin = office.client("s-01")?;
    let reached = eventually(
        LONG,
        || async {
            head(&admin, "accounts")
                .await
                .map_or(0, |head| head.position)
        },
        |position| *position > wanted as i64,
    )
    .await;
    ensure!(reached > wanted as i64, "only {reached} events");
    Ok(())
}

/// T-003: a row that was refused for what the office lacked is taken when the same file comes again,
/// and nothing else of it is.
#[tokio::test]
async fn what_a_file_lacked_can_be_mended_outside_of_it() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("база.csv");
    let rows = "external_id,name,phone,owner
n-1,Вектор,+7 900 000-07-01,s-11
n-2,Гамма,+7 900 000-07-02,s-55
n-3,Дельта,+7 900,s-11
";
    std::fs::write(&file, rows)?;
    let path = file.to_string_lossy();
    let brought = || {
        let output = office
            .office
            .try_command("s-02", &["import", "accounts", &path, "--format", "json"])?;
        counted(&String::from_utf8(output.stdout)?)
    };
    ensure!(brought()? == fates(1, 0, 0, 2));
    ensure!(brought()? == fates(1, 0, 0, 2));
    let events = async || anyhow::Ok(office.events("accounts").await?.len());
    let before = events().await?;
    let staff = "external_id,name,role,group
s-55,Новикова Дарья Ильинична,manager,A
";
    import(&office.office, "s-02", "staff", staff)?;
    ensure!(brought()? == fates(2, 0, 0, 1));
    ensure!(brought()? == fates(2, 0, 0, 1));
    // She was hired; the company, and the new fate of its row.
    let after = events().await?;
    ensure!(after == before + 3, "{}", after - before);

    let listed = rows_of(&office, &imports(&office).await?[0]).await?;
    let outcomes: Vec<_> = listed.iter().map(ImportRow::outcome).collect();
    let expected = [Outcome::Created, Outcome::Created, Outcome::Rejected];
    ensure!(outcomes == expected, "{listed:?}");
    let import = &imports(&office).await?[0];
    ensure!((import.created, import.rejected) == (2, 1), "{import:?}");
    Ok(())
}
