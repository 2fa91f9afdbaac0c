//! A company as a row of a spreadsheet.

use std::{collections::HashMap, sync::Arc};

use accounts_domain::{
    catalogue::{List, State},
    field::Value,
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kit::{Ctx, SheetLanguage};
use uuid::Uuid;

use crate::{catalogue::Known, views::companies::Company};

/// Russian and English; the English ones are those that an import reads, where it reads them, and it
/// takes the Russian ones for the same columns.
pub const TITLES: [(&str, &str); 18] = [
    ("Номер в системе", "id"),
    ("Внешний номер", "external_id"),
    ("Клиент", "lifecycle"),
    ("Название", "name"),
    ("Тип", "type"),
    ("Телефоны", "phone"),
    ("E-mail", "email"),
    ("Город", "city"),
    ("Регион", "region"),
    ("Адрес", "address"),
    ("Отрасль", "industry"),
    ("Проект", "project"),
    ("Источник", "source"),
    ("Статус", "status"),
    ("Рубрики", "rubrics"),
    ("Ответственный", "owner"),
    ("Внесён", "registered_at"),
    ("Данные удалены", "erased"),
];

pub(super) struct Columns {
    language: SheetLanguage,
    known: Arc<Known>,
    zone: Tz,
    /// External ids.
    staff: HashMap<Uuid, String>,
}

impl Columns {
    pub(super) fn new(ctx: &Ctx, known: Arc<Known>, language: SheetLanguage) -> Self {
        let staff = ctx.directory().all_staff();
        Self {
            language,
            known,
            zone: ctx.zone(),
            staff: staff
                .map(|entry| (entry.id.0, entry.external_id.clone()))
                .collect(),
        }
    }

    /// Of every card, then of the fields of the office that are in force.
    pub(super) fn titles(&self) -> Vec<String> {
        let standard = TITLES.iter().map(|(russian, english)| match self.language {
            SheetLanguage::Russian => (*russian).to_owned(),
            SheetLanguage::English => (*english).to_owned(),
        });
        let own = self.state().fields().map(|field| match self.language {
            SheetLanguage::Russian => field.name.clone(),
            SheetLanguage::English => format!("custom.{}", field.key),
        });
        standard.chain(own).collect()
    }

    fn state(&self) -> &State {
        &self.known.state
    }

    /// In the order of the titles.
    pub(super) fn cells(&self, company: Company) -> Vec<String> {
        let yes = |yes: bool| match (yes, self.language) {
            (false, _) => "",
            (true, SheetLanguage::Russian) => "да",
            (true, SheetLanguage::English) => "yes",
        };
        let lifecycle = match (company.client, self.language) {
            (client, SheetLanguage::Russian) => yes(client),
            (true, SheetLanguage::English) => "client",
            (false, SheetLanguage::English) => "prospect",
        };
        let rubrics = company.extras.rubrics.iter();
        let rubrics: Vec<_> = rubrics.map(|key| self.called(List::Rubric, key)).collect();
        let owner = company.owner_id.and_then(|owner| self.staff.get(&owner));
        let status = company.status.as_deref().unwrap_or_default();
        let mut cells = vec![
            company.account_id.to_string(),
            company.external_id.unwrap_or_default(),
            lifecycle.to_owned(),
            company.name,
            company.kind,
            company.phones.join(", "),
            company.emails.join(", "),
            company.city,
            company.region,
            company.address,
            company.industry,
            company.project,
            self.called(List::Source, &company.source),
            self.called(List::Status, status),
            // Their names may have commas.
            rubrics.join("; "),
            owner.cloned().unwrap_or_default(),
            self.time(company.registered_at),
            yes(company.erased).to_owned(),
        ];
        let custom = &company.extras.custom;
        let own = self.state().fields();
        cells.extend(own.map(|field| {
            custom
                .get(&field.key)
                .map_or_else(String::new, |value| self.value(&field.key, value))
        }));
        cells
    }

    /// As people call it; a key that the catalogue does not know stays a key.
    fn called(&self, list: List, key: &str) -> String {
        let entries = self.state().entries(list).iter();
        let mut entries = entries.map(|offer| &offer.what);
        let entry = entries.find(|entry| entry.key == key);
        entry.map_or(key, |entry| &entry.name).to_owned()
    }

    fn time(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    }

    fn value(&self, key: &str, value: &Value<String>) -> String {
        match value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Date(date) => date.to_string(),
            Value::YesNo(yes) => match (yes, self.language) {
                (true, SheetLanguage::Russian) => "да",
                (false, SheetLanguage::Russian) => "нет",
                (true, SheetLanguage::English) => "yes",
                (false, SheetLanguage::English) => "no",
            }
            .to_owned(),
            Value::Choice(choice) => {
                let field = self.state().field(key);
                let mut choices = field.into_iter().flat_map(|field| &field.choices);
                let found = choices.find(|entry| entry.key == *choice);
                found.map_or_else(|| choice.clone(), |entry| entry.name.clone())
            }
            Value::Money(money) => format!(
                "{}.{:02} {}",
                money.minor_units / 100,
                money.minor_units.unsigned_abs() % 100,
                money.currency
            ),
            Value::Unknown => match self.language {
                SheetLanguage::Russian => "неизвестно",
                SheetLanguage::English => "unknown",
            }
            .to_owned(),
            Value::Empty => String::new(),
        }
    }
}
