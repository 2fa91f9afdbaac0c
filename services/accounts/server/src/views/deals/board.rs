//! Open deals by stage.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{Money, PipelineId};

use super::DealRow;
use crate::views::seen::{NO_CLAIMS, SEEN};

/// One stage: how many deals are there, how much they are worth, and those longest there.
#[derive(Debug, Default)]
pub(crate) struct Column {
    pub(crate) count: i64,
    pub(crate) suspended: i64,
    pub(crate) amounts: Vec<Money>,
    pub(crate) deals: Vec<DealRow>,
}

/// What is asked for.
pub(crate) struct Wanted {
    pub(crate) pipeline_id: PipelineId,
    /// Owners of the companies that the caller sees; `None`: all.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) deals_per_stage: i64,
    pub(crate) now: DateTime<Utc>,
}

/// Open deals of one pipeline, as far as the caller sees them.
const ON_THE_BOARD: &str = "d.pipeline_id = $3 and d.standing = 'open'
    and ($1::uuid[] is null or d.account_id in (select account_id from seen))
    and ($4::uuid is null or d.owner_id = $4)";

/// By the name of the stage. Who sees a company sees its deals, also those of records that were
/// merged into it: ownership is the directory's, which every other list goes by.
pub(crate) async fn board(
    pool: &PgPool,
    wanted: &Wanted,
) -> Result<HashMap<String, Column>, sqlx::Error> {
    let mut columns: HashMap<String, Column> = HashMap::new();
    let sql = format!(
        "with recursive {SEEN}
         select d.stage, d.currency, count(*),
                count(*) filter (where d.suspended_until > $5),
                coalesce(sum(d.minor_units), 0)::bigint
         from deals.deals d
         where {ON_THE_BOARD}
         group by d.stage, d.currency order by d.stage, d.currency"
    );
    let counts: Vec<(String, Option<String>, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(wanted.seen_owners.as_deref())
        .bind(NO_CLAIMS)
        .bind(wanted.pipeline_id.0)
        .bind(wanted.owner_id)
        .bind(wanted.now)
        .fetch_all(pool)
        .await?;
    for (stage, currency, count, suspended, minor_units) in counts {
        let column = columns.entry(stage).or_default();
        column.count += count;
        column.suspended += suspended;
        column.amounts.extend(currency.map(|currency| Money {
            minor_units,
            currency,
        }));
    }
    let sql = format!(
        "with recursive {SEEN}
         select to_jsonb(d) from (
             select d.*, row_number() over (
                 partition by d.stage order by d.stage_since, d.deal_id
             ) as place
             from deals.deals d
             where {ON_THE_BOARD}
         ) d where place <= $5 order by place"
    );
    let deals: Vec<Json<DealRow>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(wanted.seen_owners.as_deref())
        .bind(NO_CLAIMS)
        .bind(wanted.pipeline_id.0)
        .bind(wanted.owner_id)
        .bind(wanted.deals_per_stage)
        .fetch_all(pool)
        .await?;
    for Json(deal) in deals {
        columns
            .entry(deal.stage.clone())
            .or_default()
            .deals
            .push(deal);
    }
    Ok(columns)
}
