-- migrate:up

-- Beside the projection of subscriptions, not in it: most have no number, an older process that upserts a subscription
-- must not touch it, and who erases numbers finds them in one place.
create table subscriber_numbers (
    subscription_id text primary key,
    version integer not null,
    msisdn text
);

comment on table subscriber_numbers is
'By which number a subscription answers text messages. Several may have one number: it has moved.';

create index subscriber_numbers_by_number on subscriber_numbers (msisdn) where msisdn is not null;

-- migrate:down
drop table subscriber_numbers;
