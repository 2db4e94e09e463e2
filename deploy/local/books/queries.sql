-- name: renewals
-- Renewal's book, with how far each history goes: a history that lags behind its row was not written with it. Closed
-- renewals may have gone into its archive, whole.
select
    r.renewal_id::text,
    r.subscription_id,
    r.state,
    r.version,
    r.amount_minor,
    r.terms ->> 'currency' as currency,
    r.flags,
    coalesce(h.lines, 0),
    coalesce(h.version, 0),
    coalesce(h.state, '')
from renewal.renewals as r
left join (
    select
        renewal_id,
        count(*)::integer as lines,
        max(version) as version,
        (array_agg(to_state order by version desc))[1] as state
    from renewal.renewal_history
    group by renewal_id
) as h using (renewal_id)
union all
select
    a.renewal_id::text,
    a.subscription_id,
    a.renewal ->> 'state',
    (a.renewal ->> 'version')::integer,
    (a.renewal ->> 'amount_minor')::bigint,
    a.renewal -> 'terms' ->> 'currency',
    a.renewal ->> 'flags',
    h.lines,
    coalesce(h.version, 0),
    coalesce(h.state, '')
from renewal.archived_renewals as a
cross join lateral (
    select
        count(*)::integer as lines,
        max((line ->> 'version')::integer) as version,
        (array_agg(line ->> 'to_state' order by (line ->> 'version')::integer desc))[1] as state
    from json_array_elements(a.history) as line
) as h;

-- name: payments
-- Payment's book, what has gone into its archive included.
select
    renewal_id::text,
    state,
    decision,
    gateway,
    amount_minor,
    currency,
    provider_reference,
    applied_at is not null,
    disputed_at is not null,
    surplus::text
from payment.payments
union all
select
    renewal_id::text,
    payment ->> 'state',
    payment ->> 'decision',
    payment ->> 'gateway',
    (payment ->> 'amount_minor')::bigint,
    payment ->> 'currency',
    payment ->> 'provider_reference',
    payment ->> 'applied_at' is not null,
    payment ->> 'disputed_at' is not null,
    payment ->> 'surplus'
from payment.archived_payments;

-- name: transfers
-- The ledger, whole.
select
    coalesce(renewal_id::text, ''),
    kind,
    debit_account,
    credit_account,
    amount_minor,
    currency
from payment.ledger_transfers;

-- name: top_ups
-- Provisioning's book, what has gone into its archive included.
select
    renewal_id::text,
    subscription_id,
    state,
    iccid,
    (granted ->> 'data_bytes')::bigint,
    granted ->> 'product_code',
    provider_reference,
    cycle
from provisioning.top_ups
union all
select
    renewal_id::text,
    subscription_id,
    top_up ->> 'state',
    top_up ->> 'iccid',
    (top_up -> 'granted' ->> 'data_bytes')::bigint,
    top_up -> 'granted' ->> 'product_code',
    top_up ->> 'provider_reference',
    (top_up ->> 'cycle')::integer
from provisioning.archived_top_ups;

-- name: wallets
-- What payers have left.
select
    payer_id,
    currency,
    balance_minor
from payment.wallets;

-- name: numbering
-- How many top-ups each subscription has had.
select
    subscription_id,
    top_ups
from provisioning.subscriptions
where top_ups > 0;

-- name: orphans
-- Events about renewals that nobody began.
select count(*) from renewal.orphans;

-- name: underway
-- What is not finished yet, by name; nothing of it is wrong, but the books cannot be compared before.
with applied as (
    select
        renewal_id,
        subscription_id,
        cycle
    from provisioning.top_ups
    where state = 'applied'
    union all
    select
        renewal_id,
        subscription_id,
        (top_up ->> 'cycle')::integer
    from provisioning.archived_top_ups
    where top_up ->> 'state' = 'applied'
),

asked_by_rules as (
    select
        subscription_id,
        cycle
    from renewal.renewals
    where caller = 'rule'
    union all
    select
        subscription_id,
        (renewal ->> 'cycle')::integer
    from renewal.archived_renewals
    where renewal ->> 'caller' = 'rule'
)

select
    what,
    number
from (
    select
        1 as place,
        'renewals that are neither closed nor parked' as what,
        count(*) as number
    from renewal.renewals
    where closed_at is null and state <> 'parked'
    union all
    select
        2,
        'calls to the PSP without an answer',
        count(*)
    from payment.payments
    where operation is not null
    union all
    select
        3,
        'calls to the carrier without an answer',
        count(*)
    from provisioning.top_up_attempts
    where ended_at is null
    union all
    select
        4,
        'captures whose top-up the ledger has not heard of',
        count(*)
    from payment.payments as p
    inner join applied as t on p.renewal_id = t.renewal_id
    where p.decision = 'captured' and p.applied_at is null and p.state <> 'refunded'
    union all
    select
        5,
        'top-ups that are not in the subscriber''s buckets',
        count(*)
    from applied as t
    where
        not exists (
            select from usage.buckets as b
            where b.subscription_id = t.subscription_id and b.bucket_id = 'top-up-' || t.cycle
        )
    union all
    select
        6,
        'triggers that the rules have not answered',
        count(*)
    from usage.triggers as g
    inner join renewal.renewal_rules as u
        on g.subscription_id = u.subscription_id and u.enabled
        and (case g.kind when 'threshold_reached' then 'threshold' else g.kind end) = any(u.triggers)
    where
        not exists (
            select from asked_by_rules as r
            where r.subscription_id = g.subscription_id and r.cycle >= g.cycle
        )
        and not exists (
            select from renewal.refusals as f
            where f.subscription_id = g.subscription_id and f.caller = 'rule'
        )
        and not exists (
            -- What waits, for the night to end or for a pause, has been answered, too.
            select from renewal.renewal_decisions as d
            where d.subscription_id = g.subscription_id and d.cycle >= g.cycle
        )
    union all
    select
        7,
        'events that are not published',
        (select coalesce(sum(events), 0) from renewal.outbox) + (select coalesce(sum(events), 0) from catalog.outbox)
        + (select coalesce(sum(events), 0) from payment.outbox) + (select coalesce(sum(events), 0) from provisioning.outbox)
        + (select coalesce(sum(events), 0) from usage.outbox)
) as counted
where number > 0
order by place;
