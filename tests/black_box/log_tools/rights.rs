//! What the login of a service can do at its database, and what not.

use std::{collections::BTreeSet, path::Path};

use anyhow::ensure;
use tests::{
    background::{Background, import},
    client::SERVICES,
    psql::Psql,
};

use super::{companies, events};

const DENIED: &str = "42501";

/// What a service must not be able to do, by the SQLSTATE that it gets.
const MUST_FAIL: [(&str, &str); 34] = [
    ("update log.events set payload = payload", DENIED),
    ("delete from log.events", DENIED),
    ("truncate log.events", DENIED),
    ("insert into log.events select * from log.events", DENIED),
    ("update log.head set position = position", DENIED),
    ("insert into log.head select * from log.head", DENIED),
    ("delete from log.head", DENIED),
    ("truncate log.head", DENIED),
    ("update log.reservations set kind = kind", DENIED),
    (
        "insert into log.reservations values ('a', 'b', 'c')",
        DENIED,
    ),
    ("delete from log.reservations", DENIED),
    ("truncate log.reservations", DENIED),
    ("delete from log.keys", DENIED),
    ("truncate log.keys", DENIED),
    ("update log.keys set subject = subject", DENIED),
    ("delete from log.master_keys", DENIED),
    ("set session_replication_role = replica", DENIED),
    ("alter table log.events disable trigger append_only", DENIED),
    ("alter table log.events disable trigger all", DENIED),
    ("drop trigger append_only on log.events", DENIED),
    ("alter table log.events owner to current_user", DENIED),
    ("drop table log.events", DENIED),
    ("create table log.more (id int)", DENIED),
    (
        "create function log.more() returns int language sql as 'select 1'",
        DENIED,
    ),
    (
        "create or replace function log.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
        DENIED,
    ),
    (
        "create trigger mine before insert on log.events execute function log.refuse_change()",
        DENIED,
    ),
    (
        "create rule mine as on select to log.events do instead nothing",
        DENIED,
    ),
    ("alter schema log owner to current_user", DENIED),
    ("create table public.more (id int)", DENIED),
    ("update _sqlx_migrations set success = false", DENIED),
    ("create role intruder", DENIED),
    ("set role kontakty", DENIED),
    ("copy log.events to program 'cat >/dev/null'", DENIED),
    ("select pg_read_file('PG_VERSION')", DENIED),
];

/// A batch of one event as the service itself would write it, at a position of its own choice. True:
/// it was written.
fn append(base: &str, at: &str) -> String {
    format!(
        "select log.append({base}, hash, {at}, array[gen_random_uuid()],
                array['task-00000000-0000-0000-0000-000000000001'], array[1::bigint], array['x'],
                array[1::smallint], array[now()], array[null::uuid], array['{{}}'::bytea],
                array['{{}}'::bytea], array[decode(repeat('00', 32), 'hex')],
                array[]::text[], array[]::bigint[], array[]::bytea[], array[]::text[],
                array[]::bytea[], array[]::text[], array[]::text[])
           from log.head"
    )
}

#[tokio::test]
async fn the_login_of_a_service_does_its_work_and_cannot_touch_history() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "admin", "accounts", &companies("Завод", 3))?;
    let psql = Psql::new(&office.office)?;
    let mut faults = Vec::new();
    for service in SERVICES {
        let statements = MUST_FAIL.map(|(sql, _)| sql);
        let answers = psql.services(service, service, &statements)?;
        for ((sql, state), answer) in MUST_FAIL.into_iter().zip(answers) {
            if answer != Err(state.to_owned()) {
                faults.push(format!("{service}: {sql}: {answer:?}"));
            }
        }
        // Positions follow from the head: any other base is refused and writes nothing.
        let bases = [
            "position - 1",
            "position + 1",
            "position + 1000",
            "0 - position - 1",
        ];
        let appends = bases.map(|base| append(base, "now()"));
        let answers = psql.services(service, service, &appends.each_ref().map(String::as_str))?;
        for (base, answer) in bases.into_iter().zip(answers) {
            if answer != Ok("f".to_owned()) {
                faults.push(format!("{service}: append at {base}: {answer:?}"));
            }
        }
        for other in SERVICES.into_iter().filter(|other| *other != service) {
            let answer = psql.service(service, other, "select count(*) from log.events")?;
            if !answer
                .as_ref()
                .is_err_and(|said| said.contains("permission denied for database"))
            {
                faults.push(format!("{service} reads {other}: {answer:?}"));
            }
        }
        // And its work: it reads its log, makes and drops what views need, moves its cursors.
        let work = [
            "select count(*) from log.events",
            "select count(*) from log.read(0, 10)",
            "create schema spare; create table spare.rows (id int); insert into spare.rows values (1); drop schema spare cascade",
            "insert into views.cursors values ('spare', 'accounts', gen_random_uuid(), 0); delete from views.cursors where name = 'spare'",
            "select count(*) from log.keys",
            "select count(*) from _sqlx_migrations",
        ];
        let answers = psql.services(service, service, &work)?;
        for (sql, answer) in work.into_iter().zip(answers) {
            if let Err(refused) = answer {
                faults.push(format!("{service} cannot {sql}: {refused}"));
            }
        }
    }
    ensure!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    office.office.command("s-01", &["log", "verify", "all"])?;
    Ok(())
}

/// Whatever an office records has a golden file of its type and version somewhere.
#[tokio::test]
async fn every_recorded_event_has_its_golden_file() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "admin", "accounts", &companies("Завод", 3))?;
    let folder = tempfile::tempdir()?;
    let out = folder
        .path()
        .join("accounts.jsonl")
        .to_string_lossy()
        .into_owned();
    let export = [
        "log",
        "export",
        "--service",
        "accounts",
        "--format",
        "jsonl",
        "--out",
        &out,
    ];
    office.office.command("s-40", &export)?;
    let mut types = BTreeSet::new();
    for service in SERVICES {
        for event in events(&office.admin, service).await? {
            types.insert(format!("{}.v{}.json", event.r#type, event.schema_version));
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        "services/accounts/domain",
        "services/contacts/domain",
        "services/planning/domain",
        "services/notifications/domain",
        "crates/kit",
    ];
    let missing: Vec<_> = types
        .iter()
        .filter(|name| {
            !folders
                .iter()
                .any(|folder| root.join(folder).join("tests/golden").join(name).exists())
        })
        .collect();
    ensure!(missing.is_empty(), "no golden file: {missing:?}");
    ensure!(
        types.contains("log.exported.v1.json") && types.len() > 4,
        "{types:?}"
    );
    Ok(())
}
