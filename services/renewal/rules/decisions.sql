-- name: settle_decisions
-- What was said of other triggers, and is over or decided by what is said now: nothing waits for what never comes.
-- Locked in key order with what is said itself: two who speak of the same ones wait, they do not deadlock.
with told as (
    select *
    from unnest(
        $1::text [], $2::int [], $3::text [], $4::int [], $5::timestamptz [], $6::text [], $7::text [], $8::text [],
        $9::uuid [], $10::timestamptz [], $11::text [], $12::text [], $13::bool [], $14::json []
    ) as t (
        subscription_id, cycle, kind, dunning_try, decided_at, outcome, reason, detail, renewal_id, next_try_at,
        mandate_id, bound_by, shadow, terms
    )
), earlier as (
    select
        d.subscription_id, d.cycle, d.kind, d.dunning_try,
        d.outcome in ('waiting', 'announced') and d.renewal_id is null as waits
    from renewal_decisions as d
    where
        d.subscription_id = any($1::text [])
        and (
            d.outcome in ('waiting', 'announced')
            or d.next_try_at is not null
            or (d.subscription_id, d.cycle, d.kind, d.dunning_try) in (
                select told.subscription_id, told.cycle, told.kind, told.dunning_try from told
            )
        )
    order by d.subscription_id, d.cycle, d.kind, d.dunning_try
    for update
), settled as (
    select
        earlier.subscription_id, earlier.cycle, earlier.kind, earlier.dunning_try,
        newest.decided_at, newest.outcome, newest.reason, newest.detail, newest.renewal_id, newest.next_try_at,
        newest.mandate_id, newest.bound_by, newest.shadow, newest.terms,
        earlier.waits and earlier.cycle < newest.cycle as is_over,
        earlier.waits and earlier.cycle = newest.cycle and earlier.dunning_try <= newest.dunning_try as is_like_it,
        earlier.cycle < newest.cycle
        or (
            earlier.cycle = newest.cycle
            and earlier.dunning_try < newest.dunning_try
            and newest.outcome not in ('waiting', 'announced')
        ) as is_past
    from earlier
    cross join lateral (
        select *
        from told
        where told.subscription_id = earlier.subscription_id and told.cycle >= earlier.cycle
        order by told.cycle desc, told.dunning_try desc, told.outcome = 'not_meant', told.kind
        limit 1
    ) as newest
    where (earlier.subscription_id, earlier.cycle, earlier.kind, earlier.dunning_try) not in (
        select told.subscription_id, told.cycle, told.kind, told.dunning_try from told
    )
)

update renewal_decisions as d
set
    decided_at = case when s.is_over or s.is_like_it then s.decided_at else d.decided_at end,
    outcome = case
        when s.is_over then 'refused'
        when s.is_like_it and s.outcome = 'renewed' then 'joined'
        when s.is_like_it then s.outcome
        else d.outcome
    end,
    reason = case when s.is_over then 'cycle_over' when s.is_like_it then s.reason else d.reason end,
    detail = case
        when s.is_over then $15
        when s.is_like_it and s.outcome = 'renewed' then $16
        when s.is_like_it then s.detail
        else d.detail
    end,
    renewal_id = case when s.is_like_it then s.renewal_id else d.renewal_id end,
    next_try_at = case when s.is_like_it then s.next_try_at end,
    mandate_id = case when s.is_like_it then s.mandate_id else d.mandate_id end,
    bound_by = case when s.is_like_it then s.bound_by else d.bound_by end,
    shadow = case when s.is_like_it then s.shadow else d.shadow end,
    terms = case when s.is_like_it then s.terms else d.terms end
from settled as s
where
    d.subscription_id = s.subscription_id
    and d.cycle = s.cycle
    and d.kind = s.kind
    and d.dunning_try = s.dunning_try
    and (
        s.is_over
        or (
            s.is_like_it
            -- Another one of its cycle and try is kept: that it is not meant says nothing of this one.
            and (
                s.outcome <> 'not_meant'
                or not exists (
                    select from kept_triggers as k
                    where
                        k.subscription_id = d.subscription_id
                        and k.cycle = d.cycle
                        and k.dunning_try = d.dunning_try
                )
            )
        )
        or (s.is_past and not d.shadow and d.next_try_at > s.decided_at)
    );

-- name: keep_decisions
-- The last word about each trigger. One that is read twice must not hide what became of the first.
insert into renewal_decisions (
    subscription_id, cycle, kind, dunning_try, decided_at, outcome, reason, detail, renewal_id, next_try_at,
    mandate_id, bound_by, shadow, terms
)
select *
from unnest(
    $1::text [], $2::int [], $3::text [], $4::int [], $5::timestamptz [], $6::text [], $7::text [], $8::text [],
    $9::uuid [], $10::timestamptz [], $11::text [], $12::text [], $13::bool [], $14::json []
)
on conflict (subscription_id, cycle, kind, dunning_try) do update
    set
        decided_at = excluded.decided_at,
        outcome = excluded.outcome,
        reason = excluded.reason,
        detail = excluded.detail,
        renewal_id = excluded.renewal_id,
        next_try_at = excluded.next_try_at,
        mandate_id = excluded.mandate_id,
        bound_by = excluded.bound_by,
        shadow = excluded.shadow,
        terms = excluded.terms
    where
        (
            renewal_decisions.renewal_id is null
            or (excluded.outcome <> 'joined' and excluded.renewal_id is not distinct from renewal_decisions.renewal_id)
        )
        and (
            excluded.reason is distinct from 'cycle_over'
            or renewal_decisions.outcome in ('waiting', 'announced')
        );

-- name: read_decisions_of
-- What had been decided where these renewals were begun: asked only for those that ended badly.
select
    d.subscription_id, d.cycle, d.kind, d.dunning_try, d.decided_at, d.outcome, d.reason, d.detail, d.renewal_id,
    d.next_try_at, d.mandate_id, d.bound_by, d.shadow, d.terms
from unnest($1::text [], $2::int [], $3::uuid []) as ended (subscription_id, cycle, renewal_id)
inner join renewal_decisions as d
    on
        ended.subscription_id = d.subscription_id
        and ended.cycle = d.cycle
        and ended.renewal_id = d.renewal_id
order by d.subscription_id, d.cycle, d.kind, d.dunning_try;

-- name: list_decisions
-- Why a subscription renewed, or did not: newest first.
select
    subscription_id, cycle, kind, dunning_try, decided_at, outcome, reason, detail, renewal_id, next_try_at,
    mandate_id, bound_by, shadow, terms
from renewal_decisions
where
    subscription_id = $1
    and (
        $2::timestamptz is null
        or (decided_at, cycle, kind, dunning_try) < ($2, $3::int, $4::text, $5::int)
    )
order by decided_at desc, cycle desc, kind desc, dunning_try desc
limit $6;

-- name: forget_decisions
-- What is so old that nobody asks any more, a bounded number at a time.
delete from renewal_decisions
where ctid = any(array(select ctid from renewal_decisions where decided_at < $1 limit $2));
