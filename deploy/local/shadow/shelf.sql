-- name: tables
-- Of SQLite, for as long as the comparison takes: nothing needs to survive a crash.
pragma journal_mode = off;
pragma synchronous = off;
pragma cache_size = -65536;
create table subscriptions (subscription_id text primary key, iccid text unique, body blob) without rowid;
create table rules (subscription_id text primary key, body blob) without rowid;
create table mandates (
    subscription_id text, mandate_id text, body blob, primary key (subscription_id, mandate_id)
) without rowid;
create table buckets (
    subscription_id text, bucket_id text, body blob, primary key (subscription_id, bucket_id)
) without rowid;
create table methods (payment_method_id text primary key, payer_id text, status text) without rowid;
create table records (
    source text, record_id text, ended_on text, iccid text, started_at int, ended_at int, size int, imei text,
    primary key (source, record_id, ended_on)
) without rowid;
create table charges (
    number integer primary key, subscription_id text, iccid text, charged_at int, amount_minor int,
    currency text, offering_id text
);

-- name: indexes
-- Made once all is read: that is quicker.
create index records_by_iccid on records (iccid, ended_at);
create index charges_by_subscription on charges (subscription_id, charged_at);

-- name: put_subscription
-- Whose month is looked at.
insert or ignore into subscriptions values (?, ?, ?);

-- name: put_rule
-- What is to be done for them.
insert or ignore into rules values (?, ?);

-- name: put_mandate
-- On whose consent.
insert or ignore into mandates values (?, ?, ?);

-- name: put_bucket
-- What was left when the month began.
insert or ignore into buckets values (?, ?, ?);

-- name: put_method
-- Who pays with what; no token is ever kept.
insert or ignore into methods values (?, ?, ?);

-- name: put_record
-- The first record of a name counts, as it does in the service.
insert or ignore into records values (?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_charge
-- What they charged.
insert into charges (subscription_id, iccid, charged_at, amount_minor, currency, offering_id)
values (?, ?, ?, ?, ?, ?);

-- name: settle_charges
-- Charges that name an ICCID are those of its subscription.
update charges set subscription_id = (select s.subscription_id from subscriptions as s where s.iccid = charges.iccid)
where subscription_id is null;

-- name: subscriptions
-- In one order, whatever the order of the files.
select
    subscription_id,
    body
from subscriptions
order by subscription_id;

-- name: rule_of
-- One subscription's rule.
select body from rules where subscription_id = ?;

-- name: mandate_of
-- The mandate that a rule names.
select body from mandates where subscription_id = ? and mandate_id = ?;

-- name: buckets_of
-- What one subscription had, earlier cycles first.
select body from buckets where subscription_id = ? order by bucket_id;

-- name: method
-- Whose a payment method is, and whether it is active.
select payer_id || ' ' || status from methods where payment_method_id = ?;

-- name: records_of
-- One subscription's month, by when each record was complete.
select
    started_at,
    ended_at,
    size,
    imei
from records
where iccid = ?
order by ended_at, source, record_id;

-- name: charges_of
-- What they charged one subscription, in order.
select
    charged_at,
    amount_minor,
    currency,
    offering_id
from charges
where subscription_id = ?
order by charged_at, number;

-- name: charges_of_nobody
-- Charges whose subscription nobody knows.
select
    coalesce(subscription_id, iccid) as named,
    charged_at,
    amount_minor,
    currency,
    offering_id
from charges
where subscription_id is null or not exists (
    select 1 from subscriptions as s where s.subscription_id = charges.subscription_id
)
order by named, charged_at, number;

-- name: records_of_nobody
-- How many records are of ICCIDs that no subscription has.
select count(*) from records
where not exists (select 1 from subscriptions as s where s.iccid = records.iccid);

-- name: span
-- From the first instant of the files to the last.
select
    min(began_at),
    max(ended_at)
from (
    select
        min(started_at) as began_at,
        max(ended_at) as ended_at
    from records
    union all
    select
        min(charged_at),
        max(charged_at)
    from charges
);
