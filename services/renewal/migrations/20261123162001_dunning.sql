-- migrate:up

-- A try after the first waits among the kept triggers, for its instant.
alter table kept_triggers
add column offering_id text,
add column declined text;

comment on column kept_triggers.dunning_try is
'Which try of its cycle it is. Those after the first wait for not_before, and are renewals of their own.';

comment on column kept_triggers.offering_id is 'Of a try after the first: what the one before was to buy.';

comment on column kept_triggers.declined is
'Of a try after the first: payment methods that never pay again, joined by commas. It goes on when the rule names another.';

-- migrate:down
alter table kept_triggers
drop column declined,
drop column offering_id;
