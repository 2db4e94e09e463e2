-- name: write_outbox
-- Stores a transaction's events with the state they tell of, and forgets batches that Kafka has acknowledged.
with acknowledged as (
    delete from outbox where batch_id = any($1::bigint [])
)

insert into outbox (events, event_ids, topics, keys, types, subjects, traceparents, payloads)
values (
    cardinality($2::uuid []), $2::uuid [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [],
    $8::bytea []
)
returning batch_id;

-- name: forget_acknowledged
-- The same forgetting, when no transaction comes along to do it.
delete from outbox where batch_id = any($1::bigint []);

-- name: claim_stranded
-- Batches whose publisher died or was refused: whoever claims them has as long as that publisher had. A claim and no
-- lock, which would last as long as Kafka needs. By existence, never by watermark: a slow commit hides none.
with stranded as (
    select batch_id
    from outbox
    where coalesce(claimed_at, written_at) < now() - make_interval(secs => $1)
    order by coalesce(claimed_at, written_at)
    limit $2
    for update skip locked
)

update outbox as o
set claimed_at = now()
from stranded as s
where o.batch_id = s.batch_id
returning o.batch_id, o.event_ids, o.topics, o.keys, o.types, o.subjects, o.traceparents, o.payloads;

-- name: outbox_age
-- What the alert watches: events that should have gone long ago.
select
    coalesce(sum(events), 0) as events,
    coalesce(extract(epoch from now() - min(written_at)), 0)::double precision as oldest_seconds
from outbox;
