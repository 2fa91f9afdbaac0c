//! Everything that was ever said to an account, ready to be shown: a line needs no look-up.

use std::collections::HashMap;

use api::contacts;
use chrono::{DateTime, Utc};
use contacts_domain::interaction::{Logged, PromisedStep};
use es::{Personal, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, InteractionId, InteractionKind, StaffId};

use crate::terms;

pub(crate) struct TimelineView;

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
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) due_at: String,
    pub(crate) kind: String,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) purpose: String,
    pub(crate) comment: String,
}

impl Projection for TimelineView {
    const NAME: &'static str = "timeline";
    const SOURCES: &'static [&'static str] = &["contacts"];
    const SCHEMA: &'static str = "
        create table if not exists entries (
            interaction_id    uuid primary key,
            account_id        uuid not null,
            person_id         uuid,
            external_id       text,
            kind              text not null,
            direction         text not null,
            outcome           text not null,
            occurred_at       timestamptz not null,
            recorded_at       timestamptz not null,
            duration_s        bigint not null,
            author_id         uuid not null,
            summary           text not null,
            impression        text not null,
            note              text not null,
            completes_task_id uuid,
            next_step         jsonb
        );
        create index if not exists entries_newest_first
            on entries (account_id, occurred_at desc, interaction_id desc);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut columns = Columns::default();
        for event in events {
            if event.event_type == "interaction.logged" {
                columns.push(event, event.fields()?);
            }
        }
        columns.insert(tx).await
    }
}

/// One array per column: an import brings thousands of contacts, and they go in together.
#[derive(Default)]
struct Columns {
    interaction_id: Vec<Uuid>,
    account_id: Vec<Uuid>,
    person_id: Vec<Option<Uuid>>,
    external_id: Vec<Option<String>>,
    kind: Vec<&'static str>,
    direction: Vec<&'static str>,
    outcome: Vec<&'static str>,
    occurred_at: Vec<DateTime<Utc>>,
    recorded_at: Vec<DateTime<Utc>>,
    duration_s: Vec<i64>,
    author_id: Vec<Uuid>,
    summary: Vec<String>,
    impression: Vec<String>,
    note: Vec<String>,
    completes_task_id: Vec<Option<Uuid>>,
    next_step: Vec<Option<Json<Step>>>,
}

impl Columns {
    fn push(&mut self, event: &Recorded, logged: Logged) {
        self.interaction_id.push(event.stream.id);
        self.account_id.push(logged.account_id.0);
        self.person_id.push(logged.person_id.map(Uuid::from));
        self.external_id.push(logged.external_id);
        self.kind.push(logged.kind.as_str());
        self.direction.push(logged.direction.as_str());
        self.outcome.push(logged.outcome.as_str());
        self.occurred_at.push(logged.occurred_at);
        self.recorded_at.push(event.recorded_at);
        self.duration_s.push(logged.duration_s.unwrap_or(0).into());
        self.author_id.push(logged.author_id.0);
        self.summary.push(text(logged.summary));
        self.impression.push(text(logged.impression));
        self.note.push(text(logged.note));
        self.completes_task_id
            .push(logged.completes_task_id.map(Uuid::from));
        self.next_step.push(logged.next_step.map(step).map(Json));
    }

    async fn insert(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        if self.interaction_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into entries (
                 interaction_id, account_id, person_id, external_id, kind, direction, outcome,
                 occurred_at, recorded_at, duration_s, author_id, summary, impression, note,
                 completes_task_id, next_step)
             select * from unnest(
                 $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::uuid[], $12::text[],
                 $13::text[], $14::text[], $15::uuid[], $16::jsonb[])",
        )
        .bind(self.interaction_id)
        .bind(self.account_id)
        .bind(self.person_id)
        .bind(self.external_id)
        .bind(self.kind)
        .bind(self.direction)
        .bind(self.outcome)
        .bind(self.occurred_at)
        .bind(self.recorded_at)
        .bind(self.duration_s)
        .bind(self.author_id)
        .bind(self.summary)
        .bind(self.impression)
        .bind(self.note)
        .bind(self.completes_task_id)
        .bind(self.next_step)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Empty when not given, and when erased.
fn text(given: Option<Personal<String>>) -> String {
    given.and_then(Personal::into_inner).unwrap_or_default()
}

fn step(promised: PromisedStep) -> Step {
    Step {
        due_at: promised.due_at.to_rfc3339(),
        kind: promised.kind.to_string(),
        person_id: promised.person_id.map(Uuid::from),
        purpose: text(promised.purpose),
        comment: promised.comment.into_inner().unwrap_or_default(),
    }
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

/// With whom each of these contacts took place; the unknown are left out.
pub(crate) async fn find_accounts(
    pool: &PgPool,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, AccountId>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select interaction_id, account_id from timeline.entries where interaction_id = any($1)",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|(id, account)| (id, AccountId(account))).collect())
}
