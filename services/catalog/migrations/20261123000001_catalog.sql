-- migrate:up
create table price_list_revision (
    only_row boolean primary key default true check (only_row),
    revision bigint not null default 0
);

comment on table price_list_revision is
'Counts the changes of offerings and prices: a process that has seen the number knows the whole price list.';

insert into price_list_revision default values;

create table offerings (
    offering_id text primary key,
    version integer not null check (version > 0),
    name text not null,
    plan text not null check (plan in ('daily', 'monthly', 'data')),
    destination text not null,
    data_bytes bigint not null check (data_bytes > 0),
    validity_seconds integer not null check (validity_seconds > 0),
    stacking text not null check (stacking in ('extend', 'queue', 'replace')),
    product_code text not null,
    brands text[] not null,
    carriers text[] not null,
    subscription_statuses text[] not null,
    status text not null check (status in ('on_sale', 'withdrawn')),
    changed_at timestamptz not null
);

create index offerings_by_destination on offerings (destination, offering_id);

create table offering_versions (
    offering_id text not null references offerings (offering_id),
    version integer not null,
    effective_from timestamptz not null,
    revision bigint not null,
    data_bytes bigint not null,
    validity_seconds integer not null,
    stacking text not null,
    product_code text not null,
    status text not null,
    primary key (offering_id, version)
);

comment on table offering_versions is
'What an offering granted, and from when on: a request is priced by the version in force when it was made.';

create index offering_versions_by_revision on offering_versions (revision);

create table prices (
    offering_id text not null references offerings (offering_id),
    price_id text not null,
    currency text not null,
    amount_minor bigint not null check (amount_minor > 0),
    effective_from timestamptz not null,
    withdrawn_from timestamptz,
    revision bigint not null,
    primary key (offering_id, price_id)
);

comment on column prices.withdrawn_from is
'Requests made from here on are priced as if this price had never been scheduled.';

create unique index prices_one_start on prices (offering_id, currency, effective_from)
where withdrawn_from is null;

create index prices_by_revision on prices (revision);

create table subscriptions (
    subscription_id text primary key,
    version integer not null,
    brand text not null,
    carrier text not null,
    status text not null
) with (fillfactor = 70);

comment on table subscriptions is 'Projection of subscriptions.v1: as much as says who may buy what.';

create table devices (
    tac text primary key check (tac ~ '^[0-9]{8}$'),
    make text not null,
    model text not null,
    esim_supported boolean not null,
    changed_at timestamptz not null default now()
);

comment on column devices.tac is 'Type allocation code: the first 8 digits of every IMEI of that model.';

create table platforms (
    platform text primary key,
    minimum_system_version text not null,
    changed_at timestamptz not null default now()
);

-- migrate:down
drop table platforms;

drop table devices;

drop table subscriptions;

drop table prices;

drop table offering_versions;

drop table offerings;

drop table price_list_revision;
