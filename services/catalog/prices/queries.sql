-- name: read_prices
-- Every price of these offerings: what a new one must fit in with, and what is shown.
select offering_id, price_id, currency, amount_minor, effective_from, withdrawn_from
from prices
where offering_id = any($1::text[])
order by offering_id, currency, effective_from

-- name: known_offerings
-- A price needs an offering.
select offering_id from offerings where offering_id = any($1::text[])

-- name: free_starts
-- Takes changed prices out of the way, so that two of them may exchange their beginnings.
delete from prices as p
using unnest($1::text[], $2::text[]) as c (offering_id, price_id)
where p.offering_id = c.offering_id and p.price_id = c.price_id

-- name: insert_prices
-- Scheduled, changed and withdrawn prices, all under the price list's lock.
insert into prices (offering_id, price_id, currency, amount_minor, effective_from, withdrawn_from, revision)
select p.*, $7
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[]) as p

-- name: prices_since
-- What a process does not know yet.
select offering_id, price_id, currency, amount_minor, effective_from, withdrawn_from
from prices
where revision > $1
