-- name: keep_waiting
-- A request that waits, or one that has ended: the first that waits for a subscription has its place.
insert into waiting_requests (
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, act_before, traceparent, is_told, gives_way, asked_at,
    deadline_at, state, ended_at, reason, detail
)
select *
from unnest(
    $1::uuid [], $2::text [], $3::text [], $4::text [], $5::bytea [], $6::text [], $7::bigint [], $8::text [],
    $9::text [], $10::text [], $11::text [], $12::int [], $13::timestamptz [], $14::text [], $15::bool [],
    $16::uuid [], $17::timestamptz [], $18::timestamptz [], $19::text [], $20::timestamptz [], $21::text [],
    $22::text []
)
on conflict do nothing
returning renewal_id;

-- name: take_kept_and_waiting
-- Slots have become free: what was kept for them, and who waits for them, leave both tables in one trip.
with kept as (
    delete from kept_triggers
    where subscription_id = any($1::text [])
    returning *
), waiting as (
    delete from waiting_requests
    where subscription_id = any($1::text []) and ended_at is null
    returning *
)

select
    kept.subscription_id as kept_for, kept.cycle, kept.kind, kept.traceparent, kept.held_by, kept.dunning_try,
    kept.not_before, kept.announced, kept.remaining_bytes, kept.granted_bytes, kept.cycle_began_at,
    kept.occurred_at, kept.ends_at, kept.offering_id, kept.declined, kept.asked, kept.offended_imei,
    kept.lapsed_bytes,
    waiting.renewal_id, waiting.subscription_id, waiting.caller, waiting.request_id, waiting.request_hash,
    waiting.offering_id as wanted_offering_id, waiting.max_amount_minor, waiting.currency,
    waiting.payment_method_ids, waiting.payer_id, waiting.owner_id, waiting.cycle as asked_in_cycle,
    waiting.act_before, waiting.traceparent as asked_in, waiting.is_told, waiting.gives_way, waiting.asked_at,
    waiting.deadline_at
from kept
full join waiting on kept.subscription_id = waiting.subscription_id;

-- name: take_overdue
-- Who has waited too long, or whose slot was freed by a process that knows nothing of waiting.
with overdue as (
    select w.renewal_id
    from waiting_requests as w
    where
        w.ended_at is null
        and (
            w.deadline_at <= $1
            or (
                w.asked_at < $2
                and not exists (
                    select 1 from renewals as r
                    where r.subscription_id = w.subscription_id and r.closed_at is null
                )
            )
        )
    order by w.deadline_at
    limit $3
    for update skip locked
)

delete from waiting_requests as w
using overdue
where w.renewal_id = overdue.renewal_id
returning
    w.renewal_id, w.subscription_id, w.caller, w.request_id, w.request_hash, w.offering_id, w.max_amount_minor,
    w.currency, w.payment_method_ids, w.payer_id, w.owner_id, w.cycle, w.act_before, w.traceparent, w.is_told,
    w.gives_way, w.asked_at, w.deadline_at, w.state, w.ended_at, w.reason, w.detail;

-- name: read_waiting
-- One request that waits or has waited, for whoever asks over HTTP.
select
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, act_before, traceparent, is_told, gives_way, asked_at,
    deadline_at, state, ended_at, reason, detail
from waiting_requests
where renewal_id = $1;

-- name: withdraw_waiting
-- Called off by whoever asked; nothing, where it waits no longer.
update waiting_requests
set state = 'withdrawn', ended_at = $2, reason = $3, detail = $4
where renewal_id = $1 and ended_at is null
returning renewal_id;

-- name: forget_waiting
-- What has ended so long ago that nobody asks again under the same key; a bounded number at a time.
delete from waiting_requests
where renewal_id = any(array(select renewal_id from waiting_requests where ended_at < $1 limit $2));
