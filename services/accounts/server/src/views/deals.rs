//! Deals as lists, boards and histories show them.

mod board;
mod list;
mod row;

use std::collections::HashMap;

use accounts_domain::deal::{self, Deal, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, DealId, StaffId};

pub(crate) use board::{Column, Wanted, board};
pub(crate) use list::{Filter, Now, PageKey, page};
pub(crate) use row::{DealRow, Standing};

pub(crate) struct Deals;

/// One stay at a stage.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Span {
    pub(crate) stage: String,
    pub(crate) pipeline_version: i32,
    pub(crate) from_at: DateTime<Utc>,
    /// `None`: still.
    pub(crate) to_at: Option<DateTime<Utc>>,
    pub(crate) moved_by: Option<Uuid>,
}

/// A stay that begins in the batch that is being applied.
struct Begun<'a> {
    event: &'a Recorded,
    stage: String,
    pipeline_version: u32,
    ended_at: Option<DateTime<Utc>>,
}

impl Projection for Deals {
    const NAME: &'static str = "deals";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const SCHEMA: &'static str = "
        create table if not exists deals (
            deal_id uuid primary key,
            account_id uuid not null,
            external_id text,
            pipeline_id uuid not null,
            stage text not null,
            standing text not null,
            owner_id uuid,
            minor_units bigint,
            currency text,
            product text,
            expected_on date,
            opened_at timestamptz not null,
            stage_since timestamptz not null,
            suspended_until timestamptz,
            suspensions integer not null,
            closed_at timestamptz,
            lost_reason text,         -- null once the company is erased
            fields jsonb not null,    -- of the pipeline, empty once the company is erased
            version bigint not null
        );
        create index if not exists deals_of_company on deals (account_id, opened_at, deal_id);
        create index if not exists open_deals on deals (pipeline_id, stage, stage_since, deal_id)
            where standing = 'open';
        create index if not exists deals_by_time on deals (opened_at, deal_id);
        create index if not exists deals_of_owner on deals (owner_id, opened_at, deal_id);
        create index if not exists deals_of_stage
            on deals (pipeline_id, stage, opened_at, deal_id);
        create index if not exists deals_by_end on deals (closed_at) where closed_at is not null;
        create index if not exists deals_put_off on deals (suspended_until)
            where suspended_until is not null;
        create index if not exists deals_put_off_again on deals (suspensions) where suspensions > 1;
        create table if not exists stages (
            deal_id uuid not null,
            from_version bigint not null,
            stage text not null,
            pipeline_version integer not null,
            from_at timestamptz not null,
            to_at timestamptz,
            moved_by uuid,
            primary key (deal_id, from_version)
        );
    ";

    /// Reads the rows of the batch once, changes them here and writes them back once.
    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut erased = Vec::new();
        for event in events {
            let subjects = CarriedOut::read(event)?.map_or_else(Vec::new, |done| done.subjects);
            erased.extend(subjects.iter().filter_map(|of| of.id(deal::SUBJECT)));
        }
        let events: Vec<_> = events
            .iter()
            .filter(|event| event.stream.category == Deal::CATEGORY)
            .collect();
        if events.is_empty() {
            return erase_in_tx(tx, erased).await;
        }
        let mut deals = load_in_tx(tx, &events).await?;
        let stored: Vec<_> = deals.keys().copied().collect();
        let mut begun: Vec<Begun<'_>> = Vec::new();
        // A deal is at one stage at a time, so at most one of its stays is open.
        let mut open: HashMap<Uuid, usize> = HashMap::new();
        let mut ended_before = Vec::new();
        for recorded in events {
            let id = recorded.stream.id;
            let event = recorded.decode::<Deal>()?;
            if let Some(at) = end_of_stay(&event, recorded) {
                match open.remove(&id).and_then(|index| begun.get_mut(index)) {
                    Some(stay) => stay.ended_at = Some(at),
                    None => ended_before.push((id, at)),
                }
            }
            if let Some((stage, pipeline_version)) = begin_of_stay(&event) {
                open.insert(id, begun.len());
                begun.push(Begun {
                    event: recorded,
                    stage: stage.to_owned(),
                    pipeline_version,
                    ended_at: None,
                });
            }
            let row = DealRow::after(deals.remove(&id), &event, recorded);
            deals.extend(row.map(|row| (id, row)));
        }
        save_in_tx(tx, stored, deals.into_values().collect()).await?;
        end_stays_in_tx(tx, ended_before).await?;
        begin_stays_in_tx(tx, &begun).await?;
        // Last: what was said after the erasure came without words.
        erase_in_tx(tx, erased).await
    }
}

async fn erase_in_tx(tx: &mut PgConnection, accounts: Vec<Uuid>) -> Result<(), ApplyError> {
    if !accounts.is_empty() {
        sqlx::query(
            "update deals set fields = '{}', lost_reason = null where account_id = any($1)",
        )
        .bind(accounts)
        .execute(tx)
        .await?;
    }
    Ok(())
}

fn begin_of_stay(event: &Event) -> Option<(&str, u32)> {
    match event {
        Event::Opened(opened) => Some((&opened.stage, opened.pipeline_version)),
        Event::StageChanged(changed) => Some((&changed.to_stage, changed.pipeline_version)),
        Event::FieldsChanged(_)
        | Event::Suspended(_)
        | Event::Won(_)
        | Event::Lost(_)
        | Event::OwnershipTransferred(_)
        | Event::DocumentAttached(_) => None,
    }
}

fn end_of_stay(event: &Event, recorded: &Recorded) -> Option<DateTime<Utc>> {
    match event {
        Event::StageChanged(_) | Event::Won(_) | Event::Lost(_) => Some(recorded.occurred_at),
        Event::Opened(_)
        | Event::FieldsChanged(_)
        | Event::Suspended(_)
        | Event::OwnershipTransferred(_)
        | Event::DocumentAttached(_) => None,
    }
}

async fn load_in_tx(
    tx: &mut PgConnection,
    events: &[&Recorded],
) -> Result<HashMap<Uuid, DealRow>, ApplyError> {
    let ids: Vec<_> = events.iter().map(|event| event.stream.id).collect();
    let rows: Vec<Json<DealRow>> =
        sqlx::query_scalar("select to_jsonb(d) from deals d where deal_id = any($1)")
            .bind(ids)
            .fetch_all(tx)
            .await?;
    Ok(rows
        .into_iter()
        .map(|Json(deal)| (deal.deal_id, deal))
        .collect())
}

async fn save_in_tx(
    tx: &mut PgConnection,
    stored: Vec<Uuid>,
    deals: Vec<DealRow>,
) -> Result<(), ApplyError> {
    if !stored.is_empty() {
        sqlx::query("delete from deals where deal_id = any($1)")
            .bind(stored)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query("insert into deals select * from jsonb_populate_recordset(null::deals, $1)")
        .bind(Json(deals))
        .execute(tx)
        .await?;
    Ok(())
}

async fn end_stays_in_tx(
    tx: &mut PgConnection,
    ended: Vec<(Uuid, DateTime<Utc>)>,
) -> Result<(), ApplyError> {
    let (ids, times): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    sqlx::query(
        "update stages set to_at = ended.at
         from unnest($1::uuid[], $2::timestamptz[]) as ended (deal_id, at)
         where stages.deal_id = ended.deal_id and stages.to_at is null",
    )
    .bind(ids)
    .bind(times)
    .execute(tx)
    .await?;
    Ok(())
}

async fn begin_stays_in_tx(tx: &mut PgConnection, begun: &[Begun<'_>]) -> Result<(), ApplyError> {
    fn column<T>(begun: &[Begun<'_>], value: impl Fn(&Begun<'_>) -> T) -> Vec<T> {
        begun.iter().map(value).collect()
    }
    sqlx::query(
        "insert into stages
             (deal_id, from_version, stage, pipeline_version, from_at, to_at, moved_by)
         select * from unnest(
             $1::uuid[], $2::bigint[], $3::text[], $4::integer[], $5::timestamptz[],
             $6::timestamptz[], $7::uuid[]
         )",
    )
    .bind(column(begun, |stay| stay.event.stream.id))
    .bind(column(begun, |stay| stay.event.version))
    .bind(column(begun, |stay| stay.stage.clone()))
    .bind(column(begun, |stay| stay.pipeline_version.cast_signed()))
    .bind(column(begun, |stay| stay.event.occurred_at))
    .bind(column(begun, |stay| stay.ended_at))
    .bind(column(begun, |stay| stay.event.metadata.actor.staff()))
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(pool: &PgPool, id: DealId) -> Result<Option<DealRow>, sqlx::Error> {
    let row: Option<Json<DealRow>> =
        sqlx::query_scalar("select to_jsonb(d) from deals.deals d where deal_id = $1")
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(deal)| deal))
}

/// Its stays, oldest first.
pub(crate) async fn stages_of(pool: &PgPool, id: DealId) -> Result<Vec<Span>, sqlx::Error> {
    sqlx::query_as(
        "select stage, pipeline_version, from_at, to_at, moved_by from deals.stages
         where deal_id = $1 order by from_version",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await
}

/// How many open deals somebody has.
pub(crate) async fn count_of_owner(pool: &PgPool, owner: StaffId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from deals.deals where owner_id = $1 and standing = 'open'")
        .bind(owner.0)
        .fetch_one(pool)
        .await
}

/// All deals with a company, under all its ids.
pub(crate) async fn ids_of_accounts(
    pool: &PgPool,
    account_ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select deal_id from deals.deals where account_id = any($1)")
        .bind(account_ids)
        .fetch_all(pool)
        .await
}

/// Open deals with a company, under all its ids.
pub(crate) async fn open_of_account(
    pool: &PgPool,
    account_ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select deal_id from deals.deals where account_id = any($1) and standing = 'open'",
    )
    .bind(account_ids)
    .fetch_all(pool)
    .await
}

/// With which company each of these deals is, where it is known.
pub(crate) async fn accounts_of(
    pool: &PgPool,
    ids: &[DealId],
) -> Result<HashMap<DealId, AccountId>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as("select deal_id, account_id from deals.deals where deal_id = any($1)")
            .bind(ids)
            .fetch_all(pool)
            .await?;
    let pairs = rows.into_iter();
    Ok(pairs
        .map(|(deal, account)| (DealId(deal), AccountId(account)))
        .collect())
}
