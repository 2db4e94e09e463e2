-- migrate:up

-- The number by which a subscription gets and answers text messages. Not unique: a number moves, and the subscription
-- that had it before may keep it in its row. Processes of the version before neither read nor write it.
alter table subscriptions
add column msisdn text;

comment on column subscriptions.msisdn is 'E.164 with its plus sign; null where no text message reaches it.';

-- migrate:down
alter table subscriptions
drop column msisdn;
