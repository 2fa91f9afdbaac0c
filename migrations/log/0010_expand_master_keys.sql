-- Which master key the personal data of this log is under, so that a wrong one is noticed before
-- anything is read or written with it. A check value tells keys apart and says nothing about them.
-- Two rows: the master key is being changed.

create table log.master_keys (
    check_value bytea primary key check (octet_length(check_value) = 32),
    known_since timestamptz not null default now()
);

grant select, insert on log.master_keys to kontakty_service;
