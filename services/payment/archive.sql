-- name: find_settled
-- What is over and settled, by payment's own book: decided, no call under way, and what was taken was earned or went
-- back, so that the ledger holds nothing for it. Its time is that of the last thing that happened to it.
select
    s.renewal_id,
    s.closed_at
from (
    select
        p.renewal_id,
        greatest(
            p.created_at, p.captured_at, p.applied_at, p.disputed_at,
            (select max(a.ended_at) from payment_attempts as a where a.renewal_id = p.renewal_id)
        ) as closed_at
    from payments as p
    where
        p.ctid >= $1::tid and p.ctid < $2::tid and p.created_at < $3 and p.operation is null
        and (
            p.state in ('cancelled', 'refunded')
            or (p.state = 'captured' and p.applied_at is not null)
        )
        and not exists (
            select from ledger_transfers as t
            where t.renewal_id = p.renewal_id
            having
                coalesce(sum(t.amount_minor) filter (where t.credit_account in ('held', 'surplus')), 0)
                <> coalesce(sum(t.amount_minor) filter (where t.debit_account in ('held', 'surplus')), 0)
        )
    for update of p skip locked
) as s
where s.closed_at < $3;

-- name: archive_payments
-- Moves locked payments with their calls, in one statement: a row is never in both places and never in neither.
with moved as (
    select
        m.renewal_id,
        m.closed_at
    from unnest($1::uuid[], $2::timestamptz[]) as m (renewal_id, closed_at)
),

entered as (
    insert into archive_register (renewal_id, closed_at)
    select
        renewal_id,
        closed_at
    from moved
),

without_calls as (
    delete from payment_attempts
    where renewal_id = any($1::uuid[])
),

without_row as (
    delete from payments
    where renewal_id = any($1::uuid[])
)

insert into archived_payments (renewal_id, closed_at, subscription_id, payment, attempts)
select
    p.renewal_id,
    m.closed_at,
    p.subscription_id,
    row_to_json(p),
    (
        select coalesce(json_agg(row_to_json(a) order by a.ordinal), '[]')
        from payment_attempts as a
        where a.renewal_id = p.renewal_id
    )
from moved as m
inner join payments as p on m.renewal_id = p.renewal_id;

-- name: lock_register
-- Which of these are in the archive, locked in key order: asked only for renewals that have no row in payments.
select renewal_id
from archive_register
where renewal_id = any($1::uuid[])
order by renewal_id
for update;

-- name: read_archived
-- Archived payments as rows of payments; a column that is younger than they are is null. Each month is looked into only
-- where the register says so.
select p.*
from archive_register as r
inner join archived_payments as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
cross join lateral json_populate_record(null::payments, a.payment) as p
where r.renewal_id = any($1::uuid[]);

-- name: bring_payments_back
-- Moves archived payments back with their calls, for they change once more. Those that are not archived stay as they are.
with wanted as (
    delete from archive_register
    where renewal_id = any($1::uuid[])
    returning renewal_id, closed_at
),

taken as (
    delete from archived_payments as a
    using wanted as w
    where a.renewal_id = w.renewal_id and a.closed_at = w.closed_at
    returning a.payment, a.attempts
),

called as (
    insert into payment_attempts
    select c.*
    from taken as t
    cross join lateral json_populate_recordset(null::payment_attempts, t.attempts) as c
)

insert into payments
select p.*
from taken as t
cross join lateral json_populate_record(null::payments, t.payment) as p;

-- name: find_payment
-- One payment, wherever it is: in one statement, for between two it may move.
select p.*
from payments as p
where p.renewal_id = $1
union all
select p.*
from archive_register as r
inner join archived_payments as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
cross join lateral json_populate_record(null::payments, a.payment) as p
where r.renewal_id = $1
limit 1;

-- name: find_attempts
-- The calls made for a payment, wherever it is, in their order.
select ordinal, operation, status, code, provider_reference, payment_method_id, gateway, first_sent_at, ended_at
from payment_attempts
where renewal_id = $1
union all
select c.ordinal, c.operation, c.status, c.code, c.provider_reference, c.payment_method_id, c.gateway,
    c.first_sent_at, c.ended_at
from archive_register as r
inner join archived_payments as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
cross join lateral json_populate_recordset(null::payment_attempts, a.attempts) as c
where r.renewal_id = $1
order by ordinal;

-- name: list_payments
-- The payments of a subscription, wherever they are, newest id first, one page.
(
    select p.*
    from payments as p
    where p.subscription_id = $1 and ($2::uuid is null or p.renewal_id < $2)
    order by p.renewal_id desc
    limit $3
)
union all
(
    select p.*
    from archived_payments as a
    cross join lateral json_populate_record(null::payments, a.payment) as p
    where a.subscription_id = $1 and ($2::uuid is null or a.renewal_id < $2)
    order by a.renewal_id desc
    limit $3
)
order by renewal_id desc
limit $3;
