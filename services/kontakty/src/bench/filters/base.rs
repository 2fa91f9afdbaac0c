//! The base that is asked: companies of many names and places, some owned, some spoken with.

use anyhow::bail;
use api::{
    accounts::{AccountRow, Card, ImportAccountsRequest, ImportStaffRequest, StaffRow},
    common::{Position, RowResult, row_result::Outcome},
    contacts::{ImportInteractionsRequest, InteractionRow},
};

use super::office::Office;
use crate::{client::Refused, output::progress};

const BATCH: usize = 1_000;
const GROUPS: usize = 5;
const MANAGERS: usize = 50;
pub(super) const MANAGER: &str = "m-7";
pub(super) const HEAD: &str = "h-2";

const NAMES: [&str; 20] = [
    "Вектор",
    "Ромашка",
    "Заря",
    "Северсталь",
    "Ёлка",
    "Прогресс",
    "Мир окон",
    "Стройсервис",
    "Альфа",
    "Орион",
    "Уралмаш",
    "Каскад",
    "Берёзка",
    "Техно",
    "Фаворит",
    "Мастер",
    "Ладога",
    "Простор",
    "Эталон",
    "Якорь",
];
const KINDS: [&str; 5] = [
    "ООО «{}»",
    "АО «{}»",
    "ИП {}",
    "Торговый дом «{}»",
    "{}-Строй",
];
const CITIES: [&str; 12] = [
    "Москва",
    "Санкт-Петербург",
    "Екатеринбург",
    "Челябинск",
    "Миасс",
    "Тверь",
    "Орёл",
    "Пермь",
    "Казань",
    "Уфа",
    "Самара",
    "Омск",
];
const STREETS: [&str; 6] = [
    "ул. Ленина",
    "пр. Мира",
    "ул. Гагарина",
    "Автозаводцев",
    "Садовая",
    "наб. Реки",
];
const PROJECTS: [&str; 6] = [
    "поставка бетона",
    "ремонт крыш",
    "окна и двери",
    "мебель",
    "связь",
    "",
];
const SOURCES: [&str; 4] = ["directory", "cold_call", "exhibition", "directory"];
const OUTCOMES: [&str; 5] = [
    "no_answer",
    "call_back",
    "refused",
    "connected",
    "no_answer",
];

/// The head itself and the managers of its group.
pub(super) fn group_of_head() -> impl Iterator<Item = String> {
    let members = (0..MANAGERS).filter(|manager| manager % GROUPS == 2);
    std::iter::once(HEAD.to_owned()).chain(members.map(|manager| format!("m-{manager}")))
}

pub(super) async fn load(office: &Office, accounts: usize) -> anyhow::Result<()> {
    let admin = office.client("admin").await?;
    let request = ImportStaffRequest {
        rows: staff(),
        ..ImportStaffRequest::default()
    };
    let answer = admin
        .staff()?
        .import_staff(request)
        .await
        .map_err(Refused)?
        .into_inner();
    taken(&answer.results)?;
    admin.settle(answer.position.unwrap_or_default()).await?;

    let bar = progress("accounts")?;
    bar.set_length(accounts as u64);
    let mut position = Position::default();
    for first in (0..accounts).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(accounts);
        let request = ImportAccountsRequest {
            rows: numbers.clone().map(account).collect(),
            ..ImportAccountsRequest::default()
        };
        let answer = admin
            .accounts()?
            .import_accounts(request)
            .await
            .map_err(Refused)?
            .into_inner();
        taken(&answer.results)?;
        position = answer.position.unwrap_or_default();
        bar.inc(numbers.len() as u64);
    }
    admin.settle(position).await?;
    // One company in ten was spoken with.
    let spoken: Vec<_> = (0..accounts).step_by(10).collect();
    let mut position = Position::default();
    for numbers in spoken.chunks(BATCH) {
        let request = ImportInteractionsRequest {
            rows: numbers.iter().map(|number| interaction(*number)).collect(),
            ..ImportInteractionsRequest::default()
        };
        let answer = admin
            .contacts()?
            .import_interactions(request)
            .await
            .map_err(Refused)?
            .into_inner();
        taken(&answer.results)?;
        position = answer.position.unwrap_or_default();
    }
    bar.finish_and_clear();
    admin.settle(position).await
}

fn taken(results: &[RowResult]) -> anyhow::Result<()> {
    let other = results
        .iter()
        .find(|result| result.outcome() != Outcome::Created);
    match other {
        None => Ok(()),
        Some(result) => bail!(
            "row {} was not created: {:?}",
            result.row,
            result.violations
        ),
    }
}

fn staff() -> Vec<StaffRow> {
    let row = |external_id: String, role: &str, group: usize| StaffRow {
        name: format!("Сотрудник {external_id}"),
        external_id,
        role: role.to_owned(),
        group: format!("Группа {group}"),
        head: format!("h-{group}"),
        ..StaffRow::default()
    };
    let heads = (0..GROUPS).map(|group| row(format!("h-{group}"), "head", group));
    let managers = (0..MANAGERS).map(|one| row(format!("m-{one}"), "manager", one % GROUPS));
    let mut rows: Vec<_> = heads.chain(managers).collect();
    for (row, number) in rows.iter_mut().zip(1..) {
        row.row = number;
    }
    rows
}

fn account(number: usize) -> AccountRow {
    let of = |all: &[&str], step: usize| {
        let index = number.wrapping_mul(step) / 7 % all.len();
        all.get(index).copied().unwrap_or_default().to_owned()
    };
    let name = format!("{} {number}", of(&NAMES, 11));
    AccountRow {
        row: number as i64 + 1,
        external_id: format!("b-{number}"),
        card: Some(Card {
            name: of(&KINDS, 3).replace("{}", &name),
            phones: vec![format!("+7910{number:07}")],
            city: if number.is_multiple_of(997) {
                "Чебаркуль".to_owned()
            } else {
                of(&CITIES, 5)
            },
            address: format!("{} {}", of(&STREETS, 13), number % 120 + 1),
            project: of(&PROJECTS, 17),
            source: of(&SOURCES, 19),
            ..Card::default()
        }),
        // Two in five are owned.
        owner: if number % 5 < 2 {
            format!("m-{}", number / 5 % MANAGERS)
        } else {
            String::new()
        },
        ..AccountRow::default()
    }
}

fn interaction(number: usize) -> InteractionRow {
    let outcome = OUTCOMES.get(number / 10 % OUTCOMES.len());
    InteractionRow {
        row: number as i64 + 1,
        external_id: format!("b-i-{number}"),
        account: format!("b-{number}"),
        kind: "call".to_owned(),
        outcome: outcome.copied().unwrap_or_default().to_owned(),
        occurred_at: "2026-03-02 10:00".to_owned(),
        author: MANAGER.to_owned(),
        ..InteractionRow::default()
    }
}
