//! What webhooks are to be told of, and what became of it: no read model, because it is about what was
//! done outside.

use chrono::{DateTime, TimeDelta, Utc};
use es::Recorded;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// What waited for longer is never sent. What was sent is remembered for as long, and nothing older is
/// noted: so nothing is sent anew where the reaction begins anew, as it does behind a restored backup.
pub(super) const KEPT: TimeDelta = TimeDelta::days(30);

/// An event that is to be sent.
#[derive(Debug, FromRow)]
pub(super) struct Intent {
    pub(super) event_id: Uuid,
    pub(super) source: String,
    pub(super) position: i64,
}

/// Notes that these webhooks are to be told of an event, each once.
pub(super) async fn intend(
    pool: &PgPool,
    webhooks: &[Uuid],
    source: &str,
    event: &Recorded,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into outbox.webhook_intents (webhook_id, event_id, source, position, recorded_at)
         select webhook_id, $2, $3, $4, $5 from unnest($1::uuid[]) as told (webhook_id)
         on conflict do nothing",
    )
    .bind(webhooks)
    .bind(event.event_id)
    .bind(source)
    .bind(event.position)
    .bind(event.recorded_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// The webhooks that something can be sent to now.
pub(super) async fn due(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select w.id from webhooks.webhooks w
         left join outbox.webhook_standing s on s.webhook_id = w.id
         where w.paused_for is null and (s.next_try_at is null or s.next_try_at <= $1)
             and exists (select from outbox.webhook_intents i
                         where i.webhook_id = w.id and i.sent_at is null)",
    )
    .bind(now)
    .fetch_all(pool)
    .await
}

/// When the next one that has failed is tried again.
pub(super) async fn next_try_at(
    pool: &PgPool,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select min(s.next_try_at) from outbox.webhook_standing s
         join webhooks.webhooks w on w.id = s.webhook_id
         where w.paused_for is null and s.next_try_at > $1",
    )
    .bind(now)
    .fetch_one(pool)
    .await
}

/// What a webhook is to be told of, in the order of each log.
pub(super) async fn open(
    pool: &PgPool,
    webhook_id: Uuid,
    limit: i64,
) -> Result<Vec<Intent>, sqlx::Error> {
    sqlx::query_as(
        "select event_id, source, position from outbox.webhook_intents
         where webhook_id = $1 and sent_at is null
         order by recorded_at, source, position limit $2",
    )
    .bind(webhook_id)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The webhook has taken the event.
pub(super) async fn taken(
    pool: &PgPool,
    webhook_id: Uuid,
    event_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with sent as (
             update outbox.webhook_intents set sent_at = $3 where webhook_id = $1 and event_id = $2
         )
         insert into outbox.webhook_standing (webhook_id, last_success_at) values ($1, $3)
         on conflict (webhook_id) do update
         set last_success_at = excluded.last_success_at, failures = 0, next_try_at = null",
    )
    .bind(webhook_id)
    .bind(event_id)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(())
}

/// How often it has failed since its last success.
pub(super) async fn failures(pool: &PgPool, webhook_id: Uuid) -> Result<usize, sqlx::Error> {
    let failures: Option<i32> =
        sqlx::query_scalar("select failures from outbox.webhook_standing where webhook_id = $1")
            .bind(webhook_id)
            .fetch_optional(pool)
            .await?;
    Ok(failures.map_or(0, |failures| failures as usize))
}

/// The webhook has not taken it. Without a next try it is counted anew once it is resumed.
pub(super) async fn failed(
    pool: &PgPool,
    webhook_id: Uuid,
    why: &str,
    now: DateTime<Utc>,
    next_try_at: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into outbox.webhook_standing as s
             (webhook_id, last_failure_at, last_failure, failures, next_try_at)
         values ($1, $2, $3, case when $4::timestamptz is null then 0 else 1 end, $4)
         on conflict (webhook_id) do update
         set last_failure_at = excluded.last_failure_at, last_failure = excluded.last_failure,
             failures = case when $4::timestamptz is null then 0 else s.failures + 1 end,
             next_try_at = excluded.next_try_at",
    )
    .bind(webhook_id)
    .bind(now)
    .bind(why)
    .bind(next_try_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Whatever has failed, the next try is now.
pub(super) async fn try_at_once(pool: &PgPool, webhook_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update outbox.webhook_standing set failures = 0, next_try_at = null where webhook_id = $1",
    )
    .bind(webhook_id)
    .execute(pool)
    .await?;
    Ok(())
}

/// The log has lost this event.
pub(super) async fn drop_one(
    pool: &PgPool,
    webhook_id: Uuid,
    event_id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from outbox.webhook_intents where webhook_id = $1 and event_id = $2")
        .bind(webhook_id)
        .bind(event_id)
        .execute(pool)
        .await?;
    Ok(())
}

/// All that is known of a webhook.
pub(super) async fn forget(pool: &PgPool, webhook_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with intents as (delete from outbox.webhook_intents where webhook_id = $1)
         delete from outbox.webhook_standing where webhook_id = $1",
    )
    .bind(webhook_id)
    .execute(pool)
    .await?;
    Ok(())
}

/// Takes out what is over. How many were never sent.
pub(super) async fn sweep(pool: &PgPool, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "with old as (
             delete from outbox.webhook_intents where recorded_at < $1 returning sent_at
         )
         select count(*) from old where sent_at is null",
    )
    .bind(now - KEPT)
    .fetch_one(pool)
    .await
}
