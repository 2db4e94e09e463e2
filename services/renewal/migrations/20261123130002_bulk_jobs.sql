-- migrate:up
create table bulk_jobs (
    job_id uuid primary key,
    action text not null,
    choice text,
    why text not null,
    filter json not null,
    by_state json not null,
    matched integer not null,
    renewals integer not null,
    per_second double precision not null,
    made_by text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'dry_run',
    reached integer not null default 0,
    done integer not null default 0,
    moved integer not null default 0,
    refused integer not null default 0,
    started_by text,
    started_at timestamptz,
    next_at timestamptz,
    ended_by text,
    ended_at timestamptz
);

comment on table bulk_jobs is
'One action on many renewals. How far it is (reached) commits with the renewals that it has acted upon.';

create index bulk_jobs_running on bulk_jobs (started_at, job_id) where state = 'running';

create index bulk_jobs_by_time on bulk_jobs (made_at, job_id);

create table bulk_targets (
    job_id uuid not null,
    place integer not null,
    renewal_id uuid not null,
    version integer not null,
    state text not null,
    result text,
    primary key (job_id, place)
);

comment on table bulk_targets is
'The renewals of a bulk job as its dry-run saw them, in the order in which they are acted upon.';

-- migrate:down
drop table bulk_targets;

drop table bulk_jobs;
