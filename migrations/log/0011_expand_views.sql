-- Lives of the log, leaders, and building read models anew.
-- The same file in every service's database, as 0001.

-- A log that was restored from a backup gives out positions a second time: that is another life of
-- it. Each is what the one before was, up to its first position.
create table log.epochs (
    ordinal        bigint generated always as identity primary key,
    epoch          uuid not null unique,
    first_position bigint not null,
    begun_at       timestamptz not null
);

insert into log.epochs (epoch, first_position, begun_at) select epoch, 1, now() from log.head;

create trigger append_only before update or delete or truncate on log.epochs
    for each statement execute function log.refuse_change();
alter table log.epochs enable always trigger append_only;

-- For the owner, once the database was restored: `kontakty migrate --restored`.
create function log.begin_epoch() returns table (new_epoch uuid, new_first_position bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    newest bigint;
begin
    select h.position into newest from log.head h order by h.position desc limit 1 for update;
    new_epoch := gen_random_uuid();
    new_first_position := newest + 1;
    update log.head set epoch = new_epoch where position = newest;
    insert into log.epochs (epoch, first_position, begun_at)
    values (new_epoch, new_first_position, now());
    return next;
end
$$;

revoke all on function log.begin_epoch from public;
grant select on log.epochs to kontakty_service;

alter table views.cursors
    -- Null until the first event.
    alter column epoch drop not null,
    -- Of the event at `position`, so that a cursor can be held against its log.
    add column hash bytea,
    -- Rises when somebody else changes what a runner keeps in memory: it then reads it again.
    add column generation bigint not null default 0,
    -- Of the leader that writes, where only a leader may.
    add column fence bigint not null default 0,
    -- The view holds events that its log has lost: it waits to be built anew.
    add column stale boolean not null default false;

-- What is kept beside a live view, and what is to be done with it.
create table views.rebuilds (
    name       text primary key,
    state      text not null
               check (state in ('building', 'checking', 'checked', 'returning', 'kept', 'discarding')),
    workers    integer not null default 1,
    -- By source, how far the workers share the log; null: they do not.
    targets    jsonb,
    reason     text not null,
    outcome    text not null default '',
    changed_at timestamptz not null default now()
);

-- Parked events that somebody has given up.
create table views.skipped (
    name       text not null,
    source     text not null,
    position   bigint not null,
    stream     text not null,
    event_type text not null,
    parked_for text not null,
    skipped_by text not null,
    why        text not null,
    skipped_at timestamptz not null
);

-- Events that a reaction had reacted to before a restored backup took them out of their log.
create table views.lost (
    name           text not null,
    source         text not null,
    epoch          uuid not null,
    first_position bigint not null,
    last_position  bigint not null,
    noticed_at     timestamptz not null
);

-- Who leads has a higher number than any leader before.
create table views.leader (
    single boolean primary key default true check (single),
    fence  bigint not null,
    since  timestamptz not null
);

grant select, insert, update, delete
    on views.rebuilds, views.skipped, views.lost, views.leader to kontakty_service;
