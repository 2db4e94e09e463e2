-- name: read_bursts
-- All that a batch of triggers asks of the breaker: what began lately, and who stopped what. Nothing of it is asked for
-- what people ask for. No row is locked: what others begin meanwhile is noticed when it is counted. The first statement of
-- the batch: whoever stops charges waits for its transaction, and what may begin is judged by stops that are read after it
-- (this statement's own view is older than the lock that it takes).
with under_way as (
    select pg_advisory_xact_lock_shared(hashtextextended(current_schema() || '.charge_stops', 0)) as locked
), counted as (
    select
        scope,
        sum(renewals)::bigint as renewals
    from burst_counts
    where began_at >= case when scope = 'everywhere' then $2::timestamptz else $3::timestamptz end
    group by scope
    union all
    select
        'subscription ' || asked.subscription_id,
        recent.renewals
    from unnest($1::text []) as asked (subscription_id)
    left join burst_resets as closed on closed.scope = 'subscription ' || asked.subscription_id
    cross join lateral (
        select count(*) as renewals
        from (
            select 1 from renewals as r
            where
                r.subscription_id = asked.subscription_id
                and r.dunning_try is not null
                and r.requested_at > greatest($4::timestamptz, closed.reset_at)
            limit $5
        ) as some_of_them
    ) as recent
), stopped as (
    select
        scope,
        stopped_by
    from charge_stops
    where kind <> 'subscription' or name = any($1::text [])
)

select
    coalesce(counted.scope, stopped.scope) as scope,
    coalesce(counted.renewals, 0) as renewals,
    stopped.stopped_by
from counted
full outer join stopped on counted.scope = stopped.scope
cross join under_way;

-- name: add_bursts
-- The last lock of a transaction, in key order: no two of them deadlock, and each learns what the others had begun.
with added as (
    insert into burst_counts (scope, began_at, renewals)
    select
        a.scope,
        a.began_at,
        a.renewals
    from unnest($1::text [], $2::timestamptz [], $3::bigint []) as a (scope, began_at, renewals)
    on conflict (scope, began_at) do update
        set renewals = burst_counts.renewals + excluded.renewals
    returning scope, began_at, renewals
)

select
    added.scope,
    (added.renewals + coalesce(before.renewals, 0))::bigint as renewals
from added
inner join unnest($1::text [], $4::timestamptz []) as asked (scope, since) on added.scope = asked.scope
left join lateral (
    select sum(c.renewals) as renewals
    from burst_counts as c
    where c.scope = added.scope and c.began_at >= asked.since and c.began_at < added.began_at
) as before on true
order by added.scope;

-- name: trip_breaker
-- Whoever looks after the commit admits nothing of what rules ask for there; who looked before it still does, a batch of
-- each process at most. Only who stops first is told so.
insert into charge_stops (scope, kind, name, stopped_by, stopped_at, why)
select *
from unnest($1::text [], $2::text [], $3::text [], $4::text [], $5::timestamptz [], $6::text [])
on conflict (scope) do nothing
returning scope;

-- name: reset_burst
-- Who closes the breaker has looked: it counts from then on, or it would trip at once again.
with gone as (
    delete from burst_counts where scope = $1
)

insert into burst_resets (scope, reset_at)
values ($1, $2)
on conflict (scope) do update set reset_at = excluded.reset_at;

-- name: forget_bursts
-- What no window reaches back to any more.
with gone as (
    delete from burst_counts where began_at < $1
)

delete from burst_resets where reset_at < $1;

-- name: count_tripped
-- For the gauge, by kind.
select
    kind,
    count(*) as stops
from charge_stops
where stopped_by = 'breaker'
group by kind;
