-- name: lock_renewals
-- First statement of every batch: nothing read before the lock is folded. In key order, so that no two deadlock.
select
    renewal_id, subscription_id, terms, cycle, requested_at, traceparent, heard_at,
    deadline_at, payment_method_id, next_due_at, reason, parked_from, parked_reason,
    payment_attempt, top_up_attempt, refund_attempt, spent, failures, asked, retry_at, action, action_before,
    delayed, promised_from, top_up, refund_before, flags,
    state, version, amount_minor, granted, priced_at, captured_at, applied_at, top_up_cycle, closed_at
from renewals
where renewal_id = any($1::uuid [])
order by renewal_id
for update;

-- name: claim_due_renewals
-- What time has made due, for any number of processes. While a consumer is behind planned retries alone, and those
-- whose customer has waited longer than promised and was not told: they wait by their own clock.
select
    renewal_id, subscription_id, terms, cycle, requested_at, traceparent, heard_at,
    deadline_at, payment_method_id, next_due_at, reason, parked_from, parked_reason,
    payment_attempt, top_up_attempt, refund_attempt, spent, failures, asked, retry_at, action, action_before,
    delayed, promised_from, top_up, refund_before, flags,
    state, version, amount_minor, granted, priced_at, captured_at, applied_at, top_up_cycle, closed_at
from renewals
where
    closed_at is null
    and next_due_at <= $1
    and (
        $2
        or retry_at <= $1
        or (
            not delayed
            and state <> 'awaiting_customer'
            and coalesce(promised_from, requested_at) + $4::interval <= $1
        )
    )
order by next_due_at
limit $3
for update skip locked;

-- name: advance_renewals
-- What got further, and every line of history, in one statement: all that the happy path writes.
with advanced as (
    update renewals as r
    set
        heard_at = $1,
        state = a.state,
        version = a.version,
        amount_minor = coalesce(a.amount_minor, r.amount_minor),
        granted = coalesce(a.granted, r.granted),
        priced_at = coalesce(a.priced_at, r.priced_at),
        captured_at = coalesce(a.captured_at, r.captured_at),
        applied_at = coalesce(a.applied_at, r.applied_at),
        top_up_cycle = coalesce(a.top_up_cycle, r.top_up_cycle),
        closed_at = coalesce(a.closed_at, r.closed_at)
    from unnest(
        $2::uuid [], $3::text [], $4::int [], $5::bigint [], $6::json [], $7::timestamptz [],
        $8::timestamptz [], $9::timestamptz [], $10::int [], $11::timestamptz []
    ) as a (
        renewal_id, state, version, amount_minor, granted, priced_at, captured_at, applied_at, top_up_cycle,
        closed_at
    )
    where r.renewal_id = a.renewal_id
)

insert into renewal_history (renewal_id, version, at, message, to_state, attempt, reason, detail)
select
    h.renewal_id,
    h.version,
    $1,
    h.message,
    h.to_state,
    h.attempt,
    h.reason,
    h.detail
from unnest($12::uuid [], $13::int [], $14::text [], $15::text [], $16::int [], $17::text [], $18::text [])
as h (renewal_id, version, message, to_state, attempt, reason, detail);

-- name: save_renewals
-- All that can change, for those that deviated: attempts, reasons, plans, deadlines.
update renewals as r
set
    heard_at = c.heard_at,
    deadline_at = c.deadline_at,
    payment_method_id = c.payment_method_id,
    next_due_at = c.next_due_at,
    reason = c.reason,
    parked_from = c.parked_from,
    parked_reason = c.parked_reason,
    payment_attempt = c.payment_attempt,
    top_up_attempt = c.top_up_attempt,
    refund_attempt = c.refund_attempt,
    spent = c.spent,
    failures = c.failures,
    asked = c.asked,
    retry_at = c.retry_at,
    action = c.action,
    action_before = c.action_before,
    delayed = c.delayed,
    promised_from = c.promised_from,
    top_up = c.top_up,
    refund_before = c.refund_before,
    flags = c.flags,
    state = c.state,
    version = c.version,
    amount_minor = c.amount_minor,
    granted = c.granted,
    priced_at = c.priced_at,
    captured_at = c.captured_at,
    applied_at = c.applied_at,
    top_up_cycle = c.top_up_cycle,
    closed_at = c.closed_at
from unnest(
    $1::uuid [], $2::timestamptz [], $3::timestamptz [], $4::text [], $5::timestamptz [], $6::text [],
    $7::text [], $8::text [], $9::int [], $10::int [], $11::int [], $12::int [], $13::text [], $14::int [],
    $15::timestamptz [], $16::text [], $17::timestamptz [], $18::bool [], $19::timestamptz [], $20::text [],
    $21::timestamptz [], $22::text [], $23::text [], $24::int [], $25::bigint [], $26::json [],
    $27::timestamptz [], $28::timestamptz [], $29::timestamptz [], $30::int [], $31::timestamptz []
) as c (
    renewal_id, heard_at, deadline_at, payment_method_id, next_due_at, reason, parked_from,
    parked_reason, payment_attempt, top_up_attempt, refund_attempt, spent, failures, asked, retry_at, action,
    action_before, delayed, promised_from, top_up, refund_before, flags, state, version, amount_minor, granted,
    priced_at, captured_at, applied_at, top_up_cycle, closed_at
)
where r.renewal_id = c.renewal_id;

-- name: read_standing
-- All that admission asks about a batch of requests, in one trip. What rules say has been read before, of triggers only.
-- Each `limit 1` is a fence: nine tables joined freely take longer to plan than to read, in every small batch.
select
    request.renewal_id,
    existing.request_hash as existing_hash,
    refusal.request_hash as refused_hash,
    refusal.reason as refused_reason,
    refusal.detail as refused_detail,
    subscription.brand,
    subscription.carrier,
    subscription.owner_id,
    subscription.status,
    subscription.device_bound,
    subscription.device_matches,
    subscription.top_ups as cycle,
    subscription.identity_verified,
    offering.status as offering_status,
    offering.brands as offering_brands,
    offering.carriers as offering_carriers,
    offering.subscription_statuses as offering_statuses,
    coalesce(method.found, '{}') as methods,
    slot.renewal_id as open_renewal_id,
    -- Asked once per batch, not per request: nearly always there is none.
    (
        select array_agg(scope) from charge_stops
        where kind <> 'subscription' or name = any($2::text [])
    ) as charges_stopped,
    slot.state as open_state,
    slot.dunning_try is not null as open_by_rule,
    exists(select from acceptance_entries) as has_acceptance,
    subscription.bound_imei
from unnest($1::uuid [], $2::text [], $3::text [], $4::text [])
with ordinality as request (renewal_id, subscription_id, offering_id, method_ids, place)
left join lateral (
    select request_hash from renewals where renewal_id = request.renewal_id
    union all
    select request_hash from archive_register where renewal_id = request.renewal_id
    union all
    select request_hash from waiting_requests where renewal_id = request.renewal_id
    union all
    -- What was approved is admitted as if it had just come; a rule's trigger is judged anew each time.
    select request_hash from acceptance_reviews
    where renewal_id = request.renewal_id and state <> 'approved' and dunning_try is null
    limit 1
) as existing on true
left join lateral (
    select
        request_hash,
        reason,
        detail
    from refusals where renewal_id = request.renewal_id limit 1
) as refusal on true
left join lateral (
    select
        s.*,
        c.identity_verified
    from subscriptions as s
    left join customers as c on s.owner_id = c.customer_id
    where s.subscription_id = request.subscription_id limit 1
) as subscription on true
left join lateral (
    select
        renewal_id,
        state,
        dunning_try
    from renewals where subscription_id = request.subscription_id and closed_at is null limit 1
) as slot on true
left join lateral (
    select * from offerings where offering_id = request.offering_id limit 1
) as offering on true
left join lateral (
    select array_agg(payment_method_id || ' ' || payer_id || ' ' || status) as found
    from payment_methods
    where payment_method_id = any(string_to_array(request.method_ids, ','))
) as method on true
order by request.place;

-- name: insert_renewals
-- The slot and the request's id are unique: whoever comes second is not returned. History with it, in one trip.
with admitted as (
    insert into renewals (
        requested_at, heard_at, renewal_id, subscription_id, terms, cycle, traceparent, caller, request_id,
        request_hash, dunning_try, deadline_at, next_due_at, payment_method_id
    )
    select
        $1,
        $1,
        a.*
    from unnest(
        $2::uuid [], $3::text [], $4::json [], $5::int [], $6::text [], $7::text [], $8::text [],
        $9::bytea [], $10::int [], $11::timestamptz [], $12::timestamptz [], $13::text []
    ) as a
    on conflict do nothing
    returning renewal_id, caller
), begun as (
    insert into renewal_history (renewal_id, version, at, message, to_state, detail)
    select
        renewal_id,
        1,
        $1,
        'RequestRenewal',
        'requested',
        'by ' || caller
    from admitted
)

select renewal_id from admitted;

-- name: keep_refusals
-- So that the same request gets the same answer, and support can say why a rule did not renew.
insert into refusals (renewal_id, caller, request_id, request_hash, subscription_id, reason, detail, refused_at)
select *
from unnest(
    $1::uuid [], $2::text [], $3::text [], $4::bytea [], $5::text [], $6::text [], $7::text [],
    $8::timestamptz []
)
on conflict (renewal_id) do update
    set reason = excluded.reason, detail = excluded.detail, refused_at = excluded.refused_at
    where excluded.caller = 'rule';

-- name: keep_triggers
-- The newest trigger per subscription that found the slot taken, charges stopped, its rule paused, or a time to wait for.
insert into kept_triggers (
    subscription_id, cycle, kind, traceparent, held_by, dunning_try, not_before, announced, remaining_bytes,
    granted_bytes, cycle_began_at, occurred_at, ends_at, offering_id, declined, asked, offended_imei,
    lapsed_bytes, kept_at
)
select *
from unnest(
    $1::text [], $2::int [], $3::text [], $4::text [], $5::text [], $6::int [], $7::timestamptz [], $8::text [],
    $9::bigint [], $10::bigint [], $11::timestamptz [], $12::timestamptz [], $13::timestamptz [],
    $14::text [], $15::text [], $16::text [], $17::text [], $18::bigint [],
    $19::timestamptz []
)
on conflict (subscription_id) do update
    set
        cycle = excluded.cycle,
        kind = excluded.kind,
        traceparent = excluded.traceparent,
        held_by = excluded.held_by,
        dunning_try = excluded.dunning_try,
        not_before = excluded.not_before,
        announced = excluded.announced,
        remaining_bytes = excluded.remaining_bytes,
        granted_bytes = excluded.granted_bytes,
        cycle_began_at = excluded.cycle_began_at,
        occurred_at = excluded.occurred_at,
        ends_at = excluded.ends_at,
        offering_id = excluded.offering_id,
        declined = excluded.declined,
        asked = excluded.asked,
        offended_imei = excluded.offended_imei,
        lapsed_bytes = excluded.lapsed_bytes,
        kept_at = excluded.kept_at
    where (kept_triggers.cycle, kept_triggers.dunning_try) < (excluded.cycle, excluded.dunning_try);

-- name: take_kept_triggers
-- A slot has become free, or a rule goes on: what was kept for it is looked at once more. Locked in key order first: two
-- who want the same ones wait, they do not deadlock.
with kept as (
    select subscription_id from kept_triggers
    where subscription_id = any($1::text [])
    order by subscription_id
    for update
)

delete from kept_triggers as k
using kept
where k.subscription_id = kept.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: keep_orphans
-- Events about renewals that we do not know: evidence for whoever answers the alert.
insert into orphans (event_id, topic, type, renewal_id, subscription_id, payload, traceparent, received_at)
select *
from unnest(
    $1::uuid [], $2::text [], $3::text [], $4::uuid [], $5::text [], $6::json [], $7::text [],
    $8::timestamptz []
)
on conflict do nothing;

-- name: report_progress
-- How far one process has read, and the stall that ended if a partition had been behind for longer than a moment.
with seen as (
    select *
    from unnest($1::text [], $2::int [], $3::bigint [], $4::bool [])
    as s (topic, partition, lag, caught_up)
), stalled as (
    insert into stalls (topic, partition, began_at, ended_at)
    select
        seen.topic,
        seen.partition,
        progress.caught_up_at,
        $5::timestamptz
    from seen
    inner join consumer_progress as progress
        on seen.topic = progress.topic and seen.partition = progress.partition
    where seen.caught_up and progress.caught_up_at < $5::timestamptz - make_interval(secs => $6)
    on conflict do nothing
), forgotten as (
    -- Longer ago than any open renewal waits.
    delete from stalls where ended_at < $5::timestamptz - interval '3 days'
)

insert into consumer_progress (topic, partition, lag, caught_up_at, updated_at)
select
    topic,
    partition,
    lag,
    case when caught_up then $5::timestamptz end,
    $5::timestamptz
from seen
on conflict (topic, partition) do update
    set
        lag = excluded.lag,
        caught_up_at = coalesce(excluded.caught_up_at, consumer_progress.caught_up_at),
        updated_at = excluded.updated_at;

-- name: read_catch_up
-- Whether every partition is being read and is caught up; none known yet means nobody has read.
select
    count(*) > 0 and bool_and(coalesce(caught_up_at >= $1::timestamptz - make_interval(secs => $2), false))
from consumer_progress;

-- name: read_stalls
-- The stalls that can matter to a renewal still open, newest first and bounded.
select
    began_at,
    ended_at
from stalls
where ended_at > $1
order by ended_at desc
limit $2;

-- name: read_renewal
-- One renewal as it is now, unlocked, for whoever asks over HTTP.
select
    renewal_id, subscription_id, terms, cycle, requested_at, traceparent, heard_at,
    deadline_at, payment_method_id, next_due_at, reason, parked_from, parked_reason,
    payment_attempt, top_up_attempt, refund_attempt, spent, failures, asked, retry_at, action, action_before,
    delayed, promised_from, top_up, refund_before, flags,
    state, version, amount_minor, granted, priced_at, captured_at, applied_at, top_up_cycle, closed_at
from renewals
where renewal_id = $1;

-- name: read_history
-- What happened to one renewal, in order; bounded, a longer history is an incident.
select
    renewal_id,
    version,
    at,
    message,
    lag(to_state) over (order by version) as from_state,
    to_state,
    attempt,
    reason,
    detail
from renewal_history
where renewal_id = $1
order by version
limit 500;

-- name: list_open
-- Open renewals in one state, newest first: read from the few that are open, however many are closed.
select
    renewal_id, subscription_id, terms, cycle, requested_at, traceparent, heard_at,
    deadline_at, payment_method_id, next_due_at, reason, parked_from, parked_reason,
    payment_attempt, top_up_attempt, refund_attempt, spent, failures, asked, retry_at, action, action_before,
    delayed, promised_from, top_up, refund_before, flags,
    state, version, amount_minor, granted, priced_at, captured_at, applied_at, top_up_cycle, closed_at
from renewals
where
    closed_at is null
    and state = $1
    and ($2::timestamptz is null or (requested_at, renewal_id) < ($2, $3::uuid))
order by requested_at desc, renewal_id desc
limit $4;

-- name: survey_open
-- What the dashboard shows of open renewals; counts at most 100,000 of them.
select
    state,
    count(*) as renewals,
    count(*) filter (where captured_at is not null) as captured,
    min(captured_at) as oldest_captured_at
from (select state, captured_at from renewals where closed_at is null limit 100000) as open_renewals
group by state;

-- name: read_methods
-- Whose a payment method is and whether it can pay, for a payer who chooses another one.
select payment_method_id || ' ' || payer_id || ' ' || status
from payment_methods
where payment_method_id = any($1::text []);

-- name: list_without_slot
-- One subscription's requests that wait for its slot or for a person's decision, newest first: rows of both tables, in the
-- columns of both.
(
    select
        renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
        payment_method_ids, payer_id, owner_id, cycle, null::int as dunning_try, act_before, traceparent, is_told,
        null as destination, null as payer_country, null as reviewed, null as kinds,
        asked_at, null::timestamptz as opened_at, deadline_at, gives_way, null::int as version, state, ended_at,
        reason, detail
    from waiting_requests
    where
        subscription_id = $1
        and ended_at is null
        and ($2::text is null or state = $2)
        and ($3::timestamptz is null or (asked_at, renewal_id) < ($3, $4::uuid))
)
union all
(
    select
        renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
        payment_method_ids, payer_id, owner_id, cycle, dunning_try, act_before, traceparent, is_told,
        destination, payer_country, reviewed, kinds,
        opened_at as asked_at, opened_at, deadline_at, null as gives_way, version, state, ended_at,
        reason, detail
    from acceptance_reviews
    where
        subscription_id = $1
        and ended_at is null
        and ($2::text is null or state = $2)
        and ($3::timestamptz is null or (opened_at, renewal_id) < ($3, $4::uuid))
)
order by asked_at desc, renewal_id desc
limit $5;
