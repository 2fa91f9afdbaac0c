-- Makes the search for a part of a name or of a telephone number fast. It is a trusted extension,
-- so the owner of the database may create it; without it the search is slower and finds the same.
do $$
begin
    if exists (select from pg_available_extensions where name = 'pg_trgm') then
        create extension if not exists pg_trgm with schema public;
    end if;
end
$$;
