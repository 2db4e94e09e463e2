-- migrate:up

-- An attempt that is in no process's hands because its carrier takes no call now waits in the queue of its carrier:
-- without a lease, and without having spent anything. It is in the queue while `queued_until` equals `due_at`, so that
-- whoever moves due_at, and be it a version that knows nothing of queues, takes it out.
alter table top_up_attempts
add column lane text collate "C",
add column is_bulk boolean,
add column queued_until timestamptz;

comment on column top_up_attempts.lane is 'The carrier it waits for, `*` for one without limits of its own.';
comment on column top_up_attempts.is_bulk is 'Whether no person asked for it: people go first, but not always.';
comment on column top_up_attempts.queued_until is
'When it is looked at in any case, should its queue be served by nobody.';

-- Empty where all is well, and built on a table of open rows.
-- squawk-ignore require-concurrent-index-creation
create index top_up_attempts_queued on top_up_attempts (lane, is_bulk, due_at)
where queued_until = due_at and ended_at is null;

create table call_permits (
    gateway text primary key,
    taken_until timestamptz not null
) with (fillfactor = 50);

comment on table call_permits is
'Until when the instants of a carrier with a rate limit are given away to processes, each once (shared/calls).';

-- migrate:down
drop table call_permits;
drop index top_up_attempts_queued;
alter table top_up_attempts drop column queued_until, drop column is_bulk, drop column lane;
