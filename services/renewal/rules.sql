-- name: read_rule
-- One subscription's standing instruction.
select
    subscription_id, version, triggers, offering_id, payment_method_ids, cap_amount_minor, currency, enabled
from renewal_rules
where subscription_id = $1;

-- name: set_rules
-- Replaces rules as a whole. The version rises only where something is different: saying it twice is saying it once.
insert into renewal_rules (
    subscription_id, version, triggers, offering_id, payment_method_ids, cap_amount_minor, currency, enabled,
    set_by, set_at
)
select
    n.subscription_id,
    1,
    string_to_array(n.triggers, ','),
    n.offering_id,
    string_to_array(n.payment_method_ids, ','),
    n.cap_amount_minor,
    n.currency,
    n.enabled,
    $8,
    $9
from unnest($1::text [], $2::text [], $3::text [], $4::text [], $5::bigint [], $6::text [], $7::bool [])
as n (subscription_id, triggers, offering_id, payment_method_ids, cap_amount_minor, currency, enabled)
on conflict (subscription_id) do update
    set
        version = renewal_rules.version + 1,
        triggers = excluded.triggers,
        offering_id = excluded.offering_id,
        payment_method_ids = excluded.payment_method_ids,
        cap_amount_minor = excluded.cap_amount_minor,
        currency = excluded.currency,
        enabled = excluded.enabled,
        set_by = excluded.set_by,
        set_at = excluded.set_at
    where
        (
            renewal_rules.triggers, renewal_rules.offering_id, renewal_rules.payment_method_ids,
            renewal_rules.cap_amount_minor, renewal_rules.currency, renewal_rules.enabled
        )
        is distinct from (
            excluded.triggers, excluded.offering_id, excluded.payment_method_ids, excluded.cap_amount_minor,
            excluded.currency, excluded.enabled
        );

-- name: read_what_rules_name
-- Whether what a batch of rules names is known: a rule that can never work is refused where it is made.
select
    wanted.subscription_id,
    subscription.owner_id,
    offering.status as offering_status,
    coalesce(method.found, '{}') as methods
from unnest($1::text [], $2::text [], $3::text [])
with ordinality as wanted (subscription_id, offering_id, method_ids, place)
left join subscriptions as subscription on wanted.subscription_id = subscription.subscription_id
left join offerings as offering on wanted.offering_id = offering.offering_id
left join lateral (
    select array_agg(known.payment_method_id || ' ' || known.payer_id || ' ' || known.status) as found
    from payment_methods as known
    where known.payment_method_id = any(string_to_array(wanted.method_ids, ','))
) as method on true
order by wanted.place;
