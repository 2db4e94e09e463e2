-- name: search_open
-- Open renewals that match, newest first. The few that are open are looked at, however many are closed.
with candidates as materialized (
    select
        renewal_id,
        subscription_id,
        requested_at,
        state,
        reason,
        parked_reason
    from renewals
    where closed_at is null
    limit 100000
), matching as (
    select
        candidates.renewal_id,
        candidates.requested_at,
        subscription.brand,
        subscription.carrier
    from candidates
    left join subscriptions as subscription on candidates.subscription_id = subscription.subscription_id
    where
        ($1::text [] is null or candidates.state = any($1))
        and ($2::text is null or subscription.brand = $2)
        and ($3::text is null or subscription.carrier = $3)
        and ($4::text is null or $4 in (candidates.reason, candidates.parked_reason))
        and ($5::timestamptz is null or candidates.requested_at <= $5)
        and ($6::timestamptz is null or (candidates.requested_at, candidates.renewal_id) < ($6, $7::uuid))
    order by candidates.requested_at desc, candidates.renewal_id desc
    limit $8
)

select
    matching.brand,
    matching.carrier,
    r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
    r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
    r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
    r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
    r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
    r.closed_at
from matching
inner join renewals as r on matching.renewal_id = r.renewal_id
order by matching.requested_at desc, matching.renewal_id desc;

-- name: search_cases
-- Renewals with that flag, open or closed, that match, newest first. The few that wait for a person are looked at.
with candidates as materialized (
    select
        renewal_id,
        subscription_id,
        requested_at,
        closed_at,
        state,
        reason,
        parked_reason
    from renewals
    where
        string_to_array(flags, ' ') && '{promise_broken,unresolved,refund_failed_later}'::text []
        and $9 = any(string_to_array(flags, ' '))
    limit 100000
), matching as (
    select
        candidates.renewal_id,
        candidates.requested_at,
        subscription.brand,
        subscription.carrier
    from candidates
    left join subscriptions as subscription on candidates.subscription_id = subscription.subscription_id
    where
        ($1::text [] is null or candidates.state = any($1))
        and ($2::text is null or subscription.brand = $2)
        and ($3::text is null or subscription.carrier = $3)
        and ($4::text is null or $4 in (candidates.reason, candidates.parked_reason))
        and ($5::timestamptz is null or candidates.requested_at <= $5)
        and ($10::boolean is null or $10 = (candidates.closed_at is null))
        and ($11::text is null or candidates.subscription_id = $11)
        and ($6::timestamptz is null or (candidates.requested_at, candidates.renewal_id) < ($6, $7::uuid))
    order by candidates.requested_at desc, candidates.renewal_id desc
    limit $8
)

select
    matching.brand,
    matching.carrier,
    r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
    r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
    r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
    r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
    r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
    r.closed_at
from matching
inner join renewals as r on matching.renewal_id = r.renewal_id
order by matching.requested_at desc, matching.renewal_id desc;

-- name: search_all
-- Renewals that match, archived ones too, newest first, among the next $9 by time: a page may hold few, but never
-- takes long.
with candidates as materialized (
    (
        select
            renewal_id,
            subscription_id,
            requested_at,
            closed_at,
            state,
            reason,
            parked_reason,
            false as is_archived
        from renewals
        where
            ($5::timestamptz is null or requested_at <= $5)
            and ($6::timestamptz is null or (requested_at, renewal_id) < ($6, $7::uuid))
        order by requested_at desc, renewal_id desc
        limit $9
    )
    union all
    (
        select
            renewal_id,
            subscription_id,
            requested_at,
            closed_at,
            state,
            reason,
            parked_reason,
            true as is_archived
        from archived_renewals
        where
            ($5::timestamptz is null or requested_at <= $5)
            and ($6::timestamptz is null or (requested_at, renewal_id) < ($6, $7::uuid))
        order by requested_at desc, renewal_id desc
        limit $9
    )
    order by requested_at desc, renewal_id desc
    limit $9
), matching as (
    select
        candidates.renewal_id,
        candidates.requested_at,
        candidates.closed_at,
        candidates.is_archived,
        subscription.brand,
        subscription.carrier
    from candidates
    left join subscriptions as subscription on candidates.subscription_id = subscription.subscription_id
    where
        ($1::text [] is null or candidates.state = any($1))
        and ($2::text is null or subscription.brand = $2)
        and ($3::text is null or subscription.carrier = $3)
        and ($4::text is null or $4 in (candidates.reason, candidates.parked_reason))
        and ($10::boolean is null or $10 = (candidates.closed_at is null))
    order by candidates.requested_at desc, candidates.renewal_id desc
    limit $8
)

select
    matching.brand,
    matching.carrier,
    r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
    r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
    r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
    r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
    r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
    r.closed_at
from matching
cross join lateral (
    select * from renewals where not matching.is_archived and renewal_id = matching.renewal_id
    union all
    select archived.*
    from archived_renewals as a
    cross join lateral json_populate_record(null::renewals, a.renewal) as archived
    where matching.is_archived and a.renewal_id = matching.renewal_id and a.closed_at = matching.closed_at
) as r
order by matching.requested_at desc, matching.renewal_id desc;

-- name: read_search_end
-- Where the stretch that search_all looked at ends; nothing where it reached the oldest renewal.
(
    select
        requested_at,
        renewal_id
    from renewals
    where
        ($1::timestamptz is null or requested_at <= $1)
        and ($2::timestamptz is null or (requested_at, renewal_id) < ($2, $3::uuid))
    order by requested_at desc, renewal_id desc
    limit $4 + 1
)
union all
(
    select
        requested_at,
        renewal_id
    from archived_renewals
    where
        ($1::timestamptz is null or requested_at <= $1)
        and ($2::timestamptz is null or (requested_at, renewal_id) < ($2, $3::uuid))
    order by requested_at desc, renewal_id desc
    limit $4 + 1
)
order by requested_at desc, renewal_id desc
offset $4 limit 1;

-- name: search_subscription
-- One subscription's renewals that match, wherever they are, newest first: it never has many.
(
    select
        subscription.brand,
        subscription.carrier,
        r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
        r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
        r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
        r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
        r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
        r.closed_at
    from renewals as r
    left join subscriptions as subscription on r.subscription_id = subscription.subscription_id
    where
        r.subscription_id = $9
        and ($1::text [] is null or r.state = any($1))
        and ($2::text is null or subscription.brand = $2)
        and ($3::text is null or subscription.carrier = $3)
        and ($4::text is null or $4 in (r.reason, r.parked_reason))
        and ($5::timestamptz is null or r.requested_at <= $5)
        and ($6::timestamptz is null or (r.requested_at, r.renewal_id) < ($6, $7::uuid))
        and ($10::boolean is null or $10 = (r.closed_at is null))
    order by r.requested_at desc, r.renewal_id desc
    limit $8
)
union all
(
    select
        subscription.brand,
        subscription.carrier,
        r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
        r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
        r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
        r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
        r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
        r.closed_at
    from archived_renewals as a
    cross join lateral json_populate_record(null::renewals, a.renewal) as r
    left join subscriptions as subscription on r.subscription_id = subscription.subscription_id
    where
        a.subscription_id = $9
        and ($1::text [] is null or r.state = any($1))
        and ($2::text is null or subscription.brand = $2)
        and ($3::text is null or subscription.carrier = $3)
        and ($4::text is null or $4 in (r.reason, r.parked_reason))
        and ($5::timestamptz is null or a.requested_at <= $5)
        and ($6::timestamptz is null or (a.requested_at, a.renewal_id) < ($6, $7::uuid))
        and $10::boolean is not true
    order by a.requested_at desc, a.renewal_id desc
    limit $8
)
order by requested_at desc, renewal_id desc
limit $8;

-- name: read_found
-- One renewal, wherever it is, with what its subscription says.
select
    subscription.brand,
    subscription.carrier,
    r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
    r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
    r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
    r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
    r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
    r.closed_at
from renewals as r
left join subscriptions as subscription on r.subscription_id = subscription.subscription_id
where r.renewal_id = $1
union all
select
    subscription.brand,
    subscription.carrier,
    r.renewal_id, r.subscription_id, r.terms, r.cycle, r.requested_at, r.traceparent, r.heard_at,
    r.deadline_at, r.payment_method_id, r.next_due_at, r.reason, r.parked_from, r.parked_reason,
    r.payment_attempt, r.top_up_attempt, r.refund_attempt, r.spent, r.failures, r.asked, r.retry_at,
    r.action, r.action_before, r.delayed, r.promised_from, r.top_up, r.refund_before, r.flags,
    r.state, r.version, r.amount_minor, r.granted, r.priced_at, r.captured_at, r.applied_at, r.top_up_cycle,
    r.closed_at
from archive_register as entry
inner join archived_renewals as a on entry.renewal_id = a.renewal_id and entry.closed_at = a.closed_at
cross join lateral json_populate_record(null::renewals, a.renewal) as r
left join subscriptions as subscription on r.subscription_id = subscription.subscription_id
where entry.renewal_id = $1
limit 1;
