//! The persons of an account: who can be talked to there.

use std::collections::HashMap;

use api::contacts;
use chrono::{DateTime, Utc};
use contacts_domain::person::{Added, DetailsChanged};
use es::{Personal, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::{
    AppError, Service,
    typed::{digits_of, parts_of_phone, push_word, words},
};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, fold_for_parts, fold_for_search};

pub(crate) struct PersonsView;

/// Characters of a name or a job title.
pub(crate) const MAX_NAME: usize = 300;

#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Row {
    pub(crate) person_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) name: String,
    pub(crate) job_title: String,
    pub(crate) phones: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) version: i64,
    pub(crate) erased: bool,
    /// What parts of words are looked for in.
    words: Option<String>,
    /// Of each phone, phones apart.
    phone_digits: Option<String>,
}

impl Row {
    fn fold(&mut self) {
        let emails = self.emails.join(" ");
        let text = format!("{} {} {emails}", self.name, self.job_title);
        self.words = Some(fold_for_parts(&text));
        let phones: Vec<_> = self.phones.iter().map(|phone| digits_of(phone)).collect();
        self.phone_digits = Some(phones.join(" "));
    }
}

impl From<Row> for contacts::Person {
    fn from(row: Row) -> Self {
        Self {
            id: row.person_id.to_string(),
            external_id: row.external_id.unwrap_or_default(),
            account_id: row.account_id.to_string(),
            name: row.name,
            job_title: row.job_title,
            phones: row.phones,
            emails: row.emails,
            version: row.version,
            erased: row.erased,
        }
    }
}

impl Projection for PersonsView {
    const NAME: &'static str = "persons";
    const SOURCES: &'static [&'static str] = &["contacts"];
    // Not by stream: an erasure has one of its own and takes texts out of the others.
    const SCHEMA: &'static str = "
        create table if not exists persons (
            person_id   uuid primary key,
            account_id  uuid not null,
            external_id text,
            name        text not null,
            job_title   text not null,
            phones      text[] not null,
            emails      text[] not null,
            version     bigint not null,
            erased      boolean not null default false
        );
        alter table persons add column if not exists erased boolean not null default false;
        alter table persons
            add column if not exists words text,
            add column if not exists phone_digits text;
        update persons
            set words = replace(lower(concat_ws(' ', name, job_title,
                                                array_to_string(emails, ' '))), 'ё', 'е'),
                phone_digits = regexp_replace(array_to_string(phones, ' '), '[^0-9 ]', '', 'g')
            where words is null;
        create index if not exists persons_by_account on persons (account_id);
        do $$
        begin
            if exists (select from pg_extension where extname = 'pg_trgm') then
                create index if not exists persons_by_words
                    on persons using gin (words public.gin_trgm_ops);
                create index if not exists persons_by_part_of_phone
                    on persons using gin (phone_digits public.gin_trgm_ops);
            end if;
        end
        $$;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut added = Vec::new();
        for event in events {
            match event.event_type.as_str() {
                "person.added" => added.push(new_row(event, event.fields()?)),
                "person.details_changed" => {
                    // In order: the person may be one of this batch.
                    insert(tx, &mut added).await?;
                    update(tx, event, event.fields()?).await?;
                }
                "erasure.carried_out" => {
                    insert(tx, &mut added).await?;
                    erase(tx, event.stream.id).await?;
                }
                _ => {}
            }
        }
        insert(tx, &mut added).await
    }
}

fn new_row(event: &Recorded, added: Added) -> Row {
    let mut row = Row {
        person_id: event.stream.id,
        account_id: added.account_id.0,
        external_id: added.external_id,
        name: added.name.into_inner().unwrap_or_default(),
        job_title: text(added.job_title).unwrap_or_default(),
        phones: texts(added.phones).unwrap_or_default(),
        emails: texts(added.emails).unwrap_or_default(),
        version: event.version,
        erased: false,
        words: None,
        phone_digits: None,
    };
    row.fold();
    row
}

/// `None` when not given; empty when erased.
fn text(given: Option<Personal<String>>) -> Option<String> {
    given.map(|personal| personal.into_inner().unwrap_or_default())
}

/// As [`text`], for contact points.
fn texts<T: ToString>(given: Option<Personal<Vec<T>>>) -> Option<Vec<String>> {
    given.map(|personal| {
        let points = personal.into_inner().unwrap_or_default();
        points.iter().map(T::to_string).collect()
    })
}

async fn insert(tx: &mut PgConnection, rows: &mut Vec<Row>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    // Through JSON because `unnest` would flatten the lists of telephones.
    sqlx::query("insert into persons select * from jsonb_populate_recordset(null::persons, $1)")
        .bind(Json(&*rows))
        .execute(tx)
        .await?;
    rows.clear();
    Ok(())
}

async fn update(
    tx: &mut PgConnection,
    event: &Recorded,
    changed: DetailsChanged,
) -> Result<(), ApplyError> {
    let row = sqlx::query_as("delete from persons where person_id = $1 returning *")
        .bind(event.stream.id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(mut row): Option<Row> = row else {
        return Ok(());
    };
    row.name = text(changed.name).unwrap_or(row.name);
    row.job_title = text(changed.job_title).unwrap_or(row.job_title);
    row.phones = texts(changed.phones).unwrap_or(row.phones);
    row.emails = texts(changed.emails).unwrap_or(row.emails);
    row.version = event.version;
    row.fold();
    insert(tx, &mut vec![row]).await
}

/// What is left says that there was somebody.
async fn erase(tx: &mut PgConnection, id: Uuid) -> Result<(), ApplyError> {
    sqlx::query(
        "update persons
         set name = '', job_title = '', phones = '{}', emails = '{}', words = '',
             phone_digits = '', erased = true
         where person_id = $1",
    )
    .bind(id)
    .execute(tx)
    .await?;
    Ok(())
}

/// All persons of an account, under all its ids, by name as a Russian reader expects it.
pub(crate) async fn of_account(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Row>, sqlx::Error> {
    let rows = sqlx::query_as("select * from persons.persons where account_id = any($1)");
    let mut rows: Vec<Row> = rows.bind(ids).fetch_all(pool).await?;
    // Folded, because the database would put Ё before А.
    rows.sort_by_cached_key(|row| (fold_for_search(&row.name), row.person_id));
    Ok(rows)
}

/// Which persons are meant; what is absent lets everything pass.
pub(crate) struct Wanted {
    /// All ids of one account.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    /// At accounts that one of these owns or has claimed.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) now: DateTime<Utc>,
}

/// Persons account by account.
pub(crate) async fn ids(pool: &PgPool, wanted: Wanted) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select person_id from persons.persons
         where ($1::uuid[] is null or account_id = any($1))
           and ($2::uuid[] is null or account_id = any(array(
               with recursive seen (id) as (
                   select account_id from directory.accounts
                   where merged_into is null and (owner_id = any($2)
                       or claim_holder_id = any($2) and claimed_until > $3)
                   union all
                   select account_id from seen join directory.accounts on merged_into = id
               )
               select id from seen)))
         order by account_id, person_id",
    )
    .bind(wanted.account_ids)
    .bind(wanted.seen_owners)
    .bind(wanted.now)
    .fetch_all(pool)
    .await
}

/// Accounts of those owners (`None`: all accounts) that have persons with this name, position, e-mail
/// or phone, or parts of it; at most `limit`. For what was merged its survivor.
pub(crate) async fn accounts_of_those_called(
    pool: &PgPool,
    typed: &str,
    owners: Option<&[Uuid]>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut query = QueryBuilder::new(
        "with recursive found (id) as (
             select account_id from persons.persons where not erased and ((true",
    );
    let words = words(typed);
    for word in &words {
        push_word(&mut query, "words", None, word);
    }
    query.push(if words.is_empty() { " and false)" } else { ")" });
    for digits in parts_of_phone(typed) {
        query.push(" or phone_digits like ");
        query.push_bind(format!("%{digits}%"));
    }
    query.push(
        ") union
             select merged_into from found join directory.accounts on account_id = id
             where merged_into is not null
         )
         select id from found join directory.accounts on account_id = id
         where merged_into is null",
    );
    if let Some(owners) = owners {
        query
            .push(" and owner_id = any(")
            .push_bind(owners)
            .push(")");
    }
    query.push(" limit ").push_bind(limit);
    query
        .build_query_scalar()
        .persistent(false)
        .fetch_all(pool)
        .await
}

/// These persons, in this order.
pub(crate) async fn of_ids(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select p.* from unnest($1::uuid[]) with ordinality as wanted (person_id, place)
         join persons.persons p using (person_id) order by place",
    )
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// Which account answers for each of these persons; the unknown are left out. One who was added a
/// moment ago is known.
pub(crate) async fn accounts_of(
    service: &Service,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, AccountId>, AppError> {
    let mut known = find_accounts(service.pool(), ids).await?;
    if !ids.iter().all(|id| known.contains_key(id)) {
        service.catch_up_with(service.name()).await?;
        known = find_accounts(service.pool(), ids).await?;
    }
    Ok(service.directory.answering(known).await?)
}

/// At which account each of these persons was added, as far as the view has got.
async fn find_accounts(
    pool: &PgPool,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, AccountId>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select person_id, account_id from persons.persons where person_id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|(id, account)| (id, AccountId(account))).collect())
}
