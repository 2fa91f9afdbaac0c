//! Companies as lists and cards show them, and their orders.

mod extras;
mod row;
mod search;

use std::collections::{HashMap, HashSet};

use accounts_domain::account::{Account, Event};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, OrderId, PhoneNumber, StaffId};

pub(crate) use row::Company;
pub(crate) use search::{Filter, PageKey, Wanted, count, page};

pub(crate) struct Companies;

/// An order as its table holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OrderRow {
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) minor_units: i64,
    pub(crate) currency: String,
    pub(crate) ordered_at: DateTime<Utc>,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) cancelled: bool,
}

impl Projection for Companies {
    const NAME: &'static str = "companies";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists companies (
            account_id uuid primary key,
            external_id text,
            client boolean not null,
            name text not null,
            name_folded text not null,
            name_sort bytea not null,
            kind text not null,
            kind_folded text not null,
            phones text[] not null,
            phone_digits text not null,
            emails text[] not null,
            city text not null,
            city_folded text not null,
            region text not null,
            region_folded text not null,
            address text not null,
            industry text not null,
            project text not null,
            source text not null,
            owner_id uuid,
            registered_at timestamptz not null,
            version bigint not null,
            erased boolean not null default false,
            status text,
            extras jsonb not null default '{}'
        );
        alter table companies
            add column if not exists erased boolean not null default false,
            add column if not exists status text,
            add column if not exists extras jsonb not null default '{}',
            add column if not exists merged_into uuid;
        create index if not exists companies_in_pool on companies (registered_at, account_id)
            where owner_id is null and not client;
        create index if not exists companies_by_name on companies (name_sort, account_id);
        create index if not exists companies_of_owner on companies (owner_id, name_sort, account_id);
        create index if not exists companies_of_city on companies (city_folded);
        create index if not exists companies_of_region on companies (region_folded);
        create index if not exists companies_of_kind on companies (kind_folded);
        create index if not exists companies_of_status on companies (status);
        create index if not exists companies_of_source on companies (source);
        create index if not exists companies_by_extras
            on companies using gin (extras jsonb_path_ops);
        do $$
        begin
            if exists (select from pg_extension where extname = 'pg_trgm') then
                create index if not exists companies_by_part_of_name
                    on companies using gin (name_folded public.gin_trgm_ops);
                create index if not exists companies_by_part_of_phone
                    on companies using gin (phone_digits public.gin_trgm_ops);
            end if;
        end
        $$;
        create table if not exists phones (
            number text not null,
            account_id uuid not null,
            primary key (number, account_id)
        );
        create index if not exists phones_of_company on phones (account_id);
        create table if not exists emails (
            address text not null,
            account_id uuid not null,
            primary key (address, account_id)
        );
        create index if not exists emails_of_company on emails (account_id);
        insert into emails
            select distinct lower(given), account_id from companies c, unnest(c.emails) as given
            where not exists (select from emails);
        create table if not exists orders (
            order_id uuid primary key,
            account_id uuid not null,
            external_id text,
            minor_units bigint not null,
            currency text not null,
            ordered_at timestamptz not null,
            owner_id uuid,
            cancelled boolean not null
        );
        create index if not exists orders_of_company on orders (account_id, ordered_at);
    ";

    /// Reads the rows of the batch once, changes them here and writes them back once: a directory
    /// of 45,000 companies is imported at a thousand rows a statement, and events of one company
    /// still count in their order.
    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let events: Vec<_> = events
            .iter()
            .filter(|event| event.stream.category == Account::CATEGORY)
            .collect();
        let mut companies = load_in_tx(tx, &events).await?;
        let stored: Vec<_> = companies.keys().copied().collect();
        let mut orders: Vec<OrderRow> = Vec::new();
        let mut cancelled = Vec::new();
        let mut rephoned = HashSet::new();
        for recorded in events {
            let id = recorded.stream.id;
            let event = recorded.decode::<Account>()?;
            match &event {
                Event::OrderRegistered(order) => orders.push(OrderRow {
                    order_id: order.order_id.0,
                    account_id: id,
                    external_id: order.external_id.clone(),
                    minor_units: order.amount.minor_units,
                    currency: order.amount.currency.clone(),
                    ordered_at: order.ordered_at,
                    owner_id: order.owner_id.map(|owner| owner.0),
                    cancelled: false,
                }),
                Event::OrderCancelled(order) => cancelled.push(order.order_id.0),
                Event::ProspectRegistered(_)
                | Event::DetailsChanged(_)
                | Event::CardSealedAnew(_)
                | Event::Erased(_) => {
                    rephoned.insert(id);
                }
                Event::StatusChanged(_)
                | Event::OwnerAssigned(_)
                | Event::OwnershipTransferred(_)
                | Event::ReturnedToPool(_)
                | Event::ConvertedToClient(_)
                | Event::ClaimGranted(_)
                | Event::ClaimRenewed(_)
                | Event::ClaimNumbersChanged(_)
                | Event::ClaimReleased(_)
                | Event::ClaimExpired(_)
                | Event::Merged(_)
                | Event::Unmerged(_) => {}
            }
            companies
                .entry(id)
                .or_insert_with(|| Company::new(id))
                .apply(&event, recorded.version);
        }
        save_phones_in_tx(tx, &stored, &rephoned, &companies).await?;
        save_emails_in_tx(tx, &stored, &rephoned, &companies).await?;
        save_in_tx(tx, stored, companies.into_values().collect()).await?;
        save_orders_in_tx(tx, orders, cancelled).await
    }
}

async fn load_in_tx(
    tx: &mut PgConnection,
    events: &[&Recorded],
) -> Result<HashMap<Uuid, Company>, ApplyError> {
    let ids: Vec<_> = events.iter().map(|event| event.stream.id).collect();
    let rows: Vec<Json<Company>> =
        sqlx::query_scalar("select to_jsonb(c) from companies c where account_id = any($1)")
            .bind(ids)
            .fetch_all(tx)
            .await?;
    Ok(rows
        .into_iter()
        .map(|Json(company)| (company.account_id, company))
        .collect())
}

/// Takes out the rows that were there and puts in all of them as they are now.
async fn save_in_tx(
    tx: &mut PgConnection,
    stored: Vec<Uuid>,
    companies: Vec<Company>,
) -> Result<(), ApplyError> {
    if companies.is_empty() {
        return Ok(());
    }
    if !stored.is_empty() {
        sqlx::query("delete from companies where account_id = any($1)")
            .bind(stored)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(
        "insert into companies select * from jsonb_populate_recordset(null::companies, $1)",
    )
    .bind(Json(companies))
    .execute(tx)
    .await?;
    Ok(())
}

/// Every phone under its whole number, and under the number without the extension.
async fn save_phones_in_tx(
    tx: &mut PgConnection,
    stored: &[Uuid],
    rephoned: &HashSet<Uuid>,
    companies: &HashMap<Uuid, Company>,
) -> Result<(), ApplyError> {
    let old: Vec<_> = stored.iter().filter(|id| rephoned.contains(id)).collect();
    if !old.is_empty() {
        sqlx::query("delete from phones where account_id = any($1)")
            .bind(old)
            .execute(&mut *tx)
            .await?;
    }
    let changed = rephoned.iter().filter_map(|id| companies.get(id));
    let (numbers, ids): (Vec<_>, Vec<_>) = changed
        .flat_map(|company| {
            let numbers = company.phones.iter().flat_map(|phone| {
                let main = phone.split_once(';').map(|(main, _)| main);
                std::iter::once(phone.as_str()).chain(main)
            });
            numbers.map(|number| (number, company.account_id))
        })
        .unzip();
    if !numbers.is_empty() {
        sqlx::query(
            "insert into phones (number, account_id)
             select * from unnest($1::text[], $2::uuid[]) on conflict do nothing",
        )
        .bind(numbers)
        .bind(ids)
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Addresses as they are compared: nobody tells capitals apart.
async fn save_emails_in_tx(
    tx: &mut PgConnection,
    stored: &[Uuid],
    changed: &HashSet<Uuid>,
    companies: &HashMap<Uuid, Company>,
) -> Result<(), ApplyError> {
    let old: Vec<_> = stored.iter().filter(|id| changed.contains(id)).collect();
    if !old.is_empty() {
        sqlx::query("delete from emails where account_id = any($1)")
            .bind(old)
            .execute(&mut *tx)
            .await?;
    }
    let (addresses, ids): (Vec<_>, Vec<_>) = changed
        .iter()
        .filter_map(|id| companies.get(id))
        .flat_map(|company| {
            let addresses = company.emails.iter().map(|address| address.to_lowercase());
            addresses.map(|address| (address, company.account_id))
        })
        .unzip();
    if !addresses.is_empty() {
        sqlx::query(
            "insert into emails (address, account_id)
             select * from unnest($1::text[], $2::uuid[]) on conflict do nothing",
        )
        .bind(addresses)
        .bind(ids)
        .execute(tx)
        .await?;
    }
    Ok(())
}

async fn save_orders_in_tx(
    tx: &mut PgConnection,
    orders: Vec<OrderRow>,
    cancelled: Vec<Uuid>,
) -> Result<(), ApplyError> {
    if !orders.is_empty() {
        sqlx::query("insert into orders select * from jsonb_populate_recordset(null::orders, $1)")
            .bind(Json(orders))
            .execute(&mut *tx)
            .await?;
    }
    if !cancelled.is_empty() {
        sqlx::query("update orders set cancelled = true where order_id = any($1)")
            .bind(cancelled)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// The card of a company.
pub(crate) async fn find(pool: &PgPool, id: AccountId) -> Result<Option<Company>, sqlx::Error> {
    let row: Option<Json<Company>> =
        sqlx::query_scalar("select to_jsonb(c) from companies.companies c where account_id = $1")
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(company)| company))
}

/// The orders of all records of a company, newest first.
pub(crate) async fn orders_of(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<OrderRow>, sqlx::Error> {
    let rows: Vec<Json<OrderRow>> = sqlx::query_scalar(
        "select to_jsonb(o) from companies.orders o where account_id = any($1)
         order by ordered_at desc, order_id",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(order)| order).collect())
}

/// On which account each of these orders is, where it is known.
pub(crate) async fn accounts_of_orders(
    pool: &PgPool,
    ids: &[OrderId],
) -> Result<HashMap<OrderId, AccountId>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select order_id, account_id from companies.orders where order_id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let pairs = rows.into_iter();
    Ok(pairs
        .map(|(order, account)| (OrderId(order), AccountId(account)))
        .collect())
}

/// A company that has a phone, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) account_id: AccountId,
    pub(crate) owner_id: Option<StaffId>,
}

/// Which company has each of these phones, extension included, where one has it.
pub(crate) async fn holders(
    pool: &PgPool,
    phones: &[PhoneNumber],
) -> Result<HashMap<String, Holder>, sqlx::Error> {
    let phones: Vec<_> = phones.iter().map(PhoneNumber::as_str).collect();
    // The oldest one counts where several share a number, and it comes last.
    let rows: Vec<(String, Uuid, Option<Uuid>)> = sqlx::query_as(
        "select number, account_id, owner_id
         from companies.phones p join companies.companies c using (account_id)
         where p.number = any($1) and p.number = any(c.phones)
         order by registered_at desc, account_id",
    )
    .bind(phones)
    .fetch_all(pool)
    .await?;
    let holder = |account_id, owner_id: Option<Uuid>| Holder {
        account_id: AccountId(account_id),
        owner_id: owner_id.map(StaffId),
    };
    Ok(rows
        .into_iter()
        .map(|(number, account_id, owner_id)| (number, holder(account_id, owner_id)))
        .collect())
}

/// Where a company can be reached, as it is on its card.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Reachable {
    pub(crate) account_id: Uuid,
    pub(crate) phones: Vec<String>,
    pub(crate) emails: Vec<String>,
}

/// All companies, a page at a time, in the order of their ids.
pub(crate) async fn reachable(
    pool: &PgPool,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Reachable>, sqlx::Error> {
    sqlx::query_as(
        "select account_id, phones, emails from companies.companies
         where account_id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
         order by account_id limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Which companies have one of these phones or addresses: the text that matched, and the company.
pub(crate) async fn reached_by(
    pool: &PgPool,
    phones: &[String],
    emails: &[String],
) -> Result<Vec<(String, AccountId)>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select number, account_id from companies.phones where number = any($1)
         union all select address, account_id from companies.emails where address = any($2)",
    )
    .bind(phones)
    .bind(emails)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|(text, id)| (text, AccountId(id))).collect())
}

/// Which companies have this phone, with or without an extension; for a merged one its survivor.
async fn accounts_of_phone(pool: &PgPool, phone: &str) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "with recursive found (id) as (
             select account_id from companies.phones where number = $1
             union
             select merged_into from found join companies.companies on account_id = id
             where merged_into is not null
         )
         select id from found",
    )
    .bind(phone)
    .fetch_all(pool)
    .await
}

/// How many companies somebody owns.
pub(crate) async fn count_of_owner(pool: &PgPool, owner: StaffId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*) from companies.companies where owner_id = $1 and merged_into is null",
    )
    .bind(owner.0)
    .fetch_one(pool)
    .await
}

/// How many companies each of these owns; who owns none is left out.
pub(crate) async fn counts_of_owners(
    pool: &PgPool,
    owners: &[Uuid],
) -> Result<HashMap<StaffId, u64>, sqlx::Error> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "select owner_id, count(*) from companies.companies
         where owner_id = any($1) and merged_into is null group by owner_id",
    )
    .bind(owners)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(owner, count)| (StaffId(owner), count.unsigned_abs()))
        .collect())
}

/// Some of the companies that somebody owns.
pub(crate) async fn of_owner(
    pool: &PgPool,
    owner: StaffId,
    limit: i64,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select account_id from companies.companies where owner_id = $1 and merged_into is null
         order by name_sort, account_id limit $2",
    )
    .bind(owner.0)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(AccountId).collect())
}
