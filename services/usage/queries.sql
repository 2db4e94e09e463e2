-- name: insert_usage_records
-- Recognises duplicates by (source, record_id) and finds whose usage each record is. Where the store of
-- records that nobody owns yet is full ($12 false), those are left out, so that a replay can still bring them.
with incoming as materialized (
    select r.*, i.subscription_id
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
        $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[])
        as r (source, record_id, iccid, session_id, imei, bytes_up, bytes_down, country, started_at, ended_at,
            refused_reason)
    left join iccids as i on i.iccid = r.iccid
), fresh as (
    insert into usage_records (source, record_id, iccid, subscription_id, session_id, imei, bytes_up, bytes_down,
        country, started_at, ended_at, refused_reason)
    select source, record_id, iccid, subscription_id, session_id, imei, bytes_up, bytes_down,
        country, started_at, ended_at, refused_reason
    from incoming
    where subscription_id is not null or $12::boolean
    order by source, record_id
    on conflict (source, record_id) do nothing
    returning source, record_id
)
select incoming.source, incoming.record_id, incoming.subscription_id, fresh.source is not null as is_fresh
from incoming
left join fresh on fresh.source = incoming.source and fresh.record_id = incoming.record_id

-- name: take_kept_records
-- Gives records their subscription, once it is known; several processes share the work.
with taken as materialized (
    select u.source, u.record_id, i.subscription_id
    from usage_records as u
    join iccids as i on i.iccid = u.iccid
    where u.subscription_id is null and u.iccid = any($1::text[])
    order by u.iccid, u.source, u.record_id
    limit $2
    for update of u skip locked
)
update usage_records as u
set subscription_id = taken.subscription_id
from taken
where u.source = taken.source and u.record_id = taken.record_id
returning u.subscription_id, u.bytes_up + u.bytes_down as bytes, u.started_at, u.refused_reason

-- name: kept_iccids_with_subscription
-- Finds records that were kept while their subscription was just being learnt by another transaction.
select distinct u.iccid
from usage_records as u
join iccids as i on i.iccid = u.iccid
where u.subscription_id is null
limit $1

-- name: count_kept_records
-- Bounds and shows what waits for its subscription.
select count(*) as kept from (select 1 from usage_records where subscription_id is null limit $1) as kept

-- name: insert_balance_reports
-- Keeps what carriers say is left; the same report again is nothing new.
insert into balance_reports (source, report_id, iccid, remaining_bytes, expires_at, reported_at)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
    as r (source, report_id, iccid, remaining_bytes, expires_at, reported_at)
order by r.source, r.report_id
on conflict (source, report_id) do nothing

-- name: insert_balances
-- Makes sure there is a row to lock.
insert into balances (subscription_id)
select id
from unnest($1::text[]) as id
order by id
on conflict (subscription_id) do nothing

-- name: lock_balances
-- The lock on everything of a subscription, taken in key order.
select subscription_id, cycle, replaced_cycle, threshold_bytes, used_bytes, overrun_bytes
from balances
where subscription_id = any($1::text[])
order by subscription_id
for update

-- name: read_buckets
-- What can still be consumed, and the named buckets even if closed: they tell a repeated top-up.
select subscription_id, bucket_id, cycle, stacking, priority, granted_bytes, initial_bytes, remaining_bytes,
    initial_expires_at, expires_at, created_at, closed_at
from buckets
where subscription_id = any($1::text[]) and closed_at is null
union all
select b.subscription_id, b.bucket_id, b.cycle, b.stacking, b.priority, b.granted_bytes, b.initial_bytes,
    b.remaining_bytes, b.initial_expires_at, b.expires_at, b.created_at, b.closed_at
from unnest($2::text[], $3::text[]) as named (subscription_id, bucket_id)
join buckets as b on b.subscription_id = named.subscription_id and b.bucket_id = named.bucket_id
where b.closed_at is not null
order by subscription_id, priority, expires_at, bucket_id

-- name: insert_buckets
-- Top-ups, and data from before Recarga.
insert into buckets (subscription_id, bucket_id, cycle, stacking, priority, granted_bytes, initial_bytes,
    remaining_bytes, initial_expires_at, expires_at, created_at, closed_at)
select *
from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::integer[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])

-- name: update_balances
-- Writes buckets and totals in one round trip.
with changed as (
    update buckets as b
    set remaining_bytes = c.remaining_bytes, expires_at = c.expires_at, closed_at = c.closed_at
    from unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
        as c (subscription_id, bucket_id, remaining_bytes, expires_at, closed_at)
    where b.subscription_id = c.subscription_id and b.bucket_id = c.bucket_id
)
update balances as b
set
    cycle = c.cycle, replaced_cycle = c.replaced_cycle, threshold_bytes = c.threshold_bytes,
    used_bytes = c.used_bytes, overrun_bytes = c.overrun_bytes
from unnest($6::text[], $7::integer[], $8::integer[], $9::bigint[], $10::bigint[], $11::bigint[])
    as c (subscription_id, cycle, replaced_cycle, threshold_bytes, used_bytes, overrun_bytes)
where b.subscription_id = c.subscription_id

-- name: insert_triggers
-- One of each kind per cycle: what comes back is what is new, and may be said.
insert into triggers (subscription_id, cycle, kind, remaining_bytes, occurred_at)
select t.subscription_id, t.cycle, t.kind, t.remaining_bytes, $5
from unnest($1::text[], $2::integer[], $3::text[], $4::bigint[])
    as t (subscription_id, cycle, kind, remaining_bytes)
order by t.subscription_id, t.cycle, t.kind
on conflict (subscription_id, cycle, kind) do nothing
returning subscription_id, kind

-- name: upsert_iccids
-- Whose usage it is. A message about the same owner changes nothing: every top-up brings one.
insert into iccids (iccid, subscription_id, changed_at)
select *
from unnest($1::text[], $2::text[], $3::timestamptz[]) as c (iccid, subscription_id, changed_at)
order by c.iccid
on conflict (iccid) do update
set subscription_id = excluded.subscription_id, changed_at = excluded.changed_at
where excluded.changed_at > iccids.changed_at and excluded.subscription_id <> iccids.subscription_id

-- name: balance
-- One subscription's totals, for its owner.
select cycle, threshold_bytes, used_bytes, overrun_bytes from balances where subscription_id = $1

-- name: open_buckets
-- What a subscription has, in the order of consumption.
select bucket_id, cycle, granted_bytes, remaining_bytes, expires_at, created_at
from buckets
where subscription_id = $1 and closed_at is null
order by priority, expires_at, bucket_id
limit $2

-- name: usage_records
-- A page of what was used, newest first.
select source, record_id, session_id, bytes_up, bytes_down, country, started_at, ended_at, refused_reason
from usage_records
where subscription_id = $1
    and ($2::timestamptz is null or (ended_at, source, record_id) < ($2, $3, $4))
order by ended_at desc, source desc, record_id desc
limit $5
