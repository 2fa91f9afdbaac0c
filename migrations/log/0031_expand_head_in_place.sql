-- The head of the log changes in place.
-- The same file in every service's database.

-- Indexed by its position, each append left a dead row and a dead entry of the index. By what never
-- changes, the room of the old row is used again; and it is still found at once while an old snapshot,
-- of a backup say, keeps the dead.
alter table log.head
    drop constraint head_pkey,
    add column one boolean not null default true primary key check (one);

create or replace function log.lock_head() returns setof log.head
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select * from log.head where one for update
$$;

-- As before but for `one`.
create or replace function log.append(
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
     where one and position = base and hash = base_hash;
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
    select base + generate_series(1, cardinality(event_ids)), unnest(event_ids), unnest(streams),
           unnest(versions), unnest(types), unnest(schema_versions), unnest(occurred_ats), at,
           unnest(request_ids), unnest(metadatas), unnest(payloads), unnest(hashes);

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

-- As before but for `one`, and in one statement, which is started once.
create or replace function log.append_one(
    base bigint, base_hash bytea, at timestamptz,
    event_id uuid, stream text, version bigint, type text, schema_version smallint,
    occurred_at timestamptz, request_id uuid, metadata bytea, payload bytea, new_hash bytea
) returns boolean
language plpgsql security definer as $$
begin
    with moved as (
        update log.head h
           set position = base operator(pg_catalog.+) 1, hash = new_hash, recorded_at = at
         where h.one and h.position operator(pg_catalog.=) base
           and h.hash operator(pg_catalog.=) base_hash
        returning h.position)
    insert into log.events (position, event_id, stream, version, type, schema_version,
                            occurred_at, recorded_at, request_id, metadata, payload, hash)
    select m.position, event_id, stream, version, type, schema_version,
           occurred_at, at, request_id, metadata, payload, new_hash
      from moved m;
    return found;
end
$$;
