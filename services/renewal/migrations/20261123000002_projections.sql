-- migrate:up
-- What admission asks about: as others last told it, on compacted topics. A higher version replaces a lower one.
create table subscriptions (
    subscription_id text primary key,
    version integer not null,
    brand text not null,
    carrier text not null,
    owner_id text not null,
    status text not null,
    device_bound boolean not null,
    device_matches boolean not null,
    top_ups integer not null
);

create table customers (
    customer_id text primary key,
    version integer not null,
    identity_verified boolean not null
);

create table payment_methods (
    payment_method_id text primary key,
    version integer not null,
    payer_id text not null,
    status text not null
);

create table offerings (
    offering_id text primary key,
    version integer not null,
    brands text [] not null,
    carriers text [] not null,
    subscription_statuses text [] not null,
    status text not null
);

-- migrate:down
drop table offerings;

drop table payment_methods;

drop table customers;

drop table subscriptions;
