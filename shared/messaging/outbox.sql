-- name: write_outbox
-- Stores events with the state they tell of, and forgets those that Kafka has acknowledged.
with acknowledged as (
    delete from outbox where event_id = any($1::uuid [])
)

insert into outbox (event_id, topic, key, type, subject, traceparent, payload)
select *
from unnest($2::uuid [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [], $8::bytea [])
on conflict do nothing;

-- name: forget_acknowledged
-- The same forgetting, when no transaction comes along to do it.
delete from outbox where event_id = any($1::uuid []);

-- name: take_stranded
-- Events whose publisher died or was refused. By existence, never by watermark: a slow commit hides none.
select event_id, topic, key, type, subject, traceparent, payload
from outbox
where written_at < now() - make_interval(secs => $1)
order by written_at
limit $2
for update skip locked;

-- name: outbox_age
-- What the alert watches: rows that should have gone long ago.
select
    count(*) as rows,
    coalesce(extract(epoch from now() - min(written_at)), 0)::double precision as oldest_seconds
from outbox;
