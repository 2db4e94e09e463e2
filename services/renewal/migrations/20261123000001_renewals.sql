-- migrate:up
create table renewals (
    renewal_id uuid primary key,
    subscription_id text not null,
    terms json not null,
    cycle integer not null,
    requested_at timestamptz not null,
    traceparent text,
    caller text not null,
    request_id text not null,
    request_hash bytea not null,
    dunning_try integer,
    heard_at timestamptz not null,
    deadline_at timestamptz not null,
    payment_method_id text not null,
    next_due_at timestamptz,
    reason text,
    parked_from text,
    parked_reason text,
    payment_attempt integer not null default 1,
    top_up_attempt integer not null default 1,
    refund_attempt integer not null default 1,
    spent integer not null default 0,
    asked integer not null default 0,
    retry_at timestamptz,
    action text,
    action_before timestamptz,
    delayed boolean not null default false,
    top_up text,
    refund_before timestamptz,
    flags text not null default '',
    state text not null default 'requested',
    version integer not null default 1,
    amount_minor bigint,
    granted json,
    priced_at timestamptz,
    captured_at timestamptz,
    applied_at timestamptz,
    top_up_cycle integer,
    closed_at timestamptz,
    constraint closed_states_are_closed check (
        (closed_at is not null) = (state in ('completed', 'refunded', 'failed', 'cancelled'))
    )
)
-- Most of a page is left free: its rows move at about the same time, and each new, larger version must fit (HOT).
with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

comment on table renewals is
'One row per renewal: what is intended and what happens next. Its id is made from (caller, request_id), or from (subscription, cycle, dunning try) where a rule asked, so the primary key is what makes either unique.';

-- Predicates say closed_at, never state: moving between open states touches no index (HOT).
create unique index renewals_slot on renewals (subscription_id) where closed_at is null;
comment on index renewals_slot is 'One open renewal per subscription; a parked one keeps the slot.';

create index renewals_due on renewals (next_due_at) where closed_at is null;

create index renewals_by_subscription on renewals (subscription_id, requested_at, renewal_id);

create index renewals_by_time on renewals (requested_at, renewal_id);

create table renewal_history (
    renewal_id uuid not null,
    version integer not null,
    at timestamptz not null,
    message text not null,
    to_state text not null,
    attempt integer,
    reason text,
    detail text,
    primary key (renewal_id, version)
);

comment on table renewal_history is 'One line per version: where it came from is where the line before went to.';

create table renewal_rules (
    subscription_id text primary key,
    version integer not null,
    triggers text [] not null,
    offering_id text not null,
    payment_method_ids text [] not null,
    cap_amount_minor bigint not null,
    currency text not null,
    enabled boolean not null,
    set_by text not null,
    set_at timestamptz not null
);

create table refusals (
    renewal_id uuid primary key,
    caller text not null,
    request_id text not null,
    request_hash bytea not null,
    subscription_id text not null,
    reason text not null,
    detail text not null,
    refused_at timestamptz not null
);

comment on table refusals is
'Why a request or a rule did not become a renewal. The same request again gets the same answer; a rule may succeed later.';

create table kept_triggers (
    subscription_id text primary key,
    cycle integer not null,
    kind text not null,
    traceparent text,
    kept_at timestamptz not null
);

comment on table kept_triggers is
'The newest trigger that came while the slot was taken: looked at again when the slot frees.';

create table orphans (
    event_id uuid primary key,
    topic text not null,
    type text not null,
    renewal_id uuid not null,
    subscription_id text not null,
    payload json not null,
    traceparent text,
    received_at timestamptz not null
);

comment on table orphans is 'Events about renewals that this service does not know: each one is an alert.';

-- migrate:down
drop table orphans;

drop table kept_triggers;

drop table refusals;

drop table renewal_rules;

drop table renewal_history;

drop table renewals;
