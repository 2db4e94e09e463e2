-- migrate:up
create table waiting_requests (
    renewal_id uuid primary key,
    subscription_id text not null,
    caller text not null,
    request_id text not null,
    request_hash bytea not null,
    offering_id text not null,
    max_amount_minor bigint not null,
    currency text not null,
    payment_method_ids text not null,
    payer_id text,
    owner_id text not null,
    cycle integer not null,
    act_before timestamptz,
    traceparent text,
    is_told boolean not null,
    gives_way uuid not null,
    asked_at timestamptz not null,
    deadline_at timestamptz not null,
    state text not null,
    ended_at timestamptz,
    reason text,
    detail text,
    constraint ended_ones_have_ended check ((ended_at is not null) = (state <> 'waiting'))
);

comment on table waiting_requests is
'What somebody asked for while a rule''s renewal had the slot: it waits until that one is called off, then is admitted and leaves; or it has ended, and is remembered for a while.';

create unique index waiting_requests_place on waiting_requests (subscription_id) where ended_at is null;
comment on index waiting_requests_place is 'One at a time per subscription.';

create index waiting_requests_due on waiting_requests (deadline_at) where ended_at is null;

create index waiting_requests_ended on waiting_requests (ended_at) where ended_at is not null;

-- migrate:down
drop table waiting_requests;
