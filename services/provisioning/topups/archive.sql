-- name: find_settled
-- What is over and settled, by provisioning's own book: decided for good, no attempt open, and none that the carrier
-- applied against the decision: that is a case for a person. Its time is that of the last thing that happened to it.
select
    s.renewal_id,
    s.closed_at
from (
    select
        t.renewal_id,
        greatest(
            t.accepted_at, t.applied_at,
            (select max(a.ended_at) from top_up_attempts as a where a.renewal_id = t.renewal_id)
        ) as closed_at
    from top_ups as t
    where
        t.ctid >= $1::tid and t.ctid < $2::tid and t.accepted_at < $3
        and t.state in ('applied', 'rejected', 'cancelled')
        and not exists (
            select from top_up_attempts as a
            where
                a.renewal_id = t.renewal_id
                and (a.ended_at is null or (a.status = 'applied' and t.state <> 'applied'))
        )
    for update of t skip locked
) as s
where s.closed_at < $3;

-- name: archive_top_ups
-- Moves locked top-ups with their attempts, in one statement: a row is never in both places and never in neither.
with moved as (
    select
        m.renewal_id,
        m.closed_at
    from unnest($1::uuid [], $2::timestamptz []) as m (renewal_id, closed_at)
),

entered as (
    insert into archive_register (renewal_id, closed_at)
    select
        renewal_id,
        closed_at
    from moved
),

without_attempts as (
    delete from top_up_attempts
    where renewal_id = any($1::uuid [])
),

without_row as (
    delete from top_ups
    where renewal_id = any($1::uuid [])
)

insert into archived_top_ups (renewal_id, closed_at, subscription_id, top_up, attempts)
select
    t.renewal_id,
    m.closed_at,
    t.subscription_id,
    row_to_json(t),
    (
        select coalesce(json_agg(row_to_json(a) order by a.first_sent_at, a.operation, a.ordinal), '[]')
        from top_up_attempts as a
        where a.renewal_id = t.renewal_id
    )
from moved as m
inner join top_ups as t on m.renewal_id = t.renewal_id;

-- name: lock_register
-- Which of these are in the archive, locked in key order: asked only for renewals that have no row in top_ups.
select renewal_id
from archive_register
where renewal_id = any($1::uuid [])
order by renewal_id
for update;

-- name: read_archived
-- Archived top-ups as rows of top_ups; a column that is younger than they are is null. Each month is looked into only
-- where the register says so. The subscription as it is now comes with them, as where top_ups are locked.
select
    t.*,
    s.iccid as present_iccid,
    s.carrier as present_carrier
from archive_register as r
inner join archived_top_ups as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
cross join lateral json_populate_record(null::top_ups, a.top_up) as t
left join subscriptions as s on a.subscription_id = s.subscription_id
where r.renewal_id = any($1::uuid []);

-- name: bring_top_ups_back
-- Moves archived top-ups back with their attempts, for a carrier has told something new of them.
with wanted as (
    delete from archive_register
    where renewal_id = any($1::uuid [])
    returning renewal_id, closed_at
),

taken as (
    delete from archived_top_ups as a
    using wanted as w
    where a.renewal_id = w.renewal_id and a.closed_at = w.closed_at
    returning a.top_up, a.attempts
),

tried as (
    insert into top_up_attempts
    select c.*
    from taken as t
    cross join lateral json_populate_recordset(null::top_up_attempts, t.attempts) as c
)

insert into top_ups
select p.*
from taken as t
cross join lateral json_populate_record(null::top_ups, t.top_up) as p
returning renewal_id;

-- name: find_top_up
-- One top-up with all its attempts, wherever it is, for the API: in one statement, for between two it may move.
select
    t.*,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'operation', a.operation,
                        'ordinal', a.ordinal,
                        'status', a.status,
                        'calls', a.asked,
                        'first_sent_at', a.first_sent_at,
                        'due_at', case when a.ended_at is null then a.due_at end,
                        'waits_for', case when a.ended_at is null and a.queued_until = a.due_at then a.lane end,
                        'ended_at', a.ended_at,
                        'reason', a.reason,
                        'provider_reference', a.provider_reference
                    )
                    order by a.first_sent_at, a.operation, a.ordinal
                )
            from top_up_attempts as a
            where a.renewal_id = t.renewal_id
        ),
        '[]'::jsonb
    ) as attempts
from top_ups as t
where t.renewal_id = $1
union all
select
    t.*,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'operation', c.operation,
                        'ordinal', c.ordinal,
                        'status', c.status,
                        'calls', c.asked,
                        'first_sent_at', c.first_sent_at,
                        'due_at', null,
                        'waits_for', null,
                        'ended_at', c.ended_at,
                        'reason', c.reason,
                        'provider_reference', c.provider_reference
                    )
                    order by c.first_sent_at, c.operation, c.ordinal
                )
            from json_populate_recordset(null::top_up_attempts, a.attempts) as c
        ),
        '[]'::jsonb
    ) as attempts
from archive_register as r
inner join archived_top_ups as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
cross join lateral json_populate_record(null::top_ups, a.top_up) as t
where r.renewal_id = $1
limit 1;

-- name: list_top_ups
-- The top-ups of one subscription, wherever they are, newest renewal first.
(
    select t.*
    from top_ups as t
    where t.subscription_id = $1 and ($2::uuid is null or t.renewal_id < $2)
    order by t.renewal_id desc
    limit $3
)
union all
(
    select t.*
    from archived_top_ups as a
    cross join lateral json_populate_record(null::top_ups, a.top_up) as t
    where a.subscription_id = $1 and ($2::uuid is null or a.renewal_id < $2)
    order by a.renewal_id desc
    limit $3
)
order by renewal_id desc
limit $3;
