-- name: renewals
-- Renewal's book, with how far each history goes: a history that lags behind its row was not written with it.
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
) as h using (renewal_id);

-- name: payments
-- Payment's book.
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
    refund_returned_at is not null,
    surplus::text
from payment.payments;

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
-- Provisioning's book.
select
    renewal_id::text,
    subscription_id,
    state,
    iccid,
    (granted ->> 'data_bytes')::bigint,
    granted ->> 'product_code',
    provider_reference,
    cycle
from provisioning.top_ups;

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
    inner join provisioning.top_ups as t on p.renewal_id = t.renewal_id
    where t.state = 'applied' and p.decision = 'captured' and p.applied_at is null and p.state <> 'refunded'
    union all
    select
        5,
        'top-ups that are not in the subscriber''s buckets',
        count(*)
    from provisioning.top_ups as t
    where
        t.state = 'applied' and not exists (
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
        and (case g.kind when 'exhausted' then 'exhausted' else 'threshold' end) = any(u.triggers)
    where
        not exists (
            select from renewal.renewals as r
            where r.subscription_id = g.subscription_id and r.caller = 'rule' and r.cycle >= g.cycle
        )
        and not exists (
            select from renewal.refusals as f
            where f.subscription_id = g.subscription_id and f.caller = 'rule'
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
