-- migrate:up
create table subscriptions (
    subscription_id text primary key,
    brand text not null,
    carrier text not null,
    iccid text not null unique,
    eid text not null,
    bound_imei text,
    device_matches boolean not null default true,
    owner_id text not null,
    status text not null check (status in ('active', 'suspended', 'expired', 'terminated')),
    top_ups integer not null default 0 check (top_ups >= 0),
    version integer not null default 1,
    changed_at timestamptz not null
) with (fillfactor = 50);

comment on table subscriptions is 'One ICCID bound to one device. No index holds top_ups: every top-up counts it up (HOT).';

create index subscriptions_by_owner on subscriptions (owner_id, subscription_id);

create table top_ups (
    renewal_id uuid primary key,
    subscription_id text not null,
    state text not null check (
        state in (
            'held', 'pending', 'sending', 'failed', 'calling_off', 'undetermined', 'applied', 'rejected', 'cancelled'
        )
    ),
    attempt integer not null,
    version integer not null,
    ordinal integer not null,
    same_ordinal boolean not null default false,
    cancel_wanted boolean not null default false,
    unsure boolean not null default false,
    cancel_ordinal integer not null default 0,
    act_before timestamptz not null,
    terms json not null,
    granted json,
    amount_minor bigint,
    currency text,
    iccid text,
    carrier text,
    reason text,
    reached_provider boolean,
    retry_after_seconds integer,
    provider_reference text,
    applied_at timestamptz,
    expires_at timestamptz,
    cycle integer,
    traceparent text,
    accepted_at timestamptz not null default now()
) with (fillfactor = 40);

comment on table top_ups is
'One row per renewal: it holds the decision and is the one lock. Its indexed columns never change (HOT); nearly
every row is updated just once, often all rows of a page in one transaction, and grows by it, so
more than half of each page is left free.';

create index top_ups_by_subscription on top_ups (subscription_id, renewal_id);

create table top_up_attempts (
    renewal_id uuid not null,
    operation text not null check (operation in ('apply', 'cancel')),
    ordinal integer not null,
    status text not null check (
        status in (
            'waiting', 'sending', 'processing', 'applied', 'failed', 'absent', 'rejected', 'cancelled', 'undetermined'
        )
    ),
    claim integer not null,
    asked integer not null,
    send_before timestamptz,
    first_sent_at timestamptz,
    due_at timestamptz not null,
    provider_reference text,
    reason text,
    ended_at timestamptz,
    primary key (renewal_id, operation, ordinal)
);

comment on table top_up_attempts is
'One row per attempt at the carrier. due_at is the end of the lease, or when to ask again; rows begin with their
top_up, and their key follows from the primary key.';

create index top_up_attempts_open on top_up_attempts (due_at) where ended_at is null;

-- migrate:down
drop table top_up_attempts;

drop table top_ups;

drop table subscriptions;
