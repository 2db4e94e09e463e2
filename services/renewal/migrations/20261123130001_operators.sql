-- migrate:up
create table operator_audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null,
    operator text not null,
    step text not null,
    action text not null,
    choice text,
    why text not null,
    renewal_id uuid,
    proposal_id uuid,
    job_id uuid,
    before json,
    after json
);

comment on table operator_audit is
'Who did what to which renewal and why, with the renewal before and after. Only ever added to.';

create index operator_audit_by_renewal on operator_audit (renewal_id, audit_id) where renewal_id is not null;

create index operator_audit_by_job on operator_audit (job_id, audit_id) where job_id is not null;

create index operator_audit_by_operator on operator_audit (operator, audit_id);

create function refuse_to_change_the_audit() returns trigger language plpgsql as $$
begin
    raise exception 'operator_audit is only ever added to';
end
$$;

create trigger operator_audit_is_append_only
before update or delete or truncate on operator_audit
for each statement execute function refuse_to_change_the_audit();

create table operator_proposals (
    proposal_id uuid primary key,
    renewal_id uuid not null,
    version integer not null,
    action text not null,
    choice text,
    why text not null,
    proposed_by text not null,
    proposed_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'open',
    decided_by text,
    decided_at timestamptz,
    decided_why text
);

comment on table operator_proposals is
'What one operator wants done with money, on the version that was seen; a second one approves it or not.';

create unique index operator_proposals_open on operator_proposals (renewal_id) where state = 'open';
comment on index operator_proposals_open is 'One thing at a time is proposed about a renewal.';

create index operator_proposals_by_time on operator_proposals (proposed_at, proposal_id);

create index operator_proposals_by_renewal on operator_proposals (renewal_id, proposed_at, proposal_id);

-- migrate:down
drop table operator_proposals;

drop table operator_audit;

drop function refuse_to_change_the_audit();
