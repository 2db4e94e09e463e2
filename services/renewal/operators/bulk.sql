-- name: match_open
-- Open renewals that a bulk job would act upon, the oldest first, and one more than it may hold.
with candidates as materialized (
    select
        renewal_id,
        subscription_id,
        requested_at,
        version,
        state,
        reason,
        parked_reason
    from renewals
    where closed_at is null
)

select
    candidates.renewal_id,
    candidates.version,
    candidates.state
from candidates
left join subscriptions as subscription on candidates.subscription_id = subscription.subscription_id
where
    ($1::text [] is null or candidates.state = any($1))
    and ($2::text is null or subscription.brand = $2)
    and ($3::text is null or subscription.carrier = $3)
    and ($4::text is null or $4 in (candidates.reason, candidates.parked_reason))
    and ($5::timestamptz is null or candidates.requested_at <= $5)
    and ($6::text is null or candidates.subscription_id = $6)
order by candidates.requested_at, candidates.renewal_id
limit $7;

-- name: match_cases
-- Renewals with that flag, open or closed, that a bulk job would act upon. Only the few that wait for a person are looked at.
with candidates as materialized (
    select
        renewal_id,
        subscription_id,
        requested_at,
        closed_at,
        version,
        state,
        reason,
        parked_reason
    from renewals
    where
        string_to_array(flags, ' ') && '{promise_broken,unresolved,refund_failed_later}'::text []
        and $8 = any(string_to_array(flags, ' '))
)

select
    candidates.renewal_id,
    candidates.version,
    candidates.state
from candidates
left join subscriptions as subscription on candidates.subscription_id = subscription.subscription_id
where
    ($1::text [] is null or candidates.state = any($1))
    and ($2::text is null or subscription.brand = $2)
    and ($3::text is null or subscription.carrier = $3)
    and ($4::text is null or $4 in (candidates.reason, candidates.parked_reason))
    and ($5::timestamptz is null or candidates.requested_at <= $5)
    and ($6::text is null or candidates.subscription_id = $6)
    and ($9::boolean is null or $9 = (candidates.closed_at is null))
order by candidates.requested_at, candidates.renewal_id
limit $7;

-- name: insert_job
-- A dry-run: what would be done, to be started or left.
insert into bulk_jobs (
    job_id, action, choice, why, filter, by_state, matched, renewals, per_second, made_by, made_at, expires_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: insert_targets
-- The renewals of a dry-run, in the order in which they will be acted upon.
insert into bulk_targets (job_id, place, renewal_id, version, state)
select
    $1,
    t.place,
    t.renewal_id,
    t.version,
    t.state
from unnest($2::uuid [], $3::int [], $4::text []) with ordinality as t (renewal_id, version, state, place);

-- name: forget_targets
-- Whom long past jobs were about: the audit keeps what was done to them.
delete from bulk_targets as t
using bulk_jobs as j
where t.job_id = j.job_id and j.made_at < $1 and j.state <> 'running';

-- name: read_job
-- A job as it is now, for whoever looks.
select
    job_id, action, choice, why, filter, by_state, matched, renewals, per_second, made_by, made_at, expires_at,
    state, reached, done, moved, refused, started_by, started_at, next_at, ended_by, ended_at
from bulk_jobs
where job_id = $1;

-- name: lock_job
-- A job that somebody starts or stops.
select
    job_id, action, choice, why, filter, by_state, matched, renewals, per_second, made_by, made_at, expires_at,
    state, reached, done, moved, refused, started_by, started_at, next_at, ended_by, ended_at
from bulk_jobs
where job_id = $1
for update;

-- name: claim_job
-- The job whose turn it is: of those whose rate allows, the one that has been due longest. A slow one holds up no other.
select
    job_id, action, choice, why, filter, by_state, matched, renewals, per_second, made_by, made_at, expires_at,
    state, reached, done, moved, refused, started_by, started_at, next_at, ended_by, ended_at
from bulk_jobs
where state = 'running' and next_at <= $1
order by next_at, job_id
limit 1
for update skip locked;

-- name: save_job
-- How a job has become: started, further, done or stopped.
update bulk_jobs
set
    state = $2,
    reached = $3,
    done = $4,
    moved = $5,
    refused = $6,
    started_by = $7,
    started_at = $8,
    next_at = $9,
    ended_by = $10,
    ended_at = $11
where job_id = $1;

-- name: read_targets
-- The next targets of a job, or the first ones for a sample, with what came of them.
select
    place,
    renewal_id,
    version,
    state,
    result
from bulk_targets
where job_id = $1 and place > $2 and ($3::text is null or result = $3)
order by place
limit $4;

-- name: write_results
-- What came of each target, in the transaction that acted upon it.
update bulk_targets as t
set result = r.result
from unnest($2::int [], $3::text []) as r (place, result)
where t.job_id = $1 and t.place = r.place;

-- name: list_jobs
-- Bulk jobs, newest first.
select
    job_id, action, choice, why, filter, by_state, matched, renewals, per_second, made_by, made_at, expires_at,
    state, reached, done, moved, refused, started_by, started_at, next_at, ended_by, ended_at
from bulk_jobs
where $1::timestamptz is null or (made_at, job_id) < ($1, $2::uuid)
order by made_at desc, job_id desc
limit $3;
