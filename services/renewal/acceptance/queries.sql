-- name: read_acceptance
-- What the table says about a batch of requests, in one trip; asked only where the table has entries.
select
    terms.destination,
    payer.country,
    coalesce(method.found, '{}') as kinds,
    coalesce(entry.found, '{}') as entries,
    review.state,
    review.reviewed,
    review.deadline_at,
    review.reason,
    review.detail
from unnest($1::uuid [], $2::text [], $3::text [], $4::text [])
with ordinality as asked (renewal_id, offering_id, payer_id, method_ids, place)
left join lateral (
    select destination from offering_terms where offering_id = asked.offering_id limit 1
) as terms on true
left join lateral (
    select country from payer_countries where customer_id = asked.payer_id limit 1
) as payer on true
left join lateral (
    select array_agg(payment_method_id || ' ' || kind) as found
    from method_kinds
    where payment_method_id = any(string_to_array(asked.method_ids, ','))
) as method on true
left join lateral (
    select array_agg(e.destination || ' ' || e.payer_country || ' ' || e.method_kind || ' ' || e.verdict) as found
    from acceptance_entries as e
    where e.destination in ('*', terms.destination) and e.payer_country in ('*', payer.country)
) as entry on true
left join lateral (
    select
        state,
        reviewed,
        deadline_at,
        reason,
        detail
    from acceptance_reviews where renewal_id = asked.renewal_id limit 1
) as review on true
order by asked.place;

-- name: lock_entries
-- Who writes waits for whoever else does: what was there before is told to the audit. Nobody who reads waits.
lock table acceptance_entries in share row exclusive mode;

-- name: read_entries
-- What is said of these now; nothing of those that are not there.
select
    destination,
    payer_country,
    method_kind,
    verdict
from acceptance_entries
inner join unnest($1::text [], $2::text [], $3::text []) as k (destination, payer_country, method_kind)
    using (destination, payer_country, method_kind);

-- name: write_entries
-- In key order: two who write the same ones wait, they do not deadlock.
insert into acceptance_entries (destination, payer_country, method_kind, verdict, why, set_by, set_at)
select
    e.*,
    $5,
    $6,
    $7
from unnest($1::text [], $2::text [], $3::text [], $4::text []) as e
on conflict (destination, payer_country, method_kind) do update
    set
        verdict = excluded.verdict,
        why = excluded.why,
        set_by = excluded.set_by,
        set_at = excluded.set_at;

-- name: delete_entry
-- From its commit on a less specific entry holds, or none.
delete from acceptance_entries
where destination = $1 and payer_country = $2 and method_kind = $3
returning destination, payer_country, method_kind, verdict, why, set_by, set_at;

-- name: list_entries
-- The table, for whoever keeps it.
select
    destination,
    payer_country,
    method_kind,
    verdict,
    why,
    set_by,
    set_at
from acceptance_entries
where $1::text is null or (destination, payer_country, method_kind) > ($1, $2::text, $3::text)
order by destination, payer_country, method_kind
limit $4;

-- name: upsert_payer_countries
-- Where payers are from: the newest version.
insert into payer_countries (customer_id, version, country)
select *
from unnest($1::text [], $2::int [], $3::text [])
on conflict (customer_id) do update
    set version = excluded.version, country = excluded.country
    where payer_countries.version < excluded.version;

-- name: upsert_method_kinds
-- Of which kind methods are: the newest version.
insert into method_kinds (payment_method_id, version, kind)
select *
from unnest($1::text [], $2::int [], $3::text [])
on conflict (payment_method_id) do update
    set version = excluded.version, kind = excluded.kind
    where method_kinds.version < excluded.version;
