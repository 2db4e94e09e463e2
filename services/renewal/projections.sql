-- name: upsert_subscriptions
-- The newest version of each subscription that admission asks about. Top-ups are counted upwards only: a top-up alone
-- is no new version, and the archive has noted those that it knew of.
insert into subscriptions (
    subscription_id, version, brand, carrier, owner_id, status, device_bound, device_matches, top_ups,
    bound_imei
)
select *
from unnest(
    $1::text [], $2::int [], $3::text [], $4::text [], $5::text [], $6::text [], $7::bool [], $8::bool [],
    $9::int [], $10::text []
)
on conflict (subscription_id) do update
    set
        version = excluded.version,
        brand = excluded.brand,
        carrier = excluded.carrier,
        owner_id = excluded.owner_id,
        status = excluded.status,
        device_bound = excluded.device_bound,
        device_matches = excluded.device_matches,
        top_ups = greatest(subscriptions.top_ups, excluded.top_ups),
        bound_imei = excluded.bound_imei
    where subscriptions.version < excluded.version;

-- name: upsert_customers
-- Whose identity is verified.
insert into customers (customer_id, version, identity_verified)
select *
from unnest($1::text [], $2::int [], $3::bool [])
on conflict (customer_id) do update
    set version = excluded.version, identity_verified = excluded.identity_verified
    where customers.version < excluded.version;

-- name: upsert_payment_methods
-- Which methods can pay, and whose they are.
insert into payment_methods (payment_method_id, version, payer_id, status)
select *
from unnest($1::text [], $2::int [], $3::text [], $4::text [])
on conflict (payment_method_id) do update
    set version = excluded.version, payer_id = excluded.payer_id, status = excluded.status
    where payment_methods.version < excluded.version;

-- name: upsert_offerings
-- What is sold and to whom. An Id holds no comma: lists travel as one text each, unnest would flatten them.
insert into offerings (offering_id, version, brands, carriers, subscription_statuses, status)
select
    o.offering_id,
    o.version,
    string_to_array(o.brands, ','),
    string_to_array(o.carriers, ','),
    string_to_array(o.subscription_statuses, ','),
    o.status
from unnest($1::text [], $2::int [], $3::text [], $4::text [], $5::text [], $6::text [])
as o (offering_id, version, brands, carriers, subscription_statuses, status)
on conflict (offering_id) do update
    set
        version = excluded.version,
        brands = excluded.brands,
        carriers = excluded.carriers,
        subscription_statuses = excluded.subscription_statuses,
        status = excluded.status
    where offerings.version < excluded.version;

-- name: look_at_ended
-- What is kept of subscriptions that are over is looked at once more, now, whatever holds it. Locked in key order.
with ended as (
    select k.subscription_id
    from kept_triggers as k
    inner join subscriptions as s on k.subscription_id = s.subscription_id
    where k.subscription_id = any($1::text []) and s.status = 'terminated'
    order by k.subscription_id
    for update of k
)

update kept_triggers as k
set held_by = 'time', not_before = $2
from ended
where k.subscription_id = ended.subscription_id;
