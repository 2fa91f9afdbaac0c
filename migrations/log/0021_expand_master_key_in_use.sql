-- The master key of personal data is replaced: services start with the new one and with the former
-- one until nothing is wrapped by the former one any more, and from then on with the new one alone.
-- The same file in every service's database.

-- `in_use`: its check value, `id`: as wrapped keys name it.
create function log.settle_master_key(in_use bytea, id bytea) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('log.master_keys', 0));
    -- 60 bytes: wrapped before master keys had ids; longer than 69: a text's, by keys of persons.
    if exists (select from log.keys k
                where octet_length(k.wrapped) = 60
                   or octet_length(k.wrapped) = 69 and substring(k.wrapped from 2 for 8) <> id) then
        raise exception 'a former master key is still needed' using errcode = 'object_in_use';
    end if;
    insert into log.master_keys (check_value) values (in_use) on conflict do nothing;
    delete from log.master_keys m where m.check_value <> in_use;
end
$$;

revoke all on function log.settle_master_key from public;
grant execute on function log.settle_master_key to kontakty_service;
