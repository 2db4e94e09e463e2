-- name: list_stops
-- Where automatic charges are stopped now: the widest first, of single subscriptions not all.
select
    scope,
    kind,
    name,
    stopped_by,
    stopped_at,
    why
from charge_stops
order by scope
limit 1000;

-- name: list_stops_of
-- What can stop one subscription's charges.
select
    scope,
    kind,
    name,
    stopped_by,
    stopped_at,
    why
from charge_stops
where kind <> 'subscription' or name = $1
order by scope;

-- name: insert_stop
-- Whoever looks after its commit admits nothing of what a rule asks for there. Stopping twice is stopping once.
insert into charge_stops (scope, kind, name, stopped_by, stopped_at, why)
values ($1, $2, $3, $4, $5, $6)
on conflict (scope) do nothing;

-- name: wait_for_admissions
-- Returns when every batch that may have looked before a stop was committed has ended: from then on nothing begins there.
-- The lock is gone with the statement; what waits behind it meanwhile reads the stop.
select pg_advisory_xact_lock(hashtextextended(current_schema() || '.charge_stops', 0));

-- name: delete_stop
-- From its commit on rules are listened to again.
delete from charge_stops
where scope = $1
returning scope;

-- name: know_brand
-- Whether any subscription has this brand: a stop of a brand that is none would stop nothing.
select exists(select 1 from subscriptions where brand = $1);

-- name: know_carrier
-- The same for a carrier.
select exists(select 1 from subscriptions where carrier = $1);

-- name: know_subscription
-- The same for one subscription.
select exists(select 1 from subscriptions where subscription_id = $1);

-- name: list_brands
-- Brands to choose from, among the first subscriptions: enough for whoever has mistyped one.
select distinct brand
from (select brand from subscriptions limit 10000) as some_subscriptions
order by brand
limit 20;

-- name: list_carriers
-- The same for carriers.
select distinct carrier
from (select carrier from subscriptions limit 10000) as some_subscriptions
order by carrier
limit 20;

-- name: take_resumed_triggers
-- What a stop kept that is over. The few stops that keep anything are walked through the index, one by one.
with recursive held as (
    (select held_by from kept_triggers where held_by is not null order by held_by limit 1)
    union all
    select (
        select next_one.held_by from kept_triggers as next_one
        where next_one.held_by > held.held_by
        order by next_one.held_by
        limit 1
    )
    from held
    where held.held_by is not null
), resumed as (
    select kept.subscription_id
    from kept_triggers as kept
    where
        kept.held_by in (
            select held.held_by from held
            where
                held.held_by not in ('time', 'pause')
                and not exists (select 1 from charge_stops where scope = held.held_by)
        )
    limit $1
    for update skip locked
)

delete from kept_triggers as k
using resumed
where k.subscription_id = resumed.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: take_freed_triggers
-- What was kept for a slot that is free: it freed in the moment in which the trigger was kept.
with freed as (
    select kept.subscription_id
    from kept_triggers as kept
    where
        kept.held_by is null
        and kept.kept_at < $1
        and not exists (
            select 1 from renewals as r
            where r.subscription_id = kept.subscription_id and r.closed_at is null
        )
    limit $2
    for update skip locked
)

delete from kept_triggers as k
using freed
where k.subscription_id = freed.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: count_stops
-- For the gauge, by kind.
select
    kind,
    count(*) as stops
from charge_stops
group by kind;

-- name: count_kept
-- For the gauge, by what keeps them: `slot`, `time`, `payer`, `pause`, or a stop; counts at most 100,000.
select
    case
        when held_by is null then 'slot'
        when held_by = 'time' and not_before is null then 'payer'
        when held_by in ('time', 'pause') then held_by
        else 'stop'
    end as kept_by,
    count(*) as triggers
from (select held_by, not_before from kept_triggers limit 100000) as kept
group by 1;

-- name: read_kept
-- The trigger that is kept for a subscription, and since when.
select
    kind,
    cycle,
    held_by,
    not_before,
    kept_at
from kept_triggers
where subscription_id = $1;

-- name: read_refusals
-- Why requests and triggers of a subscription did not become renewals, the newest first.
select
    caller,
    request_id,
    reason,
    detail,
    refused_at
from refusals
where subscription_id = $1
order by refused_at desc
limit $2;

-- name: read_subscription
-- What admission was told of a subscription that the switch can concern.
select
    brand,
    carrier,
    status
from subscriptions
where subscription_id = $1;
