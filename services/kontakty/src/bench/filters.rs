//! First pages of filtered lists of companies, asked as a frontend asks, against the same rows by
//! SQL written by hand. The companies come into the base as they do in an office: by an import.

mod base;
mod office;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use api::accounts::{Account, Lifecycle, ListAccountsRequest};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;
use vocabulary::StaffId;

use crate::{
    client::{Client, Refused},
    output::{Format, Rows, number, text},
};
use base::{HEAD, MANAGER, group_of_head};
use office::Office;

pub(super) struct Workload {
    pub accounts: usize,
    /// Questions of each kind.
    pub rounds: usize,
    pub format: Format,
}

/// One list, as it is asked for and as somebody would write it in SQL.
struct Question {
    who: &'static str,
    what: &'static str,
    request: ListAccountsRequest,
    sql: String,
}

struct Measured {
    rows: usize,
    asked: [f64; 2],
    by_hand: [f64; 2],
    same: bool,
}

pub(super) async fn run(folder: &std::path::Path, workload: &Workload) -> anyhow::Result<()> {
    let office = Office::start(folder).await?;
    base::load(&office, workload.accounts).await?;
    let mut connection = PgConnection::connect_with(&office.accounts_database()).await?;
    sqlx::raw_sql("vacuum analyze")
        .execute(&mut connection)
        .await?;
    let mut rows = Rows::new(vec![
        text("Who", "who"),
        text("Filter", "filter"),
        number("Rows", "rows"),
        number("p50 ms", "p50_ms"),
        number("p99 ms", "p99_ms"),
        number("SQL p50 ms", "sql_p50_ms"),
        number("SQL p99 ms", "sql_p99_ms"),
        number("Ratio p50", "ratio"),
        text("Same rows", "same"),
    ]);
    let (mut same, mut slowest) = (true, 0_f64);
    for question in questions() {
        let client = office.client(question.who).await?;
        let measured = measure(&client, &mut connection, &question, workload.rounds).await?;
        let Measured { asked, by_hand, .. } = measured;
        (same, slowest) = (same && measured.same, slowest.max(asked[1]));
        let mut row = vec![
            question.who.to_owned(),
            question.what.to_owned(),
            measured.rows.to_string(),
        ];
        row.extend(asked.iter().chain(&by_hand).map(|ms| format!("{ms:.2}")));
        row.push(format!("{:.2}", asked[0] / by_hand[0].max(0.001)));
        row.push(measured.same.to_string());
        rows.push(row);
    }
    rows.print(workload.format)?;
    eprintln!(
        "{} accounts; the slowest p99 is {slowest:.1} ms",
        workload.accounts
    );
    connection.close().await?;
    office.stop().await?;
    if !same {
        bail!("incorrect: a list has other rows than the SQL");
    }
    Ok(())
}

/// Both in turn, so that whatever else the machine does meets both.
async fn measure(
    client: &Client,
    connection: &mut PgConnection,
    question: &Question,
    rounds: usize,
) -> anyhow::Result<Measured> {
    let (mut asked, mut by_hand) = (Vec::new(), Vec::new());
    let (mut listed, mut selected) = (Vec::new(), Vec::<Uuid>::new());
    let mut accounts = client.accounts()?;
    // The first one warms up.
    for round in 0..=rounds {
        let began = Instant::now();
        let answer = accounts
            .list_accounts(question.request.clone())
            .await
            .map_err(Refused)?;
        let took = began.elapsed();
        listed = answer
            .into_inner()
            .accounts
            .iter()
            .map(id)
            .collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        let rows = sqlx::query(AssertSqlSafe(question.sql.clone()))
            .fetch_all(&mut *connection)
            .await?;
        let took_by_hand = began.elapsed();
        selected = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        if round > 0 {
            asked.push(took);
            by_hand.push(took_by_hand);
        }
    }
    Ok(Measured {
        rows: listed.len(),
        asked: percentiles(asked),
        by_hand: percentiles(by_hand),
        same: listed == selected,
    })
}

fn id(account: &Account) -> anyhow::Result<Uuid> {
    account.id.parse().context("an id")
}

/// The middle one and the slowest of a hundred, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    })
}

/// Fields of the request and what they say.
type Given = &'static [(&'static str, &'static str)];

/// What people filter by, and the same in SQL.
#[rustfmt::skip]
const FILTERS: [(&str, Given, &str); 12] = [
    ("everything", &[], "true"),
    ("prospects of a city", &[("lifecycle", "prospect"), ("city", "Миасс")], "not client and city_folded = 'миасс'"),
    ("a small city", &[("city", "Чебаркуль")], "city_folded = 'чебаркуль'"),
    ("part of a name", &[("query", "вектор")], "words like '%вектор%'"),
    ("two parts", &[("query", "вект 777")], "words like '%вект%' and words like '%777%'"),
    ("a telephone", &[("query", "8 (910) 000-07-77")], "'+79100000777' = any(phones)"),
    ("project and city", &[("project", "бетон"), ("city", "Тверь")], "project_words like '%бетон%' and city_folded = 'тверь'"),
    ("address", &[("address", "ленина 77")], "address_words like '%ленина%' and address_words like '% 77%'"),
    ("last result", &[("last_outcome", "refused")], "account_id in (select account_id from contacted.contacted where last_outcome = 'refused')"),
    ("last result and city", &[("last_outcome", "call_back"), ("city", "Миасс")], "city_folded = 'миасс' and account_id in (select account_id from contacted.contacted where last_outcome = 'call_back')"),
    ("status and source", &[("status", "new"), ("source", "cold_call")], "status = 'new' and source = 'cold_call'"),
    ("nothing", &[("query", "такого нет")], "words like '%такого%' and words like '%нет%'"),
];

fn request(given: Given) -> ListAccountsRequest {
    let of = |name: &str| {
        let mut fields = given.iter();
        let field = fields.find(|(field, _)| *field == name);
        field.map_or_else(String::new, |(_, text)| (*text).to_owned())
    };
    let lifecycle = if of("lifecycle").is_empty() {
        Lifecycle::Unspecified
    } else {
        Lifecycle::Prospect
    };
    ListAccountsRequest {
        lifecycle: lifecycle.into(),
        query: of("query"),
        city: of("city"),
        address: of("address"),
        project: of("project"),
        status: of("status"),
        source: of("source"),
        last_outcome: of("last_outcome"),
        ..ListAccountsRequest::default()
    }
}

fn questions() -> Vec<Question> {
    let manager = format!("owner_id = '{}'", StaffId::of_external(MANAGER));
    let members: Vec<_> = group_of_head()
        .map(|who| format!("'{}'", StaffId::of_external(&who)))
        .collect();
    let group = format!("owner_id = any(array[{}]::uuid[])", members.join(","));
    let mut questions = Vec::new();
    for (who, seen) in [
        ("admin", "true"),
        (HEAD, group.as_str()),
        (MANAGER, manager.as_str()),
    ] {
        for (what, given, condition) in FILTERS {
            questions.push(Question {
                who,
                what,
                request: request(given),
                sql: format!(
                    "select account_id, external_id, client, name, phones, emails, city, region,
                            address, industry, project, source, status, owner_id, registered_at
                     from companies.companies
                     where merged_into is null and {seen} and {condition}
                     order by name_sort, account_id limit 50"
                ),
            });
        }
    }
    questions
}
