-- migrate:up
create table consumer_progress (
    topic text not null,
    partition integer not null,
    lag bigint not null,
    caught_up_at timestamptz,
    updated_at timestamptz not null,
    primary key (topic, partition)
) with (fillfactor = 50);

comment on table consumer_progress is
'How far the saga has read, written every second by whoever reads the partition. Timers wait for all of them.';

create table stalls (
    topic text not null,
    partition integer not null,
    began_at timestamptz not null,
    ended_at timestamptz not null,
    primary key (topic, partition, began_at)
);

create index stalls_by_end on stalls (ended_at);

comment on table stalls is
'When a partition was behind: silence during a stall was our own deafness, deadlines are shifted by it.';

-- migrate:down
drop table stalls;

drop table consumer_progress;
