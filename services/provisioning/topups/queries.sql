-- name: insert_top_ups
-- Begins every renewal that has no row yet, with its first attempt already claimed where there is room for the call,
-- else in its carrier's queue ($17: the carriers that have one of their own).
-- The arrays come in key order: two batches that bring the same renewals wait for each other in one direction only.
with inserted as (
    insert into top_ups (
        renewal_id, subscription_id, state, attempt, version, ordinal, cancel_wanted, act_before,
        terms, granted, amount_minor, currency, reason, traceparent, iccid, carrier
    )
    select
        w.renewal_id,
        w.subscription_id,
        w.state,
        w.attempt,
        w.version,
        w.ordinal,
        w.cancel_wanted,
        w.act_before,
        w.terms,
        w.granted,
        w.amount_minor,
        w.currency,
        w.reason,
        w.traceparent,
        s.iccid,
        s.carrier
    from unnest(
        $1::uuid [], $2::text [], $3::text [], $4::integer [], $5::integer [], $6::integer [], $7::boolean [],
        $8::timestamptz [], $9::json [], $10::json [], $11::bigint [], $12::text [], $13::text [], $14::text []
    ) as w (
        renewal_id, subscription_id, state, attempt, version, ordinal, cancel_wanted, act_before,
        terms, granted, amount_minor, currency, reason, traceparent
    )
    left join subscriptions as s on w.subscription_id = s.subscription_id
    on conflict do nothing
    returning
        renewal_id, state, ordinal, iccid, carrier,
        case
            when state = 'pending' then terms ->> 'origin' = 'rule' or coalesce(terms ->> 'is_bulk' = 'true', false)
        end as waits_as_bulk
),

begun as (
    insert into top_up_attempts (
        renewal_id, operation, ordinal, status, claim, asked, send_before, first_sent_at, due_at, lane, is_bulk,
        queued_until
    )
    select
        renewal_id,
        'apply',
        ordinal,
        case state when 'sending' then 'sending' else 'waiting' end,
        case state when 'sending' then 1 else 0 end,
        case state when 'sending' then 1 else 0 end,
        case state when 'sending' then clock_timestamp() + make_interval(secs => $15) end,
        case state when 'sending' then clock_timestamp() end,
        case state
            when 'sending' then clock_timestamp() + make_interval(secs => $16) else now() + interval '10 minutes'
        end,
        case when waits_as_bulk is not null then case when carrier = any($17::text []) then carrier else '*' end end,
        waits_as_bulk,
        case when waits_as_bulk is not null then now() + interval '10 minutes' end
    from inserted
    where state in ('sending', 'pending') and iccid is not null
)

select
    renewal_id,
    iccid,
    carrier
from inserted;

-- name: lock_top_ups
-- Nothing read before this lock is folded. The subscription as it is now says where a new attempt would go.
select
    t.state,
    t.attempt,
    t.version,
    t.act_before,
    t.ordinal,
    t.same_ordinal,
    t.cancel_wanted,
    t.unsure,
    t.cancel_ordinal,
    t.reason,
    t.reached_provider,
    t.retry_after_seconds,
    t.provider_reference,
    t.applied_at,
    t.expires_at,
    t.cycle,
    t.renewal_id,
    t.subscription_id,
    t.terms,
    t.granted,
    t.amount_minor,
    t.currency,
    t.iccid,
    t.carrier,
    t.traceparent,
    s.iccid as present_iccid,
    s.carrier as present_carrier
from top_ups as t
left join subscriptions as s on t.subscription_id = s.subscription_id
where t.renewal_id = any($1::uuid [])
order by t.renewal_id
for update of t;

-- name: lock_attempts
-- The decision and the attempt that an outcome is about, before it is folded into both.
select
    t.state,
    t.attempt,
    t.version,
    t.act_before,
    t.ordinal,
    t.same_ordinal,
    t.cancel_wanted,
    t.unsure,
    t.cancel_ordinal,
    t.reason,
    t.reached_provider,
    t.retry_after_seconds,
    t.provider_reference,
    t.applied_at,
    t.expires_at,
    t.cycle,
    a.operation,
    a.ordinal as attempt_ordinal,
    a.status,
    a.claim,
    a.asked,
    a.first_sent_at,
    a.send_before,
    a.provider_reference as attempt_provider_reference,
    a.reason as attempt_reason,
    a.ended_at is not null as ended,
    t.renewal_id,
    clock_timestamp() as database_now
from unnest($1::uuid [], $2::text [], $3::integer []) as w (renewal_id, operation, ordinal)
inner join top_ups as t on w.renewal_id = t.renewal_id
inner join top_up_attempts as a
    on w.renewal_id = a.renewal_id and w.operation = a.operation and w.ordinal = a.ordinal
order by t.renewal_id
for update of t, a;

-- name: write_applied
-- The usual end, in a third of the columns: what was being sent is applied, and so is its attempt. Each subscription
-- comes once, in key order, so its lock is taken in that order, and the number it is given is the cycle.
with numbered as (
    update subscriptions as s
    set top_ups = s.top_ups + 1
    from unnest(
        $1::uuid [], $2::text [], $3::integer [], $4::integer [], $5::text [], $6::timestamptz [], $7::timestamptz []
    ) as d (renewal_id, subscription_id, version, ordinal, provider_reference, applied_at, expires_at)
    where s.subscription_id = d.subscription_id
    returning
        d.renewal_id, d.version, d.ordinal, d.provider_reference, d.applied_at, d.expires_at, s.top_ups as cycle
),

settled as (
    update top_up_attempts as a
    set
        status = 'applied',
        provider_reference = n.provider_reference,
        ended_at = clock_timestamp()
    from numbered as n
    where a.renewal_id = n.renewal_id and a.operation = 'apply' and a.ordinal = n.ordinal
)

update top_ups as t
set
    state = 'applied',
    version = n.version,
    reason = null,
    provider_reference = n.provider_reference,
    applied_at = n.applied_at,
    expires_at = n.expires_at,
    cycle = n.cycle
from numbered as n
where t.renewal_id = n.renewal_id
returning t.renewal_id, t.cycle;

-- name: write_decisions
-- Decisions, the attempts they settle, and the number of each applied top-up within its subscription, all at once.
-- A decision looks its subscription's number up in one value: how two lists are joined hangs on the planner's guess at
-- their lengths (10 in the generic plan), and a loop over both would grow with the square of a burst.
with decided as (
    select *
    from unnest(
        $1::uuid [], $2::text [], $3::text [], $4::integer [], $5::integer [], $6::timestamptz [], $7::integer [],
        $8::boolean [], $9::boolean [], $10::boolean [], $11::integer [], $12::text [], $13::boolean [],
        $14::integer [], $15::text [], $16::timestamptz [], $17::timestamptz [], $18::text [], $19::text [],
        $20::integer []
    ) as d (
        renewal_id, subscription_id, state, attempt, version, act_before, ordinal,
        same_ordinal, cancel_wanted, unsure, cancel_ordinal, reason, reached_provider,
        retry_after_seconds, provider_reference, applied_at, expires_at, iccid, carrier,
        place
    )
),

counted as (
    select
        subscription_id,
        count(*)::integer as applied
    from decided
    where place > 0
    group by subscription_id
),

locked as (
    select
        s.subscription_id,
        s.top_ups,
        c.applied
    from subscriptions as s
    inner join counted as c on s.subscription_id = c.subscription_id
    order by s.subscription_id
    for update of s
),

numbered as (
    update subscriptions as s
    set top_ups = l.top_ups + l.applied
    from locked as l
    where s.subscription_id = l.subscription_id
),

written as (
    update top_ups as t
    set
        state = d.state,
        attempt = d.attempt,
        version = d.version,
        act_before = d.act_before,
        ordinal = d.ordinal,
        same_ordinal = d.same_ordinal,
        cancel_wanted = d.cancel_wanted,
        unsure = d.unsure,
        cancel_ordinal = d.cancel_ordinal,
        reason = d.reason,
        reached_provider = d.reached_provider,
        retry_after_seconds = d.retry_after_seconds,
        provider_reference = d.provider_reference,
        applied_at = d.applied_at,
        expires_at = d.expires_at,
        iccid = coalesce(d.iccid, t.iccid),
        carrier = coalesce(d.carrier, t.carrier),
        cycle = case
            when d.place > 0
                then (
                    (select jsonb_object_agg(l.subscription_id, l.top_ups) from locked as l) ->> d.subscription_id
                )::integer + d.place
            else t.cycle
        end
    from decided as d
    where t.renewal_id = d.renewal_id
    returning t.renewal_id, t.cycle
),

settled as (
    update top_up_attempts as a
    set
        status = c.status,
        asked = coalesce(c.asked, a.asked),
        provider_reference = coalesce(c.provider_reference, a.provider_reference),
        reason = coalesce(c.reason, a.reason),
        due_at = case
            when c.lane is null then clock_timestamp() + make_interval(secs => c.wait_seconds)
            else now() + interval '10 minutes'
        end,
        queued_until = case when c.lane is not null then now() + interval '10 minutes' end,
        lane = c.lane,
        is_bulk = c.is_bulk,
        ended_at = case when c.ended then coalesce(a.ended_at, clock_timestamp()) end
    from unnest(
        $21::uuid [], $22::text [], $23::integer [], $24::text [], $25::integer [],
        $26::text [], $27::text [], $28::double precision [], $29::boolean [], $30::text [], $31::boolean []
    ) as c (
        renewal_id, operation, ordinal, status, asked,
        provider_reference, reason, wait_seconds, ended, lane, is_bulk
    )
    where
        a.renewal_id = c.renewal_id and a.operation = c.operation and a.ordinal = c.ordinal
        -- Without a count of its own it is ended along with its decision: one that ended by itself stays.
        and (c.asked is not null or a.ended_at is null)
)

select
    renewal_id,
    cycle
from written;

-- name: open_attempts
-- Further attempts, claimed where there is room. The same ordinal again keeps its key and its first instant.
insert into top_up_attempts as a (
    renewal_id, operation, ordinal, status, claim, asked, send_before, first_sent_at, due_at
)
select
    w.renewal_id,
    w.operation,
    w.ordinal,
    case when w.claimed then 'sending' else 'waiting' end,
    1,
    case when w.claimed then 1 else 0 end,
    case when w.claimed then clock_timestamp() + make_interval(secs => $5) end,
    case when w.claimed then clock_timestamp() end,
    case when w.claimed then clock_timestamp() + make_interval(secs => $6) else now() end
from unnest($1::uuid [], $2::text [], $3::integer [], $4::boolean [])
    as w (renewal_id, operation, ordinal, claimed)
on conflict (renewal_id, operation, ordinal) do update
    set
        status = excluded.status,
        claim = a.claim + 1,
        asked = excluded.asked,
        send_before = excluded.send_before,
        first_sent_at = coalesce(a.first_sent_at, excluded.first_sent_at),
        due_at = excluded.due_at,
        reason = null,
        ended_at = null
returning a.renewal_id, a.operation, a.ordinal, a.claim;

-- name: pick_due_attempts
-- What nobody holds a lease on: to be asked about again, left behind by a dead process, or too long in a queue.
select
    a.renewal_id,
    a.operation,
    a.ordinal
from top_up_attempts as a
inner join top_ups as t on a.renewal_id = t.renewal_id
where a.ended_at is null and a.due_at <= now()
order by a.due_at
limit $1
for update of a, t skip locked;

-- name: pick_queued_attempts
-- Of each carrier's queue those that have waited longest, so many as it takes. Whoever moves due_at takes a row out of it.
select
    p.renewal_id,
    p.operation,
    p.ordinal,
    w.lane
from unnest($1::text [], $2::integer []) as w (lane, number)
cross join lateral (
    select
        a.renewal_id,
        a.operation,
        a.ordinal
    from top_up_attempts as a
    inner join top_ups as t on a.renewal_id = t.renewal_id
    where a.lane = w.lane and a.is_bulk = $3 and a.queued_until = a.due_at and a.ended_at is null
    order by a.due_at
    limit w.number
    for update of a, t skip locked
) as p;

-- name: count_queued_attempts
-- How many wait for each carrier, for those who watch.
select
    lane,
    count(*)
from top_up_attempts
where queued_until = due_at and ended_at is null
group by lane;

-- name: read_picked_attempts
-- Picked attempts, locked already, with what they are about: what the carrier is asked next follows from it.
select
    t.state,
    t.attempt,
    t.version,
    t.act_before,
    t.ordinal,
    t.same_ordinal,
    t.cancel_wanted,
    t.unsure,
    t.cancel_ordinal,
    t.reason,
    t.reached_provider,
    t.retry_after_seconds,
    t.provider_reference,
    t.applied_at,
    t.expires_at,
    t.cycle,
    a.operation,
    a.ordinal as attempt_ordinal,
    a.status,
    a.claim,
    a.asked,
    a.first_sent_at,
    a.send_before,
    a.provider_reference as attempt_provider_reference,
    a.reason as attempt_reason,
    a.ended_at is not null as ended,
    t.renewal_id,
    t.subscription_id,
    t.terms,
    t.granted,
    t.amount_minor,
    t.currency,
    t.iccid,
    t.carrier,
    t.traceparent,
    clock_timestamp() as database_now
from unnest($1::uuid [], $2::text [], $3::integer []) as w (renewal_id, operation, ordinal)
inner join top_ups as t on w.renewal_id = t.renewal_id
inner join top_up_attempts as a
    on w.renewal_id = a.renewal_id and w.operation = a.operation and w.ordinal = a.ordinal;

-- name: take_attempts
-- The lease, and the instant before which an effectful request must be written; both before any call.
with taken as (
    select *
    from unnest($1::uuid [], $2::text [], $3::integer [], $4::boolean []) as w (
        renewal_id, operation, ordinal, effectful
    )
),

begun as (
    update top_ups as t
    set state = 'sending'
    from taken as w
    where t.renewal_id = w.renewal_id and w.operation = 'apply' and t.state = 'pending'
)

update top_up_attempts as a
set
    status = case a.status when 'waiting' then 'sending' else a.status end,
    claim = a.claim + 1,
    asked = a.asked + 1,
    send_before
    = case when w.effectful then clock_timestamp() + make_interval(secs => $5) else a.send_before end,
    first_sent_at = coalesce(a.first_sent_at, clock_timestamp()),
    due_at = clock_timestamp() + make_interval(secs => $6)
from taken as w
where a.renewal_id = w.renewal_id and a.operation = w.operation and a.ordinal = w.ordinal;
