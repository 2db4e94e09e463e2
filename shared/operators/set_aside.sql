-- name: list_keys
-- Keys that wait, each with the record that was set aside first: that is the cause, what follows queues behind it.
-- Its place and instant are the version, which later records leave as it is; handled and set aside anew it is another.
with waiting as (
    select
        *,
        case when key is null then 'none' else left(encode(sha256(key), 'hex'), 16) end as key_id
    from set_aside
    where $1::text is null or consumer = $1
), causes as (
    select distinct on (consumer, key_id)
        consumer,
        key_id,
        key,
        topic,
        type,
        reason,
        left(
            md5(concat_ws('/', topic, partition, record_offset, extract(epoch from set_aside_at))), 12
        ) as version
    from waiting
    order by consumer, key_id, set_aside_at, topic, partition, record_offset
), counted as (
    select
        consumer,
        key_id,
        count(*)::int as records,
        min(set_aside_at) as since,
        max(released_at) as released_at
    from waiting
    group by consumer, key_id
)

select
    c.consumer, c.key_id, c.key, c.version, n.records, n.since, n.released_at, c.topic, c.type, c.reason
from causes as c
inner join counted as n on c.consumer = n.consumer and c.key_id = n.key_id
where
    ($2::text [] is null or c.key_id = any($2))
    and ($3::text is null or (c.consumer, c.key_id) > ($3, $4::text))
order by c.consumer, c.key_id
limit $5;

-- name: list_records
-- The records of one key, in the order in which they will be handled.
select topic, partition, record_offset, type, reason, set_aside_at, payload
from set_aside
where
    consumer = $1
    and case when key is null then 'none' else left(encode(sha256(key), 'hex'), 16) end = $2
    and ($3::text is null or (topic, partition, record_offset) > ($3, $4::int, $5::bigint))
order by topic, partition, record_offset
limit $6;

-- name: lock_keys
-- Nobody handles, releases or discards them meanwhile; how many records.
select count(*)
from (
    select 1
    from set_aside
    where
        consumer = $1
        and case when key is null then 'none' else left(encode(sha256(key), 'hex'), 16) end = any($2::text [])
    order by key, topic, partition, record_offset
    for update
) as locked;

-- name: set_released
-- Let keys go (an instant), or keep them back (null): their consumer looks every few seconds.
update set_aside
set released_at = $3
where
    consumer = $1
    and case when key is null then 'none' else left(encode(sha256(key), 'hex'), 16) end = any($2::text []);

-- name: discard_record
-- A record that must never be handled; returns its topic where there is one.
delete from set_aside
where
    consumer = $1
    and case when key is null then 'none' else left(encode(sha256(key), 'hex'), 16) end = $2
    and topic = $3
    and partition = $4
    and record_offset = $5
returning topic;

-- name: insert_proposal
-- One that waits for a second person.
insert into set_aside_proposals (
    proposal_id, action, consumer, key_ids, versions, record_topic, record_partition, record_offset, why,
    proposed_by, proposed_at, expires_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: lock_proposal
-- The proposal itself: whoever decides about it is the only one.
select
    proposal_id, action, consumer, key_ids, versions, record_topic, record_partition, record_offset, why,
    proposed_by, proposed_at, expires_at, state, decided_by, decided_at, decided_why
from set_aside_proposals
where proposal_id = $1
for update;

-- name: decide_proposal
-- How it ended: approved or rejected, by whom and why.
update set_aside_proposals
set state = $2, decided_by = $3, decided_at = $4, decided_why = $5
where proposal_id = $1;

-- name: list_proposals
-- Proposals in one state as of $2, newest first; an open one whose time is over counts as expired.
select
    proposal_id, action, consumer, key_ids, versions, record_topic, record_partition, record_offset, why,
    proposed_by, proposed_at, expires_at, state, decided_by, decided_at, decided_why
from set_aside_proposals
where
    (
        $1::text is null
        or $1 = case when state = 'open' and expires_at <= $2::timestamptz then 'expired' else state end
    )
    and ($3::timestamptz is null or (proposed_at, proposal_id) < ($3, $4::uuid))
order by proposed_at desc, proposal_id desc
limit $5;

-- name: write_audit
-- What was done to which keys, by whom and why: any number of lines in one statement.
insert into set_aside_audit (at, operator, step, action, consumer, key_id, why, proposal_id, before, after)
select
    $1,
    a.*
from unnest(
    $2::text [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [], $8::uuid [], $9::json [], $10::json []
) as a;

-- name: list_audit
-- What operators did to keys, newest first: to one, or to all.
select audit_id, at, operator, step, action, consumer, key_id, why, proposal_id, before, after
from set_aside_audit
where
    ($1::text is null or consumer = $1)
    and ($2::text is null or key_id = $2)
    and ($3::bigint is null or audit_id < $3)
order by audit_id desc
limit $4;
