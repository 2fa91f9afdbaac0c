-- Finds all names that a stream holds, to give them back together.
create index if not exists reservations_of_stream on log.reservations (stream);
