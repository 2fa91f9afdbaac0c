//! Deals as a list: every filter at once, newest first.

use accounts_domain::deal::SUSPENDED_OFTEN;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{Period, PipelineId, StaffId};

use super::DealRow;
use crate::views::seen::{NO_CLAIMS, SEEN};

/// What to list. `None` and `false` let everything pass.
#[derive(Debug)]
pub(crate) struct Filter {
    /// All ids of one company.
    pub(crate) account_ids: Option<Vec<Uuid>>,
    /// Owners of the companies that the caller sees; `None`: all.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) owner_ids: Option<Vec<StaffId>>,
    pub(crate) pipeline_id: Option<PipelineId>,
    pub(crate) stage: Option<String>,
    pub(crate) standings: Option<Vec<Now>>,
    pub(crate) suspended_often: bool,
    pub(crate) woken: bool,
    pub(crate) without_next_step: bool,
    pub(crate) closed: Period,
    pub(crate) now: DateTime<Utc>,
}

/// How a deal stands at this moment: one that is put off wakes up without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Now {
    Open,
    Suspended,
    Won,
    Lost,
}

impl Now {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Suspended => "suspended",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// What the next page comes after.
pub(crate) type PageKey = (DateTime<Utc>, Uuid);

/// Of deals that are on their way, those with whose company nothing is planned.
const WITHOUT_NEXT_STEP: &str = "standing = 'open'
    and not exists (select from open_tasks.tasks t where t.account_id = d.account_id)
    -- Nor under another id of the company: asked once, for few have one.
    and account_id not in (
        with recursive record (id, company) as (
            select account_id, account_id from directory.accounts
            where merged_into is null and account_id in (
                select merged_into from directory.accounts where merged_into is not null)
            union all
            select merged.account_id, record.company from record
            join directory.accounts merged on merged.merged_into = record.id
        )
        select id from record where company in (
            select company from record join open_tasks.tasks t on t.account_id = record.id))";

/// Deals behind `after`, at most `limit`.
pub(crate) async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<PageKey>,
    limit: i64,
) -> Result<Vec<DealRow>, sqlx::Error> {
    let (opened_at, deal_id) = after.unzip();
    let owner_ids = filter.owner_ids.as_ref();
    let owner_ids = owner_ids.map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>());
    let standings = filter.standings.as_ref();
    let standings = standings.map(|all| all.iter().map(|one| one.name()).collect::<Vec<_>>());
    let sql = format!(
        "with recursive {SEEN}
         select to_jsonb(d) from deals.deals d
         where ($3::uuid[] is null or account_id = any($3))
           and ($1::uuid[] is null or account_id in (select account_id from seen))
           and ($4::uuid[] is null or owner_id = any($4))
           and ($5::uuid is null or pipeline_id = $5)
           and ($6::text is null or stage = $6)
           and ($7::text[] is null
                or case when suspended_until > $8 then 'suspended' else standing end = any($7))
           and (not $9 or suspensions >= $10)
           and (not $11 or suspended_until <= $8)
           and (not $12 or {WITHOUT_NEXT_STEP})
           and ($13::timestamptz is null or closed_at >= $13)
           and ($14::timestamptz is null or closed_at < $14)
           and ($15::timestamptz is null or (opened_at, deal_id) < ($15, $16))
         order by opened_at desc, deal_id desc limit $17"
    );
    let rows: Vec<Json<DealRow>> = sqlx::query_scalar(AssertSqlSafe(sql))
        // Planned for what is asked this time: the rest is out of it, and the indexes are found.
        .persistent(false)
        .bind(filter.seen_owners.as_deref())
        .bind(NO_CLAIMS)
        .bind(filter.account_ids.as_deref())
        .bind(owner_ids)
        .bind(filter.pipeline_id.map(|id| id.0))
        .bind(filter.stage.as_deref())
        .bind(standings)
        .bind(filter.now)
        .bind(filter.suspended_often)
        .bind(SUSPENDED_OFTEN.cast_signed())
        .bind(filter.woken)
        .bind(filter.without_next_step)
        .bind(filter.closed.from)
        .bind(filter.closed.to)
        .bind(opened_at)
        .bind(deal_id)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|Json(deal)| deal).collect())
}
