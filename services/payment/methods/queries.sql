-- Statements about payment methods.

-- name: put_methods
-- Writes what is new or different, of the same payer; returns only what changed, for that is told to others.
insert into payment_methods as m (payment_method_id, payer_id, kind, status, gateway, token, version)
select payment_method_id, payer_id, kind, 'active', gateway, token, 1
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as g (
    payment_method_id, payer_id, kind, gateway, token
)
order by payment_method_id
on conflict (payment_method_id) do update
set
    kind = excluded.kind, status = 'active', gateway = excluded.gateway, token = excluded.token,
    version = m.version + 1, changed_at = now()
where
    m.payer_id = excluded.payer_id
    and (m.kind, m.status, m.gateway, m.token)
    is distinct from (excluded.kind, 'active', excluded.gateway, excluded.token)
returning payment_method_id, payer_id, kind, status, gateway, version;

-- name: remove_method
-- Takes a method away and forgets its token; what was paid with it stays.
update payment_methods
set status = 'removed', token = null, version = version + 1, changed_at = now()
where payment_method_id = $1 and status <> 'removed'
returning payment_method_id, payer_id, kind, status, gateway, version;

-- name: read_methods
-- Methods by id, without their tokens.
select payment_method_id, payer_id, kind, status, gateway, version
from payment_methods
where payment_method_id = any($1::text[]);
