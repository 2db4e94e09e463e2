-- Statements of the payment service. Each takes a whole batch: one array per column.

-- name: methods
-- What the commands of a batch need to know of the payment methods they name, tokens for the calls included.
select payment_method_id, payer_id, gateway, status, network, declined_at, token
from payment_methods
where payment_method_id = any($1::text[]);

-- name: lock_cards
-- Of cards near their networks' caps, under every name they have: one batch at a time decides about each.
select payment_method_id, card, declined_at
from payment_methods
where card = any(select card from payment_methods where payment_method_id = any($1::text[]))
order by payment_method_id
for update;

-- name: count_under_way
-- Tries of cards that may be declined yet. Those are few in the index of what is due, however many payments there are.
select m.card, count(*) as under_way
from payments as p
inner join payment_methods as m on p.payment_method_id = m.payment_method_id
where p.due_at is not null and p.state = 'capturing' and m.card = any($1::bytea[])
group by m.card;

-- name: count_declines
-- Declines of cards, counted against their networks' caps under every name they have; no more than any cap asks about.
-- One that its network never wants to see again keeps the instant that never ages, in front.
-- In key order: two batches that decline the same cards wait for each other in one direction only.
with declined as (
    select m.card, count(*)::integer as times, bool_or(d.is_final) as is_final
    from unnest($1::text[], $2::boolean[]) as d (payment_method_id, is_final)
    inner join payment_methods as m on d.payment_method_id = m.payment_method_id
    group by m.card
),

locked as (
    select m.payment_method_id, d.times, d.is_final
    from declined as d
    inner join payment_methods as m on d.card = m.card
    order by m.payment_method_id
    for update of m
)

update payment_methods as m
set declined_at = (
    case when l.is_final or $4::timestamptz = any(m.declined_at) then array[$4::timestamptz] end
    || array_fill(now(), array[l.times]) || array_remove(m.declined_at, $4::timestamptz)
)[1:$3]
from locked as l
where m.payment_method_id = l.payment_method_id;

-- name: open_payments
-- Inserts the rows that are not there yet, claimed, with their first call: the happy path's only write before the call.
-- A call that is not claimed waits in the queue of its gateway.
-- The arrays come in key order: two batches that bring the same new renewals wait for each other in one direction only.
with opened as (
    insert into payments (
        renewal_id, version, attempt, ordinal, capture_ordinal, claim, due_at, act_before,
        resolve_before, captured_at, captured_version, state, decision, operation, call_status,
        cancel_wanted, payment_method_id, gateway, answer, amount_minor, currency, subscription_id, terms,
        grant_given, traceparent, lane, is_bulk, queued_until
    )
    select
        renewal_id, version, attempt, ordinal, ordinal, is_leased::integer,
        case
            when is_leased then clock_timestamp() + $25::interval
            when operation is not null then now() + interval '10 minutes'
            else due_at
        end,
        act_before,
        resolve_before, captured_at, captured_version, state, decision, operation, call_status,
        cancel_wanted, payment_method_id, gateway, answer, amount_minor, currency, subscription_id, terms,
        grant_given, traceparent,
        case when operation is not null and not is_leased then gateway end,
        case
            when operation is not null and not is_leased
                then terms ->> 'origin' = 'rule' or coalesce(terms ->> 'is_bulk' = 'true', false)
        end,
        case when operation is not null and not is_leased then now() + interval '10 minutes' end
    from unnest(
        $1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[],
        $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::text[], $11::text[], $12::text[], $13::text[],
        $14::text[], $15::text[], $16::text[], $17::json[], $18::bigint[], $19::text[], $20::text[], $21::json[],
        $22::json[], $23::text[], $24::boolean[]
    ) as f (
        renewal_id, version, attempt, ordinal, due_at, act_before,
        resolve_before, captured_at, captured_version, state, decision, operation, call_status,
        cancel_wanted, payment_method_id, gateway, answer, amount_minor, currency, subscription_id, terms,
        grant_given, traceparent, is_leased
    )
    on conflict (renewal_id) do nothing
    returning renewal_id, ordinal, claim, operation, payment_method_id, gateway
),

begun as (
    insert into payment_attempts (renewal_id, ordinal, send_before, operation, status, payment_method_id, gateway)
    select
        renewal_id, ordinal, case when claim > 0 then clock_timestamp() + $26::interval end,
        operation, 'sending', payment_method_id, gateway
    from opened
    where operation is not null
)

select renewal_id from opened;

-- name: lock_payments
-- The rows of a batch, locked in key order so that two batches never wait for each other in a circle.
select *
from payments
where renewal_id = any($1::uuid[])
order by renewal_id
for update;

-- name: lock_wallets
-- The balances that a batch charges or pays back, locked in key order, after the payments.
select w.payer_id, w.currency, w.balance_minor
from wallets as w
inner join unnest($1::text[], $2::text[]) as k (payer_id, currency)
    on w.payer_id = k.payer_id and w.currency = k.currency
order by w.payer_id, w.currency
for update of w;

-- name: store_references
-- The PSP's objects, before anything is asked of them that moves money. What it returns may be confirmed.
-- The arrays come in key order, and so the rows are locked.
update payments as p
set provider_reference = c.reference, reference_gateway = c.gateway
from unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::integer[])
    as c (renewal_id, gateway, reference, ordinal, claim)
where
    p.renewal_id = c.renewal_id and p.operation = 'capture' and p.ordinal = c.ordinal and p.claim = c.claim
    and p.provider_reference is null
returning p.renewal_id;

-- name: write_payments
-- All that a batch of folds changed, in one statement: rows, calls begun, calls known better, money.
with written as (
    update payments as p
    set
        version = c.version, attempt = c.attempt, ordinal = c.ordinal, capture_ordinal = c.capture_ordinal,
        claim = p.claim + c.is_leased::integer, objects = c.objects, refund_attempt = c.refund_attempt,
        captured_version = c.captured_version,
        due_at = case when c.is_leased then clock_timestamp() + $29::interval else c.due_at end,
        act_before = c.act_before, resolve_before = c.resolve_before, captured_at = c.captured_at,
        disputed_at = c.disputed_at, refund_returned_at = c.refund_returned_at, state = c.state,
        decision = c.decision, operation = c.operation, call_status = c.call_status,
        cancel_wanted = c.cancel_wanted, payment_method_id = c.payment_method_id, gateway = c.gateway,
        reference_gateway = c.reference_gateway, provider_reference = c.provider_reference, surplus = c.surplus,
        answer = c.answer, refund_answer = c.refund_answer, refund_reference = c.refund_reference
    from unnest(
        $1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
        $8::integer[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
        $13::timestamptz[], $14::timestamptz[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
        $20::text[], $21::text[], $22::text[], $23::text[], $24::json[], $25::json[], $26::json[], $27::text[],
        $28::boolean[]
    ) as c (
        renewal_id, version, attempt, ordinal, capture_ordinal, objects, refund_attempt,
        captured_version, due_at, act_before, resolve_before, captured_at,
        disputed_at, refund_returned_at, state, decision, operation, call_status, cancel_wanted,
        payment_method_id, gateway, reference_gateway, provider_reference, surplus, answer, refund_answer,
        refund_reference, is_leased
    )
    where p.renewal_id = c.renewal_id
),

attempted as (
    insert into payment_attempts (
        renewal_id, ordinal, send_before, ended_at, operation, status, code, provider_reference,
        payment_method_id, gateway
    )
    select
        a.renewal_id, a.ordinal, case when a.is_leased then clock_timestamp() + $30::interval end,
        case when a.status not in ('sending', 'unknown') then now() end,
        a.operation, a.status, a.code, a.reference, a.payment_method_id, a.gateway
    from unnest(
        $31::uuid[], $32::integer[], $33::text[], $34::text[], $35::text[], $36::text[], $37::text[], $38::text[],
        $39::boolean[]
    ) as a (renewal_id, ordinal, operation, status, code, reference, payment_method_id, gateway, is_leased)
    on conflict (renewal_id, ordinal) do update
    -- The same call again, under the same key.
    set
        status = excluded.status, code = excluded.code, ended_at = excluded.ended_at,
        send_before = coalesce(excluded.send_before, payment_attempts.send_before)
),

resulted as (
    update payment_attempts as t
    set
        status = a.status, code = a.code,
        ended_at = case when a.status <> 'unknown' then now() end,
        provider_reference = coalesce(a.reference, t.provider_reference)
    from unnest($40::uuid[], $41::integer[], $42::text[], $43::text[], $44::text[])
        as a (renewal_id, ordinal, status, code, reference)
    where
        t.renewal_id = a.renewal_id and t.ordinal = a.ordinal
        -- What is settled stays so: only a later success says otherwise, or what came of the payer's turn.
        and (t.status in ('sending', 'unknown') or a.status = 'succeeded' or t.code = 'action_required')
)

insert into ledger_transfers (
    id, renewal_id, kind, debit_account, credit_account, amount_minor, currency
)
select * from unnest($45::uuid[], $46::uuid[], $47::text[], $48::text[], $49::text[], $50::bigint[], $51::text[])
on conflict (renewal_id, id) do nothing;

-- name: move_balances
-- What wallets paid and got back, summed per wallet; the table refuses a balance below zero.
update wallets as w
set balance_minor = w.balance_minor + m.amount_minor
from unnest($1::text[], $2::text[], $3::bigint[]) as m (payer_id, currency, amount_minor)
where w.payer_id = m.payer_id and w.currency = m.currency;

-- name: pick_due_calls
-- Calls that nobody holds: paused, left behind by a dead process, or too long in a queue.
select renewal_id
from payments
-- The transaction's instant, not the clock's: an index is searched for what stands still.
where due_at <= now() and operation is not null
order by due_at
limit $1
for update skip locked;

-- name: pick_queued_calls
-- Of each gateway's queue those that have waited longest, so many as it takes. Whoever moves due_at takes a row out of it.
select
    q.renewal_id,
    w.lane
from unnest($1::text[], $2::integer[]) as w (lane, number)
cross join lateral (
    select p.renewal_id
    from payments as p
    where p.lane = w.lane and p.is_bulk = $3 and p.queued_until = p.due_at and p.operation is not null
    order by p.due_at
    limit w.number
    for update skip locked
) as q;

-- name: count_queued_calls
-- How many wait for each gateway, for those who watch.
select
    lane,
    count(*)
from payments
where queued_until = due_at and operation is not null
group by lane;

-- name: read_oldest_surplus
-- The earliest resolution deadline of surplus that payment tries to send back, of the 1,000 oldest such payments.
select min(o.resolve_before)
from (
    select
        operation,
        resolve_before
    from payments
    where surplus is not null and due_at is not null
    order by created_at
    limit 1000
) as o
where o.operation = 'surplus';

-- name: queue_calls
-- Calls that their gateway did not take now: the lease is given back by whoever still has it, and they wait in its queue.
-- One that was not written to the network is left as it was before. The arrays come in key order, and so are the locks.
with queued as (
    update payments as p
    set
        lane = c.lane, is_bulk = c.is_bulk, call_status = 'unknown',
        due_at = now() + interval '10 minutes', queued_until = now() + interval '10 minutes'
    from unnest($1::uuid[], $2::integer[], $3::integer[], $4::text[], $5::boolean[], $6::boolean[], $7::timestamptz[])
        as c (renewal_id, ordinal, claim, lane, is_bulk, is_unsent, sent_before)
    where
        p.renewal_id = c.renewal_id and p.claim = c.claim and p.ordinal = c.ordinal and p.operation is not null
    returning p.renewal_id, p.ordinal, c.is_unsent, c.sent_before
)

update payment_attempts as a
set send_before = q.sent_before
from queued as q
where a.renewal_id = q.renewal_id and a.ordinal = q.ordinal and q.is_unsent;

-- name: take_calls
-- Picked calls, locked already, now held. The call is read with its payment: as a list of its own it would have no
-- index to be found by. The time in a queue counts for no deadline: nobody could ask meanwhile.
with picked as (
    select
        p.renewal_id, p.operation, p.ordinal, p.claim + 1 as claim, p.payment_method_id, p.gateway,
        p.reference_gateway, p.provider_reference, p.objects, p.amount_minor, p.currency, p.cancel_wanted,
        p.decision, p.surplus, a.send_before as sent_before, a.first_sent_at,
        a.provider_reference as call_reference,
        p.terms ->> 'origin' = 'rule' or coalesce(p.terms ->> 'is_bulk' = 'true', false) as is_bulk
    from payments as p
    inner join payment_attempts as a on p.renewal_id = a.renewal_id and p.ordinal = a.ordinal
    where p.renewal_id = any($1::uuid[])
    for update
),

claimed as (
    update payments as p
    set
        due_at = clock_timestamp() + $2::interval, claim = d.claim, call_status = 'sending',
        resolve_before = case
            when p.queued_until = p.due_at then p.resolve_before + (now() - (p.queued_until - interval '10 minutes'))
            else p.resolve_before
        end
    from picked as d
    where p.renewal_id = d.renewal_id
),

stamped as (
    update payment_attempts as a
    set send_before = clock_timestamp() + $3::interval, status = 'sending'
    from picked as d
    -- A question is about an attempt, and none itself.
    where a.renewal_id = d.renewal_id and a.ordinal = d.ordinal and d.operation <> 'ask'
)

select
    d.*,
    m.token,
    m.network,
    m.declined_at
from picked as d
left join payment_methods as m on d.payment_method_id = m.payment_method_id;

-- name: apply_captures
-- The captures that a top-up has earned, each once; returns them. The arrays come in key order, so rows are locked in it.
with earned as (
    update payments as p
    set applied_at = a.applied_at, version = p.version + 1
    from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as a (renewal_id, transfer_id, applied_at)
    where
        p.renewal_id = a.renewal_id and p.decision = 'captured' and p.applied_at is null and p.state <> 'refunded'
    returning p.renewal_id, a.transfer_id, p.amount_minor, p.currency, p.disputed_at
),

moved as (
    insert into ledger_transfers (id, renewal_id, kind, debit_account, credit_account, amount_minor, currency)
    select transfer_id, renewal_id, 'applied', 'held', 'applied', amount_minor, currency
    from earned
    where amount_minor > 0 and disputed_at is null
    on conflict (renewal_id, id) do nothing
)

select renewal_id from earned;

-- name: unearned
-- Of the renewals that earned nothing now, those that never did: no money is held for their top-up.
select a.renewal_id
from unnest($1::uuid[]) as a (renewal_id)
left join payments as p on a.renewal_id = p.renewal_id
where p.applied_at is null;

-- name: read_transfers
-- The ledger lines of a payment.
select kind, debit_account, credit_account, amount_minor, currency, transferred_at
from ledger_transfers
where renewal_id = $1
order by transferred_at, kind;

-- name: read_accounts
-- Every account of the ledger but the wallets, with what it holds.
select account, currency, debit_minor, credit_minor
from ledger_accounts
where account not like 'wallet:%'
order by currency, account;

-- name: read_proof
-- Whether the books balance, per currency; and whether the wallets hold what the ledger says they do. A currency that
-- the ledger has never seen is one of a wallet: it holds nothing, or it does not balance.
select
    currency,
    coalesce(p.captured_minor, 0) as captured_minor,
    coalesce(p.applied_minor, 0) as applied_minor,
    coalesce(p.refunded_minor, 0) as refunded_minor,
    coalesce(p.held_minor, 0) as held_minor,
    coalesce(p.disputed_minor, 0) as disputed_minor,
    coalesce(p.surplus_minor, 0) as surplus_minor,
    coalesce(p.difference_minor, 0) as difference_minor,
    coalesce(p.balanced, true) as balanced,
    coalesce(w.balance_minor, 0) as wallets_minor,
    coalesce(a.balance_minor, 0) as wallet_accounts_minor
from ledger_proof as p
full join (select currency, sum(balance_minor) as balance_minor from wallets group by currency) as w
    using (currency)
left join (
    select currency, sum(credit_minor - debit_minor) as balance_minor
    from ledger_accounts
    where account like 'wallet:%'
    group by currency
) as a using (currency)
order by currency;
