//! What somebody has to hand over, and what rules look at.

use accounts_domain::transfer::plan::Facts;
use sqlx::PgPool;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Name,
    /// Whom somebody spoke with last comes first.
    LastContact,
}

/// Some of the companies that somebody owns.
pub(crate) async fn of_owner(
    pool: &PgPool,
    owner: StaffId,
    order: Order,
    limit: i64,
) -> Result<Vec<(AccountId, Facts)>, sqlx::Error> {
    let rows: Vec<(Uuid, String, String, String, String)> = sqlx::query_as(
        "select c.account_id, c.city_folded, c.region_folded, c.kind_folded, coalesce(c.status, '')
         from companies.companies c left join contacted.contacted spoken using (account_id)
         where c.owner_id = $1 and c.merged_into is null
         order by case when $2 then spoken.last_at end desc nulls last, c.name_sort, c.account_id
         limit $3",
    )
    .bind(owner.0)
    .bind(order == Order::LastContact)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|(id, city, region, kind, status)| {
        let facts = Facts {
            city,
            region,
            kind,
            status,
        };
        (AccountId(id), facts)
    });
    Ok(rows.collect())
}
