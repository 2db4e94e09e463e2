-- migrate:up
create table outbox (
    batch_id bigint generated always as identity primary key,
    written_at timestamptz not null default now(),
    events integer not null check (events > 0),
    event_ids uuid [] storage external not null,
    topics text [] storage external not null,
    keys text [] storage external not null,
    types text [] storage external not null,
    subjects text [] storage external not null,
    traceparents text [] storage external not null,
    payloads bytea [] storage external not null
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 20000,
    toast.autovacuum_vacuum_cost_delay = 0
);

comment on table outbox is
'Events committed with the state they tell of, until Kafka has acknowledged them: one row per transaction, the same
place in every array is one event. Published, acknowledged and deleted together, so one row costs what one event did.
Arrays are stored external: compressing what lives for milliseconds would cost more than writing it.';

create table set_aside (
    consumer text not null,
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    key bytea,
    payload bytea not null,
    type text not null,
    traceparent text,
    reason text not null,
    set_aside_at timestamptz not null default now(),
    released_at timestamptz,
    primary key (consumer, topic, partition, record_offset)
);

comment on table set_aside is
'Records that broke their own transaction, and all later ones of the same key, in order, until released.';

-- migrate:down
drop table set_aside;

drop table outbox;
