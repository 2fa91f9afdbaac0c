-- An append of many events that costs a tenth less.
-- The same file in every service's database.

-- As before but for the insert: arrays that are taken apart in the select list go from element to row,
-- in the from clause each of them is first written out whole.
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
