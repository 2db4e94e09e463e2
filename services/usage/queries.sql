-- name: read_carriers
-- How each carrier's subscriptions are counted: a handful of rows.
select carrier, counting, overrun, threshold_percent, threshold_bytes, predicted_seconds, expiring_seconds,
    tolerance_bytes
from carriers

-- name: lock_balances_by_iccid
-- The lock on everything of whoever uses these eSIMs now, taken in key order. Every record begins here, on pages that
-- are cold: one index and one row.
select iccid, subscription_id, carrier, bound_imei, bound_at, foreign_imei, cycle, cycle_began_at, replaced_cycle,
    granted_bytes, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
    next_due_at, reported_at, open_buckets, rule_wants, ctid
from balances
where iccid = any($1::text[])
order by subscription_id
for update

-- name: lock_balances_by_former_iccid
-- The same for an eSIM that was replaced: whose usage it still is, where anybody's. Row by row, whatever the
-- planner believes of tables that grew since: it runs once per batch, on keys that are there.
with owner as materialized (
    select iccids.iccid, iccids.subscription_id
    from unnest($1::text[]) as wanted (iccid)
    cross join lateral (
        select i.iccid, i.subscription_id from iccids as i where i.iccid = wanted.iccid limit 1
    ) as iccids
    order by iccids.subscription_id
)
select owner.iccid, b.*
from owner
cross join lateral (
    select subscription_id, carrier, bound_imei, bound_at, foreign_imei, cycle, cycle_began_at, replaced_cycle,
        granted_bytes, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
        next_due_at, reported_at, open_buckets, rule_wants, ctid
    from balances
    where balances.subscription_id = owner.subscription_id
    limit 1
    for update
) as b

-- name: lock_balances
-- The same by subscription.
select subscription_id, carrier, bound_imei, bound_at, foreign_imei, cycle, cycle_began_at, replaced_cycle,
    granted_bytes, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
    next_due_at, reported_at, open_buckets, rule_wants, ctid
from balances
where subscription_id = any($1::text[])
order by subscription_id
for update

-- name: lock_due_balances
-- Those where something lapses, or is about to; several processes share the work.
select subscription_id, carrier, bound_imei, bound_at, foreign_imei, cycle, cycle_began_at, replaced_cycle,
    granted_bytes, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
    next_due_at, reported_at, open_buckets, rule_wants, ctid
from balances
where next_due_at <= $1
order by next_due_at
limit $2
for update skip locked

-- name: find_usage_records
-- Which of these records came before, and with what contents. Row by row in the partition of the day.
select found.*
from unnest($1::text[], $2::text[], $3::date[]) as wanted (source, record_id, ended_on)
cross join lateral (
    select u.source, u.record_id, u.ended_on, u.iccid, u.bytes_up, u.bytes_down, u.started_at, u.ended_at,
        u.session_id, u.imei, u.country
    from usage_records as u
    where u.source = wanted.source and u.record_id = wanted.record_id and u.ended_on = wanted.ended_on
    limit 1
) as found

-- name: quarantine_records
-- What takes nothing, for a person to see; the same again is nothing new.
insert into quarantined_records (source, record_id, ended_on, reason, iccid, record)
select *
from unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::json[])
    as r (source, record_id, ended_on, reason, iccid, record)
on conflict do nothing

-- name: lock_kept_records
-- Records whose subscription is known by now; several processes share the work.
select u.source, u.record_id, u.ended_on, u.imei, u.bytes_up + u.bytes_down as size, u.started_at, u.ended_at,
    i.subscription_id
from usage_records as u
join iccids as i on i.iccid = u.iccid
where u.subscription_id is null and u.iccid = any($1::text[])
order by i.subscription_id, u.ended_at, u.source, u.record_id
limit $2
for update of u skip locked

-- name: take_kept_records
-- Gives kept records their subscription, and notes what they took.
update usage_records as u
set subscription_id = t.subscription_id, allocation = t.allocation, overrun_bytes = coalesce(t.overrun_bytes, 0)
from unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::text[], $6::bigint[])
    as t (source, record_id, ended_on, subscription_id, allocation, overrun_bytes)
where u.source = t.source and u.record_id = t.record_id and u.ended_on = t.ended_on

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

-- name: project_subscriptions
-- Whose data it is, and which device is bound. A message about the same changes nothing. A foreign device is forgotten
-- where another one is bound, and where the subscription matches ($7): another was bound and the first one again, of
-- which only the last is heard. Where provisioning had not heard of the device yet, its next record tells it again.
insert into balances as b (subscription_id, subscription_version, carrier, bound_imei, bound_at, iccid)
select *
from unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
    as c (subscription_id, subscription_version, carrier, bound_imei, bound_at, iccid)
order by c.subscription_id
on conflict (subscription_id) do update
set
    subscription_version = excluded.subscription_version,
    carrier = excluded.carrier,
    bound_imei = excluded.bound_imei,
    bound_at = case
        when excluded.bound_imei is distinct from b.bound_imei then excluded.bound_at else b.bound_at
    end,
    foreign_imei = case
        when excluded.bound_imei is not distinct from b.bound_imei and b.subscription_id <> all($7::text[])
        then b.foreign_imei
    end,
    iccid = coalesce(excluded.iccid, b.iccid)
where excluded.subscription_version > b.subscription_version
    and (
        excluded.carrier is distinct from b.carrier
        or excluded.bound_imei is distinct from b.bound_imei
        or coalesce(excluded.iccid, b.iccid) is distinct from b.iccid
        or (b.foreign_imei is not null and b.subscription_id = any($7::text[]))
    )

-- name: update_wants
-- When a rule wants to hear that data runs out, and what of it was said; a rule that changed since is not undone.
update balances as b
set
    rule_version = c.rule_version, rule_wants = c.rule_wants, said = c.said, next_due_at = c.next_due_at
from unnest($1::text[], $2::integer[], $3::text[], $4::smallint[], $5::timestamptz[])
    as c (subscription_id, rule_version, rule_wants, said, next_due_at)
where b.subscription_id = c.subscription_id

-- name: read_rule_versions
-- Which version of its rule each balance goes by.
select subscription_id, rule_version
from balances
where subscription_id = any($1::text[]) and rule_version is not null

-- name: find_buckets
-- Which of these buckets are there already, as they were granted: a repeated top-up is told by it.
select b.subscription_id, b.bucket_id, b.cycle, b.stacking, b.granted_bytes, b.initial_bytes, b.initial_expires_at,
    b.created_at
from unnest($1::text[], $2::text[]) as named (subscription_id, bucket_id)
cross join lateral (
    select * from buckets as u
    where u.subscription_id = named.subscription_id and u.bucket_id = named.bucket_id
    limit 1
) as b

-- name: insert_buckets
-- Top-ups, and data from before Recarga.
insert into buckets (subscription_id, bucket_id, cycle, stacking, granted_bytes, initial_bytes, initial_expires_at,
    created_at)
select *
from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[],
    $8::timestamptz[])

-- name: insert_bucket_events
-- What befell buckets besides usage.
insert into bucket_events (subscription_id, bucket_id, kind, size_bytes, expires_at, at)
select e.subscription_id, e.bucket_id, e.kind, e.size_bytes, e.expires_at, $6::timestamptz
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
    with ordinality as e (subscription_id, bucket_id, kind, size_bytes, expires_at, place)
order by e.place

-- name: update_counts
-- Writes what usage changes: one row per subscription, within its page. By place instead of by key: the row is locked.
update balances as b
set
    used_bytes = c.used_bytes, overrun_bytes = c.overrun_bytes, owed_bytes = coalesce(c.owed_bytes, 0),
    burn_window = c.burn_window, burn_bytes = c.burn_bytes, burn_before_bytes = c.burn_before_bytes,
    said = c.said, foreign_imei = c.foreign_imei, open_buckets = c.open_buckets
from unnest($1::tid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[], $7::bigint[],
    $8::smallint[], $9::text[], $10::json[])
    as c (place, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
        foreign_imei, open_buckets)
where b.ctid = c.place

-- name: update_cycles
-- Writes what top-ups, lapses and carriers' reports change.
update balances as b
set
    cycle = c.cycle, cycle_began_at = c.cycle_began_at, replaced_cycle = c.replaced_cycle,
    granted_bytes = c.granted_bytes, owed_bytes = c.owed_bytes, said = c.said, next_due_at = c.next_due_at,
    reported_at = c.reported_at, open_buckets = c.open_buckets, burn_window = c.burn_window,
    burn_bytes = c.burn_bytes, burn_before_bytes = c.burn_before_bytes
from unnest($1::text[], $2::integer[], $3::timestamptz[], $4::integer[], $5::bigint[], $6::bigint[], $7::smallint[],
    $8::timestamptz[], $9::timestamptz[], $10::json[], $11::integer[], $12::bigint[], $13::bigint[])
    as c (subscription_id, cycle, cycle_began_at, replaced_cycle, granted_bytes, owed_bytes, said, next_due_at,
        reported_at, open_buckets, burn_window, burn_bytes, burn_before_bytes)
where b.subscription_id = c.subscription_id

-- name: insert_triggers
-- What was said of a cycle; its bit in the balance says that it was.
insert into triggers (subscription_id, cycle, kind, remaining_bytes, occurred_at)
select t.subscription_id, t.cycle, t.kind, t.remaining_bytes, $5
from unnest($1::text[], $2::integer[], $3::text[], $4::bigint[])
    as t (subscription_id, cycle, kind, remaining_bytes)
on conflict (subscription_id, cycle, kind) do nothing

-- name: upsert_iccids
-- Whose usage it is, and for which ICCIDs that is news. A message about the same owner changes nothing.
insert into iccids (iccid, subscription_id, changed_at)
select *
from unnest($1::text[], $2::text[], $3::timestamptz[]) as c (iccid, subscription_id, changed_at)
order by c.iccid
on conflict (iccid) do update
set subscription_id = excluded.subscription_id, changed_at = excluded.changed_at
where excluded.changed_at > iccids.changed_at and excluded.subscription_id <> iccids.subscription_id
returning iccid, subscription_id

-- name: take_iccids_away
-- From whoever had these before: an ICCID in a balance is always one that `iccids` says is its own.
update balances set iccid = null where iccid = any($1::text[])

-- name: balance
-- One subscription's balance, for its owner.
select subscription_id, carrier, bound_imei, bound_at, foreign_imei, cycle, cycle_began_at, replaced_cycle,
    granted_bytes, used_bytes, overrun_bytes, owed_bytes, burn_window, burn_bytes, burn_before_bytes, said,
    next_due_at, reported_at, open_buckets, rule_wants, ctid
from balances
where subscription_id = $1

-- name: usage_records
-- A page of what was used, newest first.
select source, record_id, session_id, imei, bytes_up, bytes_down, country, started_at, ended_at, allocation,
    overrun_bytes
from usage_records
where subscription_id = $1
    and ($2::timestamptz is null or (ended_at, source, record_id) < ($2, $3, $4))
order by ended_at desc, source desc, record_id desc
limit $5

-- name: quarantined_records
-- A page of what was set aside, newest first.
select source, record_id, reason, record, quarantined_at
from quarantined_records
where ($1::text is null or reason = $1)
    and ($2::timestamptz is null or (quarantined_at, source, record_id) < ($2, $3, $4))
order by quarantined_at desc, source desc, record_id desc
limit $5

-- name: lock_days
-- One process at a time makes and drops partitions.
select pg_advisory_xact_lock(hashtext('usage_records'))

-- name: partition_days
-- The days for which there is a partition.
select c.relname
from pg_inherits as i
join pg_class as c on c.oid = i.inhrelid
where i.inhparent = 'usage_records'::regclass

-- name: forget_quarantined
-- Set aside long ago: nobody looked.
delete from quarantined_records where ctid = any(array(
    select ctid from quarantined_records where quarantined_at < $1 limit $2
))

-- name: forget_reports
-- Compared long ago, or of nobody: what came of them is in drifts and bucket_events.
delete from balance_reports where ctid = any(array(
    select ctid from balance_reports where reported_at < $1 limit $2
))
