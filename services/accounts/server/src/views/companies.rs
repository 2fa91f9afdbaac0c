//! Companies as lists and cards show them.

mod extras;
mod hand_over;
mod row;
mod search;

use std::collections::{HashMap, HashSet};

use accounts_domain::account::{Account, Event};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, ImportId, PhoneNumber, StaffId};

pub(crate) use hand_over::{Order, of_owner};
pub(crate) use row::Company;
pub(crate) use search::{Filter, PageKey, Wanted, count, ids, of_ids, page};

pub(crate) struct Companies;

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
            add column if not exists merged_into uuid,
            add column if not exists import_id uuid,
            add column if not exists import_row bigint,
            add column if not exists words text,
            add column if not exists texts text,
            add column if not exists address_words text,
            add column if not exists project_words text,
            add column if not exists forms tsvector;
        update companies
            set words = concat_ws(' ', name_folded, kind_folded, city_folded, region_folded,
                                  lower(address), lower(industry), lower(project)),
                texts = concat_ws(' ', kind_folded, city_folded, region_folded,
                                  lower(address), lower(industry), lower(project)),
                address_words = lower(address), project_words = lower(project)
            where words is null;
        update companies set forms = to_tsvector('russian', texts) where forms is null;
        create index if not exists companies_by_forms on companies using gin (forms);
        create index if not exists companies_of_import on companies (import_id)
            where import_id is not null;
        create index if not exists companies_merged on companies (merged_into)
            where merged_into is not null;
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
                create index if not exists companies_by_words
                    on companies using gin (words public.gin_trgm_ops);
                drop index if exists companies_by_part_of_name;
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
        let mut rephoned = HashSet::new();
        let mut rewritten = HashSet::new();
        for recorded in events {
            let id = recorded.stream.id;
            let event = recorded.decode::<Account>()?;
            match &event {
                Event::ProspectRegistered(_)
                | Event::DetailsChanged(_)
                | Event::CardSealedAnew(_)
                | Event::Erased(_) => {
                    rephoned.insert(id);
                    rewritten.insert(id);
                }
                Event::StatusChanged(_)
                | Event::OwnerAssigned(_)
                | Event::OwnershipTransferred(_)
                | Event::ReturnedToPool(_)
                | Event::ConvertedToClient(_)
                | Event::Merged(_)
                | Event::Unmerged(_) => {
                    rewritten.insert(id);
                }
                // Of these the row has nothing but its version.
                Event::OrderRegistered(_)
                | Event::OrderCancelled(_)
                | Event::ClaimGranted(_)
                | Event::ClaimRenewed(_)
                | Event::ClaimNumbersChanged(_)
                | Event::ClaimReleased(_)
                | Event::ClaimExpired(_) => {}
            }
            companies
                .entry(id)
                .or_insert_with(|| Company::new(id))
                .apply(&event, recorded.version);
        }
        save_phones_in_tx(tx, &stored, &rephoned, &companies).await?;
        save_emails_in_tx(tx, &stored, &rephoned, &companies).await?;
        let (changed, counted): (Vec<_>, Vec<_>) = companies
            .into_values()
            .partition(|company| rewritten.contains(&company.account_id));
        save_versions_in_tx(tx, &counted).await?;
        save_in_tx(tx, stored, changed).await
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

/// No index has the version: this changes one page where a row that is put in anew changes a dozen.
async fn save_versions_in_tx(
    tx: &mut PgConnection,
    companies: &[Company],
) -> Result<(), sqlx::Error> {
    if companies.is_empty() {
        return Ok(());
    }
    let (ids, versions): (Vec<_>, Vec<_>) = companies
        .iter()
        .map(|company| (company.account_id, company.version))
        .unzip();
    sqlx::query(
        "update companies c set version = n.version
         from unnest($1::uuid[], $2::bigint[]) as n (account_id, version)
         where c.account_id = n.account_id",
    )
    .bind(ids)
    .bind(versions)
    .execute(tx)
    .await?;
    Ok(())
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
    let written: HashSet<_> = companies.iter().map(|company| company.account_id).collect();
    let stale: Vec<_> = stored
        .into_iter()
        .filter(|id| written.contains(id))
        .collect();
    if !stale.is_empty() {
        sqlx::query("delete from companies where account_id = any($1)")
            .bind(stale)
            .execute(&mut *tx)
            .await?;
    }
    // Other forms of a word are PostgreSQL's to know.
    sqlx::query(
        "insert into companies
         select c.* from jsonb_array_elements($1) given,
             jsonb_populate_record(null::companies, given || jsonb_build_object(
                 'forms', to_tsvector('russian', coalesce(given ->> 'texts', '')))) c",
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

/// The card of a company.
pub(crate) async fn find(pool: &PgPool, id: AccountId) -> Result<Option<Company>, sqlx::Error> {
    let row: Option<Json<Company>> =
        sqlx::query_scalar("select to_jsonb(c) from companies.companies c where account_id = $1")
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|Json(company)| company))
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

/// Which company has each of these addresses, given in lower case.
pub(crate) async fn holders_of_emails(
    pool: &PgPool,
    emails: &[String],
) -> Result<HashMap<String, Holder>, sqlx::Error> {
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    // As with phones.
    let rows: Vec<(String, Uuid, Option<Uuid>)> = sqlx::query_as(
        "select e.address, account_id, owner_id
         from companies.emails e join companies.companies using (account_id)
         where e.address = any($1) order by registered_at desc, account_id",
    )
    .bind(emails)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(address, account_id, owner_id)| {
            let holder = Holder {
                account_id: AccountId(account_id),
                owner_id: owner_id.map(StaffId),
            };
            (address, holder)
        })
        .collect())
}

/// Which of these companies a file has brought, and by which row.
pub(crate) async fn made_by(
    pool: &PgPool,
    import: ImportId,
    ids: &[AccountId],
) -> Result<HashMap<AccountId, i64>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "select account_id, import_row from companies.companies
         where import_id = $1 and account_id = any($2)",
    )
    .bind(import.0)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|(id, row)| (AccountId(id), row)).collect())
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

/// The beginning of a query: `family (account_id)` is a company and the records that it answers for,
/// `sharing (account_id)` the companies that have, or answer for what has, one of their phones.
pub(crate) fn sharing_a_phone(id: &str) -> String {
    format!(
        "with recursive family (account_id) as (
             select {id}
             union all
             select merged.account_id from family
             join companies.companies merged on merged.merged_into = family.account_id
         ),
         reached (account_id, merged_into) as (
             select other.account_id, other.merged_into
             from family join companies.companies mine using (account_id)
             cross join unnest(mine.phones) as phone
             join companies.phones on phones.number = phone
             join companies.companies other on other.account_id = phones.account_id
                                            and phone = any(other.phones)
             where other.account_id not in (select account_id from family)
             union
             select survivor.account_id, survivor.merged_into
             from reached h
             join companies.companies survivor on survivor.account_id = h.merged_into
         ),
         sharing as (select account_id from reached where merged_into is null)"
    )
}

/// Whether somebody else than `staff` owns a company with a phone of this one.
pub(crate) async fn shares_a_phone_with_others(
    pool: &PgPool,
    id: AccountId,
    staff: StaffId,
) -> Result<bool, sqlx::Error> {
    let family = sharing_a_phone("$1::uuid");
    sqlx::query_scalar(AssertSqlSafe(format!(
        "{family}
         select exists (
             select from sharing join companies.companies using (account_id) where owner_id <> $2)"
    )))
    .bind(id.0)
    .bind(staff.0)
    .fetch_one(pool)
    .await
}

/// The first of those that share a phone, in their order.
pub(crate) async fn one_of_each_phone(
    pool: &PgPool,
    ids: Vec<AccountId>,
) -> Result<Vec<AccountId>, sqlx::Error> {
    let asked: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Vec<String>)> = sqlx::query_as(
        "select account_id, phones from companies.companies where account_id = any($1)",
    )
    .bind(asked)
    .fetch_all(pool)
    .await?;
    let phones: HashMap<_, _> = rows.into_iter().collect();
    let mut seen = HashSet::new();
    let firsts = ids.into_iter().filter(|id| {
        let mut phones = phones.get(&id.0).into_iter().flatten();
        let first = phones.clone().all(|phone| !seen.contains(phone));
        if first {
            seen.extend(&mut phones);
        }
        first
    });
    Ok(firsts.collect())
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
