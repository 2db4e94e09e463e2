-- migrate:up
create table iccids (
    iccid text primary key,
    subscription_id text not null,
    changed_at timestamptz not null
);

comment on table iccids is
'Projection of subscriptions.v1: whose usage it is. An ICCID that was replaced keeps its line: records come late.';

create table balances (
    subscription_id text primary key,
    cycle integer not null default 0,
    replaced_cycle integer not null default 0,
    threshold_bytes bigint,
    used_bytes bigint not null default 0,
    overrun_bytes bigint not null default 0
) with (fillfactor = 50);

comment on table balances is
'One row per subscription: whoever changes its buckets holds this row''s lock.';

comment on column balances.cycle is 'The number of the latest top-up that was seen; it comes from TopUpApplied only.';

comment on column balances.replaced_cycle is 'The latest top-up that took the place of everything before it.';

comment on column balances.threshold_bytes is 'Null until a bucket is known: nothing is said of what was never measured.';

comment on column balances.overrun_bytes is 'Used while no bucket had anything left.';

create table buckets (
    subscription_id text not null,
    bucket_id text not null,
    cycle integer not null,
    stacking text check (stacking in ('extend', 'queue', 'replace')),
    priority integer not null,
    granted_bytes bigint not null check (granted_bytes > 0),
    initial_bytes bigint not null check (initial_bytes between 0 and granted_bytes),
    remaining_bytes bigint not null check (remaining_bytes between 0 and initial_bytes),
    initial_expires_at timestamptz not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    closed_at timestamptz,
    primary key (subscription_id, bucket_id)
) with (fillfactor = 70);

comment on table buckets is
'Data with an expiry. Written under the lock of its subscription''s balance, so no foreign key has to look for that again.';

comment on column buckets.stacking is 'How the top-up of the bucket''s cycle was stacked; null for data from before Recarga.';

comment on column buckets.priority is 'Lower is consumed first; within one priority, what expires first.';

comment on column buckets.closed_at is 'Nothing will be taken from it any more: empty and followed by another, replaced, or lapsed.';

create index buckets_open on buckets (subscription_id) where closed_at is null;

create table usage_records (
    source text not null,
    record_id text not null,
    iccid text not null,
    subscription_id text,
    session_id text,
    imei text,
    bytes_up bigint not null,
    bytes_down bigint not null,
    country text,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    refused_reason text,
    recorded_at timestamptz not null default now(),
    primary key (source, record_id)
);

comment on column usage_records.subscription_id is 'Null while nobody knows whose ICCID it is: the record is kept until somebody does.';

comment on column usage_records.refused_reason is 'Set where the record cannot be true: it is shown, and takes nothing from any bucket.';

create index usage_records_kept on usage_records (iccid) where subscription_id is null;

create index usage_records_by_subscription on usage_records (subscription_id, ended_at);

create table balance_reports (
    source text not null,
    report_id text not null,
    iccid text not null,
    remaining_bytes bigint not null,
    expires_at timestamptz,
    reported_at timestamptz not null,
    primary key (source, report_id)
);

comment on table balance_reports is 'What carriers said was left, to be compared with what was counted.';

create table triggers (
    subscription_id text not null,
    cycle integer not null,
    kind text not null,
    remaining_bytes bigint not null,
    occurred_at timestamptz not null,
    primary key (subscription_id, cycle, kind)
);

comment on table triggers is 'Each kind is said once per cycle; the next top-up begins a cycle and so arms them again.';

-- migrate:down
drop table triggers;

drop table balance_reports;

drop table usage_records;

drop table buckets;

drop table balances;

drop table iccids;
