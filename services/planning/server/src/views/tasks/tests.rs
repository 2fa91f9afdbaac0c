use es::{Actor, Encoded, Metadata, Personal, StreamId, Subject};
use es_postgres::projection::prepare;
use kit::erasure::{self, Erasure};
use planning_domain::task::{Cancelled, Completed, Reassigned, Rescheduled};
use sqlx::{PgPool, Row as _};
use testkit::{Database, Postgres};
use vocabulary::{AccountId, Period, StaffId, TaskKind};

use super::*;

const PETROV: StaffId = StaffId(Uuid::from_u128(11));
const SMIRNOVA: StaffId = StaffId(Uuid::from_u128(12));
const KUZNETSOV: StaffId = StaffId(Uuid::from_u128(13));
const NIKITIN: StaffId = StaffId(Uuid::from_u128(21));
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1001));

fn deadline(text: &str) -> Deadline {
    Deadline::parse(&format!("{}:00+03:00", text.replace(' ', "T"))).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    deadline(text).instant()
}

fn said(staff_id: StaffId, text: &str) -> Personal<String> {
    Personal::new(Subject::new("staff", staff_id.0), text.to_owned())
}

/// What happened, in the order of the log.
#[derive(Default)]
struct History(Vec<Recorded>);

impl History {
    fn task(&mut self, number: u128, assignee_id: StaffId, due: &str) {
        self.task_about(number, assignee_id, due, None);
    }

    fn task_about(
        &mut self,
        number: u128,
        assignee_id: StaffId,
        due: &str,
        account_id: Option<AccountId>,
    ) {
        let created_at = at("2026-02-01 09:00");
        let created = Created {
            external_id: None,
            account_id,
            person_id: None,
            assignee_id,
            assigned_by: None,
            kind: TaskKind::Call,
            due_at: deadline(due),
            comment: said(assignee_id, &format!("T{number}")),
            purpose: None,
            origin_interaction_id: None,
            created_at,
        };
        self.record(number, created_at, &Event::Created(created));
    }

    fn complete(&mut self, number: u128, at: DateTime<Utc>) {
        let completed = Completed {
            completed_at: at,
            interaction_id: None,
        };
        self.record(number, at, &Event::Completed(completed));
    }

    fn reschedule(&mut self, number: u128, when: &str, from: &str, to: &str) {
        let rescheduled = Rescheduled {
            from_due_at: deadline(from),
            due_at: deadline(to),
            reason: said(PETROV, "клиент просил позже"),
        };
        self.record(number, at(when), &Event::Rescheduled(rescheduled));
    }

    fn reassign(&mut self, number: u128, when: &str, from: StaffId, to: StaffId) {
        let reassigned = Reassigned {
            from_assignee_id: from,
            to_assignee_id: to,
            reason: said(from, "account handed over"),
            transfer_id: None,
        };
        self.record(number, at(when), &Event::Reassigned(reassigned));
    }

    fn cancel(&mut self, number: u128, when: &str) {
        let reason = said(PETROV, "клиент закрылся");
        self.record(number, at(when), &Event::Cancelled(Cancelled { reason }));
    }

    /// As before reasons were personal.
    fn cancel_in_plain_words(&mut self, number: u128, when: &str) {
        self.cancel(number, when);
        let cancelled = self.0.last_mut().unwrap();
        cancelled.schema_version = 1;
        cancelled.payload = r#"{"reason":"клиент закрылся"}"#.as_bytes().to_vec();
    }

    /// Of what is under the key of this member of staff.
    fn erase(&mut self, staff_id: StaffId, when: &str) {
        let done = erasure::Event::CarriedOut(CarriedOut {
            account_id: ACCOUNT,
            subjects: vec![Subject::new("staff", staff_id.0)],
            keys: 1,
            texts: 0,
        });
        let encoded = es::encode::<Erasure>(&done).unwrap();
        self.append(Erasure::CATEGORY, 1, at(when), encoded);
    }

    fn record(&mut self, number: u128, occurred_at: DateTime<Utc>, event: &Event) {
        let encoded = es::encode::<Task>(event).unwrap();
        self.append(Task::CATEGORY, number, occurred_at, encoded);
    }

    fn append(
        &mut self,
        category: &str,
        number: u128,
        occurred_at: DateTime<Utc>,
        encoded: Encoded,
    ) {
        let stream = StreamId::new(category, Uuid::from_u128(number));
        let before = self.0.iter().filter(|event| event.stream == stream);
        self.0.push(Recorded {
            position: self.0.len() as i64 + 1,
            event_id: Uuid::from_u128(0),
            version: before.count() as i64 + 1,
            stream,
            event_type: encoded.event_type,
            schema_version: encoded.schema_version,
            occurred_at,
            recorded_at: occurred_at,
            request_id: None,
            metadata: Metadata {
                actor: Actor::System,
                on_behalf_of: None,
                actor_group_id: None,
                correlation_id: Uuid::from_u128(0),
                causation_id: None,
                traceparent: None,
                request_digest: None,
                subjects: Vec::new(),
            }
            .try_into()
            .unwrap(),
            payload: encoded.payload.to_string().into_bytes(),
            hash: [0; 32],
        });
    }
}

/// The tasks of S-02.
fn office() -> History {
    let mut history = History::default();
    history.task(1, PETROV, "2026-02-20 12:00");
    history.task(2, PETROV, "2026-02-27 15:00");
    history.task(3, PETROV, "2026-03-02 11:00");
    history.task(4, PETROV, "2026-03-04 18:00");
    history.task(5, PETROV, "2026-03-05 09:30");
    history.task(6, PETROV, "2026-03-10 10:00");
    history.task(7, PETROV, "2026-03-03 14:00");
    history.task(8, PETROV, "2026-02-25 10:00");
    history.task(9, KUZNETSOV, "2026-03-04 10:00");
    history.task(10, NIKITIN, "2026-03-01 10:00");
    history.reschedule(
        8,
        "2026-02-26 09:00",
        "2026-02-25 10:00",
        "2026-03-20 10:00",
    );
    history.cancel(7, "2026-03-02 17:00");
    history.complete(2, at("2026-03-03 10:00"));
    history.complete(4, at("2026-03-04 16:00"));
    history
}

async fn database() -> Database {
    let postgres = Postgres::shared().await.unwrap();
    let database = postgres.fresh_database(&crate::MIGRATOR).await.unwrap();
    prepare::<TasksView>(&database.pool).await.unwrap();
    // Kept by kit in a running service.
    sqlx::raw_sql(
        "create schema directory;
         create table directory.accounts (
             account_id uuid primary key, owner_id uuid, claim_holder_id uuid,
             claimed_until timestamptz, merged_into uuid
         );",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

async fn apply(pool: &PgPool, events: &[Recorded]) {
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("set local search_path = tasks, public")
        .execute(&mut *tx)
        .await
        .unwrap();
    TasksView.apply(&mut tx, "planning", events).await.unwrap();
    tx.commit().await.unwrap();
}

async fn filled(history: &History) -> Database {
    let database = database().await;
    apply(&database.pool, &history.0).await;
    database
}

fn period(from: &str, to: &str) -> Period {
    let moscow = chrono::FixedOffset::east_opt(3 * 3600).unwrap();
    Period::parse(from, to, &moscow).unwrap()
}

/// Numbers of the tasks that pass, in order; the count must agree.
async fn numbers(pool: &PgPool, filter: Filter) -> Vec<u128> {
    let rows = list(pool, &filter, None, 100).await.unwrap();
    assert_eq!(count(pool, &filter).await.unwrap(), rows.len() as i64);
    rows.iter().map(|row| row.id.as_u128()).collect()
}

fn open_of_petrov(due: Period) -> Filter {
    Filter {
        assignee_id: Some(PETROV.0),
        standing: Some(Standing::Open),
        due,
        ..Filter::default()
    }
}

#[tokio::test]
async fn not_done_in_the_period_and_earlier() {
    let database = filled(&office()).await;
    let pool = &database.pool;
    let now = at("2026-03-05 12:00");
    let week = period("2026-03-02", "2026-03-06");
    let earlier = Period { from: None, ..week };

    assert_eq!(numbers(pool, open_of_petrov(week)).await, [3, 5]);
    assert_eq!(numbers(pool, open_of_petrov(earlier)).await, [1, 3, 5]);
    let overdue: Vec<_> = list(pool, &open_of_petrov(earlier), None, 100)
        .await
        .unwrap()
        .iter()
        .map(|row| row.overdue(now).num_minutes())
        .collect();
    assert_eq!(overdue, [13 * 24 * 60, (3 * 24 + 1) * 60, 150]);

    let moved = Filter {
        moved_after_deadline: true,
        ..Filter::default()
    };
    let rows = list(pool, &moved, None, 100).await.unwrap();
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!((row.id.as_u128(), row.moves), (8, 1));
    assert_eq!(row.first_due_text, "2026-02-25T10:00:00+03:00");
    assert_eq!(row.due_text, "2026-03-20T10:00:00+03:00");

    let group = vec![PETROV.0, SMIRNOVA.0, KUZNETSOV.0];
    let mut counted: Vec<_> = not_done(pool, group, earlier, None, now)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.assignee_id, row.open, row.overdue))
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [(PETROV.0, 3, 3), (KUZNETSOV.0, 1, 1)]);
}

#[tokio::test]
async fn the_past_is_asked_like_the_present() {
    let database = filled(&office()).await;
    let then = at("2026-03-02 12:00");
    let overdue = Filter {
        as_of: Some(then),
        ..open_of_petrov(Period {
            from: None,
            to: Some(then),
        })
    };
    assert_eq!(numbers(&database.pool, overdue).await, [1, 2, 3]);

    let state_at = async |number, as_of| {
        let filter = Filter {
            task_id: Some(Uuid::from_u128(number)),
            as_of: Some(at(as_of)),
            ..Filter::default()
        };
        let rows = list(&database.pool, &filter, None, 100).await.unwrap();
        rows.into_iter().map(|row| row.state).next()
    };
    assert_eq!(state_at(7, "2026-01-31 09:00").await, None);
    assert_eq!(
        state_at(7, "2026-03-02 16:59").await.as_deref(),
        Some("open")
    );
    assert_eq!(
        state_at(7, "2026-03-02 17:00").await.as_deref(),
        Some("cancelled")
    );
}

/// However the log is cut into batches, the rows are the same: a rebuild equals the live view.
#[tokio::test]
async fn batches_make_no_difference() {
    let mut history = office();
    history.reassign(1, "2026-03-05 13:00", PETROV, SMIRNOVA);
    history.reschedule(
        1,
        "2026-03-05 13:00",
        "2026-02-20 12:00",
        "2026-03-25 12:00",
    );
    // The call was before the task was last changed.
    history.complete(1, at("2026-03-05 12:30"));
    let at_once = filled(&history).await;
    let one_by_one = database().await;
    for event in &history.0 {
        apply(&one_by_one.pool, std::slice::from_ref(event)).await;
    }
    let rows = async |pool: &PgPool| -> Vec<String> {
        sqlx::query(
            "select row(s.*, t.*)::text from tasks.states s join tasks.tasks t on t.id = s.task_id
             order by s.task_id, s.version",
        )
        .fetch_all(pool)
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
    };
    let expected = rows(&one_by_one.pool).await;
    assert_eq!(rows(&at_once.pool).await, expected);
    assert_eq!(expected.len(), history.0.len());

    let filter = Filter {
        task_id: Some(Uuid::from_u128(1)),
        ..Filter::default()
    };
    let now = list(&at_once.pool, &filter, None, 1).await.unwrap();
    assert_eq!(now[0].closed_at, Some(at("2026-03-05 12:30")));
    assert_eq!(now[0].assignee_id, SMIRNOVA.0);
    assert_eq!(now[0].overdue(at("2026-04-01 09:00")).num_seconds(), 0);
}

#[tokio::test]
async fn why_a_task_was_cancelled_goes_with_its_words() {
    let mut history = History::default();
    for number in 1..=2 {
        history.task(number, PETROV, "2026-03-02 11:00");
    }
    history.task(3, SMIRNOVA, "2026-03-02 11:00");
    history.cancel(1, "2026-03-02 17:00");
    history.cancel_in_plain_words(2, "2026-03-02 17:00");
    history.cancel_in_plain_words(3, "2026-03-02 17:00");
    let database = filled(&history).await;
    let reasons = async || -> Vec<Option<String>> {
        let rows = list(&database.pool, &Filter::default(), None, 100).await;
        let rows = rows.unwrap().into_iter();
        rows.map(|row| row.close_reason).collect()
    };
    let why = Some("клиент закрылся".to_owned());
    assert_eq!(reasons().await, [why.clone(), why.clone(), why.clone()]);

    let before = history.0.len();
    history.erase(PETROV, "2026-03-03 09:00");
    apply(&database.pool, &history.0[before..]).await;
    assert_eq!(reasons().await, [None, None, why]);
}

#[tokio::test]
async fn tasks_are_seen_through_their_account_and_without_one_through_their_assignee() {
    let mut history = History::default();
    history.task_about(1, PETROV, "2026-03-02 11:00", Some(ACCOUNT));
    history.task_about(2, NIKITIN, "2026-03-03 11:00", Some(ACCOUNT));
    history.task(3, NIKITIN, "2026-03-04 11:00");
    history.complete(2, at("2026-03-01 10:00"));
    let database = filled(&history).await;
    let pool = &database.pool;
    sqlx::query("insert into directory.accounts values ($1, $2)")
        .bind(ACCOUNT.0)
        .bind(PETROV.0)
        .execute(pool)
        .await
        .unwrap();

    let seen_by = |staff: StaffId| Filter {
        visible_to: Some(vec![staff.0]),
        ..Filter::default()
    };
    let own_of = |staff: StaffId| Filter {
        assignee_id: Some(staff.0),
        ..seen_by(staff)
    };
    assert_eq!(numbers(pool, Filter::default()).await, [1, 2, 3]);
    assert_eq!(numbers(pool, seen_by(PETROV)).await, [1, 2]);
    assert_eq!(numbers(pool, own_of(PETROV)).await, [1]);
    for filter in [seen_by(NIKITIN), own_of(NIKITIN)] {
        assert_eq!(numbers(pool, filter).await, [3], "not of Петров's account");
    }
    assert_eq!(numbers(pool, seen_by(SMIRNOVA)).await, [0; 0]);

    // Merged into an account of Смирнова, it is hers; and Никитин sees it while he claims that.
    let survivor = Uuid::from_u128(0x5afe);
    sqlx::query("insert into directory.accounts (account_id, owner_id) values ($1, $2)")
        .bind(survivor)
        .bind(SMIRNOVA.0)
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("update directory.accounts set merged_into = $2 where account_id = $1")
        .bind(ACCOUNT.0)
        .bind(survivor)
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(numbers(pool, seen_by(SMIRNOVA)).await, [1, 2]);
    for filter in [seen_by(PETROV), own_of(PETROV)] {
        assert_eq!(numbers(pool, filter).await, [0; 0]);
    }
    let petrovs_by_smirnova = Filter {
        assignee_id: Some(PETROV.0),
        ..seen_by(SMIRNOVA)
    };
    assert_eq!(numbers(pool, petrovs_by_smirnova).await, [1]);
    sqlx::query(
        "update directory.accounts set owner_id = null, claim_holder_id = $2, claimed_until = $3
         where account_id = $1",
    )
    .bind(survivor)
    .bind(NIKITIN.0)
    .bind(at("2026-03-01 12:00"))
    .execute(pool)
    .await
    .unwrap();
    let claimed = |now| Filter {
        now: at(now),
        ..seen_by(NIKITIN)
    };
    assert_eq!(numbers(pool, claimed("2026-03-01 11:59")).await, [1, 2, 3]);
    assert_eq!(numbers(pool, claimed("2026-03-01 12:00")).await, [3]);
    let own_while_claimed = Filter {
        assignee_id: Some(NIKITIN.0),
        ..claimed("2026-03-01 11:59")
    };
    assert_eq!(numbers(pool, own_while_claimed).await, [2, 3]);
    let calls = Filter {
        kind: Some(TaskKind::Call),
        account_ids: Some(vec![ACCOUNT.0]),
        ..Filter::default()
    };
    assert_eq!(numbers(pool, calls.clone()).await, [1, 2]);
    let meetings = Filter {
        kind: Some(TaskKind::Meeting),
        ..calls
    };
    assert_eq!(numbers(pool, meetings).await, [0; 0]);

    let open = open_of(pool, &[ACCOUNT.0]).await.unwrap();
    assert_eq!(open, [(Uuid::from_u128(1), PETROV.0)]);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let database = filled(&office()).await;
    let filter = Filter::default();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let rows = list(&database.pool, &filter, after, 3).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some(last.key());
        seen.extend(rows.iter().map(|row| row.id.as_u128()));
    }
    assert_eq!(seen, [1, 2, 10, 3, 7, 9, 4, 5, 6, 8]);
}
