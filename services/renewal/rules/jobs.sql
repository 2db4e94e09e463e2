-- name: count_rules
-- How many rules a job would change, as far as it may: those that their subscriber alone has stopped are not paused.
select count(*)
from (
    select 1
    from renewal_rules as r
    left join subscriptions as s on r.subscription_id = s.subscription_id
    where
        (r.paused_at is null or starts_with(r.paused_by, $7::text)) = $1
        and ($2::text is null or s.brand = $2)
        and ($3::text is null or s.carrier = $3)
        and (
            $4::text is null
            or $4 in (
                r.offering_id, r.document -> 'offerings' ->> 'up', r.document -> 'offerings' ->> 'down'
            )
        )
        and ($5::text is null or coalesce(r.document ->> 'payer_id', s.owner_id) = $5)
    limit $6
) as matching;

-- name: match_rules
-- The next rules of a job, in the order of their subscriptions: over the whole job each is looked at once.
select r.subscription_id
from renewal_rules as r
left join subscriptions as s on r.subscription_id = s.subscription_id
where
    (r.paused_at is null or starts_with(r.paused_by, $8::text)) = $1
    and ($2::text is null or s.brand = $2)
    and ($3::text is null or s.carrier = $3)
    and (
        $4::text is null
        or $4 in (r.offering_id, r.document -> 'offerings' ->> 'up', r.document -> 'offerings' ->> 'down')
    )
    and ($5::text is null or coalesce(r.document ->> 'payer_id', s.owner_id) = $5)
    and r.subscription_id > $6
order by r.subscription_id
limit $7;

-- name: insert_rule_job
-- A dry-run: what would be done, to be started or left.
insert into rule_jobs (
    job_id, action, why, brand, carrier, offering_id, payer_id, rules, per_second, made_by, made_at, expires_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: lock_rule_job
-- One job, for whoever looks at it, starts it or stops it.
select
    job_id, action, why, brand, carrier, offering_id, payer_id, rules, per_second, made_by, made_at, expires_at,
    state, reached, changed, started_by, started_at, next_at, ended_by, ended_at
from rule_jobs
where job_id = $1
for update;

-- name: claim_rule_job
-- The job whose turn it is: of those whose rate allows, the one that has been due longest. A fast one holds up no other.
select
    job_id, action, why, brand, carrier, offering_id, payer_id, rules, per_second, made_by, made_at, expires_at,
    state, reached, changed, started_by, started_at, next_at, ended_by, ended_at
from rule_jobs
where state = 'running' and next_at <= $1
order by next_at, job_id
limit 1
for update skip locked;

-- name: save_rule_job
-- How a job has become: started, further, done or stopped.
update rule_jobs
set
    state = $2,
    reached = $3,
    changed = $4,
    started_by = $5,
    started_at = $6,
    next_at = $7,
    ended_by = $8,
    ended_at = $9
where job_id = $1;

-- name: list_rule_jobs
-- Jobs, newest first.
select
    job_id, action, why, brand, carrier, offering_id, payer_id, rules, per_second, made_by, made_at, expires_at,
    state, reached, changed, started_by, started_at, next_at, ended_by, ended_at
from rule_jobs
where $1::timestamptz is null or (made_at, job_id) < ($1, $2::uuid)
order by made_at desc, job_id desc
limit $3;
