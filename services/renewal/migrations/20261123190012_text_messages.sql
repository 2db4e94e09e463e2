-- migrate:up
create table text_messages (
    gateway text not null,
    message_id text not null,
    fingerprint bytea not null,
    at timestamptz not null,
    number_ending text not null,
    word text,
    outcome text not null,
    subscription_id text,
    reason text,
    renewal_id uuid,
    primary key (gateway, message_id)
);

comment on table text_messages is
'What subscribers have answered by text message, and what came of it; the same message again is answered from here. Neither the text nor the number is kept.';
comment on column text_messages.fingerprint is 'HMAC of number and text with the gateway''s secret.';
comment on column text_messages.word is 'renew or stop, however it was written; null where neither was recognised.';

create index text_messages_by_subscription on text_messages (subscription_id, at desc)
where subscription_id is not null;

create index text_messages_by_time on text_messages (at);

-- migrate:down
drop table text_messages;
