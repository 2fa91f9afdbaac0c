-- What is to be done outside of the database: noted first, then done, then noted as done. No read
-- model: a replay of the log must send nothing a second time.

create schema outbox;

-- An event that a webhook is to be told of. It is read from its log when it is sent.
create table outbox.webhook_intents (
    webhook_id  uuid not null,
    event_id    uuid not null,
    source      text not null,
    position    bigint not null,
    recorded_at timestamptz not null,
    -- Null: not yet. Kept for a while, because the reaction may come to the same event again.
    sent_at     timestamptz,
    primary key (webhook_id, event_id)
);

create index webhook_intents_open on outbox.webhook_intents (webhook_id, recorded_at, source, position)
    where sent_at is null;

-- How a webhook gets on.
create table outbox.webhook_standing (
    webhook_id      uuid primary key,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_failure    text,
    -- Since the last success.
    failures        integer not null default 0,
    next_try_at     timestamptz
);

grant usage on schema outbox to kontakty_service;
grant select, insert, update, delete
    on outbox.webhook_intents, outbox.webhook_standing to kontakty_service;
