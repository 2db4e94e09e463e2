-- migrate:up
create table outbox (
    event_id uuid primary key,
    topic text not null,
    key text not null,
    type text not null,
    subject text not null,
    traceparent text,
    payload bytea not null,
    written_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

comment on table outbox is 'Events committed with the state they tell of, until Kafka has acknowledged them.';

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
