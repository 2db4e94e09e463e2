-- name: lock_rules
-- Rules that somebody changes, in key order, with the mandates that they name.
select
    r.subscription_id, r.version, r.document, r.document_version, r.triggers, r.offering_id, r.payment_method_ids,
    r.cap_amount_minor, r.currency, r.enabled, r.mandate_id, r.paused_at, r.paused_by, r.paused_why,
    r.opted_out_at, r.opted_out_by, r.opted_out_why
from renewal_rules as r
where r.subscription_id = any($1::text [])
order by r.subscription_id
for update;

-- name: read_rule
-- One subscription's standing instruction.
select
    r.subscription_id, r.version, r.document, r.document_version, r.triggers, r.offering_id, r.payment_method_ids,
    r.cap_amount_minor, r.currency, r.enabled, r.mandate_id, r.paused_at, r.paused_by, r.paused_why,
    r.opted_out_at, r.opted_out_by, r.opted_out_why
from renewal_rules as r
where r.subscription_id = $1;

-- name: write_rules
-- Replaces rules as a whole, those that are different: who wrote them has compared, under the lock.
insert into renewal_rules (
    subscription_id, version, document, document_version, triggers, offering_id, payment_method_ids,
    cap_amount_minor, currency, enabled, mandate_id, paused_at, paused_by, paused_why, opted_out_at, opted_out_by,
    opted_out_why, set_by, set_at
)
select
    n.subscription_id,
    n.version,
    n.document,
    n.version,
    string_to_array(n.triggers, ','),
    n.offering_id,
    string_to_array(n.payment_method_ids, ','),
    n.cap_amount_minor,
    n.currency,
    n.enabled,
    n.mandate_id,
    n.paused_at,
    n.paused_by,
    n.paused_why,
    n.opted_out_at,
    n.opted_out_by,
    n.opted_out_why,
    $17,
    $18
from unnest(
    $1::text [], $2::int [], $3::json [], $4::text [], $5::text [], $6::text [], $7::bigint [], $8::text [],
    $9::bool [], $10::text [], $11::timestamptz [], $12::text [], $13::text [], $14::timestamptz [], $15::text [],
    $16::text []
) as n (
    subscription_id, version, document, triggers, offering_id, payment_method_ids, cap_amount_minor, currency,
    enabled, mandate_id, paused_at, paused_by, paused_why, opted_out_at, opted_out_by, opted_out_why
)
on conflict (subscription_id) do update
    set
        -- Two who set the first rule of a subscription at once: neither has found one to lock.
        version = greatest(renewal_rules.version + 1, excluded.version),
        document = excluded.document,
        document_version = greatest(renewal_rules.version + 1, excluded.version),
        triggers = excluded.triggers,
        offering_id = excluded.offering_id,
        payment_method_ids = excluded.payment_method_ids,
        cap_amount_minor = excluded.cap_amount_minor,
        currency = excluded.currency,
        enabled = excluded.enabled,
        mandate_id = excluded.mandate_id,
        paused_at = excluded.paused_at,
        paused_by = excluded.paused_by,
        paused_why = excluded.paused_why,
        opted_out_at = excluded.opted_out_at,
        opted_out_by = excluded.opted_out_by,
        opted_out_why = excluded.opted_out_why,
        set_by = excluded.set_by,
        set_at = excluded.set_at
returning subscription_id, version;

-- name: read_what_rules_name
-- Whether what a batch of rules names is known: a rule that can never work is refused where it is made.
select
    subscription.owner_id,
    coalesce(offering.found, '{}') as offerings,
    coalesce(method.found, '{}') as methods
from unnest($1::text [], $2::text [], $3::text [])
with ordinality as wanted (subscription_id, offering_ids, method_ids, place)
left join subscriptions as subscription on wanted.subscription_id = subscription.subscription_id
left join lateral (
    select array_agg(known.offering_id || ' ' || known.status) as found
    from offerings as known
    where known.offering_id = any(string_to_array(wanted.offering_ids, ','))
) as offering on true
left join lateral (
    select array_agg(known.payment_method_id || ' ' || known.payer_id || ' ' || known.status) as found
    from payment_methods as known
    where known.payment_method_id = any(string_to_array(wanted.method_ids, ','))
) as method on true
order by wanted.place;

-- name: read_told
-- All that a batch of triggers asks of rules, in one trip; nothing of it is asked for what people ask for. No lock: of
-- two triggers of one cycle and try one begins a renewal (its id), of others the slot lets one in, and until that one
-- has ended in a top-up, which is another cycle, it counts here as under way. What replies by text message have begun
-- counts like what triggers have: both charge upon the rule's consent.
select
    rule.subscription_id, rule.version, rule.document, rule.document_version, rule.triggers, rule.offering_id,
    rule.payment_method_ids, rule.cap_amount_minor, rule.currency, rule.enabled, rule.mandate_id,
    rule.paused_at, rule.paused_by, rule.paused_why, rule.opted_out_at, rule.opted_out_by, rule.opted_out_why,
    mandate.payer_id, mandate.text_version, mandate.text_sha256, mandate.channel, mandate.given_at,
    mandate.language, mandate.max_amount_minor, mandate.currency as mandate_currency, mandate.valid_until,
    mandate.recorded_by, mandate.recorded_at, mandate.revoked_at, mandate.revoked_by, mandate.revoked_why,
    coalesce(charged.found, '[]') as charges,
    coalesce(sold.found, '{}') as offerings,
    applied.cycle as applied_cycle,
    kept.cycle as kept_cycle,
    kept.kind as kept_kind,
    kept.dunning_try as kept_try,
    kept.not_before as kept_until,
    kept.announced as kept_announced
from unnest($1::text []) with ordinality as asked (subscription_id, place)
left join lateral (
    select * from renewal_rules where subscription_id = asked.subscription_id limit 1
) as rule on true
left join lateral (
    select * from mandates where subscription_id = asked.subscription_id and mandate_id = rule.mandate_id limit 1
) as mandate on true
left join lateral (
    -- As far back as the rule's longest window reaches, and to the consent where renewals are numbered.
    select
        least(
            $2::timestamptz - make_interval(
                secs => greatest(
                    86400,
                    case
                        when rule.document ->> 'cap_period_minor' is not null
                            then 86400 * (rule.document ->> 'period_days')::int
                    end,
                    (rule.document ->> 'cool_down_seconds')::int
                )
            ),
            case when rule.document ->> 'max_renewals' is not null then mandate.given_at end
        ) as since
) as window_of on true
left join lateral (
    select json_agg(json_build_array(c.requested_at, c.amount_minor, c.currency)) as found
    from (
        (
            select
                r.requested_at,
                case when r.closed_at is null then (r.terms ->> 'max_amount_minor')::bigint else r.amount_minor end
                as amount_minor,
                r.terms ->> 'currency' as currency
            from renewals as r
            where
                r.subscription_id = asked.subscription_id
                and r.requested_at >= window_of.since
                and (r.dunning_try is not null or starts_with(r.caller, $3::text))
                and (r.closed_at is null or r.state = 'completed')
            order by r.requested_at desc
            limit 1000
        )
        union all
        (
            select
                a.requested_at,
                (a.renewal ->> 'amount_minor')::bigint as amount_minor,
                a.renewal -> 'terms' ->> 'currency' as currency
            from archived_renewals as a
            where
                a.subscription_id = asked.subscription_id
                and a.requested_at >= window_of.since
                -- It follows, and leaves older partitions out.
                and a.closed_at >= window_of.since
                and a.state = 'completed'
                and (a.renewal ->> 'dunning_try' is not null or starts_with(a.renewal ->> 'caller', $3::text))
            order by a.requested_at desc
            limit 1000
        )
    ) as c
    where rule.subscription_id is not null
) as charged on true
left join lateral (
    select array_agg(o.offering_id || ' ' || o.validity_seconds || ' ' || o.status) as found
    from offering_terms as o
    where o.offering_id in (
        rule.document -> 'offerings' ->> 'same',
        rule.document -> 'offerings' ->> 'up',
        rule.document -> 'offerings' ->> 'down'
    )
) as sold on true
left join lateral (
    -- The projection may not have heard yet of what we completed.
    select max(top_up_cycle) as cycle from renewals where subscription_id = asked.subscription_id
) as applied on true
left join lateral (
    select * from kept_triggers where subscription_id = asked.subscription_id limit 1
) as kept on true
order by asked.place;

-- name: adopt_rules
-- Rules that an older process set since the migration get the evidence that the migration gave the others.
with adopted as (
    insert into mandates (
        subscription_id, mandate_id, payer_id, text_version, channel, given_at, language, max_amount_minor,
        currency, recorded_by, recorded_at
    )
    select
        r.subscription_id,
        'before-mandates',
        s.owner_id,
        'before-mandates',
        'api',
        r.set_at,
        'und',
        r.cap_amount_minor,
        r.currency,
        r.set_by,
        r.set_at
    from renewal_rules as r
    inner join subscriptions as s on r.subscription_id = s.subscription_id
    where r.subscription_id = any($1::text []) and r.mandate_id is null
    on conflict do nothing
)

update renewal_rules set mandate_id = 'before-mandates'
where subscription_id = any($1::text []) and mandate_id is null;

-- name: call_off_announcements
-- Who pauses a rule or revokes a mandate calls off what was announced: it is announced anew, or not at all.
update kept_triggers set announced = null
where subscription_id = any($1::text []) and announced is not null;

-- name: try_other_cards
-- A try that waits for a payment method which may still pay: the loop that looks at what is due takes it.
update kept_triggers as k
set not_before = $3
from unnest($1::text [], $2::text []) as named (subscription_id, method_ids)
where
    k.subscription_id = named.subscription_id
    and k.not_before > $3
    and not string_to_array(named.method_ids, ',') <@ string_to_array(k.declined, ',');

-- name: take_due_triggers
-- What was kept until an instant that has come.
with due as (
    select kept.subscription_id
    from kept_triggers as kept
    where kept.not_before <= $1
    order by kept.not_before
    limit $2
    for update skip locked
)

delete from kept_triggers as k
using due
where k.subscription_id = due.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: take_unpaused_triggers
-- What was kept for a pause that is over: somebody let the rule go on in the moment in which the trigger was kept.
with unpaused as (
    select kept.subscription_id
    from kept_triggers as kept
    where
        kept.held_by = 'pause'
        and kept.kept_at > $1
        and kept.kept_at < $2
        and not exists (
            select 1 from renewal_rules as r
            where
                r.subscription_id = kept.subscription_id
                and (r.paused_at is not null or r.opted_out_at is not null)
        )
    limit $3
    for update skip locked
)

delete from kept_triggers as k
using unpaused
where k.subscription_id = unpaused.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: read_questions
-- What payers were asked to agree to, as a price was above their consent.
select
    k.subscription_id,
    split_part(k.asked, ' ', 1) as offering_id,
    split_part(k.asked, ' ', 2) as amount_minor,
    split_part(k.asked, ' ', 3) as currency
from kept_triggers as k
where k.subscription_id = any($1::text []) and k.asked is not null;

-- name: look_again
-- What waits for its payer's answer, once something was said that may be one. Locked in key order first: two who want
-- the same ones wait, they do not deadlock.
with asked as (
    select k.subscription_id
    from kept_triggers as k
    where k.subscription_id = any($1::text []) and k.asked is not null and k.held_by = 'time' and k.not_before is null
    order by k.subscription_id
    for update
)

update kept_triggers as k
set not_before = $2
from asked
where k.subscription_id = asked.subscription_id;

-- name: take_answered_triggers
-- What waits for an answer that is there: the payer agreed, or the rule was set, in the moment in which it was kept.
with answered as (
    select kept.subscription_id
    from kept_triggers as kept
    inner join renewal_rules as r on kept.subscription_id = r.subscription_id
    inner join mandates as m on r.subscription_id = m.subscription_id and r.mandate_id = m.mandate_id
    where
        kept.asked is not null
        and kept.held_by = 'time'
        and kept.not_before is null
        and kept.kept_at > $1
        and kept.kept_at < $2
        and r.currency = split_part(kept.asked, ' ', 3)
        and least(r.cap_amount_minor, m.max_amount_minor) >= split_part(kept.asked, ' ', 2)::bigint
    limit $3
    for update of kept skip locked
)

delete from kept_triggers as k
using answered
where k.subscription_id = answered.subscription_id
returning
    k.subscription_id, k.cycle, k.kind, k.traceparent, k.held_by, k.dunning_try, k.not_before, k.announced,
    k.remaining_bytes, k.granted_bytes, k.cycle_began_at, k.occurred_at, k.ends_at, k.offering_id, k.declined, k.asked,
    k.offended_imei, k.lapsed_bytes;

-- name: upsert_offering_terms
-- What rules want to know of offerings: the newest version.
insert into offering_terms (offering_id, version, validity_seconds, data_bytes, destination, status)
select *
from unnest($1::text [], $2::int [], $3::bigint [], $4::bigint [], $5::text [], $6::text [])
on conflict (offering_id) do update
    set
        version = excluded.version,
        validity_seconds = excluded.validity_seconds,
        data_bytes = excluded.data_bytes,
        destination = excluded.destination,
        status = excluded.status
    where offering_terms.version < excluded.version;
