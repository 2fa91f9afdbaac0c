//! Every check is shown what it must not accept: after a run that is clean, one thing is spoilt in
//! a copy of one database, and the check has to name it.

use anyhow::{Context, ensure};
use faults::{
    check::{self, Report},
    ledger::{Entry, Outcome},
    replay::{self, Stores},
    run::Run,
    seed::Seed,
    watcher::Shown,
};
use uuid::Uuid;

/// What a superuser does to one database, and the invariants that then cannot hold.
struct Damage {
    what: &'static str,
    service: &'static str,
    sql: &'static str,
    breaks: &'static [&'static str],
}

const DAMAGES: [Damage; 19] = [
    Damage {
        what: "one acknowledged event removed",
        service: "contacts",
        sql: "delete from log.events where position = (
                  select max(position) from log.events where request_id is not null)",
        breaks: &["I1", "I3", "I4"],
    },
    Damage {
        what: "a command stored twice",
        service: "contacts",
        sql: "drop index log.events_request;
              insert into log.events
              select (select max(position) + 1 from log.events), gen_random_uuid(),
                     'interaction-' || gen_random_uuid(), version, type, schema_version,
                     occurred_at, recorded_at, request_id, metadata, payload, hash
              from log.events where request_id is not null order by position desc limit 1",
        breaks: &["I1", "I4"],
    },
    Damage {
        what: "an event that nobody sent",
        service: "contacts",
        sql: "update log.events set request_id = gen_random_uuid() where position = (
                  select max(position) from log.events where request_id is not null)",
        breaks: &["I1", "I4"],
    },
    Damage {
        what: "a version skipped",
        service: "planning",
        sql: "update log.events set version = version + 1 where (stream, version) = (
                  select stream, max(version) from log.events
                  where type like 'task.%' group by stream order by max(version) desc limit 1)",
        breaks: &["I3", "I4"],
    },
    Damage {
        what: "one byte changed",
        service: "accounts",
        sql: "update log.events set payload = set_byte(payload, 5, get_byte(payload, 5) # 1)
              where position = 3",
        breaks: &["I4"],
    },
    Damage {
        what: "two events swapped",
        service: "accounts",
        sql: "update log.events set position = 1000003 where position = 3;
              update log.events set position = 3 where position = 4;
              update log.events set position = 4 where position = 1000003",
        breaks: &["I4"],
    },
    Damage {
        what: "the tail cut off",
        service: "notifications",
        sql: "delete from log.events where position > (select max(position) - 2 from log.events)",
        breaks: &["I3", "I4"],
    },
    Damage {
        what: "a reminder never scheduled",
        service: "notifications",
        sql: "delete from log.events where type = 'reminder.scheduled' and position = (
                  select max(position) from log.events where type = 'reminder.scheduled')",
        breaks: &["I5"],
    },
    Damage {
        what: "an event answered twice",
        service: "notifications",
        sql: "insert into log.events
              select (select max(position) + 1 from log.events), gen_random_uuid(),
                     'reminder-' || gen_random_uuid(), version, type, schema_version, occurred_at,
                     recorded_at, null, metadata, payload, hash
              from log.events where type = 'reminder.scheduled' order by position limit 1",
        breaks: &["I5"],
    },
    Damage {
        what: "a line of a view missing",
        service: "contacts",
        sql: "delete from timeline.entries where interaction_id = (
                  select interaction_id from timeline.entries limit 1)",
        breaks: &["I7"],
    },
    Damage {
        what: "a line of a view twice",
        service: "analytics",
        sql: "insert into facts.facts select * from facts.facts limit 1",
        breaks: &["I7"],
    },
    Damage {
        what: "a line of a view wrong",
        service: "planning",
        sql: "update tasks.tasks set kind = 'meeting' where id = (
                  select id from tasks.tasks where kind = 'call' limit 1)",
        breaks: &["I7"],
    },
    Damage {
        what: "a cursor beyond the end",
        service: "analytics",
        sql: "update views.cursors set position = position + 1000 where name = 'facts'",
        breaks: &["I8"],
    },
    Damage {
        what: "deliveries not recorded",
        service: "notifications",
        sql: "delete from log.events where type = 'reminder.delivered'",
        breaks: &["I9"],
    },
    Damage {
        what: "an event applied past a parked one",
        service: "planning",
        sql: "delete from views.parked where (name, position) in (
                  select name, max(position) from views.parked group by name)",
        breaks: &["I10"],
    },
    Damage {
        what: "an erasure that a service has slept through",
        service: "planning",
        sql: "delete from log.events where type = 'erasure.carried_out' and position = (
                  select max(position) from log.events where type = 'erasure.carried_out')",
        breaks: &["I18"],
    },
    Damage {
        what: "the key of somebody erased come back",
        service: "contacts",
        sql: "alter table log.keys disable trigger stays_destroyed;
              update log.keys set wrapped = '\\x00', destroyed_at = null
              where subject in (
                  select 'person:' || substr(stream, 14) from log.events
                  where type = 'data_subject.erased')",
        breaks: &["I18"],
    },
    Damage {
        what: "words of somebody erased in a view",
        service: "contacts",
        sql: "update timeline.entries set summary = 'said' where erased",
        breaks: &["I7", "I18"],
    },
    Damage {
        what: "calls no longer counted",
        service: "analytics",
        sql: "delete from facts.facts",
        breaks: &["I7", "I18"],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_check_names_what_it_must_not_accept() -> anyhow::Result<()> {
    let (mut run, server) = Run::start(Seed::of_this_run()).await?;
    run.goes_on(600).await?;
    run.finish(vec![server]).await?.ensure_clean()?;
    let fresh = Stores::open(&run.installation, &replay::settings(&run.installation, "")).await?;
    let clean = Clean {
        entries: run.load.entries()?,
        seen: run.load.seen.all(),
        fresh,
        run: &run,
    };
    for damage in &DAMAGES {
        clean.is_found(damage).await?;
    }
    println!("{} damages, each found", DAMAGES.len());
    clean.other_answers_are_found()?;
    clean.other_reminders_are_found().await?;
    a_stream_out_of_order_is_found()?;
    a_cursor_moved_by_hand_is_found(&run, &clean.fresh).await
}

/// What a clean run has left.
struct Clean<'r> {
    run: &'r Run,
    fresh: Stores,
    entries: Vec<Entry>,
    seen: Vec<Shown>,
}

impl Clean<'_> {
    async fn is_found(&self, damage: &Damage) -> anyhow::Result<()> {
        let engines = &self.run.installation.engines;
        let from = self.run.installation.settings.database(damage.service);
        let to = format!("{from}_damaged");
        engines.disconnect(&from).await?;
        engines.copy_database(&from, &to).await?;
        let pool = engines.pool(&to).await?;
        let sql = format!(
            "alter table log.events disable trigger append_only; {}",
            damage.sql
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .with_context(|| damage.what)?;
        let damaged = self.run.live.with(damage.service, pool.clone());
        let report = self.report(&damaged, &self.entries, &self.seen).await?;
        for invariant in damage.breaks {
            ensure!(
                report.violated().contains(invariant),
                "{}: {invariant} did not see it, only {:?} did",
                damage.what,
                report.violated()
            );
        }
        pool.close().await;
        Ok(())
    }

    async fn report(
        &self,
        stores: &Stores,
        entries: &[Entry],
        seen: &[Shown],
    ) -> anyhow::Result<Report> {
        check::all(stores, &self.fresh, entries, seen, &self.run.before).await
    }

    fn other_answers_are_found(&self) -> anyhow::Result<()> {
        let mut entries = self.entries.clone();
        let is_ok = |outcome: &Outcome| matches!(outcome, Outcome::Ok { .. });
        let answered = entries
            .iter_mut()
            .find(|entry| entry.outcomes.last().is_some_and(is_ok));
        let entry = answered.context("an answered command")?;
        let mut second = entry.outcomes.last().context("an outcome")?.clone();
        if let Outcome::Ok { answer, .. } = &mut second {
            answer.push_str("00");
        }
        entry.outcomes.push(second);
        ensure!(check::same_answers(&entries).counter_example.is_some());
        ensure!(check::same_answers(&self.entries).counter_example.is_none());
        Ok(())
    }

    async fn other_reminders_are_found(&self) -> anyhow::Result<()> {
        let one = self.seen.last().context("a reminder")?;
        let unknown = Shown {
            reminder: Uuid::from_u128(1),
            ..one.clone()
        };
        let elsewhere = Shown {
            user: "s-21".to_owned(),
            ..one.clone()
        };
        for more in [unknown, elsewhere, one.clone()] {
            let seen: Vec<Shown> = self.seen.iter().cloned().chain([more]).collect();
            let found = check::reminders(&self.run.live, &self.entries, &seen).await?;
            ensure!(found.counter_example.is_some());
        }
        let found = check::reminders(&self.run.live, &self.entries, &[]).await?;
        ensure!(found.counter_example.is_some(), "nothing shown is no fault");
        Ok(())
    }
}

fn a_stream_out_of_order_is_found() -> anyhow::Result<()> {
    ensure!(check::delivered_in_order(&[1, 2, 3], 0, 3).is_ok());
    ensure!(check::delivered_in_order(&[1, 3], 1, 3).is_ok());
    for wrong in [
        &[1, 2][..],
        &[1, 2, 2, 3],
        &[2, 1, 3],
        &[1, 3],
        &[1, 0, 2, 3],
    ] {
        ensure!(check::delivered_in_order(wrong, 0, 3).is_err(), "{wrong:?}");
    }
    Ok(())
}

/// Effect and cursor no longer belong together: what lies between is applied a second time.
async fn a_cursor_moved_by_hand_is_found(run: &Run, fresh: &Stores) -> anyhow::Result<()> {
    sqlx::query(
        "update views.cursors set position = position - 50, hash = null
         where name = 'facts' and source = 'contacts'",
    )
    .execute(run.live.of("analytics"))
    .await?;
    let mut server = run.installation.serve(None)?;
    server.ready().await?;
    run.live.settled(&[]).await?;
    server.stop().await?;
    let found = check::views(&run.live, fresh).await?;
    println!("{:?}", found.counter_example);
    let named = found.counter_example.unwrap_or_default();
    ensure!(named.contains("facts"), "not found: {named}");
    Ok(())
}
