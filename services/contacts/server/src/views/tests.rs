//! The views on a real PostgreSQL, fed with events of a real log.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use contacts_domain::{
    Interaction, Person,
    interaction::{self, Log as LogCommand},
    person::{self, Add, ChangeDetails},
};
use es::{Actor, Aggregate, Metadata, Recorded, StreamId, Subject};
use es_postgres::{
    CommandContext, Log, MasterKey,
    projection::{Projection, prepare},
};
use testkit::{Database, Postgres};
use uuid::Uuid;
use vocabulary::{
    AccountId, Deadline, Direction, InteractionId, InteractionKind, NextStep, Outcome, PersonId,
    PhoneNumber, StaffId, TaskId, TaskKind,
};

use crate::{
    MIGRATOR,
    views::{
        self,
        persons::PersonsView,
        tasks::TasksView,
        timeline::{Filter, TimelineView},
    },
};

struct Bench {
    database: Database,
    log: Log,
}

impl Bench {
    async fn new() -> Result<Self> {
        let database = Postgres::shared().await?.fresh_database(&MIGRATOR).await?;
        let master = MasterKey::new([7; 32]);
        let log = Log::open(database.pool.clone(), "contacts", master).await?;
        Ok(Self { database, log })
    }

    async fn execute<A: Aggregate>(&self, id: Uuid, command: A::Command) -> Result<()> {
        self.log.execute::<A>(&context(), id, command).await?;
        Ok(())
    }

    /// What the log has, applied in one batch.
    async fn follow<P: Projection>(&self, view: P) -> Result<()> {
        let mut events = self.log.read(0, 1_000).await?;
        self.log.open_personal(&mut events).await?;
        self.apply(view, "contacts", &events).await
    }

    async fn apply<P: Projection>(&self, view: P, source: &str, events: &[Recorded]) -> Result<()> {
        prepare::<P>(&self.database.pool).await?;
        let mut tx = self.database.pool.begin().await?;
        sqlx::query("select set_config('search_path', $1, true)")
            .bind(P::NAME)
            .execute(&mut *tx)
            .await?;
        view.apply(&mut tx, source, events).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 12, 9, 0, 0).unwrap()
}

fn context() -> CommandContext {
    CommandContext {
        request_id: None,
        digest: None,
        actor: Actor::System,
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id: Uuid::nil(),
        causation_id: None,
        traceparent: None,
        now: noon(),
        expected_version: None,
    }
}

fn vector() -> AccountId {
    AccountId::of_external("acc-1001")
}

fn person(id: &str, name: &str) -> person::Command {
    person::Command::Add(Add {
        id: PersonId::of_external(id),
        account_id: vector(),
        external_id: Some(id.to_owned()),
        name: name.to_owned(),
        job_title: String::new(),
        phones: vec![PhoneNumber::parse("+7 900 000-01-15").unwrap()],
        emails: Vec::new(),
    })
}

#[tokio::test]
async fn persons_are_listed_by_name_as_they_are_now() -> Result<()> {
    let bench = Bench::new().await?;
    for (id, name) in [
        ("p-1", "Яшин"),
        ("p-2", "Ёлкин"),
        ("p-3", "Жуков"),
        ("p-4", "Ежов"),
    ] {
        bench
            .execute::<Person>(PersonId::of_external(id).0, person(id, name))
            .await?;
    }
    let id = PersonId::of_external("p-3");
    let change = person::Command::ChangeDetails(ChangeDetails {
        id,
        name: None,
        job_title: Some("директор".to_owned()),
        phones: Some(Vec::new()),
        emails: None,
    });
    bench.execute::<Person>(id.0, change).await?;
    bench.follow(PersonsView).await?;

    let rows = views::persons::of_account(&bench.database.pool, &[vector().0]).await?;
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Ежов", "Ёлкин", "Жуков", "Яшин"]);
    let [_, yolkin, zhukov, _] = &rows[..] else {
        panic!("four persons");
    };
    assert_eq!((yolkin.phones.len(), yolkin.version), (1, 1));
    assert_eq!((zhukov.phones.len(), zhukov.version), (0, 2));
    assert_eq!(zhukov.job_title, "директор");
    Ok(())
}

#[tokio::test]
async fn the_erased_leave_no_text_in_a_rebuilt_view() -> Result<()> {
    let bench = Bench::new().await?;
    let id = PersonId::of_external("p-1");
    bench
        .execute::<Person>(id.0, person("p-1", "Ильин"))
        .await?;
    bench
        .log
        .erase(&[Subject::new("person", id.0)], noon())
        .await?;
    bench.follow(PersonsView).await?;

    let rows = views::persons::of_account(&bench.database.pool, &[vector().0]).await?;
    assert_eq!(
        (rows.len(), rows[0].name.as_str(), rows[0].phones.len()),
        (1, "", 0)
    );
    Ok(())
}

/// `minutes` before noon.
fn call(author: &str, kind: InteractionKind, minutes: i64) -> interaction::Command {
    interaction::Command::Log(Box::new(LogCommand {
        id: InteractionId::of_external(&format!("{author}/{minutes}")),
        now: noon(),
        account_id: vector(),
        person_id: Some(PersonId::of_external("p-1")),
        external_id: None,
        kind,
        direction: Direction::Outbound,
        outcome: Outcome::Connected,
        occurred_at: noon() - TimeDelta::minutes(minutes),
        duration_s: 380,
        author_id: StaffId::of_external(author),
        author_group_id: None,
        summary: format!("{minutes} минут назад"),
        impression: String::new(),
        note: String::new(),
        mentioned: Vec::new(),
        completes: None,
        next_step: Some(NextStep {
            due_at: Deadline::parse("2026-03-16T11:00:00+03:00").unwrap(),
            kind: TaskKind::Call,
            person_id: None,
            purpose: String::new(),
            comment: "Спросить про сроки оплаты".to_owned(),
        }),
    }))
}

#[tokio::test]
async fn a_timeline_is_paged_from_the_newest_on() -> Result<()> {
    let bench = Bench::new().await?;
    let pool = &bench.database.pool;
    // Typed in another order than they took place; two in the same minute.
    for (index, minutes) in [30_i64, 10, 20, 10, 50, 40].into_iter().enumerate() {
        let id = InteractionId::of_external(&index.to_string());
        let (author, kind) = match index {
            4 => ("s-12", InteractionKind::Meeting),
            _ => ("s-11", InteractionKind::Call),
        };
        bench
            .execute::<Interaction>(id.0, call(author, kind, minutes))
            .await?;
    }
    bench.follow(TimelineView).await?;

    let everything = || Filter {
        account_ids: vec![vector().0],
        author_id: None,
        kind: None,
    };
    let (mut summaries, mut after) = (Vec::new(), None);
    loop {
        let (entries, total) = views::timeline::page(pool, &everything(), after, 2).await?;
        let Some(last) = entries.last() else { break };
        assert_eq!(total, 6);
        after = Some(last.key());
        summaries.extend(entries.into_iter().map(|entry| entry.summary));
    }
    let expected = [10, 10, 20, 30, 40, 50].map(|minutes| format!("{minutes} минут назад"));
    assert_eq!(summaries, expected);

    for filter in [
        Filter {
            author_id: Some(StaffId::of_external("s-12")),
            ..everything()
        },
        Filter {
            kind: Some(InteractionKind::Meeting),
            ..everything()
        },
    ] {
        let (entries, total) = views::timeline::page(pool, &filter, None, 50).await?;
        assert_eq!((entries.len(), total), (1, 1));
        let step = entries[0].next_step.as_ref().unwrap();
        assert_eq!(step.comment, "Спросить про сроки оплаты");
        assert_eq!(step.due_at, "2026-03-16T11:00:00+03:00");
    }
    let known = views::timeline::find(pool, InteractionId::of_external("4")).await?;
    assert_eq!(known.map(|entry| entry.duration_s), Some(380));
    Ok(())
}

/// Every row of a table, in one order.
async fn rows(bench: &Bench, table: &'static str) -> Result<Vec<String>> {
    let query = format!("select to_jsonb(t)::text from {table} t order by 1");
    let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(query));
    Ok(rows.fetch_all(&bench.database.pool).await?)
}

async fn apply_behind(bench: &Bench, position: i64) -> Result<()> {
    let mut events = bench.log.read(position, 1_000).await?;
    bench.log.open_personal(&mut events).await?;
    bench.apply(PersonsView, "contacts", &events).await?;
    bench.apply(TimelineView, "contacts", &events).await
}

/// With `p-1`, who is erased, and others.
fn talk(
    id: &str,
    with: Option<&str>,
    of: &[&str],
    step_with: Option<&str>,
) -> interaction::Command {
    let interaction::Command::Log(mut log) = call("s-11", InteractionKind::Call, 10) else {
        unreachable!("a call is logged");
    };
    log.id = InteractionId::of_external(id);
    log.person_id = with.map(PersonId::of_external);
    log.mentioned = of.iter().map(|id| PersonId::of_external(id)).collect();
    if let Some(step) = &mut log.next_step {
        step.person_id = step_with.map(PersonId::of_external);
    }
    log.summary = format!("слова {id}");
    if id == "while merged" {
        log.account_id = AccountId::of_external("acc-1002");
    }
    interaction::Command::Log(log)
}

#[tokio::test]
async fn an_erased_view_is_what_a_rebuild_makes() -> Result<()> {
    let bench = Bench::new().await?;
    for (id, name) in [("p-1", "Ильин"), ("p-2", "Соколова")] {
        bench
            .execute::<Person>(PersonId::of_external(id).0, person(id, name))
            .await?;
    }
    for (id, with, of, step_with) in [
        ("with", Some("p-1"), &[][..], None),
        ("promised", None, &[], Some("p-1")),
        ("mentioned", Some("p-2"), &["p-1"], None),
        ("while merged", Some("p-1"), &[], None),
        ("other", Some("p-2"), &[], None),
        ("company", None, &[], None),
    ] {
        let command = talk(id, with, of, step_with);
        let id = InteractionId::of_external(id);
        bench.execute::<Interaction>(id.0, command).await?;
    }
    apply_behind(&bench, 0).await?;
    let seen = *bench.log.head().borrow();
    assert!(
        rows(&bench, "persons.persons")
            .await?
            .concat()
            .contains("Ильин")
    );

    let erased = PersonId::of_external("p-1");
    let subjects = vec![Subject::new("person", erased.0)];
    let destroyed = bench.log.erase(&subjects, noon()).await?;
    let done = kit::erasure::CarriedOut {
        account_id: vector(),
        subjects,
        keys: destroyed.keys,
        texts: destroyed.texts,
    };
    bench
        .log
        .execute::<kit::erasure::Erasure>(&context(), erased.0, done)
        .await?;
    apply_behind(&bench, seen).await?;
    let tables = ["persons.persons", "timeline.entries"];
    let live = [
        rows(&bench, tables[0]).await?,
        rows(&bench, tables[1]).await?,
    ];
    let left = live.concat().concat();
    for (word, there) in [
        ("Ильин", false),
        ("слова with", false),
        ("слова promised", false),
        ("слова mentioned", false),
        ("слова while merged", false),
        ("слова other", true),
        ("слова company", true),
        ("Соколова", true),
    ] {
        assert_eq!(left.contains(word), there, "{word}");
    }
    assert_eq!(left.matches("\"erased\": true").count(), 5);

    sqlx::raw_sql("drop schema persons cascade; drop schema timeline cascade")
        .execute(&bench.database.pool)
        .await?;
    apply_behind(&bench, 0).await?;
    assert_eq!(
        [
            rows(&bench, tables[0]).await?,
            rows(&bench, tables[1]).await?
        ],
        live
    );
    Ok(())
}

/// An event of planning as it comes over the bus.
fn of_planning(id: TaskId, event_type: &str, payload: &str) -> Recorded {
    Recorded {
        position: 1,
        event_id: Uuid::nil(),
        stream: StreamId::new("task", id.0),
        version: 1,
        event_type: event_type.to_owned(),
        schema_version: 1,
        occurred_at: noon(),
        recorded_at: noon(),
        request_id: None,
        metadata: Metadata {
            actor: Actor::System,
            on_behalf_of: None,
            actor_group_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            traceparent: None,
            request_digest: None,
            subjects: Vec::new(),
        }
        .try_into()
        .unwrap(),
        payload: payload.as_bytes().to_vec(),
        hash: [0; 32],
    }
}

#[tokio::test]
async fn tasks_are_open_until_done_or_cancelled() -> Result<()> {
    let bench = Bench::new().await?;
    let task = |name: &str| TaskId::of_external(name);
    let (petrov, smirnova) = (StaffId::of_external("s-11"), StaffId::of_external("s-12"));
    let created = format!(
        r#"{{"account_id":"{}","assignee_id":"{petrov}","kind":"call"}}"#,
        vector()
    );
    let reassigned = |to: StaffId| format!(r#"{{"to_assignee_id":"{to}"}}"#);
    let events = [
        of_planning(task("T-1"), "task.created", &created),
        of_planning(task("T-2"), "task.created", &created),
        of_planning(task("T-2"), "task.reassigned", &reassigned(petrov)),
        of_planning(task("T-2"), "task.reassigned", &reassigned(smirnova)),
        of_planning(task("T-3"), "task.created", &created),
        of_planning(task("T-3"), "task.completed", "{}"),
        of_planning(task("T-1"), "task.invented_later", "{}"),
    ];
    bench.apply(TasksView, "planning", &events).await?;

    let pool = &bench.database.pool;
    for (name, assignee_id, open) in [
        ("T-1", petrov, true),
        ("T-2", smirnova, true),
        ("T-3", petrov, false),
    ] {
        let found = views::tasks::find(pool, task(name)).await?.unwrap();
        assert_eq!(found.account_id, Some(vector()), "{name}");
        assert_eq!(
            (found.assignee_id, found.open),
            (assignee_id, open),
            "{name}"
        );
    }
    assert!(views::tasks::find(pool, task("T-4")).await?.is_none());
    Ok(())
}
