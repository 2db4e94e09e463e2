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
