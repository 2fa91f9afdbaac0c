//! Sums of facts per manager, group or month, as they stood at any moment.

use chrono::{DateTime, Utc};
use es_postgres::projection::Projection;
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;
use vocabulary::{GroupId, Period, StaffId};

use crate::{
    metrics::{Figures, Metric},
    views::facts::FactsView,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Manager,
    Group,
    Month,
}

/// Which facts a caller may see. Groups are those that the facts carry: who left the group took
/// nothing away from its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visible {
    All,
    Of {
        staff: Vec<StaffId>,
        groups: Vec<GroupId>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) by: By,
    pub(crate) period: Period,
    /// Whose months; as PostgreSQL and the rest of the world call it.
    pub(crate) zone: &'static str,
    /// Business time at which a sale must not be cancelled; none: whenever it was.
    pub(crate) as_of: Option<DateTime<Utc>>,
    /// Only what was recorded until then.
    pub(crate) as_recorded_at: Option<DateTime<Utc>>,
    pub(crate) staff_id: Option<StaffId>,
    pub(crate) groups: Option<Vec<GroupId>>,
    pub(crate) visible: Visible,
}

#[derive(Debug)]
pub(crate) struct Answer {
    /// By id of staff or group, or by month; none: facts that belong to nobody or to no group.
    pub(crate) rows: Vec<(Option<String>, Figures)>,
    /// Service and position, as far as the figures have read.
    pub(crate) read_to: Vec<(String, i64)>,
}

pub(crate) async fn scorecard(pool: &PgPool, question: &Question) -> Result<Answer, sqlx::Error> {
    // One snapshot, so that the figures are those of exactly these positions.
    let mut tx = pool
        .begin_with("begin transaction isolation level repeatable read, read only")
        .await?;
    let read_to = sqlx::query_as(
        "select source, position from views.cursors where name = $1 order by source",
    )
    .bind(FactsView::NAME)
    .fetch_all(&mut *tx)
    .await?;
    let sums: Vec<(Option<String>, i16, i64)> = sums(question)
        .build_query_as()
        // Planned for these very parameters: a plan for any period would never use the index.
        .persistent(false)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;

    let mut rows: Vec<(Option<String>, Figures)> = Vec::new();
    for (key, code, facts) in sums {
        if rows.last().is_none_or(|(last, _)| *last != key) {
            rows.push((key, Figures::default()));
        }
        if let (Some(metric), Some((_, figures))) = (Metric::of_code(code), rows.last_mut()) {
            figures.count(metric, facts);
        }
    }
    Ok(Answer { rows, read_to })
}

/// Whether any fact of this person counts for one of these groups.
pub(crate) async fn ever_in(
    pool: &PgPool,
    staff_id: StaffId,
    groups: &[GroupId],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from facts.facts where staff_id = $1 and group_id = any($2))",
    )
    .bind(staff_id.0)
    .bind(uuids(groups))
    .fetch_one(pool)
    .await
}

/// Key, metric and number of facts, in order of the key.
fn sums(question: &Question) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("select ");
    sql.push(match question.by {
        By::Manager | By::Group => "key::text",
        By::Month => "to_char(key, 'YYYY-MM')",
    });
    sql.push(", metric, count(*) from (select ");
    match question.by {
        By::Manager => sql.push("fact.staff_id"),
        By::Group => sql.push("fact.group_id"),
        By::Month => sql
            .push("date_trunc('month', fact.occurred_at at time zone ")
            .push_bind(question.zone)
            .push(")"),
    };
    sql.push(" as key, fact.metric from facts.facts fact where true");
    if let Some(from) = question.period.from {
        sql.push(" and fact.occurred_at >= ").push_bind(from);
    }
    if let Some(to) = question.period.to {
        sql.push(" and fact.occurred_at < ").push_bind(to);
    }
    if let Some(known_at) = question.as_recorded_at {
        sql.push(" and fact.recorded_at <= ").push_bind(known_at);
    }
    if let Some(staff_id) = question.staff_id {
        sql.push(" and fact.staff_id = ").push_bind(staff_id.0);
    }
    if let Some(groups) = &question.groups {
        sql.push(" and fact.group_id = any(")
            .push_bind(uuids(groups))
            .push(")");
    }
    if let Visible::Of { staff, groups } = &question.visible {
        let staff: Vec<Uuid> = staff.iter().map(|id| id.0).collect();
        sql.push(" and (fact.staff_id = any(")
            .push_bind(staff)
            .push(") or fact.group_id = any(")
            .push_bind(uuids(groups))
            .push("))");
    }
    not_cancelled(&mut sql, question);
    sql.push(") counted group by key, metric order by key");
    sql
}

/// A cancellation takes a sale away if it had happened and was known.
fn not_cancelled(sql: &mut QueryBuilder<Postgres>, question: &Question) {
    sql.push(" and (fact.metric <> ")
        .push_bind(Metric::Sale.code())
        .push(
            " or not exists (select from facts.cancellations cancelled
              where cancelled.order_id = fact.id",
        );
    if let Some(as_of) = question.as_of {
        sql.push(" and cancelled.occurred_at <= ").push_bind(as_of);
    }
    if let Some(known_at) = question.as_recorded_at {
        sql.push(" and cancelled.recorded_at <= ")
            .push_bind(known_at);
    }
    sql.push("))");
}

fn uuids(groups: &[GroupId]) -> Vec<Uuid> {
    groups.iter().map(|id| id.0).collect()
}
