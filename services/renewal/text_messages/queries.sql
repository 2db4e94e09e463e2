-- name: upsert_numbers
-- The newest word about each subscription's number; null: it has none any more.
insert into subscriber_numbers (subscription_id, version, msisdn)
select *
from unnest($1::text [], $2::int [], $3::text [])
on conflict (subscription_id) do update
    set version = excluded.version, msisdn = excluded.msisdn
    where subscriber_numbers.version < excluded.version;
