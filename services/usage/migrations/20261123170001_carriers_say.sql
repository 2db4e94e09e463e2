-- migrate:up

-- What carriers say is left is compared with what we say, and theirs wins. Compatible with the version before.
-- squawk-ignore-file

alter table carriers
add column tolerance_bytes bigint not null default 0,
add column poll_seconds integer,
add column polled_from text;

comment on column carriers.tolerance_bytes is
'Where we count records: a difference of so much is only measured.';
comment on column carriers.poll_seconds is
'Where the carrier counts and is asked: how often, for each subscription. Null: it reports by itself.';
comment on column carriers.polled_from is
'While its subscriptions are being taken into polls: the last ICCID that was looked at. Null: all were.';

create table carrier_versions (
    carrier text not null,
    version integer not null,
    settings json not null,
    set_by text not null,
    set_at timestamptz not null,
    primary key (carrier, version)
);

comment on table carrier_versions is 'What a carrier''s settings were, and who set them: never changed, never deleted.';

create table drifts (
    subscription_id text primary key,
    source text not null,
    reported_at timestamptz not null,
    theirs_bytes bigint not null,
    ours_bytes bigint not null,
    drift_bytes bigint not null,
    corrected_bytes bigint not null,
    unplaced_bytes bigint not null,
    compared_at timestamptz not null
) with (fillfactor = 70);

comment on table drifts is
'The newest report of each subscription that was compared. A report that is not newer is not looked at.';
comment on column drifts.drift_bytes is 'Theirs less ours, by the records that we had seen.';
comment on column drifts.corrected_bytes is 'What the buckets were changed by.';
comment on column drifts.unplaced_bytes is
'What no bucket could take: above 0, more than was ever granted; below 0, more than was left.';

create table polls (
    subscription_id text primary key,
    carrier text not null,
    iccid text not null,
    iccid_changed_at timestamptz not null,
    due_at timestamptz not null default now()
) with (fillfactor = 70);

comment on table polls is
'Whose balance is asked for, of carriers with poll_seconds. Who asks moves due_at by the lease, the answer by poll_seconds.';

create index polls_due on polls (carrier, due_at);

create table call_permits (
    gateway text primary key,
    taken_until timestamptz not null
) with (fillfactor = 50);

comment on table call_permits is
'Until when the instants of a carrier with a rate limit are given away to processes, each once (shared/calls).';

create index balance_reports_by_time on balance_reports (reported_at);

-- Until now a record did not keep what it took: what buckets lost before is one event each.
insert into bucket_events (subscription_id, bucket_id, kind, size_bytes, expires_at, at)
select o.subscription_id, o.bucket_id, 'counted_before', o.remaining_bytes - o.explained_bytes, o.expires_at, now()
from (
    select
        b.subscription_id,
        open.bucket ->> 0 as bucket_id,
        (open.bucket ->> 4)::bigint as remaining_bytes,
        to_timestamp((open.bucket ->> 5)::numeric / 1000000) as expires_at,
        coalesce((
            select sum(e.size_bytes)
            from bucket_events as e
            where e.subscription_id = b.subscription_id and e.bucket_id = open.bucket ->> 0
        ), 0)::bigint - coalesce((
            select sum(split_part(part.part, '=', 2)::bigint)
            from usage_records as u
            cross join lateral string_to_table(u.allocation, ' ') as part (part)
            where u.subscription_id = b.subscription_id
                and u.allocation <> '' and split_part(part.part, '=', 1) = open.bucket ->> 0
        ), 0)::bigint as explained_bytes
    from balances as b
    cross join lateral json_array_elements(b.open_buckets) as open (bucket)
) as o
where o.remaining_bytes <> o.explained_bytes;

-- migrate:down
drop index balance_reports_by_time;
drop table call_permits;
drop table polls;
drop table drifts;
drop table carrier_versions;
delete from bucket_events where kind = 'counted_before';
alter table carriers drop column polled_from, drop column poll_seconds, drop column tolerance_bytes;
