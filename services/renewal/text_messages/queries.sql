-- name: upsert_numbers
-- The newest word about each subscription's number; null: it has none any more.
insert into subscriber_numbers (subscription_id, version, msisdn)
select *
from unnest($1::text [], $2::int [], $3::text [])
on conflict (subscription_id) do update
    set version = excluded.version, msisdn = excluded.msisdn
    where subscriber_numbers.version < excluded.version;

-- name: begin_reply
-- First of all, so that of two who bring one message one waits for the other; who finds it there repeats its answer.
insert into text_messages (gateway, message_id, fingerprint, at, number_ending, word, outcome)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
returning message_id;

-- name: read_reply
-- What came of a message before.
select
    gateway, message_id, fingerprint, at, number_ending, word, outcome, subscription_id, reason, renewal_id
from text_messages
where gateway = $1 and message_id = $2;

-- name: settle_reply
-- What has come of a message, in the transaction that began it.
update text_messages
set outcome = $3, subscription_id = $4, reason = $5, renewal_id = $6
where gateway = $1 and message_id = $2;

-- name: lock_holders
-- Whose number it is. Locked: of two messages of one number the second counts what the first has begun.
select
    n.subscription_id,
    s.status,
    s.owner_id
from subscriber_numbers as n
inner join subscriptions as s on n.subscription_id = s.subscription_id
where n.msisdn = $1
order by n.subscription_id
limit $2
for update of n;

-- name: count_asked
-- How often a subscription has asked to be renewed since then; what was refused as too often does not count.
select count(*)
from text_messages
where subscription_id = $1 and at > $2 and word = 'renew' and reason is distinct from $3;

-- name: list_replies
-- What a subscriber has answered, newest first.
select
    gateway, message_id, fingerprint, at, number_ending, word, outcome, subscription_id, reason, renewal_id
from text_messages
where
    subscription_id = $1
    and ($2::timestamptz is null or (at, gateway, message_id) < ($2, $3::text, $4::text))
order by at desc, gateway desc, message_id desc
limit $5;

-- name: forget_replies
-- What is so old that nobody sends it again or asks for it, a bounded number at a time.
delete from text_messages
where ctid = any(array(select ctid from text_messages where at < $1 limit $2));
