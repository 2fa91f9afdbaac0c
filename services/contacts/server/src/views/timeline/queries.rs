//! What is asked of the timeline.

use api::contacts;
use chrono::{DateTime, Utc};
use kit::timestamp;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{InteractionId, InteractionKind, PersonId, StaffId};

use super::{Step, about};
use crate::terms;

#[derive(Debug, FromRow)]
pub(crate) struct Entry {
    pub(crate) interaction_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) external_id: Option<String>,
    pub(crate) kind: String,
    pub(crate) direction: String,
    pub(crate) outcome: String,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) duration_s: i64,
    pub(crate) author_id: Uuid,
    pub(crate) summary: String,
    pub(crate) impression: String,
    pub(crate) note: String,
    pub(crate) completes_task_id: Option<Uuid>,
    pub(crate) next_step: Option<Json<Step>>,
    pub(crate) mentioned: Vec<Uuid>,
    pub(crate) erased: bool,
    pub(crate) version: i64,
}

/// Sort key of a timeline.
pub(crate) type Key = (DateTime<Utc>, Uuid);

impl Entry {
    pub(crate) fn key(&self) -> Key {
        (self.occurred_at, self.interaction_id)
    }
}

impl From<Entry> for contacts::Interaction {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.interaction_id.to_string(),
            external_id: entry.external_id.unwrap_or_default(),
            account_id: entry.account_id.to_string(),
            person_id: id_or_empty(entry.person_id),
            kind: terms::kind_number(&entry.kind),
            direction: terms::direction_number(&entry.direction),
            outcome: terms::outcome_number(&entry.outcome),
            occurred_at: Some(timestamp(entry.occurred_at)),
            recorded_at: Some(timestamp(entry.recorded_at)),
            duration_s: entry.duration_s,
            author_id: entry.author_id.to_string(),
            summary: entry.summary,
            impression: entry.impression,
            note: entry.note,
            completes_task_id: id_or_empty(entry.completes_task_id),
            next_step: entry.next_step.map(|Json(step)| contacts::NextStep {
                due_at: step.due_at,
                kind: step.kind,
                person_id: id_or_empty(step.person_id),
                purpose: step.purpose,
                comment: step.comment,
            }),
            mentioned_person_ids: entry.mentioned.iter().map(Uuid::to_string).collect(),
            erased: entry.erased,
            version: entry.version,
        }
    }
}

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

/// What is asked of a timeline.
pub(crate) struct Filter {
    /// All ids of one account: more than one when others were merged into it.
    pub(crate) account_ids: Vec<Uuid>,
    pub(crate) author_id: Option<StaffId>,
    pub(crate) kind: Option<InteractionKind>,
}

/// The newest entries behind `after`, and how many pass the filter altogether. One query: it is
/// read while somebody waits on the telephone.
pub(crate) async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Key>,
    limit: i64,
) -> Result<(Vec<Entry>, i64), sqlx::Error> {
    #[derive(FromRow)]
    struct Line {
        #[sqlx(flatten)]
        entry: Entry,
        total: i64,
    }
    // `coalesce` and not `$4 is null or`: the key stays a condition of the index under any plan.
    // Each id by itself, so that each is read in the order of the index and no further than needed.
    let lines: Vec<Line> = sqlx::query_as(
        "select entry.*, (select count(*) from timeline.entries
                          where account_id = any($1) and ($2::uuid is null or author_id = $2)
                            and ($3::text is null or kind = $3)) as total
         from unnest($1) as asked (id), lateral (
             select * from timeline.entries
             where account_id = asked.id and ($2::uuid is null or author_id = $2)
               and ($3::text is null or kind = $3)
               and (occurred_at, interaction_id) < (
                   coalesce($4, 'infinity'::timestamptz),
                   coalesce($5, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
             order by occurred_at desc, interaction_id desc
             limit $6) as entry
         order by occurred_at desc, interaction_id desc
         limit $6",
    )
    .bind(&filter.account_ids)
    .bind(filter.author_id.map(Uuid::from))
    .bind(filter.kind.map(InteractionKind::as_str))
    .bind(after.map(|(occurred_at, _)| occurred_at))
    .bind(after.map(|(_, interaction_id)| interaction_id))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    // Tokens are given only where more follows and nothing is ever taken away, so that only an
    // empty timeline has an empty page.
    let total = lines.first().map_or(0, |line| line.total);
    Ok((lines.into_iter().map(|line| line.entry).collect(), total))
}

pub(crate) async fn find(pool: &PgPool, id: InteractionId) -> Result<Option<Entry>, sqlx::Error> {
    sqlx::query_as("select * from timeline.entries where interaction_id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await
}

/// Contacts whose texts are about this person and others, the oldest first; on whichever account,
/// because they stay where they were recorded when merged accounts are told apart.
pub(crate) async fn shared_with(
    pool: &PgPool,
    person_id: PersonId,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select interaction_id from timeline.entries
         where about @> $1 and cardinality(about) > 1 and not erased
         order by occurred_at, interaction_id",
    )
    .bind(about(&[person_id], None))
    .fetch_all(pool)
    .await
}
