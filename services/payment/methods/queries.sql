-- Statements about payment methods.

-- name: put_methods
-- Writes what is new or different, of the same payer; returns only what changed, for that is told to others.
-- `card` is the same for the same token of the same PSP, whatever the method is called: declines stay with the card.
insert into payment_methods as m (
    payment_method_id, payer_id, kind, status, gateway, token, network, card, declined_at, version
)
select
    g.payment_method_id, g.payer_id, g.kind, 'active', g.gateway, g.token, g.network, g.card,
    (select k.declined_at from payment_methods as k where k.card = g.card limit 1), 1
from (
    select *, sha256(convert_to(gateway || ' ' || token, 'UTF8')) as card
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) as u (
        payment_method_id, payer_id, kind, gateway, token, network
    )
) as g
order by g.payment_method_id
on conflict (payment_method_id) do update
set
    kind = excluded.kind, status = 'active', gateway = excluded.gateway, token = excluded.token,
    network = excluded.network, card = excluded.card,
    declined_at = case when m.card = excluded.card then m.declined_at else excluded.declined_at end,
    version = m.version + 1, changed_at = now()
where
    m.payer_id = excluded.payer_id
    and (m.kind, m.status, m.gateway, m.token, m.network, m.card)
    is distinct from (excluded.kind, 'active', excluded.gateway, excluded.token, excluded.network, excluded.card)
returning payment_method_id, payer_id, kind, status, gateway, network, version;

-- name: remove_method
-- Takes a method away and forgets its token; what was paid with it stays.
update payment_methods
set status = 'removed', token = null, version = version + 1, changed_at = now()
where payment_method_id = $1 and status <> 'removed'
returning payment_method_id, payer_id, kind, status, gateway, network, version;

-- name: forget_declines
-- A PSP's token stands for other details from now on: what was declined before counts for nothing, under any name.
-- In key order, as declines are counted.
with locked as (
    select payment_method_id
    from payment_methods
    where card = sha256(convert_to($1 || ' ' || $2, 'UTF8')) and declined_at is not null
    order by payment_method_id
    for update
)

update payment_methods as m
set declined_at = null
from locked as l
where m.payment_method_id = l.payment_method_id
returning m.payment_method_id;

-- name: read_methods
-- Methods by id, without their tokens.
select payment_method_id, payer_id, kind, status, gateway, network, version
from payment_methods
where payment_method_id = any($1::text[]);

-- name: list_methods
-- All there are, without their tokens: a page begins after the last one that was seen, '' is the first.
select payment_method_id, payer_id, kind, status, gateway, network, version
from payment_methods
where payment_method_id > $1
order by payment_method_id
limit $2;
