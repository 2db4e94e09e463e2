-- migrate:up

-- How often a card's network allows it to be declined (domain/network_caps.py), counted across all renewals.
alter table payment_methods add column network text;
alter table payment_methods add column card bytea;
alter table payment_methods add column declined_at timestamptz [];

comment on column payment_methods.network is 'visa, mastercard, ...; null where nobody said.';
comment on column payment_methods.card is
'SHA-256 of gateway and token: which methods are one card. It outlives the token, and tells nothing of it.';
comment on column payment_methods.declined_at is
'When the card was declined, newest first, as often as any network''s cap asks about; the same for all its methods.';

update payment_methods set card = sha256(convert_to(gateway || ' ' || token, 'UTF8')) where token is not null;

-- migrate:down
alter table payment_methods drop column declined_at;
alter table payment_methods drop column card;
alter table payment_methods drop column network;
