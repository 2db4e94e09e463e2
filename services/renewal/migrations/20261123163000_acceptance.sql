-- migrate:up
create table acceptance_entries (
    destination text not null,
    payer_country text not null,
    method_kind text not null,
    verdict text not null,
    why text not null,
    set_by text not null,
    set_at timestamptz not null,
    primary key (destination, payer_country, method_kind)
);

comment on table acceptance_entries is
'Which ways to pay are accepted, for which destination, from payers of which country; * is all, the most specific holds.';

-- Read from the beginning of their topics by a consumer of its own: the projections of an older version had read them
-- without these, and go on doing so beside ours.
create table payer_countries (
    customer_id text primary key,
    version integer not null,
    country text
);

create table method_kinds (
    payment_method_id text primary key,
    version integer not null,
    kind text not null
);

-- migrate:down
drop table method_kinds;

drop table payer_countries;

drop table acceptance_entries;
