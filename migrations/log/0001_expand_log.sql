-- The event log of one service and the bookkeeping of its read models.
-- The same file in every service's database; the crate es-postgres relies on it.

create schema log;

-- The newest event. One row, raised by log.append alone. Found by its position, so that row
-- versions which a long transaction keeps alive cost the next append nothing.
create table log.head (
    position    bigint primary key,
    hash        bytea not null check (octet_length(hash) = 32),
    recorded_at timestamptz not null,
    epoch       uuid not null default gen_random_uuid()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

insert into log.head (position, hash, recorded_at)
values (0, decode(repeat('00', 32), 'hex'), to_timestamp(0));

-- Metadata and payload are the exact bytes that were hashed, hence not jsonb.
create table log.events (
    position       bigint primary key,
    event_id       uuid not null,
    stream         text collate "C" not null,
    version        bigint not null,
    type           text not null,
    schema_version smallint not null,
    occurred_at    timestamptz not null,
    recorded_at    timestamptz not null,
    request_id     uuid,
    metadata       bytea not null,
    payload        bytea not null,
    hash           bytea not null,
    constraint events_stream_version unique (stream, version)
);

create unique index events_request on log.events (request_id) where request_id is not null;

-- Keys of data subjects, wrapped by the master key. Erasing a person sets `wrapped` to null.
create table log.keys (
    subject      text collate "C" primary key,
    wrapped      bytea,
    created_at   timestamptz not null,
    destroyed_at timestamptz
);

-- Names that one stream holds at a time. The key is a keyed hash: names may be personal.
create table log.reservations (
    key    bytea primary key,
    stream text collate "C" not null,
    kind   text not null
);

create function log.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception '% of %.% is not possible: the log only grows', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or delete or truncate on log.events
    for each statement execute function log.refuse_change();
create trigger one_row before insert or delete or truncate on log.head
    for each statement execute function log.refuse_change();
-- Also where session_replication_role would switch ordinary triggers off.
alter table log.events enable always trigger append_only;
alter table log.head enable always trigger one_row;

-- Writes a batch behind `base`, all or nothing. False: the head is elsewhere, nothing was done.
-- `known_*`: versions that must exist; null for none, as for names. Unique violations reach the
-- caller, who then looks closer.
create function log.append(
    base bigint, base_hash bytea, at timestamptz,
    event_ids uuid[], streams text[], versions bigint[], types text[], schema_versions smallint[],
    occurred_ats timestamptz[], request_ids uuid[], metadatas bytea[], payloads bytea[], hashes bytea[],
    known_streams text[], known_versions bigint[],
    released_keys bytea[], released_streams text[],
    taken_keys bytea[], taken_streams text[], taken_kinds text[]
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    -- Takes the row lock first: appends of other replicas queue up here and then find base stale.
    update log.head
       set position = base + cardinality(event_ids),
           hash = hashes[cardinality(hashes)],
           recorded_at = at
     where position = base and hash = base_hash;
    if not found then
        return false;
    end if;

    if cardinality(known_streams) > 0 then
        perform from unnest(known_streams, known_versions) as k (stream, version)
          where not exists (
                select from log.events e
                 where e.stream = k.stream collate "C" and e.version = k.version);
        if found then
            raise exception 'a stream is not at its expected version' using errcode = 'KV001';
        end if;
    end if;

    insert into log.events (position, event_id, stream, version, type, schema_version,
                            occurred_at, recorded_at, request_id, metadata, payload, hash)
    select base + e.ordinal, e.event_id, e.stream, e.version, e.type, e.schema_version,
           e.occurred_at, at, e.request_id, e.metadata, e.payload, e.hash
      from unnest(event_ids, streams, versions, types, schema_versions, occurred_ats, request_ids,
                  metadatas, payloads, hashes)
           with ordinality
           as e (event_id, stream, version, type, schema_version, occurred_at, request_id,
                 metadata, payload, hash, ordinal);

    if cardinality(released_keys) > 0 then
        delete from log.reservations r
         using unnest(released_keys, released_streams) as d (key, stream)
         where r.key = d.key and r.stream = d.stream collate "C";
    end if;
    if cardinality(taken_keys) > 0 then
        insert into log.reservations (key, stream, kind)
        select * from unnest(taken_keys, taken_streams, taken_kinds);
    end if;
    return true;
end
$$;

-- The head, locked until the transaction ends.
create function log.lock_head() returns setof log.head
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select * from log.head order by position desc limit 1 for update
$$;

-- Makes the keys that are missing and returns those that count.
create function log.ensure_keys(subjects text[], candidates bytea[], at timestamptz)
returns table (key_subject text, key_wrapped bytea)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
    -- No wait for the disk: the commit of the event that needs the key comes later in the WAL and
    -- flushes it along.
    perform set_config('synchronous_commit', 'off', true);
    insert into log.keys (subject, wrapped, created_at)
    select s.subject, s.candidate, at
      from unnest(subjects, candidates) as s (subject, candidate)
     order by s.subject
        on conflict do nothing;
    return query select k.subject, k.wrapped from log.keys k where k.subject = any (subjects);
end
$$;

-- Reads by index whatever the statistics say: a plan that a connection made while the log was small
-- would scan it all when it has grown.
create function log.load(streams text[], requests uuid[]) returns setof log.events
language plpgsql stable
set search_path = pg_catalog, pg_temp set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
begin
    return query select * from log.events e where e.stream = any (streams);
    if cardinality(requests) > 0 then
        return query select * from log.events e
            where e.request_id = any (requests) and not e.stream = any (streams);
    end if;
end
$$;

create function log.read(after bigint, up_to bigint) returns setof log.events
language plpgsql stable
set search_path = pg_catalog, pg_temp set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
begin
    return query select * from log.events e
        where e.position > after and e.position <= up_to order by e.position;
end
$$;

create schema views;

-- How far each view has read each service's log.
create table views.cursors (
    name     text not null,
    source   text not null,
    epoch    uuid not null,
    position bigint not null,
    primary key (name, source)
);

-- Events that could not be applied, until somebody retries them.
create table views.parked (
    name       text not null,
    source     text not null,
    position   bigint not null,
    stream     text not null,
    event_type text not null,
    reason     text not null,
    attempts   integer not null default 1,
    parked_at  timestamptz not null,
    primary key (name, source, position)
);

-- What a running service may do; its login role is a member. Roles belong to the whole cluster, so
-- another service's migration may be making it at this moment.
do $$
begin
    if not exists (select from pg_roles where rolname = 'kontakty_service') then
        create role kontakty_service nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;

do $$
begin
    -- Views make their schemas themselves.
    execute format('grant create on database %I to kontakty_service', current_database());
    -- A service refuses to start on a database that is not migrated.
    if to_regclass('_sqlx_migrations') is not null then
        grant select on _sqlx_migrations to kontakty_service;
    end if;
end
$$;

revoke all on function log.append, log.lock_head, log.ensure_keys, log.load, log.read from public;
grant usage on schema log, views to kontakty_service;
grant select on all tables in schema log to kontakty_service;
grant insert, update (wrapped, destroyed_at) on log.keys to kontakty_service;
grant execute on function log.append, log.lock_head, log.ensure_keys, log.load, log.read
    to kontakty_service;
grant select, insert, update, delete on all tables in schema views to kontakty_service;
