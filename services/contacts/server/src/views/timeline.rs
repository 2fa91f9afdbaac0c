//! Everything that was ever said to an account, ready to be shown: a line needs no look-up.

mod queries;

use chrono::{DateTime, Utc};
use contacts_domain::interaction::{Logged, PromisedStep, Redacted};
use es::{Personal, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use vocabulary::{AccountId, PersonId};

pub(crate) use queries::{Entry, Filter, find, page, shared_with};

pub(crate) struct TimelineView;

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
    // Not by stream: an erasure has one of its own and takes texts out of the others.
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
            next_step         jsonb,
            mentioned         uuid[] not null default '{}',
            about             text[] not null default '{}', -- whom the texts are about
            erased            boolean not null default false,
            version           bigint not null default 1
        );
        create index if not exists entries_newest_first
            on entries (account_id, occurred_at desc, interaction_id desc);
        -- A view from before texts could be erased.
        set local statement_timeout = 0;
        alter table entries
            add column if not exists mentioned uuid[] not null default '{}',
            add column if not exists about text[] not null default '{}',
            add column if not exists erased boolean not null default false,
            add column if not exists version bigint not null default 1;
        update entries set about = case
                when person_id is null and next_step ->> 'person_id' is null
                then array['account:' || account_id]
                else array_remove(array['person:' || person_id,
                                        'person:' || (next_step ->> 'person_id')], null)
            end
            where about = '{}';
        create index if not exists entries_about on entries using gin (about);
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut columns = Columns::default();
        for event in events {
            match event.event_type.as_str() {
                "interaction.logged" => columns.push(event, event.fields()?),
                "interaction.redacted" => {
                    // In order: the contact may be one of this batch.
                    std::mem::take(&mut columns).insert(tx).await?;
                    redact(tx, event, event.fields()?).await?;
                }
                "erasure.carried_out" => {
                    std::mem::take(&mut columns).insert(tx).await?;
                    erase(tx, &event.fields()?).await?;
                }
                _ => {}
            }
        }
        columns.insert(tx).await
    }
}

async fn redact(
    tx: &mut PgConnection,
    event: &Recorded,
    redacted: Redacted,
) -> Result<(), ApplyError> {
    let texts = redacted.texts;
    sqlx::query(
        "update entries
         set summary = $2, impression = $3, note = $4, about = $5, version = $6,
             next_step = next_step || jsonb_build_object('purpose', $7::text, 'comment', $8::text)
         where interaction_id = $1",
    )
    .bind(event.stream.id)
    .bind(text(texts.summary))
    .bind(text(texts.impression))
    .bind(text(texts.note))
    .bind(about(&redacted.about_person_ids, None))
    .bind(event.version)
    .bind(text(texts.purpose))
    .bind(text(texts.comment))
    .execute(tx)
    .await?;
    Ok(())
}

/// Kind, outcome and times stay: that there was a contact counts.
async fn erase(tx: &mut PgConnection, done: &CarriedOut) -> Result<(), ApplyError> {
    sqlx::query(
        "update entries
         set summary = '', impression = '', note = '', erased = true,
             next_step = next_step || '{\"purpose\": \"\", \"comment\": \"\"}'
         where about && $1",
    )
    .bind(done.subjects())
    .execute(tx)
    .await?;
    Ok(())
}

/// The persons, or else the company.
fn about(people: &[PersonId], account_id: Option<AccountId>) -> Vec<String> {
    let people = people.iter().map(|person| format!("person:{person}"));
    let company = account_id.map(|account| format!("account:{account}"));
    people.chain(company).collect()
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
    /// `unnest` would take lists of lists apart.
    people: Vec<Json<People>>,
    version: Vec<i64>,
}

#[derive(Debug, Serialize)]
struct People {
    mentioned: Vec<PersonId>,
    about: Vec<String>,
}

impl Columns {
    fn push(&mut self, event: &Recorded, logged: Logged) {
        let people = logged.people();
        let company = people.is_empty().then_some(logged.account_id);
        self.people.push(Json(People {
            about: about(&people, company),
            mentioned: logged.mentioned_person_ids,
        }));
        self.version.push(event.version);
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
                 completes_task_id, next_step, version, mentioned, about)
             select interaction_id, account_id, person_id, external_id, kind, direction, outcome,
                    occurred_at, recorded_at, duration_s, author_id, summary, impression, note,
                    completes_task_id, next_step, version,
                    array(select jsonb_array_elements_text(people -> 'mentioned')::uuid),
                    array(select jsonb_array_elements_text(people -> 'about'))
             from unnest(
                 $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::uuid[], $12::text[],
                 $13::text[], $14::text[], $15::uuid[], $16::jsonb[], $17::bigint[], $18::jsonb[])
                 as row (interaction_id, account_id, person_id, external_id, kind, direction,
                         outcome, occurred_at, recorded_at, duration_s, author_id, summary,
                         impression, note, completes_task_id, next_step, version, people)",
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
        .bind(self.version)
        .bind(self.people)
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
