-- migrate:up
create table set_aside_proposals (
    proposal_id uuid primary key,
    action text not null,
    consumer text not null,
    key_ids text [] not null,
    versions text [] not null,
    record_topic text,
    record_partition integer,
    record_offset bigint,
    why text not null,
    proposed_by text not null,
    proposed_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'open',
    decided_by text,
    decided_at timestamptz,
    decided_why text
);

comment on table set_aside_proposals is
'What one operator wants done with keys that were set aside, as they saw them; a second one approves it or not.';

create index set_aside_proposals_by_time on set_aside_proposals (proposed_at, proposal_id);

create table set_aside_audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null,
    operator text not null,
    step text not null,
    action text not null,
    consumer text not null,
    key_id text not null,
    why text not null,
    proposal_id uuid,
    before json,
    after json
);

comment on table set_aside_audit is
'Who did what to which key that was set aside and why, with the key before and after. Only ever added to.';

create index set_aside_audit_by_key on set_aside_audit (consumer, key_id, audit_id);

create function refuse_to_change_set_aside_audit() returns trigger language plpgsql as $$
begin
    raise exception 'set_aside_audit is only ever added to';
end
$$;

create trigger set_aside_audit_is_append_only
before update or delete or truncate on set_aside_audit
for each statement execute function refuse_to_change_set_aside_audit();

-- migrate:down
drop table set_aside_audit;

drop function refuse_to_change_set_aside_audit();

drop table set_aside_proposals;
