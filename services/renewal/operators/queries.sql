-- name: write_audit
-- What was done, by whom and why: any number of lines in one statement.
insert into operator_audit (
    at, operator, step, action, choice, why, renewal_id, proposal_id, job_id, before, after
)
select
    $1,
    a.*
from unnest(
    $2::text [], $3::text [], $4::text [], $5::text [], $6::text [], $7::uuid [], $8::uuid [], $9::uuid [],
    $10::json [], $11::json []
) as a;

-- name: list_kinds
-- Renewals by everything that the rules of operators' actions ask about.
select array_agg(renewal_id) as renewal_ids
from renewals
where renewal_id = any($1::uuid [])
group by
    state, reason, parked_from, parked_reason, top_up, flags, captured_at is null, applied_at is null, amount_minor is null;

-- name: list_audit
-- What operators did, newest first: about one renewal, in one bulk job, by one operator, or at all.
select
    audit_id, at, operator, step, action, choice, why, renewal_id, proposal_id, job_id, before, after
from operator_audit
where
    ($1::uuid is null or renewal_id = $1)
    and ($2::uuid is null or job_id = $2)
    and ($3::text is null or operator = $3)
    and ($4::bigint is null or audit_id < $4)
order by audit_id desc
limit $5;

-- name: insert_proposal
-- One that waits for a second person; the index lets a renewal have only one open.
insert into operator_proposals (
    proposal_id, renewal_id, version, action, choice, why, proposed_by, proposed_at, expires_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: find_proposal
-- Which renewal a proposal is about: the renewal is locked first, as everywhere.
select renewal_id from operator_proposals where proposal_id = $1;

-- name: lock_proposal
-- The proposal itself, under the lock of its renewal.
select
    proposal_id, renewal_id, version, action, choice, why, proposed_by, proposed_at, expires_at, state,
    decided_by, decided_at, decided_why
from operator_proposals
where proposal_id = $1
for update;

-- name: lock_open_proposal
-- The one that keeps others from being made about this renewal.
select
    proposal_id, renewal_id, version, action, choice, why, proposed_by, proposed_at, expires_at, state,
    decided_by, decided_at, decided_why
from operator_proposals
where renewal_id = $1 and state = 'open'
for update;

-- name: decide_proposal
-- How it ended: approved, rejected, superseded or expired; by whom and why where a person ended it.
update operator_proposals
set state = $2, decided_by = $3, decided_at = $4, decided_why = $5
where proposal_id = $1;

-- name: list_proposals
-- Proposals in one state as of $2, newest first; an open one whose time is over counts as expired.
select
    proposal_id, renewal_id, version, action, choice, why, proposed_by, proposed_at, expires_at, state,
    decided_by, decided_at, decided_why
from operator_proposals
where
    (
        $1::text is null
        or $1 = case when state = 'open' and expires_at <= $2::timestamptz then 'expired' else state end
    )
    and ($3::uuid is null or renewal_id = $3)
    and ($4::timestamptz is null or (proposed_at, proposal_id) < ($4, $5::uuid))
order by proposed_at desc, proposal_id desc
limit $6;
