-- name: read_cohorts
-- Whether triggers are of live subscriptions: the setting in force, the lists, and what was judged in shadow before.
select
    setting.percent,
    coalesce(setting.shares, '[]') as shares,
    listed.live as listed,
    coalesce(decided.shadow, false) as was_shadow
from unnest($1::text [], $2::int [], $3::text [], $4::int [])
with ordinality as asked (subscription_id, cycle, kind, dunning_try, place)
left join lateral (
    select
        percent,
        shares
    from cut_overs
    order by version desc
    limit 1
) as setting on true
left join cut_over_lists as listed on asked.subscription_id = listed.subscription_id
left join renewal_decisions as decided
    on
        asked.subscription_id = decided.subscription_id
        and asked.cycle = decided.cycle
        and asked.kind = decided.kind
        and asked.dunning_try = decided.dunning_try
order by asked.place;

-- name: read_cut_over
-- The setting in force.
select
    version,
    percent,
    shares,
    live,
    shadow,
    why,
    set_by,
    set_at
from cut_overs
order by version desc
limit 1;

-- name: list_cut_overs
-- Every setting that there was, newest first.
select
    version,
    percent,
    shares,
    live,
    shadow,
    why,
    set_by,
    set_at
from cut_overs
where $1::int is null or version < $1
order by version desc
limit $2;

-- name: insert_cut_over
-- The next setting. Of two who set it at once one gets the version.
insert into cut_overs (version, percent, shares, live, shadow, why, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (version) do nothing
returning version;

-- name: read_cut_over_list
-- The subscriptions that are named by themselves.
select subscription_id
from cut_over_lists
where live = $1
order by subscription_id;

-- name: read_listed
-- Whether one subscription is named, and as what.
select live
from cut_over_lists
where subscription_id = $1;

-- name: replace_cut_over_lists
-- Whoever is named no more goes, the others are as they are named now.
with gone as (
    delete from cut_over_lists
    where subscription_id <> all($1::text [])
)

insert into cut_over_lists (subscription_id, live)
select *
from unnest($1::text [], $2::bool [])
on conflict (subscription_id) do update
    set live = excluded.live
    where cut_over_lists.live <> excluded.live;

-- name: read_whereabouts
-- The brand and carrier of a subscription, for whoever asks whether it is live.
select
    brand,
    carrier
from subscriptions
where subscription_id = $1;
