//! The telephone campaign of a bank (Moro, Cortez, Rita 2014; CC BY 4.0) as import files, and what
//! an office must say of it.
//!
//! How a row becomes contacts stands in the data's own read-me: the last call is on the given date
//! with its duration, the calls before it on the days just before, one a day, unanswered; an order
//! is on the date of the last call. Names and phones are made from the row number.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use chrono::{Datelike, Days, NaiveDate};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// External ids of the managers; the first three are of group A, the others of group B.
pub const MANAGERS: [&str; 5] = ["m-1", "m-2", "m-3", "m-4", "m-5"];
/// Half-way, all accounts of the one pass to the other.
pub const LEAVER: usize = 0;
pub const SUCCESSOR: usize = 1;

/// One client of the campaign.
pub struct Client {
    /// 0, 1, 2 … in order of the last call.
    pub number: usize,
    pub city: String,
    pub industry: String,
    pub last_call: NaiveDate,
    pub duration_s: u32,
    pub calls: u32,
    pub ordered: bool,
}

impl Client {
    pub fn external_id(&self) -> String {
        format!("c-{:05}", self.number + 1)
    }

    pub fn first_call(&self) -> NaiveDate {
        self.last_call - Days::new(u64::from(self.calls) - 1)
    }

    /// The manager who registers the client.
    pub fn owner(&self) -> usize {
        self.number % MANAGERS.len()
    }
}

/// A column of the data by name.
#[derive(Deserialize)]
struct Row {
    job: String,
    marital: String,
    day: u32,
    month: String,
    duration: u32,
    campaign: u32,
    y: String,
}

/// Where the data lies: `KONTAKTY_CAMPAIGN` or `../shared/data` beside the repository.
pub fn data_file() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("KONTAKTY_CAMPAIGN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/bank-full.csv.gz"),
        PathBuf::from,
    );
    ensure!(
        path.exists(),
        "the campaign's data is not there ({}): put bank-full.csv.gz of the UCI Bank Marketing data \
         set there or name it in KONTAKTY_CAMPAIGN; without it nothing was tested",
        path.display()
    );
    Ok(path)
}

pub fn read(path: &Path) -> anyhow::Result<Vec<Client>> {
    let mut text = String::new();
    GzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    // The read-me says commas; some copies of the data set have semicolons.
    let delimiter = if text
        .lines()
        .next()
        .is_some_and(|header| header.contains(';'))
    {
        b';'
    } else {
        b','
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut year, mut former) = (2008, 0);
    let mut clients = Vec::new();
    for (number, row) in reader.deserialize::<Row>().enumerate() {
        let row = row.with_context(|| format!("row {}", number + 2))?;
        let month = month(&row.month)?;
        if month < former {
            year += 1;
        }
        former = month;
        clients.push(Client {
            number,
            city: row.marital,
            industry: row.job,
            last_call: NaiveDate::from_ymd_opt(year, month, row.day)
                .with_context(|| format!("row {}: no such day", number + 2))?,
            duration_s: row.duration,
            calls: row.campaign,
            ordered: row.y == "yes",
        });
    }
    Ok(clients)
}

fn month(name: &str) -> anyhow::Result<u32> {
    let names = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    match names.iter().position(|known| *known == name) {
        Some(index) => Ok(index as u32 + 1),
        None => bail!("`{name}` is no month"),
    }
}

/// The files of one manager in one half of the campaign.
pub struct Files {
    pub interactions: PathBuf,
    pub orders: PathBuf,
}

/// Everything to import.
pub struct Campaign {
    pub staff: PathBuf,
    /// By manager.
    pub accounts: Vec<PathBuf>,
    /// By half, then by manager.
    pub halves: [Vec<Files>; 2],
}

/// Who talks to a client: in the second half the successor has the leaver's clients.
pub fn author(client: &Client, second_half: bool) -> usize {
    match client.owner() {
        LEAVER if second_half => SUCCESSOR,
        owner => owner,
    }
}

/// The clients whose last call is in the second half.
pub fn is_second_half(client: &Client, all: usize) -> bool {
    client.number >= all / 2
}

pub fn write_files(clients: &[Client], folder: &Path) -> anyhow::Result<Campaign> {
    let staff = folder.join("staff.csv");
    write_staff(&staff)?;
    let mut accounts = Vec::new();
    for (manager, name) in MANAGERS.iter().enumerate() {
        let path = folder.join(format!("accounts-{name}.csv"));
        let mut writer = csv::Writer::from_path(&path)?;
        writer.write_record([
            "external_id",
            "name",
            "phone",
            "city",
            "industry",
            "source",
            "registered_at",
        ])?;
        for client in clients.iter().filter(|client| client.owner() == manager) {
            writer.write_record([
                &client.external_id(),
                &format!("Клиент {:05}", client.number + 1),
                &format!("+7 900 {:07}", client.number + 1),
                &client.city,
                &client.industry,
                "directory",
                &client.first_call().to_string(),
            ])?;
        }
        writer.flush()?;
        accounts.push(path);
    }
    let half = |second: bool| -> anyhow::Result<Vec<Files>> {
        (0..MANAGERS.len())
            .map(|manager| write_half(clients, folder, manager, second))
            .collect()
    };
    Ok(Campaign {
        staff,
        accounts,
        halves: [half(false)?, half(true)?],
    })
}

fn write_staff(path: &Path) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["external_id", "name", "role", "group", "head", "hired_on"])?;
    for (head, group) in [("h-a", "A"), ("h-b", "B")] {
        writer.write_record([
            head,
            format!("Руководитель {group}").as_str(),
            "head",
            group,
            head,
            "2007-01-09",
        ])?;
    }
    for (index, manager) in MANAGERS.iter().enumerate() {
        let (group, head) = if index < 3 {
            ("A", "h-a")
        } else {
            ("B", "h-b")
        };
        writer.write_record([
            manager,
            format!("Менеджер {}", index + 1).as_str(),
            "manager",
            group,
            head,
            "2007-01-09",
        ])?;
    }
    writer.flush()?;
    Ok(())
}

fn write_half(
    clients: &[Client],
    folder: &Path,
    manager: usize,
    second: bool,
) -> anyhow::Result<Files> {
    let suffix = format!("{}-{}", MANAGERS[manager], if second { 2 } else { 1 });
    let files = Files {
        interactions: folder.join(format!("interactions-{suffix}.csv")),
        orders: folder.join(format!("orders-{suffix}.csv")),
    };
    let mut interactions = csv::Writer::from_path(&files.interactions)?;
    interactions.write_record([
        "external_id",
        "account",
        "kind",
        "outcome",
        "occurred_at",
        "duration_s",
    ])?;
    let mut orders = csv::Writer::from_path(&files.orders)?;
    orders.write_record(["external_id", "account", "amount", "currency", "ordered_at"])?;
    for client in clients {
        if is_second_half(client, clients.len()) != second || author(client, second) != manager {
            continue;
        }
        let id = client.external_id();
        for call in 1..client.calls {
            let day = client.last_call - Days::new(u64::from(client.calls - call));
            interactions.write_record([
                &format!("{id}-{call}"),
                &id,
                "call",
                "no_answer",
                &format!("{day} 12:00"),
                "",
            ])?;
        }
        let outcome = if client.ordered { "order" } else { "refused" };
        interactions.write_record([
            &format!("{id}-{}", client.calls),
            &id,
            "call",
            outcome,
            &format!("{} 12:00", client.last_call),
            &client.duration_s.to_string(),
        ])?;
        if client.ordered {
            orders.write_record([
                &format!("o-{id}"),
                &id,
                "1000.00",
                "EUR",
                &format!("{} 12:10", client.last_call),
            ])?;
        }
    }
    interactions.flush()?;
    orders.flush()?;
    Ok(files)
}

/// Calls and orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: i64,
    pub orders: i64,
}

/// What each manager must have, counted from the data.
pub fn by_manager(clients: &[Client]) -> [Figures; 5] {
    let mut figures = [Figures::default(); 5];
    for client in clients {
        let author = author(client, is_second_half(client, clients.len()));
        figures[author].calls += i64::from(client.calls);
        figures[author].orders += i64::from(client.ordered);
    }
    figures
}

/// What each month must have, counted from the data: every call on its own date.
pub fn by_month(clients: &[Client]) -> BTreeMap<String, Figures> {
    let mut months = BTreeMap::<String, Figures>::new();
    let name = |day: NaiveDate| format!("{}-{:02}", day.year(), day.month());
    for client in clients {
        for before in 0..u64::from(client.calls) {
            months
                .entry(name(client.last_call - Days::new(before)))
                .or_default()
                .calls += 1;
        }
        months.entry(name(client.last_call)).or_default().orders += i64::from(client.ordered);
    }
    months
}

/// The monthly table as published with the data: month, calls made, orders.
pub const PUBLISHED: [(&str, i64, i64); 32] = [
    ("2008-03", 20, 0),
    ("2008-04", 345, 0),
    ("2008-05", 22_076, 258),
    ("2008-06", 13_547, 201),
    ("2008-07", 22_769, 384),
    ("2008-08", 22_590, 288),
    ("2008-10", 80, 49),
    ("2008-11", 6_917, 220),
    ("2008-12", 13, 1),
    ("2009-01", 2_477, 38),
    ("2009-02", 5_149, 255),
    ("2009-03", 657, 125),
    ("2009-04", 5_396, 451),
    ("2009-05", 12_949, 533),
    ("2009-06", 1_130, 241),
    ("2009-07", 404, 76),
    ("2009-08", 1_349, 264),
    ("2009-09", 455, 123),
    ("2009-10", 685, 184),
    ("2009-11", 563, 147),
    ("2009-12", 446, 99),
    ("2010-01", 452, 104),
    ("2010-02", 648, 186),
    ("2010-03", 396, 123),
    ("2010-04", 439, 126),
    ("2010-05", 427, 134),
    ("2010-06", 385, 104),
    ("2010-07", 677, 167),
    ("2010-08", 507, 136),
    ("2010-09", 507, 146),
    ("2010-10", 379, 90),
    ("2010-11", 122, 36),
];
