-- A destroyed key stays destroyed, whoever asks: neither a new key nor the old one may come back.
-- The same file in every service's database.

create function log.refuse_return() returns trigger
language plpgsql as $$
begin
    raise exception 'a destroyed key stays destroyed' using errcode = 'insufficient_privilege';
end
$$;

create trigger stays_destroyed before update on log.keys
    for each row when (old.destroyed_at is not null) execute function log.refuse_return();
create trigger stays before delete or truncate on log.keys
    for each statement execute function log.refuse_change();
-- Also where session_replication_role would switch ordinary triggers off.
alter table log.keys enable always trigger stays_destroyed;
alter table log.keys enable always trigger stays;
