//! Telephones and addresses of people who were erased: not to be entered again. Only fingerprints
//! are kept; without the installation's key they say nothing.

use std::collections::{HashMap, HashSet};

use es::Recorded;
use es_postgres::{
    Log,
    projection::{ApplyError, Projection},
};
use serde::Deserialize;
use sqlx::PgConnection;
use vocabulary::{Email, PhoneNumber};

use crate::{AppError, Service, Violations};

/// The read model of a service that takes telephones and addresses.
pub struct StopListView;

const REASON: &str = "STOP_LIST";

impl Projection for StopListView {
    const NAME: &'static str = "stop_list";
    /// Persons are erased by contacts, companies that are a person by accounts.
    const SOURCES: &'static [&'static str] = &["contacts", "accounts"];
    const SCHEMA: &'static str = "
        create table if not exists entries (
            fingerprint text primary key,
            since timestamptz not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        #[derive(Deserialize)]
        struct Erased {
            stop_list: Vec<String>,
        }
        for event in events {
            if !matches!(
                event.event_type.as_str(),
                "data_subject.erased" | "account.erased"
            ) {
                continue;
            }
            let Erased { stop_list } = event.fields()?;
            sqlx::query(
                "insert into entries (fingerprint, since) select unnest($1::text[]), $2
                 on conflict (fingerprint) do update set since = least(entries.since, excluded.since)",
            )
            .bind(stop_list)
            .bind(event.recorded_at)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}

/// Those of some telephones and addresses that are not to be entered.
pub struct Stopped(HashSet<Point>);

/// Two are the same when kind and name are.
type Point = (&'static str, String);

fn phone(text: &str) -> Point {
    ("phone", text.to_owned())
}

/// Nobody has two mailboxes that differ by case.
fn email(text: &str) -> Point {
    ("email", text.to_lowercase())
}

/// How a telephone is known on the stop list.
pub fn of_phone(log: &Log, text: &str) -> String {
    fingerprint(log, &phone(text))
}

/// How an address is known on the stop list.
pub fn of_email(log: &Log, text: &str) -> String {
    fingerprint(log, &email(text))
}

fn fingerprint(log: &Log, (kind, name): &Point) -> String {
    blake3::Hash::from_bytes(log.fingerprint(kind, name))
        .to_hex()
        .to_string()
}

/// What of a person or a company goes on the stop list.
pub fn fingerprints(log: &Log, phones: &[PhoneNumber], emails: &[Email]) -> Vec<String> {
    let phones = phones.iter().map(|phone| of_phone(log, phone.as_str()));
    let emails = emails.iter().map(|email| of_email(log, email.as_str()));
    phones.chain(emails).collect()
}

impl Service {
    /// Looks up all telephones and addresses of a request at once.
    pub async fn stopped<'a>(
        &self,
        phones: impl IntoIterator<Item = &'a PhoneNumber>,
        emails: impl IntoIterator<Item = &'a Email>,
    ) -> Result<Stopped, AppError> {
        let phones = phones.into_iter().map(|number| phone(number.as_str()));
        let emails = emails.into_iter().map(|address| email(address.as_str()));
        let points = phones.chain(emails);
        let mut asked: HashMap<String, Point> = points
            .map(|point| (fingerprint(&self.log, &point), point))
            .collect();
        if asked.is_empty() {
            return Ok(Stopped(HashSet::new()));
        }
        let fingerprints: Vec<_> = asked.keys().cloned().collect();
        let stopped: Vec<String> = sqlx::query_scalar(
            "select fingerprint from stop_list.entries where fingerprint = any($1)",
        )
        .bind(fingerprints)
        .fetch_all(self.pool())
        .await?;
        let stopped = stopped.iter();
        Ok(Stopped(
            stopped.filter_map(|found| asked.remove(found)).collect(),
        ))
    }
}

impl Stopped {
    pub fn phones(&self, v: &mut Violations, field: &str, phones: &[PhoneNumber]) {
        self.add(v, field, phones.iter().map(|number| phone(number.as_str())));
    }

    pub fn emails(&self, v: &mut Violations, field: &str, emails: &[Email]) {
        self.add(
            v,
            field,
            emails.iter().map(|address| email(address.as_str())),
        );
    }

    fn add(&self, v: &mut Violations, field: &str, mut points: impl Iterator<Item = Point>) {
        if points.any(|point| self.0.contains(&point)) {
            v.add_because(REASON, field, "stop list");
        }
    }
}
