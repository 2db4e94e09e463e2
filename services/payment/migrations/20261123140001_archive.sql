-- migrate:up

-- Payments that are over, whole: a row as it was when it was moved, and the calls made for it. Documents, so that
-- a column that comes later need not be added to rows that are never written again. Partitions are made by the loop.
create table archived_payments (
    renewal_id uuid not null,
    closed_at timestamptz not null,
    subscription_id text not null,
    payment json not null,
    attempts json not null,
    primary key (renewal_id, closed_at)
) partition by range (closed_at);

comment on table archived_payments is
'Settled payments by the month of the last thing that happened to them. Never in payments at the same time.';

create index archived_payments_of_subscription on archived_payments (subscription_id, renewal_id);

-- Small and in one piece: whether a renewal is in the archive is asked without looking into every month.
create table archive_register (
    renewal_id uuid primary key,
    closed_at timestamptz not null
);

comment on table archive_register is
'Where each archived payment lies. Whoever folds one holds this row''s lock, as it would the payment''s.';

create table archive_walk (
    is_only boolean primary key default true check (is_only),
    page bigint not null default 0,
    begun_at timestamptz
);

comment on table archive_walk is
'One row: the page of payments at which the search for settled ones goes on, and when this search began.';

insert into archive_walk default values;

-- migrate:down
drop table archive_walk;
drop table archive_register;
drop table archived_payments;
