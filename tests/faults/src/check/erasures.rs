//! I18: who was erased is erased in every service, and what took place still counts.

use sqlx::PgPool;
use uuid::Uuid;

use super::Finding;
use crate::replay::Stores;

/// In every service, for an erased person `p`.
const IN_EVERY_SERVICE: [(&str, &str); 2] = [
    (
        "did not record it once",
        "(select count(*) from log.events
          where stream = 'erasure-' || p and type = 'erasure.carried_out') <> 1",
    ),
    (
        "has not destroyed the key",
        "not exists (select from log.keys
                     where subject = 'person:' || p and wrapped is null
                       and destroyed_at is not null)",
    ),
];

/// In contacts, which showed the person.
const IN_CONTACTS: [(&str, &str); 2] = [
    (
        "still shows the person",
        "not exists (select from persons.persons
                     where person_id = p and erased and name = '' and phones = '{}')",
    ),
    (
        "still shows what was said",
        "exists (select from timeline.entries
                 where person_id = p and (summary <> '' or not erased))",
    ),
];

pub async fn erasures(stores: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I18", "the erased gone everywhere, their calls counted");
    let persons: Vec<Uuid> = sqlx::query_scalar(
        "select substr(stream, 14)::uuid from log.events where type = 'data_subject.erased'",
    )
    .fetch_all(stores.of("contacts"))
    .await?;
    finding.looked_at = persons.len();
    for (service, pool) in stores.each() {
        let also: &[_] = if service == "contacts" {
            &IN_CONTACTS
        } else {
            &[]
        };
        for (what, condition) in IN_EVERY_SERVICE.iter().chain(also) {
            if let Some(person) = first(pool, &persons, condition).await? {
                finding.found(|| format!("{service} {what}: {person}"));
            }
        }
    }
    let calls: Vec<Uuid> = sqlx::query_scalar(
        "select substr(stream, 13)::uuid
         from log.events, lateral (select convert_from(payload, 'UTF8')::jsonb as p) as parsed
         where type = 'interaction.logged' and p ->> 'person_id' = any($1)",
    )
    .bind(persons.iter().map(Uuid::to_string).collect::<Vec<_>>())
    .fetch_all(stores.of("contacts"))
    .await?;
    let uncounted = "(select count(*) from facts.facts where id = p) <> 1";
    if let Some(call) = first(stores.of("analytics"), &calls, uncounted).await? {
        finding.found(|| format!("the call {call} of somebody erased is not counted once"));
    }
    Ok(finding)
}

/// The first of these ids, as `p`, of which this holds.
async fn first(pool: &PgPool, ids: &[Uuid], condition: &str) -> anyhow::Result<Option<Uuid>> {
    let text = format!("select p from unnest($1::uuid[]) as p where {condition} limit 1");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(text))
        .bind(ids)
        .fetch_optional(pool)
        .await?)
}
