-- name: renewals
-- Every renewal as the report needs it: who began it, how it ended, how long it took.
select
    r.renewal_id::text,
    r.subscription_id,
    r.state,
    r.caller,
    extract(epoch from r.closed_at - r.requested_at)::float8 as seconds,
    exists (
        select from renewal.renewal_history as h
        where h.renewal_id = r.renewal_id and h.message = 'PaymentDeclined'
    ) as was_declined
from renewal.renewals as r;

-- name: progress
-- How the day goes, for the live view.
select
    state,
    count(*)::integer as number
from renewal.renewals
group by state;

-- name: usage
-- What became of the usage records.
select
    counted.number + quarantined.number as recorded,
    quarantined.number as refused,
    counted.unknown
from (
    select
        count(*)::integer as number,
        count(*) filter (where subscription_id is null)::integer as unknown
    from usage.usage_records
) as counted
cross join (select count(*)::integer as number from usage.quarantined_records) as quarantined;

-- name: known
-- How much of what was seeded has reached the services that need it.
select
    (select count(*) from renewal.customers where identity_verified)::integer as customers,
    (select count(*) from renewal.subscriptions)::integer as subscriptions,
    (select count(*) from renewal.payment_methods)::integer as payment_methods,
    (select count(*) from renewal.offerings)::integer as offerings,
    (select count(*) from catalog.subscriptions)::integer as buyers,
    (select count(*) from usage.iccids)::integer as iccids;

-- name: set_aside
-- Records that a service could not handle: there must be none.
select
    (select count(*) from renewal.set_aside) + (select count(*) from catalog.set_aside)
    + (select count(*) from payment.set_aside) + (select count(*) from provisioning.set_aside)
    + (select count(*) from usage.set_aside) as number;

-- name: refusals
-- Why rules could not begin a renewal.
select
    reason,
    count(*)::integer as number
from renewal.refusals
where caller = 'rule' and reason <> 'cycle_over'
group by reason;
