-- name: set_aside
-- Keeps records that broke their own transaction, and what came after them with the same key.
insert into set_aside (consumer, topic, partition, record_offset, key, payload, type, traceparent, reason)
select
    $1,
    r.*
from
    unnest(
        $2::text [], $3::int [], $4::bigint [], $5::bytea [], $6::bytea [], $7::text [], $8::text [], $9::text []
    ) as r
on conflict do nothing;

-- name: set_aside_keys
-- Whose later records must queue behind.
select distinct key from set_aside
where consumer = $1;

-- name: released_keys
-- Whose records an operator has let go.
select distinct key from set_aside
where consumer = $1 and released_at is not null
limit 100;

-- name: take_released
-- All records of a released key, in their order.
select topic, partition, record_offset, key, payload, type, traceparent
from set_aside
where consumer = $1 and key is not distinct from $2
order by topic, partition, record_offset
for update;

-- name: forget_set_aside
-- They have been handled.
delete from set_aside
where consumer = $1 and key is not distinct from $2;
