//! Who opened which card, and on which days somebody opened unusually many.

use accounts_domain::reading::{CardView, Event, Reading, Seen, USUAL_DAYS, What};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;
use vocabulary::{Period, StaffId};

/// Days are those of the company's zone.
pub(crate) struct Access {
    pub(crate) zone: Tz,
}

#[derive(Debug, FromRow)]
pub(crate) struct Opening {
    pub(crate) position: i64,
    pub(crate) staff_id: Uuid,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) account_id: Uuid,
    pub(crate) what: String,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug, FromRow)]
pub(crate) struct UnusualDay {
    pub(crate) position: i64,
    pub(crate) staff_id: Uuid,
    pub(crate) day: NaiveDate,
    pub(crate) cards: i64,
    pub(crate) usual: i64,
    pub(crate) threshold: i64,
    pub(crate) noticed_at: DateTime<Utc>,
}

impl Projection for Access {
    const NAME: &'static str = "access";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists openings (
            position bigint primary key,
            staff_id uuid not null,
            group_id uuid,
            account_id uuid not null,
            what text not null,
            at timestamptz not null,
            day date not null
        );
        create index if not exists openings_of_staff on openings (staff_id, position);
        create index if not exists openings_of_day on openings (staff_id, day, account_id);
        create index if not exists openings_of_account on openings (account_id, position);
        create table if not exists unusual_days (
            position bigint primary key,
            staff_id uuid not null,
            day date not null,
            cards bigint not null,
            usual bigint not null,
            threshold bigint not null,
            noticed_at timestamptz not null
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        for recorded in events {
            if recorded.stream.category == CardView::CATEGORY {
                self.opened_in_tx(tx, recorded).await?;
            } else if recorded.stream.category == Reading::CATEGORY {
                noticed_in_tx(tx, recorded).await?;
            }
        }
        Ok(())
    }
}

impl Access {
    async fn opened_in_tx(
        &self,
        tx: &mut PgConnection,
        recorded: &Recorded,
    ) -> Result<(), ApplyError> {
        let Seen::Viewed(viewed) = recorded.decode::<CardView>()?;
        let Some(staff_id) = recorded.metadata.actor.staff() else {
            return Ok(());
        };
        sqlx::query(
            "insert into openings (position, staff_id, group_id, account_id, what, at, day)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(recorded.position)
        .bind(staff_id)
        .bind(recorded.metadata.actor_group_id)
        .bind(viewed.account_id.0)
        .bind(what_name(viewed.what))
        .bind(recorded.occurred_at)
        .bind(day_of(recorded, self.zone))
        .execute(tx)
        .await?;
        Ok(())
    }
}

async fn noticed_in_tx(tx: &mut PgConnection, recorded: &Recorded) -> Result<(), ApplyError> {
    let Event::UnusualNoticed(noticed) = recorded.decode::<Reading>()?;
    sqlx::query(
        "insert into unusual_days
             (position, staff_id, day, cards, usual, threshold, noticed_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(recorded.position)
    .bind(noticed.staff_id.0)
    .bind(noticed.day)
    .bind(i64::from(noticed.cards))
    .bind(i64::from(noticed.usual))
    .bind(i64::from(noticed.threshold))
    .bind(recorded.occurred_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// On which day of the company it was.
pub(crate) fn day_of(recorded: &Recorded, zone: Tz) -> NaiveDate {
    recorded.occurred_at.with_timezone(&zone).date_naive()
}

/// How the table names it.
pub(crate) fn what_name(what: What) -> &'static str {
    match what {
        What::Card => "card",
        What::Past => "past",
        What::History => "history",
    }
}

/// Different cards that somebody has opened on a day.
pub(crate) async fn cards_on(
    pool: &PgPool,
    staff_id: StaffId,
    day: NaiveDate,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(distinct account_id) from access.openings where staff_id = $1 and day = $2",
    )
    .bind(staff_id.0)
    .bind(day)
    .fetch_one(pool)
    .await
}

/// Different cards on each of the last days before this one on which somebody opened any.
pub(crate) async fn cards_before(
    pool: &PgPool,
    staff_id: StaffId,
    day: NaiveDate,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "select count(distinct account_id) from access.openings
         where staff_id = $1 and day < $2 group by day order by day desc limit $3",
    )
    .bind(staff_id.0)
    .bind(day)
    .bind(USUAL_DAYS as i64)
    .fetch_all(pool)
    .await
}

/// Which accesses are meant; what is absent lets everything pass.
pub(crate) struct Wanted {
    /// By one of these.
    pub(crate) staff: Option<Vec<Uuid>>,
    /// All ids of one account.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    pub(crate) period: Period,
}

/// Newest first.
pub(crate) async fn openings(
    pool: &PgPool,
    wanted: &Wanted,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Opening>, sqlx::Error> {
    sqlx::query_as(
        "select position, staff_id, group_id, account_id, what, at from access.openings
         where ($1::uuid[] is null or staff_id = any($1))
           and ($2::uuid[] is null or account_id = any($2))
           and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
           and ($5::bigint is null or position < $5)
         order by position desc limit $6",
    )
    .bind(&wanted.staff)
    .bind(&wanted.account_ids)
    .bind(wanted.period.from)
    .bind(wanted.period.to)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Newest first.
pub(crate) async fn unusual_days(
    pool: &PgPool,
    wanted: &Wanted,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<UnusualDay>, sqlx::Error> {
    sqlx::query_as(
        "select position, staff_id, day, cards, usual, threshold, noticed_at
         from access.unusual_days
         where ($1::uuid[] is null or staff_id = any($1))
           and ($2::timestamptz is null or noticed_at >= $2)
           and ($3::timestamptz is null or noticed_at < $3)
           and ($4::bigint is null or position < $4)
         order by position desc limit $5",
    )
    .bind(&wanted.staff)
    .bind(wanted.period.from)
    .bind(wanted.period.to)
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await
}
