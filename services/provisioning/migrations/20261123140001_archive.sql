-- migrate:up

-- Top-ups that are over, whole: a row as it was when it was moved, and its attempts. Documents, so that a column
-- that comes later need not be added to rows that are never written again. Partitions are made by the loop.
create table archived_top_ups (
    renewal_id uuid not null,
    closed_at timestamptz not null,
    subscription_id text not null,
    top_up json not null,
    attempts json not null,
    primary key (renewal_id, closed_at)
) partition by range (closed_at);

comment on table archived_top_ups is
'Decided top-ups by the month of the last thing that happened to them. Never in top_ups at the same time.';

create index archived_top_ups_of_subscription on archived_top_ups (subscription_id, renewal_id);

-- Small and in one piece: whether a renewal is in the archive is asked without looking into every month.
create table archive_register (
    renewal_id uuid primary key,
    closed_at timestamptz not null
);

comment on table archive_register is 'Where each archived top-up lies.';

create table archive_walk (
    is_only boolean primary key default true check (is_only),
    page bigint not null default 0,
    begun_at timestamptz
);

comment on table archive_walk is
'One row: the page of top_ups at which the search for decided ones goes on, and when this search began.';

insert into archive_walk default values;

-- migrate:down
drop table archive_walk;
drop table archive_register;
drop table archived_top_ups;
