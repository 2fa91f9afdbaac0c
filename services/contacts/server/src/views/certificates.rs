//! Who is to be forgotten, who is, and what each service has destroyed: the certificates.

use api::contacts::{self, ErasureState};
use chrono::{DateTime, Utc};
use contacts_domain::data_subject::{Erased, ErasureRequested};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use kit::{config::SERVICES, erasure::CarriedOut, timestamp};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{AccountId, PersonId};

use crate::terms;

pub(crate) struct ErasuresView;

impl Projection for ErasuresView {
    const NAME: &'static str = "certificates";
    const SOURCES: &'static [&'static str] = &SERVICES;
    const SCHEMA: &'static str = "
        create table if not exists erasures (
            person_id         uuid primary key,
            account_id        uuid not null,
            with_account      boolean not null,
            ground            text not null,
            requested_by      uuid not null,
            requested_at      timestamptz not null,
            confirmed_by      uuid,
            confirmed_at      timestamptz,
            stop_list_entries bigint not null default 0,
            position          bigint not null default 0,
            hash              bytea not null default ''
        );
        create index if not exists erasures_newest_first
            on erasures (requested_at desc, person_id desc);
        create table if not exists parts (
            person_id uuid not null,
            service   text not null,
            keys      bigint not null,
            texts     bigint not null,
            erased_at timestamptz not null,
            primary key (person_id, service)
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for event in events {
            match event.event_type.as_str() {
                "data_subject.erasure_requested" => request(tx, event, event.fields()?).await?,
                "data_subject.erased" => confirm(tx, event, event.fields()?).await?,
                "erasure.carried_out" => add_part(tx, source, event, event.fields()?).await?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A demand that another one follows is forgotten.
async fn request(
    tx: &mut PgConnection,
    event: &Recorded,
    request: ErasureRequested,
) -> Result<(), ApplyError> {
    sqlx::query(
        "insert into erasures
             (person_id, account_id, with_account, ground, requested_by, requested_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (person_id) do update
         set with_account = excluded.with_account, ground = excluded.ground,
             requested_by = excluded.requested_by, requested_at = excluded.requested_at",
    )
    .bind(event.stream.id)
    .bind(request.account_id.0)
    .bind(request.with_account)
    .bind(request.ground.as_str())
    .bind(request.requested_by.0)
    .bind(event.recorded_at)
    .execute(tx)
    .await?;
    Ok(())
}

async fn confirm(
    tx: &mut PgConnection,
    event: &Recorded,
    erased: Erased,
) -> Result<(), ApplyError> {
    sqlx::query(
        "update erasures
         set confirmed_by = $2, confirmed_at = $3, stop_list_entries = $4, position = $5, hash = $6
         where person_id = $1",
    )
    .bind(event.stream.id)
    .bind(erased.confirmed_by.0)
    .bind(event.recorded_at)
    .bind(erased.stop_list.len() as i64)
    .bind(event.position)
    .bind(event.hash.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_part(
    tx: &mut PgConnection,
    service: &str,
    event: &Recorded,
    done: CarriedOut,
) -> Result<(), ApplyError> {
    sqlx::query(
        "insert into parts (person_id, service, keys, texts, erased_at) values ($1, $2, $3, $4, $5)",
    )
    .bind(event.stream.id)
    .bind(service)
    .bind(done.keys)
    .bind(done.texts)
    .bind(event.recorded_at)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Debug, FromRow)]
pub(crate) struct Erasure {
    pub(crate) person_id: Uuid,
    account_id: Uuid,
    with_account: bool,
    ground: String,
    requested_by: Uuid,
    requested_at: DateTime<Utc>,
    confirmed_by: Option<Uuid>,
    confirmed_at: Option<DateTime<Utc>>,
    stop_list_entries: i64,
    position: i64,
    hash: Vec<u8>,
}

#[derive(Debug, FromRow)]
struct Part {
    person_id: Uuid,
    service: String,
    keys: i64,
    texts: i64,
    erased_at: DateTime<Utc>,
}

/// Sort key of the list.
pub(crate) type Key = (DateTime<Utc>, Uuid);

impl Erasure {
    pub(crate) fn key(&self) -> Key {
        (self.requested_at, self.person_id)
    }

    pub(crate) fn account_id(&self) -> AccountId {
        AccountId(self.account_id)
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed_by.is_some()
    }

    fn answer(self, parts: Vec<Part>) -> contacts::Erasure {
        let state = match (self.confirmed_by, parts.len()) {
            (None, _) => ErasureState::Requested,
            (Some(_), done) if done < SERVICES.len() => ErasureState::Confirmed,
            (Some(_), _) => ErasureState::Erased,
        };
        contacts::Erasure {
            person_id: self.person_id.to_string(),
            account_id: self.account_id.to_string(),
            with_account: self.with_account,
            state: state.into(),
            ground: terms::ground_number(&self.ground),
            requested_by: self.requested_by.to_string(),
            requested_at: Some(timestamp(self.requested_at)),
            confirmed_by: self
                .confirmed_by
                .map(|id| id.to_string())
                .unwrap_or_default(),
            confirmed_at: self.confirmed_at.map(timestamp),
            stop_list_entries: self.stop_list_entries,
            parts: parts.into_iter().map(Into::into).collect(),
            log_position: self.position,
            log_hash: hex::encode(&self.hash),
            interactions_to_review: Vec::new(),
        }
    }
}

impl From<Part> for contacts::ErasedPart {
    fn from(part: Part) -> Self {
        Self {
            service: part.service,
            keys: part.keys,
            texts: part.texts,
            erased_at: Some(timestamp(part.erased_at)),
        }
    }
}

pub(crate) async fn find(pool: &PgPool, id: PersonId) -> Result<Option<Erasure>, sqlx::Error> {
    sqlx::query_as("select * from certificates.erasures where person_id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await
}

/// The newest demands behind `after`.
pub(crate) async fn page(
    pool: &PgPool,
    only_requested: bool,
    after: Option<Key>,
    limit: i64,
) -> Result<Vec<Erasure>, sqlx::Error> {
    sqlx::query_as(
        "select * from certificates.erasures
         where (not $1 or confirmed_by is null)
           and (requested_at, person_id) < (
               coalesce($2, 'infinity'::timestamptz),
               coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
         order by requested_at desc, person_id desc
         limit $4",
    )
    .bind(only_requested)
    .bind(after.map(|(requested_at, _)| requested_at))
    .bind(after.map(|(_, person_id)| person_id))
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// With what each service has said about them.
pub(crate) async fn answers(
    pool: &PgPool,
    erasures: Vec<Erasure>,
) -> Result<Vec<contacts::Erasure>, sqlx::Error> {
    let ids: Vec<_> = erasures.iter().map(|erasure| erasure.person_id).collect();
    let mut parts: Vec<Part> = sqlx::query_as(
        "select * from certificates.parts where person_id = any($1) order by service",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let with_parts = erasures.into_iter().map(|erasure| {
        let own = parts.extract_if(.., |part| part.person_id == erasure.person_id);
        let own = own.collect();
        erasure.answer(own)
    });
    Ok(with_parts.collect())
}
