-- migrate:up
create table burst_counts (
    scope text not null,
    began_at timestamptz not null,
    renewals bigint not null,
    primary key (scope, began_at)
) with (fillfactor = 50);

comment on table burst_counts is
'How many automatic renewals began, everywhere and by brand, in each tenth of the breaker''s window. Old ones are forgotten.';

create table burst_resets (
    scope text primary key,
    reset_at timestamptz not null
);

comment on table burst_resets is
'When somebody closed the breaker of a scope: what a subscription began before does not count any more.';

-- migrate:down
drop table burst_resets;

drop table burst_counts;
