-- name: open_reviews
-- What is to be decided; nothing where it is asked already, or where something else of the subscription's is.
insert into acceptance_reviews (
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, dunning_try, act_before, traceparent, is_told, destination,
    payer_country, reviewed, kinds, opened_at, deadline_at, version, state, ended_at, reason, detail
)
select *
from unnest(
    $1::uuid [], $2::text [], $3::text [], $4::text [], $5::bytea [], $6::text [], $7::bigint [], $8::text [],
    $9::text [], $10::text [], $11::text [], $12::int [], $13::int [], $14::timestamptz [], $15::text [],
    $16::bool [], $17::text [], $18::text [], $19::text [], $20::text [], $21::timestamptz [],
    $22::timestamptz [], $23::int [], $24::text [], $25::timestamptz [], $26::text [], $27::text []
)
on conflict do nothing
returning renewal_id;

-- name: drop_reviews
-- Nothing waits for these any more: it was begun or refused for another reason, and leaves as if never asked. Locked in
-- key order first: two who want the same ones wait, they do not deadlock.
with over as (
    select renewal_id from acceptance_reviews
    where renewal_id = any($1::uuid []) and ended_at is null
    order by renewal_id
    for update
)

delete from acceptance_reviews as r
using over
where r.renewal_id = over.renewal_id;

-- name: promise_answers
-- Whoever asked for these waits for a message that says what became of them.
with asked as (
    select renewal_id from acceptance_reviews
    where renewal_id = any($1::uuid []) and ended_at is null
    order by renewal_id
    for update
)

update acceptance_reviews as r
set is_told = true
from asked
where r.renewal_id = asked.renewal_id;

-- name: lock_review
-- One of them, for whoever decides about it.
select
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, dunning_try, act_before, traceparent, is_told, destination,
    payer_country, reviewed, kinds, opened_at, deadline_at, version, state, ended_at, reason, detail
from acceptance_reviews
where renewal_id = $1
for update;

-- name: read_review
-- The same for whoever only looks.
select
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, dunning_try, act_before, traceparent, is_told, destination,
    payer_country, reviewed, kinds, opened_at, deadline_at, version, state, ended_at, reason, detail
from acceptance_reviews
where renewal_id = $1;

-- name: end_review
-- What became of a locked one.
update acceptance_reviews
set version = $2, state = $3, ended_at = $4, reason = $5, detail = $6
where renewal_id = $1;

-- name: list_reviews
-- What is to be decided, the oldest first.
select
    renewal_id, subscription_id, caller, request_id, request_hash, offering_id, max_amount_minor, currency,
    payment_method_ids, payer_id, owner_id, cycle, dunning_try, act_before, traceparent, is_told, destination,
    payer_country, reviewed, kinds, opened_at, deadline_at, version, state, ended_at, reason, detail
from acceptance_reviews
where
    ended_at is null
    and ($1::timestamptz is null or (opened_at, renewal_id) > ($1, $2::uuid))
order by opened_at, renewal_id
limit $3;

-- name: expire_reviews
-- What nobody has decided in time is refused; any number of processes, each takes its own.
with overdue as (
    select renewal_id
    from acceptance_reviews
    where ended_at is null and deadline_at <= $1
    order by deadline_at
    limit $4
    for update skip locked
)

update acceptance_reviews as r
set version = r.version + 1, state = 'refused', ended_at = $1, reason = $2, detail = $3
from overdue
where r.renewal_id = overdue.renewal_id
returning
    r.renewal_id, r.subscription_id, r.caller, r.request_id, r.request_hash, r.offering_id, r.max_amount_minor,
    r.currency, r.payment_method_ids, r.payer_id, r.owner_id, r.cycle, r.dunning_try, r.act_before,
    r.traceparent, r.is_told, r.destination, r.payer_country, r.reviewed, r.kinds, r.opened_at, r.deadline_at,
    r.version, r.state, r.ended_at, r.reason, r.detail;

-- name: forget_reviews
-- What has ended so long ago that nobody asks again under the same key; a bounded number at a time.
delete from acceptance_reviews
where renewal_id = any(array(select renewal_id from acceptance_reviews where ended_at < $1 limit $2));

-- name: survey_reviews
-- For the gauges: how many are open, the oldest, and how many have less than a quarter of their time left.
select
    count(*) as open_reviews,
    min(opened_at) as oldest_at,
    count(*) filter (where $1 >= deadline_at - (deadline_at - opened_at) / 4) as near_limit
from (
    select opened_at, deadline_at from acceptance_reviews where ended_at is null limit 100000
) as some_reviews;
