-- name: read_offerings
-- What a change is compared with.
select offering_id, version, name, plan, destination, data_bytes, validity_seconds, stacking, product_code,
    brands, carriers, subscription_statuses, status
from offerings
where offering_id = any($1::text[])

-- name: write_offerings
-- The current state, for whoever lists it; rows arrive as JSON because unnest would flatten their arrays.
insert into offerings (offering_id, version, name, plan, destination, data_bytes, validity_seconds, stacking,
    product_code, brands, carriers, subscription_statuses, status, changed_at)
select o.*, $2
from jsonb_to_recordset($1::jsonb) as o (
    offering_id text, version integer, name text, plan text, destination text, data_bytes bigint,
    validity_seconds integer, stacking text, product_code text, brands text[], carriers text[],
    subscription_statuses text[], status text
)
on conflict (offering_id) do update
set
    version = excluded.version, name = excluded.name, plan = excluded.plan, destination = excluded.destination,
    data_bytes = excluded.data_bytes, validity_seconds = excluded.validity_seconds,
    stacking = excluded.stacking, product_code = excluded.product_code, brands = excluded.brands,
    carriers = excluded.carriers, subscription_statuses = excluded.subscription_statuses,
    status = excluded.status, changed_at = excluded.changed_at

-- name: insert_versions
-- What pricing reads: each version with the moment from which requests are priced by it.
insert into offering_versions (offering_id, version, effective_from, data_bytes, validity_seconds, stacking,
    product_code, status, revision)
select v.*, $9
from unnest($1::text[], $2::integer[], $3::timestamptz[], $4::bigint[], $5::integer[], $6::text[],
    $7::text[], $8::text[]) as v

-- name: versions_since
-- What a process does not know yet.
select offering_id, version, effective_from, data_bytes, validity_seconds, stacking, product_code, status
from offering_versions
where revision > $1

-- name: list_offerings
-- A page in the order of ids; with a subscription's brand ($2), carrier and status only what it may buy.
select offering_id, version, name, plan, destination, data_bytes, validity_seconds, stacking, product_code,
    brands, carriers, subscription_statuses, status
from offerings
where
    ($1::text is null or destination = $1)
    and (
        $2::text is null
        or (
            status = 'on_sale'
            and (brands = '{}' or $2 = any(brands))
            and (carriers = '{}' or $3::text = any(carriers))
            and $4::text = any(subscription_statuses)
        )
    )
    and ($5::text is null or offering_id > $5)
order by offering_id
limit $6

-- name: subscription
-- What decides whether a subscription may buy something.
select brand, carrier, status from subscriptions where subscription_id = $1

-- name: upsert_subscriptions
-- The projection of subscriptions.v1. A version that says the same is written all the same: a late older one
-- must find it.
insert into subscriptions (subscription_id, version, brand, carrier, status)
select *
from unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[])
    as s (subscription_id, version, brand, carrier, status)
order by s.subscription_id
on conflict (subscription_id) do update
set version = excluded.version, brand = excluded.brand, carrier = excluded.carrier, status = excluded.status
where excluded.version > subscriptions.version
