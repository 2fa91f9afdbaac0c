//! The read model `reminders`: the ledger of every reminder, and what is due for whom.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Recorded};
use es_postgres::projection::{ApplyError, Projection};
use kit::add_sees_account;
use notifications_domain::{Reminder, reminder::Event};
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder};
use uuid::Uuid;
use vocabulary::{StaffId, TaskId};

pub(crate) struct ScheduleView;

#[derive(Debug, Clone, FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) staff_id: Uuid,
    pub(crate) task_id: Uuid,
    pub(crate) account_id: Option<Uuid>,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) fire_at: DateTime<Utc>,
    pub(crate) state: String,
    pub(crate) late_by_s: i64,
    pub(crate) void_cause: Option<String>,
    /// Of its last event, in our log.
    pub(crate) position: i64,
}

pub(crate) const SCHEDULED: &str = "scheduled";
pub(crate) const VOIDED: &str = "voided";
pub(crate) const DELIVERED: &str = "delivered";
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";

impl Projection for ScheduleView {
    const NAME: &'static str = "reminders";
    const SOURCES: &'static [&'static str] = &["notifications"];
    const BY_STREAM: bool = true;
    const SCHEMA: &'static str = "
        create table if not exists reminders (
            id uuid primary key,
            staff_id uuid not null,
            task_id uuid not null,
            account_id uuid,
            due_at timestamptz not null,
            fire_at timestamptz not null,
            state text not null,
            late_by_s bigint not null default 0,
            void_cause text,
            version bigint not null,
            position bigint not null
        );
        create index if not exists reminders_of_staff on reminders (staff_id, fire_at, id);
        create index if not exists reminders_open_of_staff on reminders (staff_id, fire_at, id)
            where state in ('scheduled', 'delivered');
        create index if not exists reminders_open_by_time on reminders (fire_at)
            where state in ('scheduled', 'delivered');
        create index if not exists reminders_open_by_change on reminders (position)
            where state in ('scheduled', 'delivered');
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut scheduled = Scheduled::default();
        let mut changed: HashMap<Uuid, Changed> = HashMap::new();
        for recorded in events {
            if recorded.stream.category != Reminder::CATEGORY {
                continue;
            }
            let event = recorded.decode::<Reminder>()?;
            if let Event::Scheduled { .. } = event {
                scheduled.add(recorded, &event);
            } else {
                changed
                    .entry(recorded.stream.id)
                    .or_default()
                    .add(recorded, &event);
            }
        }
        scheduled.insert_in_tx(tx).await?;
        Changed::update_in_tx(tx, changed).await
    }
}

/// Columns, because one statement writes a whole batch.
#[derive(Default)]
struct Scheduled {
    id: Vec<Uuid>,
    staff_id: Vec<Uuid>,
    task_id: Vec<Uuid>,
    account_id: Vec<Option<Uuid>>,
    due_at: Vec<DateTime<Utc>>,
    fire_at: Vec<DateTime<Utc>>,
    version: Vec<i64>,
    position: Vec<i64>,
}

impl Scheduled {
    fn add(&mut self, recorded: &Recorded, event: &Event) {
        if let Event::Scheduled {
            task_id,
            account_id,
            staff_id,
            due_at,
            fire_at,
        } = event
        {
            self.id.push(recorded.stream.id);
            self.staff_id.push(staff_id.0);
            self.task_id.push(task_id.0);
            self.account_id.push(account_id.map(Into::into));
            self.due_at.push(*due_at);
            self.fire_at.push(*fire_at);
            self.version.push(recorded.version);
            self.position.push(recorded.position);
        }
    }

    async fn insert_in_tx(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        if self.id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into reminders
                 (id, staff_id, task_id, account_id, due_at, fire_at, state, version, position)
             select id, staff_id, task_id, account_id, due_at, fire_at, 'scheduled', version, position
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[],
                         $6::timestamptz[], $7::bigint[], $8::bigint[])
                 as new (id, staff_id, task_id, account_id, due_at, fire_at, version, position)",
        )
        .bind(self.id)
        .bind(self.staff_id)
        .bind(self.task_id)
        .bind(self.account_id)
        .bind(self.due_at)
        .bind(self.fire_at)
        .bind(self.version)
        .bind(self.position)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// What a batch makes of one reminder: the last state wins.
#[derive(Default)]
struct Changed {
    state: &'static str,
    late_by_s: Option<i64>,
    void_cause: Option<&'static str>,
    version: i64,
    position: i64,
}

impl Changed {
    fn add(&mut self, recorded: &Recorded, event: &Event) {
        self.version = recorded.version;
        self.position = recorded.position;
        match event {
            Event::Scheduled { .. } => self.state = SCHEDULED,
            Event::Voided { cause } => {
                self.state = VOIDED;
                self.void_cause = Some(cause.as_str());
            }
            Event::Delivered { late_by_s } => {
                self.state = DELIVERED;
                self.late_by_s = Some(*late_by_s);
            }
            Event::Acknowledged {} => self.state = ACKNOWLEDGED,
        }
    }

    async fn update_in_tx(
        tx: &mut PgConnection,
        changed: HashMap<Uuid, Self>,
    ) -> Result<(), ApplyError> {
        if changed.is_empty() {
            return Ok(());
        }
        let (ids, last): (Vec<Uuid>, Vec<Self>) = changed.into_iter().unzip();
        sqlx::query(
            "update reminders as old
             set state = new.state,
                 late_by_s = coalesce(new.late_by_s, old.late_by_s),
                 void_cause = coalesce(new.void_cause, old.void_cause),
                 version = new.version,
                 position = new.position
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
                 as new (id, state, late_by_s, void_cause, version, position)
             where old.id = new.id",
        )
        .bind(ids)
        .bind(column(&last, |change| change.state))
        .bind(column(&last, |change| change.late_by_s))
        .bind(column(&last, |change| change.void_cause))
        .bind(column(&last, |change| change.version))
        .bind(column(&last, |change| change.position))
        .execute(tx)
        .await?;
        Ok(())
    }
}

fn column<T, C>(rows: &[T], read: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(read).collect()
}

/// How far somebody has looked: in time and in our log. What fires later or changes later is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) fired_until: DateTime<Utc>,
    pub(crate) position: i64,
}

impl Seen {
    pub(crate) const NOTHING: Self = Self {
        fired_until: DateTime::UNIX_EPOCH,
        position: 0,
    };
}

/// Where a new listener of the whole schedule begins.
pub(crate) async fn newest_position(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select coalesce(max(position), 0) from reminders.reminders
         where state in ('scheduled', 'delivered')",
    )
    .fetch_one(pool)
    .await
}

/// Whose reminders have fired or changed since, with the newest position of each.
pub(crate) async fn whose_fired(
    pool: &PgPool,
    seen: Seen,
    now: DateTime<Utc>,
) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    // Two questions for two indexes: one `or` would use neither.
    sqlx::query_as(
        "select staff_id, max(position) from (
             select staff_id, position from reminders.reminders
             where state in ('scheduled', 'delivered') and fire_at > $1 and fire_at <= $2
             union all
             select staff_id, position from reminders.reminders
             where state in ('scheduled', 'delivered') and position > $3 and fire_at <= $2
         ) fired group by staff_id",
    )
    .bind(seen.fired_until)
    .bind(now)
    .bind(seen.position)
    .fetch_all(pool)
    .await
}

/// When the next one fires, whosever it is.
pub(crate) async fn next_fire_at(
    pool: &PgPool,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "select min(fire_at) from reminders.reminders
         where state in ('scheduled', 'delivered') and fire_at > $1",
    )
    .bind(now)
    .fetch_one(pool)
    .await
}

/// What has fired for somebody, is not over and is new since `seen`; in order, behind `after`.
pub(crate) async fn due(
    pool: &PgPool,
    staff_id: StaffId,
    seen: Seen,
    now: DateTime<Utc>,
    after: (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "select * from reminders.reminders
         where staff_id = $1 and state in ('scheduled', 'delivered')
             and fire_at <= $2 and (fire_at > $3 or position > $4)
             and (fire_at, id) > ($5, $6)
         order by fire_at, id limit $7",
    )
    .bind(staff_id.0)
    .bind(now)
    .bind(seen.fired_until)
    .bind(seen.position)
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Which part of the ledger is meant.
pub(crate) struct Filter {
    pub(crate) staff_id: StaffId,
    pub(crate) task_id: Option<TaskId>,
    /// About an account of one of these, or about none.
    pub(crate) visible_to: Option<Vec<Uuid>>,
    pub(crate) now: DateTime<Utc>,
}

/// The ledger of somebody, in order of `fire_at`.
pub(crate) async fn list(
    pool: &PgPool,
    filter: &Filter,
    after: (DateTime<Utc>, Uuid),
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let mut sql = QueryBuilder::new("select * from reminders.reminders where staff_id = ");
    sql.push_bind(filter.staff_id.0);
    if let Some(task_id) = filter.task_id {
        sql.push(" and task_id = ").push_bind(task_id.0);
    }
    if let Some(staff) = &filter.visible_to {
        sql.push(" and (account_id is null or ");
        add_sees_account(&mut sql, "reminders.account_id", staff, filter.now);
        sql.push(")");
    }
    sql.push(" and (fire_at, id) > (")
        .push_bind(after.0)
        .push(", ")
        .push_bind(after.1)
        .push(") order by fire_at, id limit ")
        .push_bind(limit);
    sql.build_query_as().fetch_all(pool).await
}
