-- name: find_settled
-- What is over and settled, by renewal's own book: closed, and nobody is to look into it. A broken promise, a payment
-- whose outcome was never learned and a refund that failed later are cases for a person: they stay where they are seen.
select
    renewal_id,
    closed_at
from renewals
where
    ctid >= $1::tid and ctid < $2::tid and closed_at < $3
    and not string_to_array(flags, ' ') && '{promise_broken,unresolved,refund_failed_later}'::text []
for update skip locked;

-- name: archive_renewals
-- Moves locked renewals with their history, in one statement: a row is never in both places and never in neither.
with moved as (
    select
        m.renewal_id,
        m.closed_at
    from unnest($1::uuid [], $2::timestamptz []) as m (renewal_id, closed_at)
), entered as (
    insert into archive_register (renewal_id, closed_at, request_hash)
    select
        r.renewal_id,
        m.closed_at,
        r.request_hash
    from moved as m
    inner join renewals as r on m.renewal_id = r.renewal_id
), without_history as (
    delete from renewal_history where renewal_id = any($1::uuid [])
), without_row as (
    delete from renewals where renewal_id = any($1::uuid [])
), cycles as (
    -- The number of the last top-up stays where admission asks: a trigger of a cycle that is over stays refused.
    update subscriptions as s
    set top_ups = a.cycle
    from (
        select
            r.subscription_id,
            max(r.top_up_cycle) as cycle
        from moved as m
        inner join renewals as r on m.renewal_id = r.renewal_id
        group by r.subscription_id
    ) as a
    where s.subscription_id = a.subscription_id and s.top_ups < a.cycle
)

insert into archived_renewals (
    renewal_id, closed_at, requested_at, subscription_id, state, reason, parked_reason, renewal, history
)
select
    r.renewal_id,
    m.closed_at,
    r.requested_at,
    r.subscription_id,
    r.state,
    r.reason,
    r.parked_reason,
    row_to_json(r),
    (
        select coalesce(json_agg(row_to_json(h) order by h.version), '[]')
        from renewal_history as h
        where h.renewal_id = r.renewal_id
    )
from moved as m
inner join renewals as r on m.renewal_id = r.renewal_id;

-- name: lock_register
-- Which of these are in the archive, locked in key order: asked only for those that have no row in renewals.
select renewal_id
from archive_register
where renewal_id = any($1::uuid [])
order by renewal_id
for update;

-- name: read_archived
-- Archived renewals as rows of renewals; a column that is younger than they are is null. Each month is looked into
-- only where the register says so.
select r.*
from archive_register as entry
inner join archived_renewals as a on entry.renewal_id = a.renewal_id and entry.closed_at = a.closed_at
cross join lateral json_populate_record(null::renewals, a.renewal) as r
where entry.renewal_id = any($1::uuid []);

-- name: bring_renewals_back
-- Moves archived renewals back with their history, for something is added to it. Those not archived stay as they are.
with wanted as (
    delete from archive_register
    where renewal_id = any($1::uuid [])
    returning renewal_id, closed_at
), taken as (
    delete from archived_renewals as a
    using wanted as w
    where a.renewal_id = w.renewal_id and a.closed_at = w.closed_at
    returning a.renewal, a.history
), remembered as (
    insert into renewal_history
    select h.*
    from taken as t
    cross join lateral json_populate_recordset(null::renewal_history, t.history) as h
)

insert into renewals
select r.*
from taken as t
cross join lateral json_populate_record(null::renewals, t.renewal) as r
returning renewal_id;

-- name: find_renewal
-- One renewal as it is now, wherever it is, for whoever found none among renewals: it may be coming back just now.
select r.*
from renewals as r
where r.renewal_id = $1
union all
select r.*
from archive_register as entry
inner join archived_renewals as a on entry.renewal_id = a.renewal_id and entry.closed_at = a.closed_at
cross join lateral json_populate_record(null::renewals, a.renewal) as r
where entry.renewal_id = $1
limit 1;

-- name: find_history
-- What happened to one renewal, wherever it is, in order; bounded, a longer history is an incident.
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
from (
    select h.*
    from renewal_history as h
    where h.renewal_id = $1
    union all
    select h.*
    from archive_register as entry
    inner join archived_renewals as a on entry.renewal_id = a.renewal_id and entry.closed_at = a.closed_at
    cross join lateral json_populate_recordset(null::renewal_history, a.history) as h
    where entry.renewal_id = $1
) as history
order by version
limit 500;

-- name: list_of_subscription
-- One subscription's renewals, wherever they are, newest first.
(
    select r.*
    from renewals as r
    where
        r.subscription_id = $1
        and ($2::text is null or r.state = $2)
        and ($3::timestamptz is null or (r.requested_at, r.renewal_id) < ($3, $4::uuid))
    order by r.requested_at desc, r.renewal_id desc
    limit $5
)
union all
(
    select r.*
    from archived_renewals as a
    cross join lateral json_populate_record(null::renewals, a.renewal) as r
    where
        a.subscription_id = $1
        and ($2::text is null or a.state = $2)
        and ($3::timestamptz is null or (a.requested_at, a.renewal_id) < ($3, $4::uuid))
    order by a.requested_at desc, a.renewal_id desc
    limit $5
)
order by requested_at desc, renewal_id desc
limit $5;

-- name: list_all
-- All renewals, or those closed in one way, wherever they are, newest first.
(
    select r.*
    from renewals as r
    where
        ($1::text is null or r.state = $1)
        and ($2::timestamptz is null or (r.requested_at, r.renewal_id) < ($2, $3::uuid))
    order by r.requested_at desc, r.renewal_id desc
    limit $4
)
union all
(
    select r.*
    from archived_renewals as a
    cross join lateral json_populate_record(null::renewals, a.renewal) as r
    where
        ($1::text is null or a.state = $1)
        and ($2::timestamptz is null or (a.requested_at, a.renewal_id) < ($2, $3::uuid))
    order by a.requested_at desc, a.renewal_id desc
    limit $4
)
order by requested_at desc, renewal_id desc
limit $4;
