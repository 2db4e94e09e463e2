-- migrate:up

-- Renewals that are over, whole: a row as it was when it was moved, and its history. Documents, so that a column
-- that comes later need not be added to rows that are never written again. Partitions are made by the loop.
create table archived_renewals (
    renewal_id uuid not null,
    closed_at timestamptz not null,
    requested_at timestamptz not null,
    subscription_id text not null,
    state text not null,
    reason text,
    parked_reason text,
    renewal json not null,
    history json not null,
    primary key (renewal_id, closed_at)
) partition by range (closed_at);

comment on table archived_renewals is 'Closed renewals by the month of their closing. Never in renewals at the same time.';

create index archived_renewals_by_subscription on archived_renewals (subscription_id, requested_at, renewal_id);

create index archived_renewals_by_time on archived_renewals (requested_at, renewal_id);

-- Small and in one piece: every request is looked up here, whether it came before.
create table archive_register (
    renewal_id uuid primary key,
    closed_at timestamptz not null,
    request_hash bytea not null
);

comment on table archive_register is
'Where each archived renewal lies, and what it was asked for with: the same request again is the same renewal.';

create table archive_walk (
    is_only boolean primary key default true check (is_only),
    page bigint not null default 0,
    begun_at timestamptz
);

comment on table archive_walk is
'One row: the page of renewals at which the search for closed ones goes on, and when this search began.';

insert into archive_walk default values;

-- migrate:down
drop table archive_walk;

drop table archive_register;

drop table archived_renewals;
