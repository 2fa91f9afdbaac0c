//! Rows of imported files, what became of them, and what was sold by them.

use std::collections::{HashMap, HashSet};

use accounts_domain::import_batch::{Event, Fault, ImportBatch, Outcome, Row};
use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, ImportId, StaffId};

pub(crate) struct Imports;

impl Projection for Imports {
    const NAME: &'static str = "imports";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const SCHEMA: &'static str = "
        create table if not exists files (
            import_id uuid primary key,
            file text not null,
            imported_by uuid,
            began_at timestamptz not null,
            ended_at timestamptz not null
        );
        alter table files
            add column if not exists created bigint,
            add column if not exists matched bigint,
            add column if not exists repeated bigint,
            add column if not exists rejected bigint;
        create index if not exists files_by_time on files (began_at, import_id);
        create table if not exists rows (
            import_id uuid not null,
            row bigint not null,
            outcome text not null,
            account_id uuid,
            owner_id uuid,
            faults jsonb not null,
            primary key (import_id, row)
        );
        create index if not exists rows_of_company on rows (account_id, import_id);
        update files f set (created, matched, repeated, rejected) = (
            select count(*) filter (where outcome = 'created'),
                   count(*) filter (where outcome = 'matched'),
                   count(*) filter (where outcome = 'repeated'),
                   count(*) filter (where outcome = 'rejected')
            from rows r where r.import_id = f.import_id)
        where created is null;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == ImportBatch::CATEGORY {
                apply(tx, recorded, recorded.decode::<ImportBatch>()?).await?;
            }
        }
        Ok(())
    }
}

async fn apply(
    tx: &mut PgConnection,
    recorded: &Recorded,
    Event::Recorded(batch): Event,
) -> Result<(), ApplyError> {
    sqlx::query(
        "insert into files
         (import_id, file, imported_by, began_at, ended_at, created, matched, repeated, rejected)
         values ($1, $2, $3, $4, $4, 0, 0, 0, 0)
         on conflict (import_id) do update set ended_at = excluded.ended_at",
    )
    .bind(batch.import_id.0)
    .bind(batch.file)
    .bind(recorded.metadata.actor.staff())
    .bind(recorded.recorded_at)
    .execute(&mut *tx)
    .await?;
    // What was refused has been taken now.
    sqlx::query(
        "with refused as (
             delete from rows using jsonb_to_recordset($2) as r (row bigint)
             where rows.import_id = $1 and rows.row = r.row and rows.outcome = 'rejected'
             returning 1
         )
         update files set rejected = rejected - (select count(*) from refused)
         where import_id = $1",
    )
    .bind(batch.import_id.0)
    .bind(Json(&batch.rows))
    .execute(&mut *tx)
    .await?;
    // A caller may number two rows alike: the first one counts.
    sqlx::query(
        "with added as (
             insert into rows (import_id, row, outcome, account_id, owner_id, faults)
             select $1, row, outcome, account_id, owner_id, coalesce(faults, '[]')
             from jsonb_to_recordset($2) as r
                 (row bigint, outcome text, account_id uuid, owner_id uuid, faults jsonb)
             on conflict do nothing returning outcome
         )
         update files set (created, matched, repeated, rejected) = (
             select created + count(*) filter (where outcome = 'created'),
                    matched + count(*) filter (where outcome = 'matched'),
                    repeated + count(*) filter (where outcome = 'repeated'),
                    rejected + count(*) filter (where outcome = 'rejected')
             from added)
         where import_id = $1",
    )
    .bind(batch.import_id.0)
    .bind(Json(batch.rows))
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Stored {
    row: i64,
    outcome: Json<Outcome>,
    account_id: Option<Uuid>,
    owner_id: Option<Uuid>,
    faults: Json<Vec<Fault>>,
}

/// Those of the rows that have their fate already.
pub(crate) async fn rows_of(
    pool: &PgPool,
    import: ImportId,
    numbers: &[i64],
) -> Result<HashMap<i64, Row>, sqlx::Error> {
    let rows: Vec<Stored> = sqlx::query_as(
        "select row, to_jsonb(outcome) as outcome, account_id, owner_id, faults
         from imports.rows where import_id = $1 and row = any($2)",
    )
    .bind(import.0)
    .bind(numbers)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|stored| Row {
        row: stored.row,
        outcome: stored.outcome.0,
        account_id: stored.account_id.map(AccountId),
        owner_id: stored.owner_id.map(StaffId),
        faults: stored.faults.0,
    });
    Ok(rows.map(|row| (row.row, row)).collect())
}

/// Which of these companies rows of a file mean.
pub(crate) async fn meant(
    pool: &PgPool,
    import: ImportId,
    ids: &[AccountId],
) -> Result<HashSet<AccountId>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select account_id from imports.rows where import_id = $1 and account_id = any($2)",
    )
    .bind(import.0)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(AccountId).collect())
}

/// What people call a file.
pub(crate) async fn name_of(pool: &PgPool, import: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("select file from imports.files where import_id = $1")
        .bind(import)
        .fetch_optional(pool)
        .await
}

#[derive(FromRow)]
pub(crate) struct File {
    pub(crate) import_id: Uuid,
    #[sqlx(rename = "file")]
    pub(crate) name: String,
    pub(crate) imported_by: Option<Uuid>,
    pub(crate) began_at: DateTime<Utc>,
    pub(crate) ended_at: DateTime<Utc>,
    pub(crate) created: i64,
    pub(crate) matched: i64,
    pub(crate) repeated: i64,
    pub(crate) rejected: i64,
}

/// Files that began before `before`, newest first, with their counts.
pub(crate) async fn files(
    pool: &PgPool,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<File>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    sqlx::query_as(
        "select * from imports.files
         where $1::timestamptz is null or (began_at, import_id) < ($1, $2)
         order by began_at desc, import_id desc limit $3",
    )
    .bind(before_at)
    .bind(before_id)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Companies whose orders are of rows of the files `$1`: those that the rows brought, and what
/// these were merged into, where that came by no file itself. Of several merged ones the oldest
/// counts, so no order is counted for two rows.
const BROUGHT: &str = "brought as (
    select import_id, import_row, account_id, client
    from companies.companies where import_id = any($1)
    union all
    select oldest.import_id, oldest.import_row, survivor.account_id, survivor.client
    from companies.companies survivor cross join lateral (
        with recursive merged as (
            select account_id, import_id, import_row, registered_at
            from companies.companies where merged_into = survivor.account_id
            union all
            select c.account_id, c.import_id, c.import_row, c.registered_at
            from merged m join companies.companies c on c.merged_into = m.account_id
        )
        select import_id, import_row from merged where import_id is not null
        order by registered_at, account_id limit 1
    ) oldest
    where survivor.import_id is null and oldest.import_id = any($1)
      and survivor.account_id in (
          select merged_into from companies.companies where merged_into is not null)
)";

/// How many rows of each of these files have a client now.
pub(crate) async fn clients(
    pool: &PgPool,
    imports: &[Uuid],
) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let sql = format!(
        "with {BROUGHT}
         select import_id, count(distinct import_row) from brought where client group by import_id"
    );
    let clients = sqlx::query_as(AssertSqlSafe(sql)).bind(imports);
    Ok(clients.fetch_all(pool).await?.into_iter().collect())
}

/// What was sold by a file, in one currency.
#[derive(FromRow)]
pub(crate) struct Sales {
    pub(crate) import_id: Uuid,
    pub(crate) currency: String,
    pub(crate) minor_units: i64,
    pub(crate) orders: i64,
}

/// What was sold by these files, of orders that stand.
pub(crate) async fn sales(pool: &PgPool, imports: &[Uuid]) -> Result<Vec<Sales>, sqlx::Error> {
    let sql = format!(
        "with {BROUGHT}
         select import_id, currency, sum(minor_units)::bigint as minor_units, count(*) as orders
         from brought join orders.orders using (account_id)
         where not cancelled
         group by import_id, currency order by import_id, currency"
    );
    let sales = sqlx::query_as(AssertSqlSafe(sql)).bind(imports);
    sales.fetch_all(pool).await
}

/// Companies whose orders are of these rows of a file, each with its row.
pub(crate) async fn brought(
    pool: &PgPool,
    import: ImportId,
    rows: &[i64],
) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let sql = format!(
        "with {BROUGHT} select account_id, import_row from brought where import_row = any($2)"
    );
    let brought = sqlx::query_as(AssertSqlSafe(sql))
        .bind([import.0])
        .bind(rows);
    Ok(brought.fetch_all(pool).await?.into_iter().collect())
}

#[derive(FromRow)]
pub(crate) struct Line {
    pub(crate) row: i64,
    pub(crate) outcome: Json<Outcome>,
    pub(crate) account_id: Option<Uuid>,
    pub(crate) faults: Json<Vec<Fault>>,
}

/// Rows of a file behind `after`.
pub(crate) async fn lines(
    pool: &PgPool,
    import: ImportId,
    only_sold: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<Line>, sqlx::Error> {
    let sql = format!(
        "with {BROUGHT}
         select row, to_jsonb(outcome) as outcome, account_id, faults from imports.rows
         where import_id = any($1) and row > $2
           and (not $3 or row in (
                select import_row from brought join orders.orders using (account_id)
                where not cancelled))
         order by row limit $4"
    );
    let lines = sqlx::query_as(AssertSqlSafe(sql))
        .bind([import.0])
        .bind(after)
        .bind(only_sold)
        .bind(limit);
    lines.fetch_all(pool).await
}
