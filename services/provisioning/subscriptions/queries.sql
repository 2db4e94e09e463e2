-- name: insert_subscriptions
-- New ones. One whose id is known is revised instead, one whose ICCID is taken is refused: neither comes back.
insert into subscriptions (
    subscription_id, brand, carrier, iccid, eid, bound_imei, owner_id, status, msisdn, changed_at, bound_at
)
select
    w.*,
    $10::timestamptz,
    $10::timestamptz
from unnest(
    $1::text [], $2::text [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [], $8::text [],
    $9::text []
) as w (subscription_id, brand, carrier, iccid, eid, bound_imei, owner_id, status, msisdn)
order by w.subscription_id
on conflict do nothing
returning subscription_id;

-- name: lock_subscriptions
-- The known ones, locked in key order before anything is compared, and who has the ICCID that each is to get.
select
    s.subscription_id,
    s.brand,
    s.carrier,
    s.iccid,
    s.eid,
    s.bound_imei,
    s.owner_id,
    s.status,
    s.device_matches,
    s.top_ups,
    s.version,
    s.foreign_imei,
    s.msisdn,
    exists(
        select 1
        from subscriptions as o
        where o.iccid = w.iccid and o.subscription_id <> w.subscription_id
    ) as iccid_taken
from unnest($1::text [], $2::text []) as w (subscription_id, iccid)
inner join subscriptions as s on w.subscription_id = s.subscription_id
order by s.subscription_id
for update of s;

-- name: update_subscriptions
-- Revised ones; the count of top-ups is not touched here, it belongs to the top-ups.
update subscriptions as s
set
    brand = w.brand,
    carrier = w.carrier,
    iccid = w.iccid,
    eid = w.eid,
    bound_imei = w.bound_imei,
    owner_id = w.owner_id,
    status = w.status,
    device_matches = w.device_matches,
    version = w.version,
    foreign_imei = w.foreign_imei,
    msisdn = w.msisdn,
    bound_at = case when s.bound_imei is distinct from w.bound_imei then $13 else s.bound_at end,
    changed_at = $13
from unnest(
    $1::text [], $2::text [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [], $8::text [],
    $9::boolean [], $10::integer [], $11::text [], $12::text []
) as w (
    subscription_id, brand, carrier, iccid, eid, bound_imei, owner_id, status, device_matches, version, foreign_imei,
    msisdn
)
where s.subscription_id = w.subscription_id;

-- name: lock_bound_subscriptions
-- Those that still match, are bound as these say and were so at these moments: told once, a replay finds none.
select
    s.subscription_id,
    s.brand,
    s.carrier,
    s.iccid,
    s.eid,
    s.bound_imei,
    s.owner_id,
    s.status,
    s.device_matches,
    s.top_ups,
    s.version,
    s.foreign_imei,
    s.msisdn
from unnest($1::text [], $2::text [], $3::timestamptz []) as w (subscription_id, bound_imei, at)
inner join subscriptions as s on w.subscription_id = s.subscription_id
where
    s.device_matches
    and s.bound_imei = w.bound_imei
    and (s.bound_at is null or s.bound_at <= w.at)
order by s.subscription_id
for update of s;

-- name: get_subscription
-- One, for the API.
select
    subscription_id,
    brand,
    carrier,
    iccid,
    eid,
    bound_imei,
    owner_id,
    status,
    device_matches,
    top_ups,
    version,
    foreign_imei,
    msisdn
from subscriptions
where subscription_id = $1;

-- name: list_subscriptions
-- Those of one owner, by their ids.
select
    subscription_id,
    brand,
    carrier,
    iccid,
    eid,
    bound_imei,
    owner_id,
    status,
    device_matches,
    top_ups,
    version,
    foreign_imei,
    msisdn
from subscriptions
where owner_id = $1 and subscription_id > $2
order by subscription_id
limit $3;

-- name: list_every_subscription
-- All there are, in the order of their ids: a page begins after the last one that was seen, '' is the first.
select
    subscription_id,
    brand,
    carrier,
    iccid,
    eid,
    bound_imei,
    owner_id,
    status,
    device_matches,
    top_ups,
    version,
    foreign_imei,
    msisdn
from subscriptions
where subscription_id > $1
order by subscription_id
limit $2;
