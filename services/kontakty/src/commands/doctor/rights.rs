//! What the login of a service may do: its work, and nothing that would let it change history.

use sqlx::PgConnection;

use super::{
    database::{Check, reason},
    words::{Finding, Words},
};

pub(super) const CHECKS: [Check; 6] = [
    Check {
        what: ("the service's role is an ordinary one", "роль сервиса — обычная"),
        query: "
            select not exists (
                select from pg_roles r
                 where pg_has_role(current_user, r.oid, 'MEMBER')
                   and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication
                        or r.rolbypassrls or r.rolname like 'pg\\_%'))",
        fault: (
            "it is a superuser, may make roles or databases, or belongs to such a role: it could change history unseen; connect as a role that is only a member of kontakty_service",
            "это суперпользователь, роль с правом создавать роли или базы, или член такой роли: она может незаметно изменить историю; подключайтесь ролью, которая входит только в kontakty_service",
        ),
    },
    Check {
        what: ("the log does not belong to the service", "журнал не принадлежит сервису"),
        query: "
            select not exists (
                select from (
                    select datdba as owner from pg_database where datname = current_database()
                    union all select nspowner from pg_namespace where nspname in ('log', 'views')
                    union all select relowner from pg_class
                     where relnamespace in ('log'::regnamespace, 'views'::regnamespace)
                    union all select proowner from pg_proc
                     where pronamespace = 'log'::regnamespace) of_log
                 where pg_has_role(current_user, owner, 'MEMBER'))",
        fault: (
            "the service's role owns the database or tables of the log and could switch their protection off: let another role own them",
            "роль сервиса владеет базой или таблицами журнала и может снять их защиту: пусть ими владеет другая роль",
        ),
    },
    Check {
        what: ("the service cannot change history", "сервис не может изменить историю"),
        query: "
            select not has_schema_privilege('log', 'CREATE')
                   and not exists (
                       select from pg_class t
                        where t.relnamespace = 'log'::regnamespace and t.relkind = 'r'
                          and (has_table_privilege(t.oid, 'DELETE, TRUNCATE, TRIGGER')
                               or has_any_column_privilege(t.oid, 'REFERENCES')
                               or t.relname not in ('keys', 'master_keys')
                                  and has_any_column_privilege(t.oid, 'INSERT')))
                   and not exists (
                       select from pg_class t join pg_attribute c on c.attrelid = t.oid
                        where t.relnamespace = 'log'::regnamespace and t.relkind = 'r'
                          and c.attnum > 0 and not c.attisdropped
                          and (t.relname, c.attname) not in (('keys', 'wrapped'), ('keys', 'destroyed_at'))
                          and has_column_privilege(t.oid, c.attnum, 'UPDATE'))",
        fault: (
            "its role has more rights on tables of the log than it needs, which is SELECT, INSERT of keys, UPDATE of keys (wrapped, destroyed_at) and INSERT of master_keys: revoke the others",
            "у его роли больше прав на таблицы журнала, чем нужно: SELECT, INSERT в keys, UPDATE keys (wrapped, destroyed_at) и INSERT в master_keys; остальные отзовите",
        ),
    },
    Check {
        what: ("the log refuses changes from everybody", "журнал отклоняет изменения от кого угодно"),
        query: "
            select count(*) = 5
              from pg_trigger
             where tgenabled = 'A'
               and (tgrelid, tgname, tgfoid) in (
                   ('log.events'::regclass, 'append_only', 'log.refuse_change'::regproc),
                   ('log.head'::regclass, 'one_row', 'log.refuse_change'::regproc),
                   ('log.epochs'::regclass, 'append_only', 'log.refuse_change'::regproc),
                   ('log.keys'::regclass, 'stays', 'log.refuse_change'::regproc),
                   ('log.keys'::regclass, 'stays_destroyed', 'log.refuse_return'::regproc))",
        fault: (
            "its triggers are switched off or gone: somebody may have changed history; run `kontakty log verify` with your checkpoints, then switch them on again (ENABLE ALWAYS TRIGGER)",
            "его триггеры отключены или удалены: историю могли изменить; выполните `kontakty log verify` с контрольными точками и включите их снова (ENABLE ALWAYS TRIGGER)",
        ),
    },
    Check {
        what: ("the service cannot switch triggers off", "сервис не может отключить триггеры"),
        query: "
            select current_setting('session_replication_role') = 'origin'
                   and not has_parameter_privilege('session_replication_role', 'SET')",
        fault: (
            "its role may set session_replication_role: REVOKE SET ON PARAMETER session_replication_role",
            "её роль может менять session_replication_role: REVOKE SET ON PARAMETER session_replication_role",
        ),
    },
    Check {
        what: ("the service may do its work", "сервис может работать"),
        query: "
            select has_database_privilege(current_database(), 'CREATE')
                   and has_schema_privilege('log', 'USAGE') and has_schema_privilege('views', 'USAGE')
                   and not exists (
                       select from unnest(array['append', 'append_one', 'ensure_keys', 'load', 'lock_head',
                                                'read', 'settle_master_key']) needed
                        where not exists (
                              select from pg_proc p
                               where p.pronamespace = 'log'::regnamespace and p.proname = needed
                                 and has_function_privilege(p.oid, 'EXECUTE')))
                   and not exists (
                       select from pg_class t
                        where t.relnamespace = 'log'::regnamespace and t.relkind = 'r'
                          and not has_table_privilege(t.oid, 'SELECT'))
                   and has_table_privilege('log.keys', 'INSERT')
                   and has_column_privilege('log.keys', 'wrapped', 'UPDATE')
                   and has_column_privilege('log.keys', 'destroyed_at', 'UPDATE')
                   and has_table_privilege('log.master_keys', 'INSERT')
                   -- Of several in one text any would do.
                   and not exists (
                       select from pg_class t,
                                   unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) needed
                        where t.relnamespace = 'views'::regnamespace and t.relkind = 'r'
                          and not has_table_privilege(t.oid, needed))",
        fault: (
            "rights are missing: run `kontakty migrate`, and connect as a member of kontakty_service",
            "не хватает прав: выполните `kontakty migrate` и подключайтесь ролью из kontakty_service",
        ),
    },
];

/// Whether the role reaches the databases of other services.
pub(super) async fn others(
    connection: &mut PgConnection,
    others: &[String],
    of: &impl Fn(Words) -> Words,
) -> Finding {
    let what = of((
        "the service does not reach other services' databases",
        "сервис не достаёт до баз других сервисов",
    )
        .into());
    let reached: Result<Vec<String>, _> = sqlx::query_scalar(
        "select datname::text from pg_database
          where datname = any($1) and datname <> current_database()
            and has_database_privilege(oid, 'CONNECT')
          order by datname",
    )
    .bind(others)
    .fetch_all(connection)
    .await;
    match reached {
        Ok(reached) if reached.is_empty() => Finding::good(what),
        Ok(reached) => {
            let reached = reached.join(", ");
            Finding::bad(
                what,
                Words::new(
                    format!(
                        "it may connect to {reached}: run `kontakty migrate`, which takes CONNECT from everybody else"
                    ),
                    format!(
                        "она может подключиться к {reached}: выполните `kontakty migrate`, он отнимет CONNECT у всех остальных"
                    ),
                ),
            )
        }
        Err(error) => Finding::bad(what, reason(&error)),
    }
}
