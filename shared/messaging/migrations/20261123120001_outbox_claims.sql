-- migrate:up
alter table outbox add column claimed_at timestamptz;

comment on column outbox.claimed_at is
'When a poller last took the row to publish it, by the clock of the database. NULL for nearly every row: who wrote it
published it. No index holds it (HOT).';

-- migrate:down
alter table outbox drop column claimed_at;
