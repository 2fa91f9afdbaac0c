//! What nobody may do, and what shows when somebody did it all the same.

use sqlx::{AssertSqlSafe, PgPool};

use crate::{append, assert_whole, log, now};

async fn run(pool: &PgPool, sql: &str) -> Result<(), Option<String>> {
    match sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .map(Into::into)),
    }
}

#[tokio::test]
async fn history_cannot_be_changed() {
    let (database, log) = log().await;
    log.append(vec![append("a", 0, "1")]).await;
    let gone = es::Subject::stored("person:gone");
    log.erase(&[gone], now()).await.unwrap();
    let changes = [
        "update log.events set payload = ''",
        "delete from log.events",
        "truncate log.events",
        "insert into log.head (position, hash, recorded_at) values (9, decode(repeat('00', 32), 'hex'), now())",
        "delete from log.head",
        "delete from log.keys",
        "truncate log.keys",
        "update log.keys set wrapped = 'x', destroyed_at = null where subject = 'person:gone'",
        "update log.keys set destroyed_at = now() where subject = 'person:gone'",
        "set session_replication_role = replica; delete from log.events",
    ];
    for sql in changes {
        // The owner, even a superuser, is refused too.
        for pool in [log.pool(), &database.pool] {
            assert_eq!(run(pool, sql).await, Err(Some("42501".to_owned())), "{sql}");
        }
    }
    let not_for_a_service = [
        "insert into log.events select position + 1, event_id, stream, version + 1, type, \
         schema_version, occurred_at, recorded_at, null, metadata, payload, hash from log.events",
        "update log.head set position = 7",
        "insert into log.reservations values ('a', 'b', 'c')",
        "delete from log.reservations",
        "truncate log.keys, log.reservations, log.master_keys",
        "update log.keys set subject = 'person:other'",
        "alter table log.keys disable trigger stays_destroyed",
        "delete from log.master_keys",
        "update log.master_keys set check_value = check_value",
        "create table log.more (id int)",
        "create or replace function log.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
        "drop table log.events",
        "select log.begin_epoch()",
        "delete from log.epochs",
        "alter table log.events disable trigger append_only",
    ];
    for sql in not_for_a_service {
        let refused = run(log.pool(), sql).await;
        assert_eq!(refused, Err(Some("42501".to_owned())), "{sql}");
    }
    run(
        log.pool(),
        "create schema timeline; create table timeline.entries (id int)",
    )
    .await
    .unwrap();
    assert_whole(&log, 1).await;
}

/// What runs with the owner's rights must not take the operators of whoever calls it.
#[tokio::test]
async fn operators_of_the_caller_decide_nothing() {
    let (_database, log) = log().await;
    log.append(vec![append("a", 0, "1")]).await;
    let mut service = log.pool().acquire().await.unwrap();
    sqlx::raw_sql(
        "create schema evil; \
         create function evil.yes(bigint, bigint) returns boolean language sql as 'select true'; \
         create function evil.yes(bytea, bytea) returns boolean language sql as 'select true'; \
         create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.yes); \
         create operator evil.= (leftarg = bytea, rightarg = bytea, function = evil.yes); \
         set search_path = evil, pg_catalog",
    )
    .execute(&mut *service)
    .await
    .unwrap();
    let deceived: bool = sqlx::query_scalar("select 1::bigint = 2::bigint")
        .fetch_one(&mut *service)
        .await
        .unwrap();
    assert!(deceived);
    for call in [
        "select log.append_one(7, '', now(), gen_random_uuid(), 'card-x', 1, 'x', 1::smallint, now(), null, '', '', \
         decode(repeat('11', 32), 'hex'))",
        "select log.append(7, '', now(), array[gen_random_uuid()], array['card-x'], array[1::bigint], array['x'], \
         array[1::smallint], array[now()], array[null::uuid], array[''::bytea], array[''::bytea], \
         array[decode(repeat('11', 32), 'hex')], null, null, null, null, null, null, null)",
    ] {
        let written: bool = sqlx::query_scalar(call)
            .fetch_one(&mut *service)
            .await
            .unwrap();
        assert!(!written, "{call}");
    }
    assert_whole(&log, 1).await;
}

#[tokio::test]
async fn tampering_is_named_by_its_position() {
    const FREE: &str = "alter table log.events disable trigger append_only;";
    let tampering = [
        (
            "update log.events set payload = '{}' where position = 3",
            3,
            "content",
        ),
        (
            "update log.events set payload = set_byte(payload, 3, get_byte(payload, 3) # 1) where position = 2",
            2,
            "content",
        ),
        (
            "update log.events set metadata = set_byte(metadata, 3, get_byte(metadata, 3) # 1) where position = 7",
            7,
            "content",
        ),
        (
            "update log.events set position = -position where position in (4, 5); \
             update log.events set position = 9 + position where position < 0",
            4,
            "content",
        ),
        (
            "update log.events e set (event_id, hash) = \
                 (select o.event_id, o.hash from saved.events o where o.position = 15 - e.position) \
              where e.position in (7, 8)",
            7,
            "content",
        ),
        (
            "update log.events set recorded_at = now() where position = 4",
            4,
            "content",
        ),
        (
            "update log.events set request_id = null where position = 5",
            5,
            "content",
        ),
        ("delete from log.events where position = 6", 6, "missing"),
        ("delete from log.events where position > 8", 9, "missing"),
        (
            "update log.events set hash = decode(repeat('11', 32), 'hex') where position = 10",
            10,
            "content",
        ),
        (
            "update log.head set hash = decode(repeat('11', 32), 'hex')",
            10,
            "hash",
        ),
        (
            "update log.head set position = 9, hash = (select hash from log.events where position = 9)",
            10,
            "behind",
        ),
        ("update log.head set position = 12", 11, "missing"),
    ];
    let (database, log) = log().await;
    log.append(
        (0..10)
            .map(|n| append(&format!("s{n}"), 0, &format!("r{n}")))
            .collect(),
    )
    .await;
    for (sql, position, what) in tampering {
        let mut behind_our_back = database.pool.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "create schema if not exists saved; create table saved.events as table log.events; \
             create table saved.head as table log.head; {FREE} {sql}"
        )))
        .execute(&mut *behind_our_back)
        .await
        .unwrap();
        behind_our_back.commit().await.unwrap();

        let fault = log.verify(0, |_| {}).await.unwrap().fault.expect(sql);
        assert_eq!(fault.position, position, "{sql}");
        assert!(fault.what.contains(what), "{sql}: {}", fault.what);

        run(
            &database.pool,
            "delete from log.events; insert into log.events table saved.events; \
             update log.head set position = s.position, hash = s.hash from saved.head s; \
             alter table log.events enable always trigger append_only; drop schema saved cascade",
        )
        .await
        .unwrap();
        assert_whole(&log, 10).await;
    }
    assert_eq!(log.verify(7, |_| {}).await.unwrap().verified, 10);
}
