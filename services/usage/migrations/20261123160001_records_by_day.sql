-- migrate:up

-- Usage rewrites one row per subscription: what is left of its open buckets moves into its balance, and the records
-- into a partition per day. Processes of the version before find their columns gone and stop counting until they are
-- replaced; their records wait in Kafka (docs/adr/0012).
-- squawk-ignore-file

-- What was refused is no usage record any more.
create table quarantined_records (
    source text not null,
    record_id text not null,
    ended_on date not null,
    reason text not null,
    iccid text not null,
    record json not null,
    quarantined_at timestamptz not null default now(),
    primary key (source, record_id, ended_on, reason)
);

comment on table quarantined_records is
'Records that cannot be true, are too old to be told from a repeat, or repeat another one with other contents: they take nothing, a person may look.';

create index quarantined_records_by_time on quarantined_records (quarantined_at, source, record_id);

insert into quarantined_records (source, record_id, ended_on, reason, iccid, record, quarantined_at)
select
    source, record_id, (ended_at at time zone 'UTC')::date, refused_reason, iccid,
    json_build_object(
        'source', source, 'record_id', record_id, 'iccid', iccid, 'session_id', session_id, 'imei', imei,
        'bytes_up', bytes_up, 'bytes_down', bytes_down, 'country', country, 'started_at', started_at,
        'ended_at', ended_at
    ),
    recorded_at
from usage_records
where refused_reason is not null;

alter table usage_records rename to usage_records_before;
alter table usage_records_before rename constraint usage_records_pkey to usage_records_before_pkey;
alter index usage_records_kept rename to usage_records_before_kept;
alter index usage_records_by_subscription rename to usage_records_before_by_subscription;

create table usage_records (
    source text not null,
    record_id text not null,
    ended_on date not null,
    iccid text not null,
    subscription_id text,
    session_id text,
    imei text,
    bytes_up bigint not null,
    bytes_down bigint not null,
    country text,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    allocation text,
    overrun_bytes bigint not null default 0,
    recorded_at timestamptz not null default now(),
    primary key (source, record_id, ended_on)
) partition by range (ended_on);

comment on table usage_records is
'One partition per day on which a record ended (UTC), made and dropped by the service: repeats are recognised as long as their day is there.';
comment on column usage_records.subscription_id is
'Null while nobody knows whose ICCID it is: the record is kept until somebody does.';
comment on column usage_records.allocation is
'Which buckets its bytes were taken from: bucket=bytes, several with a blank between. Null where the carrier itself counts.';
comment on column usage_records.overrun_bytes is 'The rest: no bucket had anything left.';

create index usage_records_kept on usage_records (iccid) where subscription_id is null;
create index usage_records_by_subscription on usage_records (subscription_id, ended_at);

do $$
declare
    day date;
begin
    for day in
        select distinct (ended_at at time zone 'UTC')::date
        from usage_records_before
        where refused_reason is null
    loop
        execute format(
            'create table %I partition of usage_records for values from (%L) to (%L)',
            'usage_records_' || to_char(day, 'YYYY_MM_DD'), day, day + 1
        );
    end loop;
end
$$;

insert into usage_records (
    source, record_id, ended_on, iccid, subscription_id, session_id, imei, bytes_up, bytes_down, country, started_at,
    ended_at, recorded_at
)
select
    source, record_id, (ended_at at time zone 'UTC')::date, iccid, subscription_id, session_id, imei, bytes_up,
    bytes_down, country, started_at, ended_at, recorded_at
from usage_records_before
where refused_reason is null;

drop table usage_records_before;

create table bucket_events (
    event_no bigint generated always as identity primary key,
    subscription_id text not null,
    bucket_id text not null,
    kind text not null,
    size_bytes bigint not null,
    expires_at timestamptz not null,
    at timestamptz not null
);

comment on table bucket_events is
'What befell buckets besides usage. With what each record took, it explains every byte.';

create index bucket_events_by_subscription on bucket_events (subscription_id, event_no);

insert into bucket_events (subscription_id, bucket_id, kind, size_bytes, expires_at, at)
select subscription_id, bucket_id, 'granted', initial_bytes, initial_expires_at, created_at
from buckets
order by created_at;

insert into bucket_events (subscription_id, bucket_id, kind, size_bytes, expires_at, at)
select
    subscription_id, bucket_id, case when remaining_bytes = 0 then 'emptied' else 'replaced' end, -remaining_bytes,
    expires_at, closed_at
from buckets
where closed_at is not null
order by closed_at;

alter table balances
add column carrier text,
add column bound_imei text,
add column bound_at timestamptz,
add column foreign_imei text,
add column subscription_version integer not null default 0,
add column cycle_began_at timestamptz,
add column granted_bytes bigint not null default 0,
add column owed_bytes bigint not null default 0,
add column burn_window integer not null default 0,
add column burn_bytes bigint not null default 0,
add column burn_before_bytes bigint not null default 0,
add column said smallint not null default 0,
add column next_due_at timestamptz,
add column reported_at timestamptz,
add column open_buckets json not null default '[]',
drop column threshold_bytes;

comment on column balances.granted_bytes is
'What the current cycle granted; 0 until a bucket is known: nothing is said of what was never measured.';
comment on column balances.owed_bytes is 'The part of the overrun that the next bucket will pay.';
comment on column balances.burn_window is 'The latest window of use, counted since 1970 (services/usage/domain/burn.py).';
comment on column balances.said is 'The kinds of trigger that were said in this cycle, a bit each.';
comment on column balances.next_due_at is
'When to look again although nobody uses anything. Only top-ups and the clock move it, so that counting stays within the page.';
comment on column balances.reported_at is 'The latest report of its carrier that was taken over.';
comment on column balances.open_buckets is
'What is left, in the order of consumption: [bucket_id, cycle, stacking, priority, remaining_bytes, expires_at in microseconds since 1970].';

update balances as b
set
    open_buckets = o.buckets,
    granted_bytes = o.granted_bytes,
    cycle_began_at = o.created_at,
    next_due_at = o.expires_at
from (
    select
        u.subscription_id,
        json_agg(
            json_build_array(
                u.bucket_id, u.cycle, u.stacking, u.priority, u.remaining_bytes,
                (extract(epoch from u.expires_at) * 1000000)::bigint
            )
            order by u.priority, u.expires_at, u.bucket_id
        ) filter (where u.closed_at is null) as buckets,
        coalesce(sum(u.granted_bytes) filter (where u.cycle = w.cycle), 0) as granted_bytes,
        min(u.created_at) filter (where u.cycle = w.cycle) as created_at,
        min(u.expires_at) filter (where u.closed_at is null) as expires_at
    from buckets as u
    inner join balances as w on u.subscription_id = w.subscription_id
    group by u.subscription_id
) as o
where b.subscription_id = o.subscription_id and o.buckets is not null;

update balances as b
set said = t.said
from (
    select t.subscription_id, t.cycle,
        bit_or(case t.kind when 'threshold_reached' then 1 when 'exhausted' then 2 else 0 end)::smallint as said
    from triggers as t
    group by t.subscription_id, t.cycle
) as t
where b.subscription_id = t.subscription_id and b.cycle = t.cycle;

create index balances_due on balances (next_due_at) where next_due_at is not null;

drop index buckets_open;
alter table buckets drop column remaining_bytes, drop column expires_at, drop column priority, drop column closed_at;

comment on table buckets is
'Every bucket there ever was, as it was granted: its name tells a repeated top-up. What is left of it lies in the balance.';

create table carriers (
    carrier text primary key,
    counting text not null check (counting in ('records', 'snapshots', 'notifications')),
    overrun text not null check (overrun in ('written_off', 'next_bucket')),
    threshold_percent integer,
    threshold_bytes bigint,
    predicted_seconds integer,
    expiring_seconds integer,
    version integer not null default 1,
    set_by text not null,
    set_at timestamptz not null
);

comment on table carriers is
'Who counts, by carrier, and when it is said that data runs out. What is not here goes by the service''s settings.';

-- migrate:down
-- What was counted since cannot be told in the tables before: restore a backup instead.
