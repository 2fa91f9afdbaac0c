-- An append of one event that costs little more than an insert.
-- The same file in every service's database.

-- One event, with nothing to confirm and no names: half the time that a batch of one takes, of which
-- the setting of a search path is a large part. Hence there is none, and every operator is named in
-- full: a caller's path must not decide what runs with the rights of the owner.
create function log.append_one(
    base bigint, base_hash bytea, at timestamptz,
    event_id uuid, stream text, version bigint, type text, schema_version smallint,
    occurred_at timestamptz, request_id uuid, metadata bytea, payload bytea, new_hash bytea
) returns boolean
language plpgsql security definer as $$
begin
    update log.head h
       set position = base operator(pg_catalog.+) 1, hash = new_hash, recorded_at = at
     where h.position operator(pg_catalog.=) base and h.hash operator(pg_catalog.=) base_hash;
    if not found then
        return false;
    end if;
    insert into log.events (position, event_id, stream, version, type, schema_version,
                            occurred_at, recorded_at, request_id, metadata, payload, hash)
    values (base operator(pg_catalog.+) 1, event_id, stream, version, type, schema_version,
            occurred_at, at, request_id, metadata, payload, new_hash);
    return true;
end
$$;

revoke all on function log.append_one from public;
grant execute on function log.append_one to kontakty_service;
