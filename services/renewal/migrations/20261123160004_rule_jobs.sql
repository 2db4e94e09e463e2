-- migrate:up
create table rule_jobs (
    job_id uuid primary key,
    action text not null,
    why text not null,
    brand text,
    carrier text,
    offering_id text,
    payer_id text,
    rules integer not null,
    per_second double precision not null,
    made_by text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'dry_run',
    reached text not null default '',
    changed integer not null default 0,
    started_by text,
    started_at timestamptz,
    next_at timestamptz,
    ended_by text,
    ended_at timestamptz
);

comment on table rule_jobs is
'Many rules paused or resumed: those of a filter, in the order of their subscriptions; reached commits with what was changed.';

create index rule_jobs_running on rule_jobs (started_at, job_id) where state = 'running';

create index rule_jobs_by_time on rule_jobs (made_at, job_id);

-- migrate:down
drop table rule_jobs;
